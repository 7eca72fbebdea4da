//! Thinning: deleting what of the history may go. Which snapshots those are is decided in `core`, by their age in the
//! store's own time. When this is done is the exporter's business.

use std::collections::{BTreeMap, BTreeSet};

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
        let HistoryLimit::AtMost(limit) = self.history else { return Ok(Thinned::default()) };
        let shown = self.shown(version).await?;
        let Some(published) = self.named(version).await? else { return Ok(Thinned::default()) };
        let history: Vec<Aged> = shown.iter().map(|(id, shown)| shown.aged(*id)).collect();
        let mut due = expendable(&history, Some(published.sequence), limit, self.storage.time_there(now));
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
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use lifeboat_core::keep::keeper::Held;

    use super::super::tests::{CHANGED, FIRST, author, in_memory, now, publish, received, version};
    use super::*;
    use crate::node_cache::tests::recorded::recorded_image;
    use crate::storage::Write;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn with_limit(limit: usize) -> Archive {
        in_memory().with_history(HistoryLimit::AtMost(limit))
    }

    async fn hold(archive: &Archive) -> SnapshotId {
        let over = archive.standing(version()).await.unwrap();
        archive.hold(&author(), &received(FIRST), &over, &Held::Refused, 1, now()).await.unwrap()
    }

    async fn sequences(archive: &Archive) -> Vec<u64> {
        archive.past(version()).await.unwrap().iter().map(|past| past.id.sequence).collect()
    }

    async fn keys(archive: &Archive, folder: &str) -> Vec<String> {
        archive.storage.list(folder, None).await.unwrap()
    }

    async fn thin(archive: &Archive, later: Duration) -> Vec<u64> {
        let thinned = archive.thin(version(), now() + later).await.unwrap();
        assert_eq!(thinned.left, 0);
        thinned.gone.iter().map(|id| id.sequence).collect()
    }

    #[tokio::test]
    async fn the_oldest_go_with_all_that_belongs_to_them_and_the_rest_can_be_restored() {
        let archive = with_limit(2);
        for message in [FIRST, CHANGED] {
            let published = publish(&archive, message).await;
            archive.attach_image(published, recorded_image()).await.unwrap();
        }
        for message in [FIRST, CHANGED] {
            publish(&archive, message).await;
        }
        assert_eq!(thin(&archive, Duration::ZERO).await, [1, 2]);
        assert_eq!(sequences(&archive).await, [3, 4]);
        assert_eq!(keys(&archive, "3.9.1/lifeboat").await.len(), 1 + 2 * 2, "the manifest, and two objects for each");
        assert_eq!(thin(&archive, Duration::ZERO).await, [0; 0]);
        let restored = archive.restore(version()).await.unwrap();
        assert!(restored.skipped.is_empty() && restored.verified.config_hash() == received(CHANGED).config_hash);
    }

    #[tokio::test]
    async fn a_held_one_and_the_one_before_it_stay_while_it_is_newer_than_what_is_published() {
        let archive = with_limit(1);
        for message in [FIRST, CHANGED, FIRST, CHANGED] {
            publish(&archive, message).await;
        }
        hold(&archive).await;
        assert_eq!(thin(&archive, 40 * DAY).await, [1, 2]);
        assert_eq!(sequences(&archive).await, [3, 4, 5]);
        archive.release(&author(), None, now()).await.unwrap();
        publish(&archive, CHANGED).await;
        // It is older than what is published now, so nobody waits for it; then what it was compared with may go too.
        assert_eq!(thin(&archive, 40 * DAY).await, [3, 5]);
        assert_eq!(thin(&archive, 40 * DAY).await, [4]);
        assert_eq!(sequences(&archive).await, [6, 7]);
    }

    #[tokio::test]
    async fn what_a_crash_left_goes_after_a_day() {
        let archive = with_limit(10);
        publish(&archive, FIRST).await;
        let left = SnapshotId { sequence: 2, config_hash: received(CHANGED).config_hash };
        let payload = ObjectKeys::new(version()).snapshot(left);
        archive.storage.write(&payload, Bytes::from_static(b"half"), Write::Create).await.unwrap();
        publish(&archive, CHANGED).await;
        assert_eq!(thin(&archive, DAY / 2).await, [0; 0]);
        assert_eq!(thin(&archive, 2 * DAY).await, [2]);
        assert_eq!(sequences(&archive).await, [1, 3]);
    }

    #[tokio::test]
    async fn nothing_goes_unless_it_is_known_what_is_published() {
        let archive = with_limit(1);
        for message in [FIRST, CHANGED, FIRST, CHANGED] {
            publish(&archive, message).await;
        }
        let manifest = ObjectKeys::new(version()).manifest();
        archive.storage.write(&manifest, Bytes::from_static(b"{}"), Write::Replace).await.unwrap();
        assert!(archive.thin(version(), now() + 40 * DAY).await.is_err());
        archive.storage.delete(&manifest).await.unwrap();
        assert_eq!(thin(&archive, 40 * DAY).await, [0; 0]);
        assert_eq!(sequences(&archive).await, [1, 2, 3, 4]);
    }

    #[tokio::test]
    async fn who_keeps_everything_deletes_nothing() {
        let archive = in_memory();
        for message in [FIRST, CHANGED, FIRST, CHANGED] {
            publish(&archive, message).await;
        }
        assert_eq!(thin(&archive, 400 * DAY).await, [0; 0]);
    }

    #[tokio::test]
    async fn long_overdue_snapshots_go_in_turns() {
        let archive = with_limit(1);
        publish(&archive, FIRST).await;
        let keys = ObjectKeys::new(version());
        for sequence in 2..=AT_ONCE as u64 + 10 {
            let id = SnapshotId { sequence, config_hash: received(CHANGED).config_hash };
            archive.storage.write(&keys.snapshot(id), Bytes::from_static(b"left"), Write::Create).await.unwrap();
        }
        publish(&archive, CHANGED).await;
        let thinned = archive.thin(version(), now() + 2 * DAY).await.unwrap();
        assert_eq!((thinned.gone.len(), thinned.left), (AT_ONCE, 9));
        assert_eq!(archive.thin(version(), now() + 2 * DAY).await.unwrap().gone.len(), 9);
    }
}
