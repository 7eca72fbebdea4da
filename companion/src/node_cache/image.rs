//! An image of a node's LMDB cache: taken beside the running node, compacted, checked and compressed; and expanded again,
//! bounded by what its manifest promises. Where images are kept is not known here.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{BufReader, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use bytes::Bytes;
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use lifeboat_core::digest::Sha256Digest;

use super::file_space::check_space;
use super::hot_copy::copy_data_file;
use super::lmdb::{LmdbError, compact};
use super::{CacheError, CacheId, Contents, NodePrefix, Patience};

const PIECE: usize = 1 << 18;

/// An image: gzip of a `data.mdb`.
#[derive(Clone)]
pub struct Image {
    gzip: Bytes,
    digests: ImageDigests,
}

/// What a manifest says of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageDigests {
    /// The SHA-256 of the compressed bytes.
    pub gzip_sha256: Sha256Digest,
    /// How many they are.
    pub gzip_bytes: u64,
    /// How many they expand to: the size of `data.mdb`.
    pub bytes: u64,
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // It holds private keys.
        write!(f, "Image({:?}, ..)", self.digests)
    }
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

    /// An image as it was read from a store, if it is the one that `expected` describes.
    pub fn from_store(gzip: Bytes, expected: ImageDigests) -> Result<Self, CacheError> {
        let actual = gzip.len() as u64;
        if actual != expected.gzip_bytes {
            return Err(CacheError::ImageSize { expected: expected.gzip_bytes, actual });
        }
        let actual = Sha256Digest::of(&gzip);
        if actual != expected.gzip_sha256 {
            return Err(CacheError::ImageDigest { expected: expected.gzip_sha256, actual });
        }
        Ok(Self { gzip, digests: expected })
    }

    /// What a store keeps.
    pub fn gzip(&self) -> &Bytes {
        &self.gzip
    }

    /// What a manifest says of it.
    pub fn digests(&self) -> ImageDigests {
        self.digests
    }

    /// Writes the expanded image to `file`, which is empty and has the name `path`; `written` is called after each part.
    pub(super) fn expand(&self, mut file: &File, path: &Path, mut written: impl FnMut()) -> Result<(), CacheError> {
        let expected = self.digests.bytes;
        let mut decoder = GzDecoder::new(&self.gzip[..]).take(expected.saturating_add(1));
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

    fn compress(mut file: &File) -> std::io::Result<Self> {
        let bytes = file.metadata()?.len();
        file.rewind()?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        std::io::copy(&mut BufReader::with_capacity(PIECE, file), &mut encoder)?;
        let gzip = Bytes::from(encoder.finish()?);
        let digests = ImageDigests { gzip_sha256: Sha256Digest::of(&gzip), gzip_bytes: gzip.len() as u64, bytes };
        Ok(Self { gzip, digests })
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
