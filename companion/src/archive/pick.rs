//! One snapshot, picked by its number or as the published one, and looked at as a node's restore would look at it.

use bytes::Bytes;
use lifeboat_core::keys::Demand;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_core::verify::{Authentic, Place, Rejected, Verified, verify, verify_bare};
use lifeboat_runtime::background::computed;
use lifeboat_storage::StorageError;

use super::history::manifest_of;
use super::{ArchiveReader, MANIFEST_LIMIT, NoBackup, authentic};

/// Which snapshot is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The one that is published.
    Published,
    /// The one with this number.
    Sequence(u64),
}

impl Pick {
    /// The number, if one was given.
    pub fn sequence(self) -> Option<u64> {
        match self {
            Self::Published => None,
            Self::Sequence(sequence) => Some(sequence),
        }
    }
}

/// A snapshot whose manifest is accepted. Nothing is known of its payload yet.
#[derive(Debug)]
pub struct Picked {
    /// The manifest's bytes.
    pub document: Bytes,
    /// What it says.
    pub manifest: Authentic,
}

/// Why there is no such snapshot, or none that can be used.
#[derive(Debug, thiserror::Error)]
pub enum PickError {
    /// The store, or that there is none.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Nothing is published for this version.
    #[error("{place}: {what}")]
    NoBackup {
        /// The store.
        place: String,
        /// Of which version, and of which others there is something.
        what: NoBackup,
    },
    /// There is one, but no node could be restored from it.
    #[error("{key} in {place} is not accepted: {reason}")]
    Refused {
        /// The store.
        place: String,
        /// The object.
        key: String,
        /// Why.
        reason: Rejected,
    },
}

impl ArchiveReader {
    /// The manifest of a version's snapshot.
    ///
    /// # Errors
    /// [`PickError::NoBackup`] when nothing is published, [`StorageError::NotFound`] when this one never was, and [`PickError::Refused`] when the keys that are set
    /// don't accept it.
    pub async fn pick(&self, version: KongVersion, pick: Pick) -> Result<Picked, PickError> {
        let key = ObjectKeys::new(version).manifest();
        let newest = match (pick, self.storage.read_optional(&key, MANIFEST_LIMIT).await) {
            // Another snapshot can be read without the published manifest.
            (Pick::Sequence(_), Err(error)) if error.is_refusal() => None,
            (_, newest) => newest?,
        };
        let newest = newest.map(|(document, _)| self.picked(version, &key, Place::Newest, document));

        match (pick, newest) {
            (Pick::Published, Some(picked)) => picked,
            (Pick::Published, None) => {
                let what = self.no_backup(version).await;
                Err(PickError::NoBackup { place: self.place().to_owned(), what })
            }
            // For the published snapshot, `manifest.json` counts: the reason for publishing it may have changed since.
            (Pick::Sequence(sequence), Some(Ok(picked))) if picked.manifest.sequence == sequence => Ok(picked),
            (Pick::Sequence(sequence), _) => {
                let (key, place, document) = self.document(version, sequence).await?;
                self.picked(version, &key, place, document)
            }
        }
    }

    pub(super) fn picked(
        &self,
        version: KongVersion,
        key: &str,
        place: Place,
        document: Bytes,
    ) -> Result<Picked, PickError> {
        let policy = self.policy(version);
        let manifest = authentic(&document, place, &policy).map_err(|reason| self.refused(key.to_owned(), reason))?;
        Ok(Picked { document, manifest })
    }

    /// The configuration of a snapshot that was picked, verified.
    ///
    /// # Errors
    /// The payload is missing, or is not what the manifest says.
    pub async fn verified(&self, picked: &Picked) -> Result<Verified, PickError> {
        self.verified_by(&picked.manifest).await
    }

    /// The configuration that a manifest names, verified.
    ///
    /// # Errors
    /// As [`verified`](Self::verified).
    pub(super) async fn verified_by(&self, manifest: &Authentic) -> Result<Verified, PickError> {
        let (manifest, policy) = (manifest.clone(), self.policy(manifest.kong_version));
        let key = manifest.snapshot.key.clone();
        policy.check_seal(&manifest).map_err(|reason| self.refused(key.clone(), reason))?;
        let (payload, _) = self.storage.read(&key, manifest.snapshot.bytes).await?;
        computed(move || verify(manifest, payload, &policy)).await.map_err(|reason| self.refused(key, reason))
    }

    /// A bare `config.json`, if there is no manifest and no keys are set. Kong's own exporter leaves such a file.
    ///
    /// # Errors
    /// It is no configuration.
    pub async fn bare(&self, version: KongVersion) -> Result<Option<Verified>, PickError> {
        let policy = self.policy(version);
        if policy.keys.demand() != Demand::Nothing {
            return Ok(None);
        }
        let key = ObjectKeys::new(version).config_json();
        let Some((json, _)) = self.storage.read_optional(&key, self.max_config as u64).await? else { return Ok(None) };
        let checked = computed(move || verify_bare(json, &policy)).await;
        checked.map(Some).map_err(|reason| self.refused(key, reason))
    }

    async fn document(&self, version: KongVersion, sequence: u64) -> Result<(String, Place, Bytes), StorageError> {
        let none = |why: &str| StorageError::NotFound {
            place: self.place().to_owned(),
            key: format!("snapshot {sequence} of Kong {version} ({why})"),
        };
        let same_number =
            self.past_from(version, sequence).await?.into_iter().filter(|past| past.id.sequence == sequence);
        let mut missing = none("lifeboat list shows those that there are");

        // There may be two with this number: a payload that a crash left, and the snapshot that was then written.
        for past in same_number {
            let (key, place) = manifest_of(version, past);
            match self.storage.read_optional(&key, MANIFEST_LIMIT).await? {
                Some((document, _)) => return Ok((key, place, document)),
                None => missing = none("it was never published: only its payload is there"),
            }
        }
        Err(missing)
    }

    fn refused(&self, key: String, reason: Rejected) -> PickError {
        PickError::Refused { place: self.place().to_owned(), key, reason }
    }
}
