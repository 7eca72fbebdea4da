//! A folder of this machine as a store. Anything there that is no regular file is never opened, and breaks no listing:
//! opening a FIFO would wait for ever, and a link that leads to itself would fail the listing of everything else.

use std::fmt;
use std::io::{Error as IoError, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use rustix::io::Errno;
use tokio::time::timeout;

use crate::error::{IN_THE_WAY, StorageError};

/// How long a file may take. A local disk answers sooner; a network disk may be gone.
const DISK_TIMEOUT: Duration = Duration::from_secs(30);

/// Checks that there is such a folder, for callers that only read: making one would hide a mistyped path behind "no
/// backups".
pub(crate) fn must_exist(path: &str, place: String) -> std::result::Result<(), StorageError> {
    absence(path.as_ref()).map_or(Ok(()), |reason| Err(StorageError::Misconfigured { place, reason }))
}

/// Makes the folder, for whoever writes.
pub(crate) fn make(path: &str, place: String) -> std::result::Result<(), StorageError> {
    let failed = |error: IoError| {
        let cure = match error.kind() {
            ErrorKind::NotADirectory | ErrorKind::AlreadyExists => IN_THE_WAY,
            _ => "let the user that runs lifeboat make, read and write it",
        };
        StorageError::Misconfigured { place, reason: format!("the folder can't be used ({error}): {cure}") }
    };
    std::fs::create_dir_all(path).map_err(failed)
}

/// Opens the folder, which may not be there yet: until it is, reading fails and is tried again.
pub(super) fn open(path: &str) -> Arc<dyn ObjectStore> {
    Arc::new(Folder { path: path.into(), files: Arc::default() })
}

// Why there is no such folder; nothing if it is there.
fn absence(path: &std::path::Path) -> Option<String> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => None,
        Ok(_) => Some(IN_THE_WAY.to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Some(
            "there is no such folder, and none was made: check KONG_CLUSTER_FALLBACK_CONFIG_STORAGE (--storage). Exporting \
             makes it"
                .to_owned(),
        ),
        Err(error) => Some(format!("the folder can't be looked at ({error}): let the user that runs lifeboat read it")),
    }
}

#[derive(Clone, Debug)]
struct Folder {
    path: PathBuf,
    /// Known once the folder was there.
    files: Arc<OnceLock<LocalFileSystem>>,
}

/// How deep a listing goes: as deep as keys are. This also ends a circle of links.
const DEEPEST: usize = 8;

impl Folder {
    fn files(&self) -> Result<&LocalFileSystem> {
        if let Some(files) = self.files.get() {
            return Ok(files);
        }
        if let Some(reason) = absence(&self.path) {
            return Err(failed(IoError::other(reason)));
        }
        // Synced before it is renamed: what was published survives a power cut too.
        let files = LocalFileSystem::new_with_prefix(&self.path)?.with_fsync(true);
        Ok(self.files.get_or_init(|| files))
    }

    // Looking needs no right to read, and waits for nobody who would write into a FIFO.
    async fn refuse_what_is_no_file(&self, location: &Path) -> Result<()> {
        let path = self.files()?.path_to_filesystem(location)?;
        match timeout(DISK_TIMEOUT, tokio::fs::metadata(path)).await {
            Ok(Ok(found)) if !found.is_file() && !found.is_dir() => {
                Err(failed(IoError::new(ErrorKind::Unsupported, "it is neither a file nor a folder")))
            }
            // Whoever opens it says what is wrong.
            Ok(Ok(_) | Err(_)) => Ok(()),
            Err(_) => {
                let text = format!("the disk has not answered within {} s", DISK_TIMEOUT.as_secs());
                Err(failed(IoError::new(ErrorKind::TimedOut, text)))
            }
        }
    }
}

impl Folder {
    // The library's listing ends at the first link that leads to itself.
    fn listed(self, prefix: Option<Path>, offset: Option<Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = stream::once(async move {
            let files = self.files()?;
            let listing = match &offset {
                Some(offset) => files.list_with_offset(prefix.as_ref(), offset),
                None => files.list(prefix.as_ref()),
            };
            match listing.try_collect::<Vec<_>>().await {
                Err(error) if leads_to_itself(&error) => self.one_by_one(prefix.unwrap_or_default(), offset).await,
                listed => listed,
            }
        });
        listed.map_ok(|found| stream::iter(found.into_iter().map(Ok))).try_flatten().boxed()
    }

    async fn one_by_one(&self, prefix: Path, offset: Option<Path>) -> Result<Vec<ObjectMeta>> {
        let folder = self.files()?.path_to_filesystem(&prefix)?;
        let files = tokio::task::spawn_blocking(move || files_below(&folder, String::new(), DEEPEST));
        let mut found = Vec::new();
        for name in files.await.map_err(|error| failed(error.into()))?.map_err(failed)? {
            let location = Path::from(format!("{prefix}/{name}"));
            if offset.as_ref().is_some_and(|offset| location <= *offset) {
                continue;
            }
            // What can't be opened isn't shown; whoever asks for it is told why.
            found.extend(self.head(&location).await.ok());
        }
        Ok(found)
    }
}

// The names of all regular files, without those that the library writes for a moment.
fn files_below(folder: &std::path::Path, prefix: String, depth: usize) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (Ok(found), Ok(name)) = (std::fs::metadata(entry.path()), entry.file_name().into_string()) else {
            continue;
        };
        if found.is_dir() && depth > 0 {
            names.extend(files_below(&entry.path(), format!("{prefix}{name}/"), depth - 1)?);
        } else if found.is_file() && !name.contains('#') {
            names.push(format!("{prefix}{name}"));
        }
    }
    Ok(names)
}

fn failed(error: IoError) -> Error {
    Error::Generic { store: "folder", source: Box::new(error) }
}

fn leads_to_itself(error: &Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<IoError>() {
            return io.raw_os_error() == Some(Errno::LOOP.raw_os_error());
        }
        source = error.source();
    }
    false
}

#[async_trait]
impl ObjectStore for Folder {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.files()?.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.files()?.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.refuse_what_is_no_file(location).await?;
        self.files()?.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.files() {
            Ok(files) => files.delete_stream(locations),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.clone().listed(prefix.cloned(), None)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.clone().listed(prefix.cloned(), Some(offset.clone()))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files()?.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files()?.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.files()?.rename_opts(from, to, options).await
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use bytes::Bytes;
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use crate::access::Location;
    use crate::{Storage, StorageError, Write};

    fn folder() -> (tempfile::TempDir, Storage) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("file://{}", folder.path().display()).parse().unwrap();
        let storage = Storage::open(&Location::local(url)).unwrap();
        (folder, storage)
    }

    #[tokio::test]
    async fn a_folder_that_is_awaited_is_not_made_and_is_read_once_it_is_there() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("mistyped");
        let location = Location::local(format!("file://{}", folder.display()).parse().unwrap());
        let awaiting = Storage::open_awaited(&location).unwrap();
        for error in [awaiting.read_if_it_exists("a", 1).await.unwrap_err(), awaiting.list("", None).await.unwrap_err()]
        {
            assert!(error.to_string().contains("there is no such folder, and none was made"), "{error}");
            assert_eq!(error.class(), "unavailable");
        }
        assert!(!folder.exists());

        let writing = Storage::open(&location).unwrap();
        writing.write("a", Bytes::from_static(b"1"), Write::Create).await.unwrap();
        assert_eq!(awaiting.read("a", 1).await.unwrap().0, "1");
    }

    #[tokio::test]
    async fn what_is_no_file_is_refused_at_once_and_hides_nothing_else() {
        let (folder, storage) = folder();
        for key in ["a/good", "a/b/good", "a/zgood"] {
            storage.write(key, Bytes::from_static(b"1"), Write::Create).await.unwrap();
        }
        mknodat(CWD, folder.path().join("a/fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        symlink("loop", folder.path().join("a/loop")).unwrap();
        for key in ["a/fifo", "a/loop"] {
            let error = storage.read(key, 1).await.unwrap_err();
            assert!(matches!(error, StorageError::Misconfigured { .. }), "{error}");
            assert!(error.to_string().contains(key), "{error}");
            assert!(storage.head(key).await.unwrap_err().is_refusal());
        }
        let mut listed = storage.list("a", None).await.unwrap();
        listed.sort();
        assert_eq!(listed, ["a/b/good", "a/good", "a/zgood"]);
        assert_eq!(storage.list("a", Some("a/good")).await.unwrap(), ["a/zgood"]);
        // As it is named where nothing is in the way.
        let entry = storage.entries("a/b", None).await.unwrap().remove(0);
        assert_eq!(storage.tag("a/b/good").await.unwrap(), Some(entry.tag));
        // What is written there takes its place.
        for key in ["a/fifo", "a/loop"] {
            storage.write(key, Bytes::from_static(b"2"), Write::Replace).await.unwrap();
            assert_eq!(storage.read(key, 1).await.unwrap().0, "2");
        }
    }
}
