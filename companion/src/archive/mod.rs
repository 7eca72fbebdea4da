//! The objects that Lifeboat keeps in a store. Which object means what is in `publish` and `restore`; what their keys are
//! is in `core`; how a store is spoken to is in `storage`.

mod history;
mod publish;
mod restore;

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::{Manifest, Unreadable};
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_core::verify::Policy;

pub use history::{History, Listed};
pub use publish::{Author, Received};
pub use restore::{Restored, Skipped};

use crate::settings::StoreSettings;
use crate::storage::{Storage, StorageError, Tag};

/// A store with Lifeboat's objects in it.
#[derive(Clone, Debug)]
pub struct Archive {
    storage: Storage,
    max_config: usize,
}

/// A manifest as it lies in the store, with what is needed to replace exactly this one.
#[derive(Debug)]
pub struct Published {
    /// The manifest.
    pub manifest: Manifest,
    tag: Tag,
}

impl Archive {
    /// Opens the store. Nothing is read or written yet, but a folder is made.
    pub fn open(settings: &StoreSettings) -> Result<Self, StorageError> {
        Ok(Self::over(Storage::open(settings)?, settings.max_config))
    }

    /// An archive in any store; configurations of more than `max_config` bytes are refused.
    pub fn over(storage: Storage, max_config: usize) -> Self {
        Self { storage, max_config }
    }

    /// The store's name for people.
    pub fn place(&self) -> &str {
        self.storage.place()
    }

    /// The newest published manifest for a version of Kong, if there is one. One that can't be read is an error: to
    /// overwrite it could destroy what a later Lifeboat has written.
    pub async fn published(&self, version: KongVersion) -> Result<Option<Published>, StorageError> {
        let key = ObjectKeys::new(version).manifest();
        let Some((bytes, tag)) = self.storage.read_if_it_exists(&key, MANIFEST_LIMIT).await? else {
            return Ok(None);
        };
        let manifest = Manifest::decode(&bytes).map_err(|error| {
            let cure = match error {
                Unreadable::UnknownFormat(_) => "",
                // Numbers go on after the highest that is taken, with or without a manifest.
                Unreadable::Malformed(_) => {
                    ". It was left as it is; new nodes are restored from the newest whole snapshot. Delete it, and the \
                     next export writes it anew"
                }
            };
            StorageError::Misconfigured {
                place: self.place().to_owned(),
                reason: format!("{key} can't be used: {error}{cure}"),
            }
        })?;
        Ok(Some(Published { manifest, tag }))
    }

    fn policy(&self, version: KongVersion) -> Policy {
        Policy { version, max_config: self.max_config }
    }
}

/// Manifests are some kilobytes.
const MANIFEST_LIMIT: u64 = 1 << 20;

#[cfg(test)]
mod tests;
