//! The objects that Lifeboat keeps in a store. `publish` and `restore` know what each object means, `core` knows the
//! keys, and `storage` speaks with the store.

mod choice_lasts;
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
mod operator_prune;
mod payload_repair;
mod pick;
mod publish;
mod registration;
mod release;
mod restore;
mod retention;
mod rewrite;
mod rollback;
mod schemas;
mod snapshot;
pub(crate) mod snapshot_state;
mod stores;

use std::ops::Deref;
use std::sync::Arc;

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::Document;
use lifeboat_core::verify::{Authentic, Place, Policy, Rejected, authenticate};
use lifeboat_storage::{Fence, Storage, StorageError};

pub use choice_lasts::NotLasting;
pub use config_json::Beside;
pub use current::{CurrentManifest, Published, Unaccepted};
pub use election::KnownRegistrations;
pub use emergency::Emergency;
pub use history::{Extent, History, Listed};
pub use inspect::ConfigJson;
pub use issue::{IssueError, Issued};
pub use mirror::Mirrored;
pub use operator_prune::Prunable;
pub use payload_repair::{Depth, KeptPayload, PayloadLook, PutBack};
pub use pick::{Pick, PickError, Picked};
pub use publish::{Author, Terms};
pub use release::ReleaseError;
pub use restore::{NoBackup, NoImage, RestoreError, Restored, Skipped};
pub use retention::{Pruned, Remainder, Timekeeper};
pub use rollback::{ChoiceError, Stay};
pub use stores::{Backing, Chosen, NoneChosen, Stores};

use crate::metrics::{Metrics, StepTimes};
use crate::settings::{HistoryLimit, KeySource, StoreSettings};

/// A store with Lifeboat's objects, for reading only: relays, restores and listings get nothing more. It has no method
/// that writes.
#[derive(Clone, Debug)]
pub struct ArchiveReader {
    storage: Storage,
    max_config: usize,
    keys: KeySource,
}

/// An archive that an exporter also publishes into. What only operators may change has its methods in [`Operator`].
#[derive(Clone, Debug)]
pub struct Archive {
    reader: ArchiveReader,
    history: HistoryLimit,
    steps: StepTimes,
}

/// An archive in which an operator decides what is published: releases, pins, rolls back, prunes. No exporter has one.
#[derive(Clone, Debug)]
pub struct Operator(Archive);

impl ArchiveReader {
    /// Opens a store for a caller that reads it all the time. A folder may be created later.
    ///
    /// # Errors
    /// As [`Storage::open_awaited`].
    pub fn open_awaited(settings: &StoreSettings) -> Result<Self, StorageError> {
        Ok(Self::over(Storage::open_awaited(&settings.location())?, settings))
    }

    /// Opens a store for a command that reads: a folder that isn't there is an error, and is not made.
    ///
    /// # Errors
    /// As [`Storage::open_existing`].
    pub fn open_existing(settings: &StoreSettings) -> Result<Self, StorageError> {
        Ok(Self::over(Storage::open_existing(&settings.location())?, settings))
    }

    fn over(storage: Storage, settings: &StoreSettings) -> Self {
        Self { storage, max_config: settings.max_config, keys: settings.keys.clone() }
    }

    /// The same archive, whose requests to the store are counted there.
    pub fn measured_by(self, metrics: &Metrics) -> Self {
        Self { storage: self.storage.observed_by(Arc::new(metrics.store())), ..self }
    }

    /// The store's name for people.
    pub fn place(&self) -> &str {
        self.storage.place()
    }

    /// What a snapshot for this version must be to be accepted now.
    pub fn policy(&self, version: KongVersion) -> Policy {
        Policy { version, max_config: self.max_config, keys: self.keys.current() }
    }

    // For an object that was read and is bad. Only for such an object may a message say that it can be deleted.
    fn unusable_object(&self, reason: String) -> StorageError {
        StorageError::Unusable { place: self.place().to_owned(), reason }
    }

    // For something that this archive can't use, and that trying again won't change.
    fn misconfigured(&self, reason: String) -> StorageError {
        StorageError::Misconfigured { place: self.place().to_owned(), reason }
    }
}

impl Archive {
    /// Opens the store. Nothing is read or written yet, but a folder is made.
    ///
    /// # Errors
    /// As [`Storage::open`].
    pub fn open(settings: &StoreSettings) -> Result<Self, StorageError> {
        let reader = ArchiveReader::over(Storage::open(&settings.location())?, settings);
        Ok(Self::writing(reader, settings.history))
    }

    /// The store in which the election is held, if that is another. Nothing else lies there.
    ///
    /// # Errors
    /// As [`Storage::open`].
    pub fn open_election(settings: &StoreSettings) -> Result<Option<Self>, StorageError> {
        let storage = settings.election_location().as_ref().map(Storage::open).transpose()?;
        Ok(storage.map(|storage| Self::over(storage, settings.max_config)))
    }

    /// An archive in any store, neither sealed nor signed, from which nothing is deleted. Configurations of more than
    /// `max_config` bytes are refused.
    pub fn over(storage: Storage, max_config: usize) -> Self {
        let reader = ArchiveReader { storage, max_config, keys: KeySource::default() };
        Self::writing(reader, HistoryLimit::Everything)
    }

    fn writing(reader: ArchiveReader, history: HistoryLimit) -> Self {
        Self { reader, history, steps: StepTimes::default() }
    }

    /// The same archive, for those who only read it.
    pub fn reader(&self) -> ArchiveReader {
        self.reader.clone()
    }

    /// The same archive, sealed and signed with these keys, which are asked for anew in each operation.
    pub fn with_keys(self, keys: KeySource) -> Self {
        Self { reader: ArchiveReader { keys, ..self.reader }, ..self }
    }

    /// The same archive, but pruning leaves so much of its history.
    pub fn with_history(self, history: HistoryLimit) -> Self {
        Self { history, ..self }
    }

    /// The same archive, whose requests to the store and steps of publishing are counted there.
    pub fn measured_by(self, metrics: &Metrics) -> Self {
        Self { reader: self.reader.measured_by(metrics), steps: metrics.steps(), ..self }
    }

    /// The same archive, but it writes and deletes only while the fence is open.
    pub fn fenced(self, fence: Fence) -> Self {
        Self { reader: ArchiveReader { storage: self.reader.storage.fenced(fence), ..self.reader }, ..self }
    }
}

impl Operator {
    /// An operator in this archive.
    pub fn new(archive: Archive) -> Self {
        Self(archive)
    }

    /// An operator in the store that the settings name, which is there already: no folder is made.
    ///
    /// # Errors
    /// As [`Storage::open_existing`].
    pub fn open_existing(settings: &StoreSettings) -> Result<Self, StorageError> {
        Ok(Self(Archive::writing(ArchiveReader::open_existing(settings)?, settings.history)))
    }
}

// An archive that may write may also read, and an operator may do both.
impl Deref for Archive {
    type Target = ArchiveReader;

    fn deref(&self) -> &ArchiveReader {
        &self.reader
    }
}

impl Deref for Operator {
    type Target = Archive;

    fn deref(&self) -> &Archive {
        &self.0
    }
}

/// The manifest, if these keys accept its writer.
fn authentic(document: &[u8], place: Place, policy: &Policy) -> Result<Authentic, Rejected> {
    Document::decode(document).map_err(Rejected::from).and_then(|document| authenticate(&document, place, policy))
}

/// Manifests are some kilobytes.
const MANIFEST_LIMIT: u64 = 1 << 20;

#[cfg(test)]
pub(crate) mod tests;
