//! Objects in a store: read, written, listed, with retries and the few classes of errors that a caller acts on. What the
//! objects mean is in `archive`; what their keys are is in `core`.

mod attempt;
mod conditions;
mod error;
mod open;
mod plain;
mod probe;
mod race;
mod wire;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt};
use lifeboat_core::backoff::Backoff;
use object_store::path::Path;
use object_store::{
    GetResult, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion,
};

pub use conditions::{Ability, Conditions};
pub use error::{Access, StorageError};
pub use probe::ProbeKeys;

use self::wire::Wire;
use crate::settings::StoreSettings;

const TRIES: u32 = 4;

/// A store, and the prefix in it below which all keys are.
#[derive(Clone, Debug)]
pub struct Storage {
    store: Arc<dyn ObjectStore>,
    place: String,
    conditions: Arc<OnceLock<Conditions>>,
}

/// Which one of an object's versions was read or written: an ETag, or a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(UpdateVersion);

/// What a write does about an object that is there already.
#[derive(Clone, Debug)]
pub enum Write {
    /// Whatever is there is replaced.
    Replace,
    /// Nothing may be there.
    Create,
    /// Exactly this one is replaced.
    Update(Tag),
}

impl Storage {
    /// Opens the store. Nothing is read or written yet, but a folder is made.
    pub fn open(settings: &StoreSettings) -> Result<Self, StorageError> {
        Ok(Self::over(open::open(settings, Wire::default())?, &settings.url.to_string()))
    }

    /// Any store, named `place` in messages.
    pub fn over(store: Arc<dyn ObjectStore>, place: &str) -> Self {
        Self { store, place: place.to_owned(), conditions: Arc::default() }
    }

    /// The store's name for people.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Reads an object of at most `limit` bytes; `None` if there is none. What is longer comes cut off, which its reader
    /// will notice.
    pub async fn read_optional(&self, key: &str, limit: u64) -> Result<Option<(Bytes, Tag)>, StorageError> {
        match self.read(key, limit).await {
            Ok(found) => Ok(Some(found)),
            Err(StorageError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads an object of at most `limit` bytes; what is longer comes cut off.
    pub async fn read(&self, key: &str, limit: u64) -> Result<(Bytes, Tag), StorageError> {
        self.retried(|| async {
            let result = self.get(key).await?;
            let tag = Tag::of(&result.meta);
            let mut bytes = BytesMut::with_capacity(result.meta.size.min(limit + 1) as usize);
            let mut stream = result.into_stream();
            while let Some(piece) = stream.next().await {
                let piece = piece.map_err(|error| self.failed(key, Access::Reading, error))?;
                let room = (limit + 1).saturating_sub(bytes.len() as u64) as usize;
                bytes.extend_from_slice(&piece[..piece.len().min(room)]);
                if bytes.len() as u64 > limit {
                    break;
                }
            }
            Ok((bytes.freeze(), tag))
        })
        .await
    }

    /// Whether an object has exactly these bytes; reads it piece by piece.
    pub async fn has_bytes(&self, key: &str, expected: &[u8]) -> Result<bool, StorageError> {
        self.retried(|| async {
            let mut rest = expected;
            let mut stream = match self.get(key).await {
                Ok(result) => result.into_stream(),
                Err(StorageError::NotFound { .. }) => return Ok(false),
                Err(error) => return Err(error),
            };
            while let Some(piece) = stream.try_next().await.map_err(|error| self.failed(key, Access::Reading, error))? {
                match rest.strip_prefix(&piece[..]) {
                    Some(after) => rest = after,
                    None => return Ok(false),
                }
            }
            Ok(rest.is_empty())
        })
        .await
    }

    /// What is published was written, read back and compared.
    pub async fn read_back(&self, key: &str, written: &[u8]) -> Result<(), StorageError> {
        if self.has_bytes(key, written).await? {
            return Ok(());
        }
        Err(StorageError::ReadBackDiffers { place: self.place.clone(), key: key.to_owned() })
    }

    /// Writes an object. A write that may or may not have happened is settled by reading.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] when the object is not as `write` demands.
    pub async fn write(&self, key: &str, bytes: Bytes, write: Write) -> Result<Tag, StorageError> {
        let mut uncertain = false;
        self.retried(|| {
            let (bytes, write) = (bytes.clone(), write.clone());
            let was_uncertain = std::mem::replace(&mut uncertain, true);
            async move {
                match self.put(key, bytes.clone(), write).await {
                    // An earlier try may have succeeded without our hearing of it: then the conflict is with ourselves.
                    Err(StorageError::Conflict { .. }) if was_uncertain && self.has_bytes(key, &bytes).await? => {
                        Ok(Tag::of(&self.get(key).await?.meta))
                    }
                    other => other,
                }
            }
        })
        .await
    }

    /// All objects below a folder, in no order; with `after`, only those whose keys sort after it.
    pub async fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<String>, StorageError> {
        self.retried(|| async {
            let prefix = Path::from(folder);
            let stream = match after {
                Some(after) => self.store.list_with_offset(Some(&prefix), &Path::from(after)),
                None => self.store.list(Some(&prefix)),
            };
            let objects: Vec<_> =
                stream.try_collect().await.map_err(|error| self.failed(folder, Access::Listing, error))?;
            Ok(objects.into_iter().map(|object| object.location.into()).collect())
        })
        .await
    }

    /// The names of the folders directly below the prefix.
    pub async fn folders(&self) -> Result<Vec<String>, StorageError> {
        self.retried(|| async {
            let listed = self.store.list_with_delimiter(None).await;
            let listed = listed.map_err(|error| self.failed("its folders", Access::Listing, error))?;
            Ok(listed.common_prefixes.iter().filter_map(|prefix| prefix.filename()).map(str::to_owned).collect())
        })
        .await
    }

    async fn put(&self, key: &str, bytes: Bytes, write: Write) -> Result<Tag, StorageError> {
        if self.must_write_plainly(&write) {
            return self.put_plainly(key, bytes, write).await;
        }
        let mode = match write {
            Write::Replace => PutMode::Overwrite,
            Write::Create => PutMode::Create,
            Write::Update(Tag(version)) => PutMode::Update(version),
        };
        let path = Path::from(key);
        let put = |mode| {
            let options = PutOptions { mode, ..PutOptions::default() };
            self.store.put_opts(&path, PutPayload::from_bytes(bytes.clone()), options)
        };
        match put(mode).await {
            Ok(result) => Ok(Tag(result.into())),
            // Folders have no compare-and-swap, and some S3-compatible stores no conditional writes at all. There, one
            // exporter alone must write.
            Err(error) if error::says_not_implemented(&error) => {
                let result = put(PutMode::Overwrite).await;
                result.map(|result| Tag(result.into())).map_err(|error| self.failed(key, Access::Writing, error))
            }
            Err(error) => Err(self.failed(key, Access::Writing, error)),
        }
    }

    async fn get(&self, key: &str) -> Result<GetResult, StorageError> {
        self.store.get(&Path::from(key)).await.map_err(|error| self.failed(key, Access::Reading, error))
    }

    fn failed(&self, key: &str, what: Access, error: object_store::Error) -> StorageError {
        StorageError::from_store(&self.place, key, what, error)
    }

    async fn retried<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>>,
    {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));
        loop {
            match attempt().await {
                Err(error) if error.is_transient() && backoff.failures() + 1 < TRIES => {
                    let wait = backoff.next_wait(rand::random());
                    tracing::debug!(%error, ?wait, "the store failed, trying again");
                    tokio::time::sleep(wait).await;
                }
                done => return done,
            }
        }
    }
}

impl Tag {
    fn of(meta: &ObjectMeta) -> Self {
        Self(UpdateVersion { e_tag: meta.e_tag.clone(), version: meta.version.clone() })
    }
}
