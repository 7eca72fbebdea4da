//! What is deleted of a history, in memory: by number, by age, and what is spared when the store changes meanwhile.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::stream::BoxStream;
use lifeboat_core::keep::keeper::Held;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::super::tests::{CHANGED, FIRST, author, in_memory, now, publish, received, version};
use super::*;
use crate::node_cache::tests::recorded::recorded_image;
use crate::storage::{Storage, Write};

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

/// A store in which somebody publishes while images are listed: after the decision, before the first deletion.
#[derive(Debug)]
struct Meanwhile {
    store: InMemory,
    writes: (Path, Bytes),
}

impl fmt::Display for Meanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meanwhile")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Meanwhile {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.store.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, at: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(at, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.store.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if prefix.is_some_and(|prefix| prefix.as_ref().ends_with("/cache")) {
            let (key, bytes) = self.writes.clone();
            self.store.put(&key, bytes.into()).now_or_never().expect("memory doesn't wait").unwrap();
        }
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

/// An archive with four published snapshots and a leftover, number 5, below the sixth, in which this object is written
/// between decision and deletion.
async fn meanwhile(key: impl Fn(&ObjectKeys, &[SnapshotId]) -> String, bytes: &[u8]) -> (Archive, Vec<SnapshotId>) {
    let store = Arc::new(InMemory::new());
    let over = |store: Arc<dyn ObjectStore>| Archive::over(Storage::over(store, "memory://"), 1 << 20);
    let (plain, stored) = (over(store.clone()), ObjectKeys::new(version()));
    for message in [FIRST, CHANGED, FIRST, CHANGED] {
        publish(&plain, message).await;
    }
    let left = SnapshotId { sequence: 5, config_hash: received(CHANGED).config_hash };
    plain.storage.write(&stored.snapshot(left), Bytes::from_static(b"left"), Write::Create).await.unwrap();
    publish(&plain, FIRST).await;
    let ids: Vec<SnapshotId> = plain.past(version()).await.unwrap().iter().map(|past| past.id).collect();
    let writes = (Path::from(key(&stored, &ids)), Bytes::copy_from_slice(bytes));
    let store = InMemory::fork(&store);
    (over(Arc::new(Meanwhile { store, writes })).with_history(HistoryLimit::AtMost(1)), ids)
}

#[tokio::test]
async fn nothing_is_deleted_by_a_decision_that_is_older_than_what_is_published() {
    // Somebody with the right to write puts an older manifest in the place of the newest.
    let older = in_memory();
    let older = publish(&older, FIRST).await.manifest.encode();
    let (archive, ids) = meanwhile(|keys, _| keys.manifest(), &older).await;
    let thinned = archive.thin(version(), now() + 2 * DAY).await.unwrap();
    assert_eq!((thinned.gone, thinned.left), (Vec::new(), 4));
    assert_eq!(sequences(&archive).await.len(), ids.len());
    assert_eq!(archive.published(version()).await.unwrap().unwrap().manifest.id(), ids[0]);
    // The next turn goes by what is published then.
    assert_eq!(thin(&archive, 2 * DAY).await, [0; 0]);
}

#[tokio::test]
async fn what_looked_left_over_and_has_a_manifest_by_now_stays() {
    let (archive, _) = meanwhile(|keys, ids| keys.snapshot_manifest(ids[4]), b"of an exporter that was slow").await;
    assert_eq!(thin(&archive, 2 * DAY).await, [1, 2, 3]);
    assert_eq!(sequences(&archive).await, [4, 5, 6]);
}

#[tokio::test]
async fn what_the_control_plane_has_and_an_operator_may_release_stays() {
    let archive = with_limit(1);
    publish(&archive, CHANGED).await;
    let held = hold(&archive).await;
    for _ in 0..3 {
        publish(&archive, CHANGED).await;
    }
    let spared = archive.thin_around(version(), Some(held.config_hash), now()).await.unwrap();
    assert!(!spared.gone.contains(&held) && !spared.gone.is_empty(), "{spared:?}");
    assert!(archive.thin(version(), now()).await.unwrap().gone.contains(&held));
}
