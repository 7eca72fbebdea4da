//! The objects that Lifeboat keeps in a store. Which object means what is in `publish` and `restore`; what their keys are
//! is in `core`; how a store is spoken to is in `storage`.

mod config_json;
mod current;
mod election;
mod emergency;
mod history;
mod hold;
mod image;
mod inspect;
mod issue;
mod mirror;
mod payload;
mod pick;
mod prune;
mod publish;
mod registration;
mod release;
mod restore;
mod retention;
mod rewrite;
mod rollback;
mod schemas;
mod second_look;
mod snapshot;
mod stores;

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::verify::Policy;
use lifeboat_storage::{Fence, Storage, StorageError};

pub use config_json::Beside;
pub use current::{CurrentManifest, Published, Unaccepted};
pub use election::KnownRegistrations;
pub use emergency::Emergency;
pub use history::{History, Listed};
pub use inspect::ConfigJson;
pub use issue::{IssueError, Issued};
pub use mirror::Mirrored;
pub use payload::{Depth, KeptPayload, PayloadLook, PutBack};
pub use pick::{Pick, PickError, Picked};
pub use prune::{Old, Prunable};
pub use publish::{Author, Terms};
pub use release::ReleaseError;
pub use restore::{Restored, Skipped};
pub use retention::{Pruned, Timekeeper};
pub use rollback::{ChoiceError, Stay};
pub use second_look::NotLasting;
pub use stores::{Backing, Chosen, NoneChosen, Stores};

use crate::metrics::{Metrics, StepTimes};
use crate::settings::{HistoryLimit, KeySource, StoreSettings};

/// A store with Lifeboat's objects in it.
#[derive(Clone, Debug)]
pub struct Archive {
    storage: Storage,
    max_config: usize,
    keys: KeySource,
    history: HistoryLimit,
    steps: StepTimes,
}

impl Archive {
    /// Opens the store. Nothing is read or written yet, but a folder is made.
    pub fn open(settings: &StoreSettings) -> Result<Self, StorageError> {
        let archive = Self::over(Storage::open(&settings.location())?, settings.max_config);
        Ok(archive.with_keys(settings.keys.clone()).with_history(settings.history))
    }

    /// Opens an archive that is read: as [`open`](Self::open), but a folder that isn't there is an error, and is not made.
    ///
    /// # Errors
    /// As [`Storage::open_existing`].
    pub fn open_existing(settings: &StoreSettings) -> Result<Self, StorageError> {
        let archive = Self::over(Storage::open_existing(&settings.location())?, settings.max_config);
        Ok(archive.with_keys(settings.keys.clone()).with_history(settings.history))
    }

    /// An archive in any store, neither sealed nor signed, of which nothing is deleted; configurations of more than
    /// `max_config` bytes are refused.
    pub fn over(storage: Storage, max_config: usize) -> Self {
        let (keys, steps) = (KeySource::default(), StepTimes::default());
        Self { storage, max_config, keys, history: HistoryLimit::Everything, steps }
    }

    /// The same archive, sealed and signed with these keys, which are asked for anew in each operation.
    pub fn with_keys(self, keys: KeySource) -> Self {
        Self { keys, ..self }
    }

    /// The same archive, of whose history so much stays when it is thinned.
    pub fn with_history(self, history: HistoryLimit) -> Self {
        Self { history, ..self }
    }

    /// The same archive, whose requests to the store and steps of publishing are counted there.
    pub fn measured_by(self, metrics: &Metrics) -> Self {
        Self { storage: self.storage.observed_by(std::sync::Arc::new(metrics.store())), steps: metrics.steps(), ..self }
    }

    /// The same archive, into which nothing is written and in which nothing is deleted but while the fence is open.
    pub fn fenced(self, fence: Fence) -> Self {
        Self { storage: self.storage.fenced(fence), ..self }
    }

    /// The store's name for people.
    pub fn place(&self) -> &str {
        self.storage.place()
    }

    /// What a snapshot for this version must be to be accepted now.
    pub fn policy(&self, version: KongVersion) -> Policy {
        Policy { version, max_config: self.max_config, keys: self.keys.current() }
    }

    // For an object that was read and is bad: of nothing else may a message say that it can be deleted.
    fn unusable_object(&self, reason: String) -> StorageError {
        StorageError::Unusable { place: self.place().to_owned(), reason }
    }

    // For what this archive can't use and trying again won't change.
    fn unusable(&self, reason: String) -> StorageError {
        StorageError::Misconfigured { place: self.place().to_owned(), reason }
    }
}

/// Manifests are some kilobytes.
const MANIFEST_LIMIT: u64 = 1 << 20;

#[cfg(test)]
pub(crate) mod tests;
