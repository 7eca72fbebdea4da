//! Pruning by an operator, who first sees which old snapshots may go by the clocks, and then deletes them at once. What
//! an exporter deletes by itself, by confirmed ages and at most a tenth a day, is in `retention`.

use std::collections::BTreeMap;

use lifeboat_core::export::history::Past;
use lifeboat_core::export::retention::{Aged, expendable};
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::object_key::SnapshotId;
use lifeboat_core::time::WallTime;
use lifeboat_storage::StorageError;

use super::retention::{Deleted, Shown};
use super::{ArchiveReader, Operator};
use crate::settings::HistoryLimit;

/// What an operator may delete of a version's history.
#[derive(Debug)]
pub struct Prunable {
    /// What is published, which stays.
    pub published: SnapshotId,
    /// How many snapshots there are.
    pub there: usize,
    /// What may go, oldest first. Ages are by the clock of the store, or by this host's.
    pub snapshots: Vec<Aged>,
    shown: BTreeMap<SnapshotId, Shown>,
}

impl ArchiveReader {
    /// What the store's own clock shows, by which ages are measured; `None` if it has none.
    pub fn own_time(&self) -> Option<WallTime> {
        self.storage.own_time()
    }
}

impl Operator {
    /// The part of a version's history that may go, by the limit and by age: by the store's clock, or by `now` if it
    /// has none. `None` if nothing is published, or if everything is kept.
    ///
    /// # Errors
    /// When the store can't be listed, or the manifest can't be read or is not accepted.
    pub async fn prunable(&self, version: KongVersion, now: WallTime) -> Result<Option<Prunable>, StorageError> {
        let HistoryLimit::AtMost(limit) = self.history else { return Ok(None) };
        let shown = self.shown(version).await?;
        let Some(published) = self.named(version).await? else { return Ok(None) };
        let now = self.storage.own_time().unwrap_or(now);

        let aged = |(id, shown): (&SnapshotId, &Shown)| {
            let (past, written) = (Past { id: *id, state: shown.state() }, shown.written);
            Aged { past, written, first_seen: written.unix_seconds() as i64, age: now.since(written) }
        };
        let history: Vec<Aged> = shown.iter().map(aged).collect();
        let due = expendable(&history, Some(published.sequence), None, limit);

        let there = history.len();
        let snapshots = history.into_iter().filter(|aged| due.contains(&aged.past.id)).collect();
        Ok(Some(Prunable { published, there, snapshots, shown }))
    }

    /// Deletes these snapshots, and returns which ones are gone: fewer if something else is published meanwhile.
    ///
    /// # Errors
    /// [`StorageError::Denied`] without the right to delete.
    pub async fn prune(&self, version: KongVersion, prunable: &Prunable) -> Result<Vec<SnapshotId>, StorageError> {
        let due: Vec<SnapshotId> = prunable.snapshots.iter().map(|old| old.past.id).collect();
        let mut deleted = Deleted::default();
        self.delete_while_published(version, prunable.published, &due, &prunable.shown, &mut deleted).await?;
        Ok(deleted.gone)
    }
}
