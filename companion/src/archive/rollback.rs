//! An operator's choice to publish something else than the control plane sends: an old snapshot, published again as a
//! new one; or the published snapshot, pinned. And the end of such a choice.

use lifeboat_core::export::publisher::{LastSeen, Rewrite};
use lifeboat_core::manifest::{Pin, State};
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::Rejected;
use lifeboat_runtime::background::computed;
use lifeboat_storage::StorageError;

use super::release::received_again;
use super::{Author, CurrentManifest, Operator, Pick, PickError, Published, Terms};

/// How often an operation is tried if an exporter writes meanwhile, and the operation does not depend on what it
/// writes.
pub(super) const TRIES: u32 = 3;

/// How long an operator's choice stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// Until the control plane's configuration changes.
    UntilItChanges,
    /// Until it is unpinned.
    UntilUnpinned,
}

/// Why an operator's choice was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChoiceError {
    /// There is no such snapshot, or no node could be restored from it.
    #[error(transparent)]
    Snapshot(#[from] PickError),
    /// The store.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Nothing is published yet, or nothing that our keys accept.
    #[error("nothing is published in {place} for this version of Kong that our keys accept")]
    NothingPublished {
        /// The store.
        place: String,
    },
    /// It is held.
    #[error("snapshot {sequence} is held: lifeboat release {sequence} publishes it")]
    Held {
        /// Which one.
        sequence: u64,
    },
    /// There is no pin.
    #[error("what is published in {place} for this version of Kong is not pinned")]
    NotPinned {
        /// The store.
        place: String,
    },
}

impl Operator {
    /// Publishes the snapshot with this sequence as a new one that stays. It is read whole and verified first.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] when an exporter published meanwhile: look again, and choose again.
    pub async fn roll_back(
        &self,
        author: &Author,
        sequence: u64,
        stay: Stay,
        now: WallTime,
    ) -> Result<Published, ChoiceError> {
        let over = self.current_manifest(author.version).await?;
        let CurrentManifest::Published(published) = &over else { return Err(self.nothing_published()) };
        let picked = self.pick(author.version, Pick::Sequence(sequence)).await?;
        if picked.manifest.state == State::Held {
            return Err(ChoiceError::Held { sequence });
        }

        let (verified, manifest) = (self.verified(&picked).await?, picked.manifest);
        let key = manifest.snapshot.key.clone();
        let received = computed(move || received_again(&manifest, verified.config_json()?)).await;
        let place = self.place().to_owned();
        let received = received.map_err(|reason: Rejected| PickError::Refused { place, key, reason })?;

        let pin = match stay {
            Stay::UntilUnpinned => Pin::Unpin,
            Stay::UntilItChanges => Pin::Change { instead_of: instead_of(published) },
        };
        let terms = Terms { epoch: published.manifest.epoch, state: State::Pinned, pin: Some(pin), last_seen: None };

        // Completes the snapshot that is published until now. A crash may have prevented that, and once another one is
        // published, nobody can do it any more.
        self.complete(published).await?;
        Ok(self.publish(author, &received, &over, &terms, now).await?)
    }

    /// Makes a snapshot stay until it is unpinned: the published one, or the one with this sequence, which is then
    /// published as a new one. The whole snapshot is read and verified first.
    ///
    /// # Errors
    /// As [`roll_back`](Self::roll_back).
    pub async fn pin(&self, author: &Author, sequence: Option<u64>, now: WallTime) -> Result<Published, ChoiceError> {
        let current = self.current_manifest(author.version).await?;
        let CurrentManifest::Published(published) = current else { return Err(self.nothing_published()) };
        match sequence {
            Some(sequence) if sequence != published.manifest.sequence => {
                return self.roll_back(author, sequence, Stay::UntilUnpinned, now).await;
            }
            Some(_) | None => {}
        }

        // Verified, because a damaged snapshot would stay just as long.
        self.verified_by(&published.manifest).await?;
        if published.manifest.pin == Some(Pin::Unpin) {
            return Ok(*published);
        }

        let (epoch, pin) = (published.manifest.epoch, Some(Pin::Unpin));
        let rewrite = Rewrite { epoch, state: State::Pinned, pin, last_seen: LastSeen::Unchanged };
        Ok(self.rewrite(author, &published, &rewrite, now).await?)
    }

    /// Ends a pin: from then on, what the control plane sends is published again. Until something is published, the
    /// snapshot stays. If an exporter refreshes the manifest meanwhile, the pin ends all the same.
    ///
    /// # Errors
    /// As [`roll_back`](Self::roll_back).
    pub async fn unpin(&self, author: &Author, now: WallTime) -> Result<Published, ChoiceError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_to_unpin(author, now).await {
                Err(ChoiceError::Storage(StorageError::Conflict { .. })) if tries < TRIES => {}
                done => return done,
            }
        }
    }

    async fn try_to_unpin(&self, author: &Author, now: WallTime) -> Result<Published, ChoiceError> {
        let current = self.current_manifest(author.version).await?;
        let CurrentManifest::Published(published) = &current else { return Err(self.nothing_published()) };
        if published.manifest.pin.is_none() {
            return Err(ChoiceError::NotPinned { place: self.place().to_owned() });
        }
        let epoch = published.manifest.epoch;
        let rewrite = Rewrite { epoch, state: State::Received, pin: None, last_seen: LastSeen::Unchanged };
        Ok(self.rewrite(author, published, &rewrite, now).await?)
    }

    fn nothing_published(&self) -> ChoiceError {
        ChoiceError::NothingPublished { place: self.place().to_owned() }
    }
}

// An operator who rolls back twice still means the control plane's configuration, not the first choice.
pub(super) fn instead_of(published: &Published) -> lifeboat_core::digest::ConfigHash {
    match published.manifest.pin {
        Some(Pin::Change { instead_of }) => instead_of,
        Some(Pin::Unpin) | None => published.manifest.config_hash,
    }
}
