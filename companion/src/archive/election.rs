//! Reads and writes the objects in `election/`: the lease and the registrations. The machines in `core` decide which of
//! the candidates leads.

use std::collections::BTreeMap;

use bytes::Bytes;
use lifeboat_core::export::election::clearance::{Mark, Usual};
use lifeboat_core::export::election::record::{LeaseRecord, Registered, Registration};
use lifeboat_core::export::election::{FORGOTTEN, Found, Over};
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_storage::{Entry, StorageError, Tag, Write};
use serde::Serialize;

use super::{Archive, ArchiveReader};

/// These are some hundred bytes.
const LIMIT: u64 = 64 << 10;

/// Registrations that were read before, by key, each with the tag of what was read. One whose tag is the same need not
/// be read again. The tag of the listing won't do: what it shows may have been replaced before it was read.
#[derive(Clone, Debug, Default)]
pub struct KnownRegistrations(BTreeMap<String, (Tag, Registration)>);

impl ArchiveReader {
    /// The lease, if there is one.
    pub async fn lease(&self, version: KongVersion) -> Result<Option<Found<Tag>>, StorageError> {
        let found = self.storage.read_if_it_exists(&ObjectKeys::new(version).leader(), LIMIT).await?;
        Ok(found.map(|(bytes, tag)| Found { record: LeaseRecord::decode(&bytes), tag }))
    }

    /// All registrations, with the store's own times. What can't be read is no registration.
    pub async fn registrations(
        &self,
        version: KongVersion,
        known: &mut KnownRegistrations,
    ) -> Result<Vec<Registered>, StorageError> {
        let keys = ObjectKeys::new(version);
        let entries = self.storage.entries(&keys.election(), None).await?;
        let newest = entries.iter().map(|entry| entry.written).max();
        let is_candidate = |entry: &&Entry| {
            keys.is_registration(&entry.key) && newest.is_none_or(|newest| newest.since(entry.written) < FORGOTTEN)
        };

        let mut registered = Vec::new();
        let mut read = KnownRegistrations::default();
        for Entry { key, written, tag } in entries.iter().filter(is_candidate) {
            let found = match known.0.remove(key) {
                Some(before) if before.0.is_same_content(tag) => Some(before),
                _ => self.registration(key).await?,
            };
            if let Some((tag, registration)) = found {
                registered.push(Registered { registration: registration.clone(), written: *written });
                read.0.insert(key.clone(), (tag, registration));
            }
        }

        *known = read;
        Ok(registered)
    }

    /// Where the election is held, if that isn't here. An unreadable mark counts as one of an unknown place.
    pub async fn election_mark(&self, version: KongVersion) -> Result<Option<Mark>, StorageError> {
        let found = self.storage.read_if_it_exists(&ObjectKeys::new(version).election_mark(), LIMIT).await?;
        let unknown = || Mark::new("a place that can't be read");
        Ok(found.map(|(bytes, _)| serde_json::from_slice(&bytes).unwrap_or_else(|_| unknown())))
    }

    /// The objects of the election here, each with the store's name for its version.
    pub async fn usual_election(&self, version: KongVersion) -> Result<Usual<Tag>, StorageError> {
        let keys = ObjectKeys::new(version);
        let entries = self.storage.entries(&keys.election(), None).await?;
        let registrations = entries.into_iter().filter(|entry| keys.is_registration(&entry.key));
        let mut found: Usual<Tag> = registrations.map(|entry| (entry.key, entry.tag)).collect();
        // A listing may be out of date, so the lease is read as well.
        found.extend(self.lease(version).await?.map(|lease| (keys.leader(), lease.tag)));
        found.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(found)
    }

    async fn registration(&self, key: &str) -> Result<Option<(Tag, Registration)>, StorageError> {
        let found = self.storage.read_optional(key, LIMIT).await?;
        Ok(found.and_then(|(bytes, tag)| Some((tag, Registration::decode(&bytes)?))))
    }
}

impl Archive {
    /// Writes the lease.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] when another one is there than `over` says.
    pub async fn write_lease(
        &self,
        version: KongVersion,
        record: &LeaseRecord,
        over: Over<Tag>,
    ) -> Result<Tag, StorageError> {
        let write = match over {
            Over::Nothing => Write::Create,
            Over::Exactly(tag) => Write::Update(tag),
        };
        self.storage.write(&ObjectKeys::new(version).leader(), encoded(record), write).await
    }

    /// Writes where the election is held, if nothing says so yet.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] when something does.
    pub async fn mark_election(&self, version: KongVersion, mark: &Mark) -> Result<(), StorageError> {
        self.storage.write(&ObjectKeys::new(version).election_mark(), encoded(mark), Write::Create).await.map(drop)
    }

    /// Writes a backup node's registration, whatever is there.
    pub async fn register(&self, version: KongVersion, registration: &Registration) -> Result<(), StorageError> {
        let key = ObjectKeys::new(version).registration(&registration.node_id);
        self.storage.write(&key, encoded(registration), Write::Replace).await.map(drop)
    }
}

fn encoded(record: &impl Serialize) -> Bytes {
    serde_json::to_vec(record).expect("what lies in the store always has a JSON form").into()
}
