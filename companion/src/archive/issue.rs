//! Tickets: one snapshot, checked as a node's restore would check it, with a link that needs no credentials.

use std::time::Duration;

use bytes::Bytes;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::Document;
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_core::ticket::Ticket;
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::{Authentic, Place, Rejected, authenticate, verify};

use super::{Archive, MANIFEST_LIMIT};
use crate::background::computed;
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
        let (key, place) = self.manifest_place(version, sequence).await?;
        let Some((bytes, _)) = self.storage.read_optional(&key, MANIFEST_LIMIT).await? else {
            return Err(self.no_backup(version).await.into());
        };
        let policy = self.policy(version);
        let refused = |key: &str, reason: Rejected| IssueError::Unusable {
            place: self.place().to_owned(),
            key: key.to_owned(),
            reason,
        };
        let manifest = Document::decode(&bytes)
            .map_err(Rejected::from)
            .and_then(|document| authenticate(&document, place, &policy))
            .and_then(|manifest| policy.check_seal(&manifest).map(|()| manifest))
            .map_err(|reason| refused(&key, reason))?;
        let payload_key = manifest.snapshot.key.clone();
        let (payload, _) = self.storage.read(&payload_key, manifest.snapshot.bytes).await?;
        self.verified(manifest.clone(), payload).await.map_err(|reason| refused(&payload_key, reason))?;
        let link = self.storage.presign(&payload_key, wanted, now).await?;
        let ticket = Ticket { manifest: bytes.to_vec(), payload_url: link.url, expires: link.expires };
        Ok(Issued { ticket, manifest, may_end_sooner: link.may_end_sooner })
    }

    async fn verified(&self, manifest: Authentic, payload: Bytes) -> Result<(), Rejected> {
        let policy = self.policy(manifest.kong_version);
        computed(move || verify(manifest, payload, &policy).map(drop)).await
    }

    async fn manifest_place(
        &self,
        version: KongVersion,
        sequence: Option<u64>,
    ) -> Result<(String, Place), StorageError> {
        let keys = ObjectKeys::new(version);
        let Some(sequence) = sequence else { return Ok((keys.manifest(), Place::Newest)) };
        let found = self.snapshots(version).await?.into_iter().find(|id| id.sequence == sequence);
        let id = found.ok_or_else(|| StorageError::NotFound {
            place: self.place().to_owned(),
            key: format!("snapshot {sequence} of Kong {version} (lifeboat list shows those that there are)"),
        })?;
        Ok((keys.snapshot_manifest(id), Place::Snapshot(id)))
    }
}
