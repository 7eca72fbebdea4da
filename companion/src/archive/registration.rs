//! A backup node's registration: who it is, in `election/`, where every candidate says so. Which of them leads is not
//! decided here.

use lifeboat_core::object_key::ObjectKeys;
use lifeboat_core::time::WallTime;
use serde::Serialize;

use super::{Archive, Author};
use crate::storage::{Conditions, ProbeKeys, StorageError};

/// The format of a registration.
const FORMAT: u32 = 1;

/// What a backup node says of itself.
#[derive(Debug, Serialize)]
struct Registration<'a> {
    format: u32,
    node_id: &'a str,
    hostname: &'a str,
    /// The version of the program.
    lifeboat: &'a str,
    started: WallTime,
}

impl Archive {
    /// Finds out once what the store's conditional writes are worth, with this backup node's own registration. It stays
    /// where deleting isn't allowed.
    ///
    /// # Errors
    /// When the store can't be read or written at all; then nothing is known yet, and it may be asked again.
    pub async fn probe(&self, author: &Author, started: WallTime) -> Result<&Conditions, StorageError> {
        let key = ObjectKeys::new(author.version).registration(&author.exporter.node_id);
        self.probe_with(ProbeKeys { passing: key.clone(), lasting: key }, author, started).await
    }

    /// The same for who is no backup node, with objects of its own.
    ///
    /// # Errors
    /// As [`Archive::probe`].
    pub async fn probe_as_visitor(&self, author: &Author, now: WallTime) -> Result<&Conditions, StorageError> {
        self.probe_with(visitors_keys(author), author, now).await
    }

    async fn probe_with(&self, keys: ProbeKeys, author: &Author, at: WallTime) -> Result<&Conditions, StorageError> {
        // A missing bucket is told by listing; there are stores that make one of the first write.
        match self.storage.list(&ObjectKeys::new(author.version).election(), None).await {
            Ok(_) | Err(StorageError::Denied { .. }) => {}
            Err(error) => return Err(error),
        }
        self.storage.probe(&keys, &registration(author, at)).await
    }
}

/// For who is no backup node.
pub(super) fn visitors_keys(author: &Author) -> ProbeKeys {
    let keys = ObjectKeys::new(author.version);
    ProbeKeys { passing: keys.passing(&author.exporter.node_id), lasting: keys.doctor() }
}

/// The JSON.
pub(super) fn registration(author: &Author, started: WallTime) -> Vec<u8> {
    let exporter = &author.exporter;
    let registration = Registration {
        format: FORMAT,
        node_id: &exporter.node_id,
        hostname: &exporter.hostname,
        lifeboat: &exporter.lifeboat,
        started,
    };
    serde_json::to_vec(&registration).expect("a registration always has a JSON form")
}
