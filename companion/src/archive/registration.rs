//! Tests the store's conditional writes, with a backup node's own registration or with objects that belong to no node.
//! Which of the registered exporters leads is not decided here.

use lifeboat_core::export::election::record::{FORMAT, LinkHealth, Registration};
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_storage::{Conditions, ProbeKeys, StorageError};
use tracing::{debug, warn};

use super::{Archive, Author};

impl Archive {
    /// Tests the store's conditional writes once, with this backup node's own registration, which stays there if
    /// deleting isn't allowed.
    ///
    /// # Errors
    /// When the store can't be read or written at all; then nothing is known yet, and it may be asked again.
    pub async fn probe(&self, author: &Author) -> Result<Conditions, StorageError> {
        let registration = ObjectKeys::new(author.version).registration(&author.exporter.node_id);
        let keys = ProbeKeys { passing: registration.clone(), lasting: registration, ..visitors_keys(author) };
        self.probe_with(keys, author).await
    }

    /// The same for a command, which is no backup node, with objects of its own.
    ///
    /// # Errors
    /// As [`Archive::probe`].
    pub async fn probe_as_visitor(&self, author: &Author) -> Result<Conditions, StorageError> {
        self.probe_with(visitors_keys(author), author).await
    }

    /// Finds out how to write to this store, for a command that publishes. If the credentials have rights for the
    /// backups alone, conditional writes can't be tested, and are taken to work.
    ///
    /// # Errors
    /// When the store can't be read or written at all.
    pub async fn prepare_to_write(&self, author: &Author) -> Result<(), StorageError> {
        match self.probe_as_visitor(author).await {
            Ok(conditions) => debug!("{}: {conditions}", self.place()),
            Err(error @ StorageError::Denied { .. }) => {
                warn!("could not determine whether this store honours conditional writes: {error}");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn probe_with(&self, keys: ProbeKeys, author: &Author) -> Result<Conditions, StorageError> {
        // Listing shows whether the bucket is missing; some stores would create it on the first write.
        match self.storage.list(&ObjectKeys::new(author.version).election(), None).await {
            Ok(_) | Err(StorageError::Denied { .. }) => {}
            Err(error) => return Err(error),
        }
        self.storage.probe(&keys, &registration(author)).await
    }
}

/// The keys of a command, which is no backup node.
pub(super) fn visitors_keys(author: &Author) -> ProbeKeys {
    let keys = ObjectKeys::new(author.version);
    let passing = keys.passing(&author.exporter.node_id);
    ProbeKeys { passing: passing.clone(), lasting: keys.doctor(), lasting_too: passing }
}

/// The registration of one that is no candidate yet, as JSON.
pub(super) fn registration(author: &Author) -> Vec<u8> {
    let registration = Registration {
        format: FORMAT,
        node_id: author.exporter.node_id.clone(),
        hostname: author.exporter.hostname.clone(),
        link: LinkHealth::Dead,
        since: None,
        instead_of: None,
        left: true,
    };
    serde_json::to_vec(&registration).expect("a registration always has a JSON form")
}
