//! An image of a node's LMDB cache: taken beside the running node, compacted, checked and compressed; and expanded again,
//! bounded by what its manifest promises. How images are kept is not known here.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{BufReader, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use bytes::Bytes;
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use lifeboat_core::sensitive::Sensitive;
use lifeboat_core::verify::VerifiedImage;

use super::file_space::check_space;
use super::hot_copy::copy_data_file;
use super::lmdb::{LmdbError, compact};
use super::{CacheError, CacheId, Contents, NodePrefix, Patience};

const PIECE: usize = 1 << 18;

/// An image: gzip of a `data.mdb`.
#[derive(Clone, Debug)]
pub struct Image {
    gzip: Sensitive<Bytes>,
    expands_to: u64,
}

impl Image {
    /// Takes an image of what the node on `prefix` has cached, if that is `wanted`. It works in a new folder below
    /// `temporary`, which is gone afterwards; the prefix may be mounted read-only.
    ///
    /// # Errors
    /// [`CacheError::OtherConfiguration`] while the node runs another one, [`CacheError::Busy`] while it is writing.
    pub fn take(
        prefix: &NodePrefix,
        wanted: &CacheId,
        temporary: &Path,
        patience: Patience,
    ) -> Result<Self, CacheError> {
        let source = prefix.data_file();
        let folder = private_folder(temporary).map_err(CacheError::io(temporary))?;
        let io = || CacheError::io(folder.path());
        let copy = new_file(&folder.path().join("copy")).map_err(io())?;

        copy_data_file(&source, folder.path(), &copy, patience)?;
        let check = |file: &File| {
            let contents = Contents::read(file).map_err(CacheError::unreadable(&source))?;
            contents.check(&source.display().to_string(), wanted)?;
            Ok::<_, CacheError>(contents)
        };
        let before = check(&copy)?;
        check_space(folder.path(), copy.metadata().map_err(io())?.len())?;
        let compacted = new_file(&folder.path().join("compacted")).map_err(io())?;
        compact(&copy, &compacted).map_err(CacheError::unreadable(&source))?;
        // What is kept is what was checked, not what it was made from.
        if check(&compacted)? != before {
            let problem = LmdbError::Damaged("not all rows could be copied".into());
            return Err(CacheError::unreadable(&source)(problem));
        }
        Self::compress(&compacted).map_err(io())
    }

    /// The compressed bytes.
    pub fn gzip(&self) -> &Bytes {
        &self.gzip
    }

    /// The same, to be sealed where they are.
    pub fn into_gzip(self) -> Bytes {
        self.gzip.into_inner()
    }

    /// The size of the `data.mdb` that they expand to, in bytes.
    pub fn expands_to(&self) -> u64 {
        self.expands_to
    }

    fn compress(mut file: &File) -> std::io::Result<Self> {
        let expands_to = file.metadata()?.len();
        file.rewind()?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        std::io::copy(&mut BufReader::with_capacity(PIECE, file), &mut encoder)?;
        Ok(Self { gzip: Bytes::from(encoder.finish()?).into(), expands_to })
    }
}

/// Writes the `data.mdb` of an image to `file`, which is empty and has the name `path`; `written` is called after each
/// part.
pub(super) fn expand(
    image: &VerifiedImage,
    mut file: &File,
    path: &Path,
    mut written: impl FnMut(),
) -> Result<(), CacheError> {
    let expected = image.expands_to();
    let mut decoder = GzDecoder::new(&image.gzip()[..]).take(expected.saturating_add(1));
    let (mut piece, mut actual) = (vec![0; PIECE], 0);

    loop {
        let read = decoder.read(&mut piece).map_err(|_| CacheError::ImageSize { expected, actual })?;
        actual += read as u64;
        if actual > expected || (read == 0 && actual < expected) {
            return Err(CacheError::ImageSize { expected, actual });
        }
        if read == 0 {
            return Ok(());
        }
        file.write_all(&piece[..read]).map_err(CacheError::io(path))?;
        written();
    }
}

/// A folder that nobody else can look into, gone when it is dropped.
fn private_folder(below: &Path) -> std::io::Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix("lifeboat-image-").permissions(Permissions::from_mode(0o700)).tempdir_in(below)
}

/// A new file that nobody else can read.
pub(super) fn new_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}
