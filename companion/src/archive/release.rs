//! Releasing: a held snapshot is published, as a new one, because an operator says that it is right.

use lifeboat_core::export::Received;
use lifeboat_core::export::history::Past;
use lifeboat_core::kong::Configuration;
use lifeboat_core::manifest::State;
use lifeboat_core::object_key::HistoryState;
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::{Authentic, Rejected, verify};
use lifeboat_runtime::background::computed;
use lifeboat_storage::StorageError;

use super::history::{manifest_of, with_named};
use super::{Author, CurrentManifest, MANIFEST_LIMIT, Operator, Published, Terms, authentic};

/// Why nothing was released.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// The store.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// There is nothing to release.
    #[error(
        "nothing newer than what is published is held in {place} for this version of Kong (lifeboat list shows all \
         snapshots; an older one is released by its number)"
    )]
    NothingHeld {
        /// The store.
        place: String,
    },
    /// This one isn't held.
    #[error("snapshot {sequence} is not held in {place} (lifeboat list shows which ones are)")]
    NotHeld {
        /// The store.
        place: String,
        /// Which one.
        sequence: u64,
    },
    /// It is held, and no node could be restored from it.
    #[error("{key} in {place} can't be released, since no node could be restored from it: {reason}")]
    Unusable {
        /// The store.
        place: String,
        /// The object.
        key: String,
        /// Why.
        reason: Rejected,
    },
}

impl Operator {
    /// Publishes the held snapshot with this sequence; without one, the newest held snapshot, if nothing was published
    /// after it. It does so under the present leadership, after it has read and verified the whole snapshot.
    pub async fn release(
        &self,
        author: &Author,
        sequence: Option<u64>,
        now: WallTime,
    ) -> Result<Published, ReleaseError> {
        let over = self.current_manifest(author.version).await?;
        let held = self.held(author, &over, sequence).await?;
        if let CurrentManifest::Published(published) = &over {
            // Completes the snapshot that is published until now. A crash may have prevented that, and once another one
            // is published, nobody can do it any more.
            self.complete(published).await?;
        }
        let (received, epoch) = self.read_held(author, held).await?;
        let epoch = over.epoch().unwrap_or(epoch);
        let terms = Terms { epoch, state: State::Received, pin: None, last_seen: None };
        Ok(self.publish(author, &received, &over, &terms, now).await?)
    }

    /// The snapshot that [`release`](Self::release) would publish: the one with this number, or else the newest held one.
    ///
    /// # Errors
    /// There is none, or the store.
    pub async fn held_sequence(&self, author: &Author, sequence: Option<u64>) -> Result<u64, ReleaseError> {
        let over = self.current_manifest(author.version).await?;
        Ok(self.held(author, &over, sequence).await?.id.sequence)
    }

    async fn held(&self, author: &Author, over: &CurrentManifest, sequence: Option<u64>) -> Result<Past, ReleaseError> {
        let named = over.named();
        // A snapshot that is older than the published one is released only by its number.
        let oldest = sequence.or(named.map(|id| id.sequence)).unwrap_or_default();
        let past = with_named(self.past_from(author.version, oldest).await?, named);

        let (mut newest_first, place) = (past.into_iter().rev(), self.place().to_owned());
        match sequence {
            // If something was published after it, it was released already, or was replaced.
            None => newest_first
                .take_while(|past| past.state != HistoryState::Published)
                // A configuration that no node can run is released by its number only.
                .find(|past| past.state.is_held() && past.state != HistoryState::HeldAsUnrunnable)
                .ok_or(ReleaseError::NothingHeld { place }),
            Some(sequence) => newest_first
                .find(|past| past.id.sequence == sequence && past.state.is_held())
                .ok_or(ReleaseError::NotHeld { place, sequence }),
        }
    }

    async fn read_held(&self, author: &Author, past: Past) -> Result<(Received, u64), ReleaseError> {
        let (policy, (key, place)) = (self.policy(author.version), manifest_of(author.version, past));
        let refused = |reason| ReleaseError::Unusable { place: self.place().to_owned(), key: key.clone(), reason };
        let (bytes, _) = self.storage.read(&key, MANIFEST_LIMIT).await?;
        let manifest = authentic(&bytes, place, &policy).map_err(refused)?;
        let (payload, _) = self.storage.read(&manifest.snapshot.key, manifest.snapshot.bytes).await?;
        let epoch = manifest.epoch;
        let received = computed(move || {
            let verified = verify(manifest.clone(), payload, &policy)?;
            received_again(&manifest, verified.config_json()?)
        });
        Ok((received.await.map_err(refused)?, epoch))
    }
}

pub(super) fn received_again(manifest: &Authentic, json: Vec<u8>) -> Result<Received, Rejected> {
    Ok(Received {
        configuration: Configuration::from_json(json.into())?,
        config_hash: manifest.config_hash,
        hashes: manifest.hashes.clone(),
        at: manifest.times.received,
        source: manifest.source.clone(),
    })
}

impl CurrentManifest {
    fn epoch(&self) -> Option<u64> {
        match self {
            Self::Published(published) => Some(published.manifest.epoch),
            Self::Absent | Self::Unaccepted(_) => None,
        }
    }
}
