//! Tickets: one snapshot, checked as a node's restore would check it, with links that need no credentials.

use std::time::Duration;

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::State;
use lifeboat_core::ticket::Ticket;
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::{Authentic, Rejected};
use lifeboat_storage::{PresignError, StorageError};

use super::{ArchiveReader, Pick, PickError, Picked};

/// A ticket that was made.
#[derive(Debug)]
pub struct Issued {
    /// The ticket.
    pub ticket: Ticket,
    /// The snapshot that it is for.
    pub manifest: Authentic,
    /// Whether it may stop working earlier than it says, because it is signed by temporary credentials whose end is
    /// unknown.
    pub may_end_sooner: bool,
}

/// Why there is no ticket.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// There is no such snapshot, or no node could be restored from it.
    #[error(transparent)]
    Unusable(#[from] PickError),
    /// The image of a node's cache that belongs to the snapshot can't be used.
    #[error(transparent)]
    Image(#[from] StorageError),
    /// There is no link.
    #[error(transparent)]
    Presign(#[from] PresignError),
}

impl ArchiveReader {
    /// A ticket for a version's snapshot that lives for `wanted`, at most seven days and not longer than the credentials
    /// that sign it. The snapshot is read whole and verified first.
    pub async fn issue(
        &self,
        version: KongVersion,
        pick: Pick,
        wanted: Duration,
        now: WallTime,
    ) -> Result<Issued, IssueError> {
        let picked = self.pick(version, pick).await?;
        if picked.manifest.state == State::Held {
            let (place, key) = (self.place().to_owned(), picked.manifest.snapshot.key.clone());
            let reason = Rejected::NotReleased(picked.manifest.sequence);
            return Err(PickError::Refused { place, key, reason }.into());
        }
        self.verified(&picked).await?;

        let Picked { document, manifest } = picked;
        let payload = self.storage.presign(&manifest.snapshot.key, wanted, now).await?;
        let image = match self.cache_image(&manifest).await?.and(manifest.cache_image.as_ref()) {
            Some(image) => Some(self.storage.presign(&image.object.key, wanted, now).await?),
            None => None,
        };

        // The ticket ends with the first of its links.
        let expires = image.as_ref().map_or(payload.expires, |image| image.expires.min(payload.expires));
        let may_end_sooner = payload.may_end_sooner;
        let ticket = Ticket {
            manifest: document.to_vec(),
            payload_url: payload.url,
            image_url: image.map(|image| image.url),
            expires,
        };

        Ok(Issued { ticket, manifest, may_end_sooner })
    }
}
