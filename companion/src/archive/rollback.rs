//! What an operator chooses to be published instead of what the control plane sends: an old snapshot as a new one, or what
//! is published now, pinned; and the end of that.

use lifeboat_core::export::publisher::{LastSeen, Rewrite};
use lifeboat_core::manifest::{Pin, State};
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::Rejected;
use lifeboat_runtime::background::computed;
use lifeboat_storage::StorageError;

use super::release::received_again;
use super::{Author, CurrentManifest, Operator, Pick, PickError, Published, Terms};

/// How often an exporter may write while something is done that doesn't depend on what it writes.
pub(super) const TRIES: u32 = 3;

/// How long an operator's choice stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// Until the control plane's configuration is another one than that which is published now.
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

        // A crash may have come before this was written, and once another one is published nobody can.
        self.complete(published).await?;
        Ok(self.publish(author, &received, &over, &terms, now).await?)
    }

    /// Makes a snapshot stay until it is unpinned: what is published now, or the one with this sequence, published as a new
    /// one. It is read whole and verified first.
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

        // What is damaged would stay just as long.
        self.verified_by(&published.manifest).await?;
        if published.manifest.pin == Some(Pin::Unpin) {
            return Ok(*published);
        }

        let (epoch, pin) = (published.manifest.epoch, Some(Pin::Unpin));
        let rewrite = Rewrite { epoch, state: State::Pinned, pin, last_seen: LastSeen::Unchanged };
        Ok(self.rewrite(author, &published, &rewrite, now).await?)
    }

    /// Ends a pin: from then on what the control plane sends is published again. What is published stays until then. An
    /// exporter that refreshes the manifest meanwhile doesn't change what was meant.
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
