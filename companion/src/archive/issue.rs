//! Tickets: one snapshot, checked as a node's restore would check it, with a link that needs no credentials.

use std::time::Duration;

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::ticket::Ticket;
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::{Authentic, Rejected};

use super::{Archive, Pick, PickError, Picked};
use crate::storage::{PresignError, StorageError};

/// A ticket that was made.
#[derive(Debug)]
pub struct Issued {
    /// The ticket.
    pub ticket: Ticket,
    /// The snapshot that it is for.
    pub manifest: Authentic,
    /// Whether it may stop working before it says: it is signed by temporary credentials whose end nothing tells.
    pub may_end_sooner: bool,
}

/// Why there is no ticket.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The store, or what lies there.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// There is a snapshot, but no node could be restored from it.
    #[error("{key} in {place} is not given a ticket, since no node could be restored with it: {reason}")]
    Unusable {
        /// The store.
        place: String,
        /// The object.
        key: String,
        /// Why.
        reason: Rejected,
    },
    /// There is no link.
    #[error(transparent)]
    Presign(#[from] PresignError),
}

impl Archive {
    /// A ticket for the published snapshot of a version, or for the one with this sequence, that lives for `wanted`, at
    /// most seven days and not longer than the credentials that sign it. The snapshot is read whole and verified first.
    pub async fn issue(
        &self,
        version: KongVersion,
        sequence: Option<u64>,
        wanted: Duration,
        now: WallTime,
    ) -> Result<Issued, IssueError> {
        let picked = self.pick(version, sequence.map_or(Pick::Published, Pick::Sequence)).await?;
        self.verified(&picked).await?;
        let Picked { document, manifest } = picked;
        let link = self.storage.presign(&manifest.snapshot.key, wanted, now).await?;
        let ticket = Ticket { manifest: document.to_vec(), payload_url: link.url, expires: link.expires };
        Ok(Issued { ticket, manifest, may_end_sooner: link.may_end_sooner })
    }
}

impl From<PickError> for IssueError {
    fn from(error: PickError) -> Self {
        match error {
            PickError::Storage(error) => Self::Storage(error),
            PickError::Refused { place, key, reason } => Self::Unusable { place, key, reason },
        }
    }
}
