//! The objects in the store: read, written, listed, with retries. Which object means what is in `publish` and `restore`;
//! what their keys are is in `core`.

mod error;
mod history;
mod publish;
mod restore;
mod store;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt};
use lifeboat_core::backoff::Backoff;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::{Manifest, Unreadable};
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_core::verify::Policy;
use object_store::path::Path;
use object_store::{GetResult, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion};

pub use error::{Access, ArchiveError};
pub use history::{History, Listed};
pub use publish::{Author, Received};
pub use restore::{Restored, Skipped};

use crate::settings::StoreSettings;

const TRIES: u32 = 4;

/// A store with Lifeboat's objects in it.
#[derive(Clone, Debug)]
pub struct Archive {
    store: Arc<dyn ObjectStore>,
    place: String,
    max_config: usize,
}

/// A manifest as it lies in the store, with what is needed to replace exactly this one.
#[derive(Debug)]
pub struct Published {
    /// The manifest.
    pub manifest: Manifest,
    tag: UpdateVersion,
}

/// What a write does about an object that is there already.
#[derive(Clone)]
enum Write {
    Replace,
    Create,
    /// Replace exactly this one.
    Update(UpdateVersion),
}

impl Archive {
    /// Opens the store. Nothing is read or written yet, but a folder is made.
    pub fn open(settings: &StoreSettings) -> Result<Self, ArchiveError> {
        let store = store::open(settings)?;
        Ok(Self { store, place: settings.url.to_string(), max_config: settings.max_config })
    }

    /// An archive in any store, named `place` in messages.
    pub fn in_store(store: Arc<dyn ObjectStore>, place: &str, max_config: usize) -> Self {
        Self { store, place: place.to_owned(), max_config }
    }

    /// The store's name for people.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The newest published manifest for a version of Kong, if there is one. One that can't be read is an error: to
    /// overwrite it could destroy what a later Lifeboat has written.
    pub async fn published(&self, version: KongVersion) -> Result<Option<Published>, ArchiveError> {
        let key = ObjectKeys::new(version).manifest();
        let Some((bytes, tag)) = self.read_optional(&key, MANIFEST_LIMIT).await? else { return Ok(None) };
        let manifest = Manifest::decode(&bytes).map_err(|error| {
            let cure = match error {
                Unreadable::UnknownFormat(_) => "",
                // Numbers go on after the highest that is taken, with or without a manifest.
                Unreadable::Malformed(_) => {
                    ". It was left as it is; new nodes are restored from the newest whole snapshot. Delete it, and the \
                     next export writes it anew"
                }
            };
            ArchiveError::Misconfigured {
                place: self.place.clone(),
                reason: format!("{key} can't be used: {error}{cure}"),
            }
        })?;
        Ok(Some(Published { manifest, tag }))
    }

    async fn read_optional(&self, key: &str, limit: u64) -> Result<Option<(Bytes, UpdateVersion)>, ArchiveError> {
        match self.read(key, limit).await {
            Ok(found) => Ok(Some(found)),
            Err(ArchiveError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads an object of at most `limit` bytes; what is longer comes cut off, which its reader will notice.
    async fn read(&self, key: &str, limit: u64) -> Result<(Bytes, UpdateVersion), ArchiveError> {
        self.retried(|| async {
            let result = self.get(key).await?;
            let tag = UpdateVersion { e_tag: result.meta.e_tag.clone(), version: result.meta.version.clone() };
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
    async fn has_bytes(&self, key: &str, expected: &[u8]) -> Result<bool, ArchiveError> {
        self.retried(|| async {
            let mut rest = expected;
            let mut stream = match self.get(key).await {
                Ok(result) => result.into_stream(),
                Err(ArchiveError::NotFound { .. }) => return Ok(false),
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
    async fn read_back(&self, key: &str, written: &[u8]) -> Result<(), ArchiveError> {
        if self.has_bytes(key, written).await? {
            return Ok(());
        }
        Err(ArchiveError::ReadBackDiffers { place: self.place.clone(), key: key.to_owned() })
    }

    async fn write(&self, key: &str, bytes: Bytes, write: Write) -> Result<UpdateVersion, ArchiveError> {
        let mut uncertain = false;
        self.retried(|| {
            let (bytes, write) = (bytes.clone(), write.clone());
            let was_uncertain = std::mem::replace(&mut uncertain, true);
            async move {
                match self.put(key, bytes.clone(), write).await {
                    // An earlier try may have succeeded without our hearing of it: then the conflict is with ourselves.
                    Err(ArchiveError::Conflict { .. }) if was_uncertain && self.has_bytes(key, &bytes).await? => {
                        let meta = self.get(key).await?.meta;
                        Ok(UpdateVersion { e_tag: meta.e_tag, version: meta.version })
                    }
                    other => other,
                }
            }
        })
        .await
    }

    async fn put(&self, key: &str, bytes: Bytes, write: Write) -> Result<UpdateVersion, ArchiveError> {
        let mode = match write {
            Write::Replace => PutMode::Overwrite,
            Write::Create => PutMode::Create,
            Write::Update(tag) => PutMode::Update(tag),
        };
        let path = self.path(key);
        let put = |mode| {
            let options = PutOptions { mode, ..PutOptions::default() };
            self.store.put_opts(&path, PutPayload::from_bytes(bytes.clone()), options)
        };
        match put(mode).await {
            Ok(result) => Ok(result.into()),
            // Folders have no compare-and-swap, and some S3-compatible stores no conditional writes at all. There, one
            // exporter alone must write.
            Err(error) if error::says_not_implemented(&error) => {
                put(PutMode::Overwrite).await.map(Into::into).map_err(|error| self.failed(key, Access::Writing, error))
            }
            Err(error) => Err(self.failed(key, Access::Writing, error)),
        }
    }

    async fn get(&self, key: &str) -> Result<GetResult, ArchiveError> {
        let path = self.path(key);
        self.store.get(&path).await.map_err(|error| self.failed(key, Access::Reading, error))
    }

    fn policy(&self, version: KongVersion) -> Policy {
        Policy { version, max_config: self.max_config }
    }

    fn path(&self, key: &str) -> Path {
        Path::from(key)
    }

    fn failed(&self, key: &str, what: Access, error: object_store::Error) -> ArchiveError {
        ArchiveError::from_store(&self.place, key, what, error)
    }

    async fn retried<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, ArchiveError>
    where
        F: Future<Output = Result<T, ArchiveError>>,
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

/// Manifests are some kilobytes.
const MANIFEST_LIMIT: u64 = 1 << 20;

#[cfg(test)]
mod tests;
