//! Thinning: deleting what of the history may go. Which snapshots those are is decided in `core`, by their age in the
//! store's own time. When this is done is the exporter's business.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::keep::history::{Fate, Past};
use lifeboat_core::keep::thinning::{Aged, expendable};
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::object_key::{ObjectKeys, SnapshotFile, SnapshotId};
use lifeboat_core::time::WallTime;

use super::Archive;
use crate::settings::HistoryLimit;
use crate::storage::{Entry, StorageError};

/// How many snapshots go at once at most: what is long overdue goes in several turns.
const AT_ONCE: usize = 100;

/// What thinning came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thinned {
    /// What was deleted, oldest first.
    pub gone: Vec<SnapshotId>,
    /// How many more may go, in the next turn: because they are many, or because something was published meanwhile.
    pub left: usize,
}

/// A snapshot as a listing shows it.
struct Shown {
    /// Which files it has: that of each fate.
    files: Vec<Fate>,
    /// When the newest of them was written.
    written: WallTime,
}

impl Archive {
    /// Deletes what of a version's history may go. Never what `manifest.json` names, nor what came after it, nor what came
    /// before it or before a held one; and nothing at all unless that manifest is accepted.
    ///
    /// # Errors
    /// [`StorageError::Denied`] without the right to delete, which nothing else needs: then everything stays.
    pub async fn thin(&self, version: KongVersion, now: WallTime) -> Result<Thinned, StorageError> {
        self.thin_around(version, None, now).await
    }

    /// The same, which spares what is held of the configuration that the control plane has now, if that is known: nobody
    /// keeps it anew, and an operator may release it.
    ///
    /// # Errors
    /// As [`thin`](Self::thin).
    pub async fn thin_around(
        &self,
        version: KongVersion,
        newest: Option<ConfigHash>,
        now: WallTime,
    ) -> Result<Thinned, StorageError> {
        let HistoryLimit::AtMost(limit) = self.history else { return Ok(Thinned::default()) };
        let shown = self.shown(version).await?;
        let Some(published) = self.named(version).await? else { return Ok(Thinned::default()) };
        let history: Vec<Aged> = shown.iter().map(|(id, shown)| shown.aged(*id)).collect();
        let is_held = |id: &SnapshotId| shown[id].aged(*id).past.fate.is_held();
        let mut due = expendable(&history, Some(published.sequence), limit, self.storage.time_there(now));
        due.retain(|id| newest != Some(id.config_hash) || !is_held(id));
        let later = due.split_off(due.len().min(AT_ONCE));
        if due.is_empty() {
            return Ok(Thinned::default());
        }
        let images = self.storage.list(&ObjectKeys::new(version).cache_images(), None).await?.into_iter().collect();
        let (mut gone, mut left) = (Vec::new(), later.len() + due.len());
        for id in &due {
            // What was decided holds for what was published then. Whoever publishes or chooses another one comes first.
            if self.named(version).await? != Some(published) {
                break;
            }
            if self.delete_snapshot(version, *id, &shown[id].files, &images).await? {
                gone.push(*id);
            }
            left -= 1;
        }
        Ok(Thinned { gone, left })
    }

    // What its manifest promises is never missing: the manifest goes first, and the payload last, which is what the next
    // turn finds after a crash.
    async fn delete_snapshot(
        &self,
        version: KongVersion,
        id: SnapshotId,
        files: &[Fate],
        images: &BTreeSet<String>,
    ) -> Result<bool, StorageError> {
        let keys = ObjectKeys::new(version);
        let manifest = keys.snapshot_manifest(id);
        // A listing may lag: what looks left over may have been published since.
        if *files == [Fate::Leftover] && self.storage.written_at(&manifest).await?.is_some() {
            return Ok(false);
        }
        for fate in files {
            match fate {
                Fate::Published => self.storage.delete(&manifest).await?,
                Fate::HeldAsShrunk | Fate::HeldAsRefused => {
                    self.storage.delete(&keys.held_manifest(id, *fate)).await?;
                }
                Fate::Leftover => {}
            }
        }
        let image = keys.cache_image(id);
        if images.contains(&image) {
            self.storage.delete(&image).await?;
        }
        self.storage.delete(&keys.snapshot(id)).await?;
        Ok(true)
    }

    async fn named(&self, version: KongVersion) -> Result<Option<SnapshotId>, StorageError> {
        Ok(self.standing(version).await?.named())
    }

    async fn shown(&self, version: KongVersion) -> Result<BTreeMap<SnapshotId, Shown>, StorageError> {
        let listed = self.storage.entries(&ObjectKeys::new(version).snapshots(), None).await?;
        let mut snapshots: BTreeMap<SnapshotId, Shown> = BTreeMap::new();
        for Entry { key, written, .. } in listed {
            let Some(file) = key.rsplit('/').next().and_then(SnapshotFile::from_name) else { continue };
            let shown = snapshots.entry(file.id).or_insert(Shown { files: Vec::new(), written });
            shown.files.push(file.fate);
            shown.written = shown.written.max(written);
        }
        Ok(snapshots)
    }
}

impl Shown {
    fn aged(&self, id: SnapshotId) -> Aged {
        // A manifest tells more than the payload beside it.
        let fate = self.files.iter().copied().find(|fate| *fate != Fate::Leftover).unwrap_or(Fate::Leftover);
        Aged { past: Past { id, fate }, written: self.written }
    }
}

#[cfg(test)]
mod tests;
