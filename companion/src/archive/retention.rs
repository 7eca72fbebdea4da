//! Pruning by the exporter: deletes old snapshots of the history. `core` (`export::retention`) decides which ones, by
//! the age that they certainly have; `export::pruner` decides when. What an operator deletes is in
//! `operator_prune`.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use lifeboat_core::digest::ConfigHash;
use lifeboat_core::export::history::Past;
use lifeboat_core::export::retention::record::{Found, Observed, Reading, Record};
use lifeboat_core::export::retention::{Aged, MOST_A_TURN, expendable};
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::object_key::{HistoryState, ObjectKeys, SnapshotFile, SnapshotId};
use lifeboat_core::time::{Moment, WallTime};
use lifeboat_storage::{Entry, StorageError, Write};
use tracing::debug;

use super::history::manifest_of;
use super::{Archive, ArchiveReader};
use crate::settings::HistoryLimit;

/// The largest record: it has a line for each snapshot.
const RECORD_LIMIT: u64 = 16 << 20;

/// What was pruned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// What was deleted, oldest first.
    pub gone: Vec<SnapshotId>,
    /// How many more may be deleted in the next turn: because there are many, or because something was published
    /// meanwhile.
    pub left: usize,
}

/// What a process that prunes remembers, and what its clocks show.
#[derive(Clone, Debug)]
pub struct Timekeeper {
    /// The time that this process has seen pass, for one archive and version.
    pub witnessed: Observed,
    /// What the clock on the wall shows.
    pub wall: WallTime,
    /// What the monotonic clock shows.
    pub moment: Moment,
    /// What is left for the next turn, which does not list again: to list thousands of snapshots takes many requests.
    pub left: Option<Remainder>,
}

/// What a turn has listed and not deleted. It is valid as long as the same snapshot is published: what was written
/// since then is newer, and stays anyway.
#[derive(Clone, Debug)]
pub struct Remainder {
    published: SnapshotId,
    shown: BTreeMap<SnapshotId, Shown>,
}

impl Timekeeper {
    /// For a process that has just begun.
    pub fn begin(wall: WallTime) -> Self {
        Self { witnessed: Observed::default(), wall, moment: Moment::default(), left: None }
    }
}

/// A snapshot as a listing shows it.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    /// Which files it has, by the state that each stands for: `Leftover` is the payload, the others are manifests.
    pub(super) files: Vec<HistoryState>,
    /// When the newest of them was written.
    pub(super) written: WallTime,
}

impl ArchiveReader {
    pub(super) async fn named(&self, version: KongVersion) -> Result<Option<SnapshotId>, StorageError> {
        Ok(self.current_manifest(version).await?.named())
    }

    pub(super) async fn shown(&self, version: KongVersion) -> Result<BTreeMap<SnapshotId, Shown>, StorageError> {
        let listed = self.storage.entries(&ObjectKeys::new(version).snapshots(), None).await?;
        let mut snapshots: BTreeMap<SnapshotId, Shown> = BTreeMap::new();
        for Entry { key, written, .. } in listed {
            let Some(file) = key.rsplit('/').next().and_then(SnapshotFile::from_name) else { continue };
            let shown = snapshots.entry(file.id).or_insert(Shown { files: Vec::new(), written });
            shown.files.push(file.state);
            shown.written = shown.written.max(written);
        }
        Ok(snapshots)
    }
}

impl Archive {
    /// Deletes the snapshots of a version's history that may go ([`expendable`]), at most a tenth of it in a day; and
    /// nothing at all unless `manifest.json` is accepted. `newest` is the configuration that the control plane has now.
    ///
    /// # Errors
    /// [`StorageError::Denied`] without the right to delete, which nothing else needs: then everything stays.
    pub async fn prune_expired(
        &self,
        version: KongVersion,
        newest: Option<ConfigHash>,
        time: &mut Timekeeper,
    ) -> Result<Pruned, StorageError> {
        let HistoryLimit::AtMost(limit) = self.history else { return Ok(Pruned::default()) };
        let earlier = time.left.take();
        let Some(published) = self.named(version).await? else { return Ok(Pruned::default()) };
        // A snapshot that is published after this read is newer, so it stays, and ends the turn.
        let mut shown = match earlier {
            Some(left) if left.published == published => left.shown,
            Some(_) | None => self.shown(version).await?,
        };

        let past: Vec<Past> = shown.iter().map(|(id, shown)| Past { id: *id, state: shown.state() }).collect();
        let due = |record: &Record| {
            let aged = |past: &Past| {
                let written = shown[&past.id].written;
                let (first_seen, age) = record.age(past.id, written);
                Aged { past: *past, written, first_seen, age }
            };
            let history: Vec<Aged> = past.iter().map(aged).collect();
            expendable(&history, Some(published.sequence), newest, limit)
        };

        let reading = self.reading(time);
        // If the store has a clock, the record is not needed until something is to be deleted.
        if let Reading::Store(_) = reading
            && due(&Record::now(Found::Nothing, reading, &mut Observed::default())).is_empty()
        {
            return Ok(Pruned::default());
        }

        let (found, over) = self.retention_record(version).await?;
        let mut record = Record::now(found, reading, &mut time.witnessed);
        record.note(&past);
        let mut due = due(&record);
        due.truncate(record.allowance(past.len()));
        let later = due.split_off(due.len().min(MOST_A_TURN));
        if due.is_empty() && matches!(reading, Reading::Store(_)) {
            return Ok(Pruned::default());
        }

        record.spend(due.len());
        // Written before anything is deleted, so that the next turn counts it even if this process dies.
        let key = ObjectKeys::new(version).thinning();
        let tag = match self.storage.write(&key, Bytes::from(record.encode()), over).await {
            // Another exporter prunes as well.
            Err(StorageError::Conflict { .. }) => return Ok(Pruned::default()),
            written => written?,
        };

        if due.is_empty() {
            return Ok(Pruned::default());
        }
        let mut deleted = Deleted::default();
        let done = self.delete_while_published(version, published, &due, &shown, &mut deleted).await;
        let stayed = due.len() - deleted.gone.len();
        if stayed > 0 {
            record.give_back(stayed);
            // If this write fails, less is deleted today than could be.
            let written = self.storage.write(&key, Bytes::from(record.encode()), Write::Update(tag)).await;
            if let Err(error) = written {
                debug!("what stayed after all is counted as deleted today: {error}");
            }
        }

        done?;
        let left = later.len() + due.len() - deleted.tried;
        if left > 0 {
            due.iter().take(deleted.tried).for_each(|id| drop(shown.remove(id)));
            time.left = Some(Remainder { published, shown });
        }
        Ok(Pruned { gone: deleted.gone, left })
    }

    /// What the clocks show: the store's, if it has one.
    fn reading(&self, time: &Timekeeper) -> Reading {
        match self.storage.own_time() {
            Some(store) => Reading::Store(store),
            None => Reading::Host { wall: time.wall, moment: time.moment },
        }
    }

    async fn retention_record(&self, version: KongVersion) -> Result<(Found, Write), StorageError> {
        let key = ObjectKeys::new(version).thinning();
        Ok(match self.storage.read_if_it_exists(&key, RECORD_LIMIT).await? {
            Some((bytes, tag)) => (Found::decode(&bytes), Write::Update(tag)),
            None => (Found::Nothing, Write::Create),
        })
    }

    /// Deletes these snapshots, as long as this one is the published one.
    pub(super) async fn delete_while_published(
        &self,
        version: KongVersion,
        published: SnapshotId,
        due: &[SnapshotId],
        shown: &BTreeMap<SnapshotId, Shown>,
        deleted: &mut Deleted,
    ) -> Result<(), StorageError> {
        let images = self.storage.list(&ObjectKeys::new(version).cache_images(), None).await?.into_iter().collect();
        for id in due {
            // The decision is valid only for the snapshot that was published then. A new publication or choice comes
            // first.
            if self.named(version).await? != Some(published) {
                break;
            }
            if self.delete_snapshot(version, *id, &shown[id].files, &images).await? {
                deleted.gone.push(*id);
            }
            deleted.tried += 1;
        }
        Ok(())
    }

    // The manifest is deleted first, so that no manifest lacks its payload. The payload is deleted last, so that the
    // next turn finds it after a crash.
    async fn delete_snapshot(
        &self,
        version: KongVersion,
        id: SnapshotId,
        files: &[HistoryState],
        images: &BTreeSet<String>,
    ) -> Result<bool, StorageError> {
        let keys = ObjectKeys::new(version);
        let manifest = keys.snapshot_manifest(id);
        // A listing may lag: a payload that looks like a leftover may have been published since.
        if *files == [HistoryState::Leftover] && self.storage.written_at(&manifest).await?.is_some() {
            return Ok(false);
        }

        for state in files {
            if *state != HistoryState::Leftover {
                let (manifest, _) = manifest_of(version, Past { id, state: *state });
                self.storage.delete(&manifest).await?;
            }
        }

        let image = keys.cache_image(id);
        if images.contains(&image) {
            self.storage.delete(&image).await?;
        }
        self.storage.delete(&keys.snapshot(id)).await?;
        Ok(true)
    }
}

/// What was deleted.
#[derive(Debug, Default)]
pub(super) struct Deleted {
    /// Oldest first.
    pub(super) gone: Vec<SnapshotId>,
    /// How many were tried. A snapshot that was published meanwhile stays.
    pub(super) tried: usize,
}

impl Shown {
    pub(super) fn state(&self) -> HistoryState {
        // A manifest tells more than the payload beside it.
        self.files.iter().copied().find(|state| *state != HistoryState::Leftover).unwrap_or(HistoryState::Leftover)
    }
}

#[cfg(test)]
mod tests;
