//! What is deleted of a history, in memory: by number, by age, and what is spared when the store changes meanwhile.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::stream::BoxStream;
use lifeboat_core::manifest::Held;
use lifeboat_storage::{Storage, Write};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::super::Operator;
use super::super::tests::{CHANGED, FIRST, author, in_memory, now, publish, received, recorded_image, version};
use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn with_limit(limit: usize) -> Archive {
    in_memory().with_history(HistoryLimit::AtMost(limit))
}

async fn hold(archive: &Archive) -> SnapshotId {
    let over = archive.current_manifest(version()).await.unwrap();
    archive.hold(&author(), &received(FIRST), &over, &Held::Refused, 1, now()).await.unwrap()
}

async fn sequences(archive: &Archive) -> Vec<u64> {
    archive.past(version()).await.unwrap().iter().map(|past| past.id.sequence).collect()
}

async fn keys(archive: &Archive, folder: &str) -> Vec<String> {
    archive.storage.list(folder, None).await.unwrap()
}

/// A process that thins, and for which so much time has passed.
struct Process {
    time: Timekeeper,
}

impl Process {
    fn begin() -> Self {
        Self { time: Timekeeper::begin(now()) }
    }

    async fn thinned(&mut self, archive: &Archive, later: Duration) -> Pruned {
        self.time.moment = self.time.moment + later;
        archive.prune_expired(version(), None, &mut self.time).await.unwrap()
    }

    /// What goes after that time has passed.
    async fn thin(&mut self, archive: &Archive, later: Duration) -> Vec<u64> {
        let thinned = self.thinned(archive, later).await;
        assert_eq!(thinned.left, 0);
        thinned.gone.iter().map(|id| id.sequence).collect()
    }
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
    let mut process = Process::begin();
    assert_eq!(process.thin(&archive, Duration::ZERO).await, [1]);
    assert_eq!(process.thin(&archive, DAY - Duration::from_secs(1)).await, [0; 0], "a tenth a day");
    assert_eq!(process.thin(&archive, Duration::from_secs(1)).await, [2]);
    assert_eq!(sequences(&archive).await, [3, 4]);
    let kept = keys(&archive, "3.9.1/lifeboat").await.len();
    assert_eq!(kept, 2 + 2 * 2, "the manifest, the record, and two objects for each");
    assert_eq!(process.thin(&archive, DAY).await, [0; 0]);
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
    let mut process = Process::begin();
    assert_eq!(process.thin(&archive, 40 * DAY).await, [1]);
    assert_eq!(process.thin(&archive, 40 * DAY).await, [2]);
    assert_eq!(process.thin(&archive, 40 * DAY).await, [0; 0]);
    assert_eq!(sequences(&archive).await, [3, 4, 5]);
    Operator::new(archive.clone()).release(&author(), None, now()).await.unwrap();
    publish(&archive, CHANGED).await;
    // It is older than what is published now, so nobody waits for it; then what it was compared with may go too.
    assert_eq!(process.thin(&archive, 40 * DAY).await, [3]);
    assert_eq!(process.thin(&archive, 40 * DAY).await, [5]);
    assert_eq!(process.thin(&archive, 40 * DAY).await, [4]);
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
    let mut process = Process::begin();
    assert_eq!(process.thin(&archive, DAY).await, [0; 0], "it was not seen before");
    assert_eq!(process.thin(&archive, DAY / 2).await, [0; 0]);
    assert_eq!(process.thin(&archive, DAY / 2).await, [2]);
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
    let mut process = Process::begin();
    assert!(archive.prune_expired(version(), None, &mut process.time).await.is_err());
    archive.storage.delete(&manifest).await.unwrap();
    assert_eq!(process.thin(&archive, 40 * DAY).await, [0; 0]);
    assert_eq!(sequences(&archive).await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn who_keeps_everything_deletes_nothing() {
    let archive = in_memory();
    for message in [FIRST, CHANGED, FIRST, CHANGED] {
        publish(&archive, message).await;
    }
    assert_eq!(Process::begin().thin(&archive, 400 * DAY).await, [0; 0]);
}

/// Between two published ones, as many as are deleted in eleven turns.
async fn with_eleven_turns_of_leftovers() -> Archive {
    let archive = with_limit(1);
    publish(&archive, FIRST).await;
    let keys = ObjectKeys::new(version());
    for sequence in 2..=11 * MOST_A_TURN as u64 {
        let id = SnapshotId { sequence, config_hash: received(CHANGED).config_hash };
        archive.storage.write(&keys.snapshot(id), Bytes::from_static(b"left"), Write::Create).await.unwrap();
    }
    publish(&archive, CHANGED).await;
    archive
}

#[tokio::test]
async fn long_overdue_snapshots_go_in_turns() {
    let archive = with_eleven_turns_of_leftovers().await;
    let mut process = Process::begin();
    assert_eq!(process.thin(&archive, Duration::ZERO).await, [0; 0]);
    let thinned = process.thinned(&archive, DAY).await;
    assert_eq!((thinned.gone.len(), thinned.left), (MOST_A_TURN, 11));
    let left = process.time.left.clone().unwrap();
    assert_eq!(left.shown.keys().map(|id| id.sequence).collect::<Vec<_>>(), sequences(&archive).await);
    assert_eq!(process.thin(&archive, Duration::ZERO).await.len(), 11);
    assert_eq!(process.thin(&archive, Duration::ZERO).await.len(), 0, "a tenth a day");
}

#[tokio::test]
async fn what_is_published_between_two_turns_is_spared_in_the_second() {
    let archive = with_eleven_turns_of_leftovers().await;
    let mut process = Process::begin();
    process.thin(&archive, Duration::ZERO).await;
    assert_eq!(process.thinned(&archive, DAY).await.left, 11);

    // One that the first turn has listed as the published one, and one that it has not listed.
    let named = publish(&archive, FIRST).await.manifest.id();
    let gone = process.thin(&archive, Duration::ZERO).await;
    assert_eq!(gone.len(), 11);
    let there = sequences(&archive).await;
    assert!(there.ends_with(&[named.sequence - 1, named.sequence]), "{there:?}");
    assert!(archive.restore(version()).await.unwrap().skipped.is_empty());
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

/// An archive with so many published snapshots and a leftover below one more, in which this object is written between
/// decision and deletion.
async fn meanwhile(
    published: u64,
    key: impl Fn(&ObjectKeys, &[SnapshotId]) -> String,
    bytes: &[u8],
) -> (Archive, Vec<SnapshotId>) {
    let store = Arc::new(InMemory::new());
    let over = |store: Arc<dyn ObjectStore>| Archive::over(Storage::over(store, "memory://"), 1 << 20);
    let (plain, stored) = (over(store.clone()), ObjectKeys::new(version()));
    for _ in 0..published {
        publish(&plain, FIRST).await;
    }
    let left = SnapshotId { sequence: published + 1, config_hash: received(CHANGED).config_hash };
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
    let (archive, ids) = meanwhile(4, |keys, _| keys.manifest(), &older).await;
    let mut process = Process::begin();
    let thinned = process.thinned(&archive, Duration::ZERO).await;
    assert_eq!((thinned.gone, thinned.left), (Vec::new(), 1));
    assert_eq!(sequences(&archive).await.len(), ids.len());
    assert_eq!(archive.published(version()).await.unwrap().unwrap().manifest.id(), ids[0]);
    // The next turn goes by what is published then.
    assert_eq!(process.thin(&archive, 2 * DAY).await, [0; 0]);
}

#[tokio::test]
async fn what_looked_left_over_and_has_a_manifest_by_now_stays() {
    let (archive, _) = meanwhile(1, |keys, ids| keys.snapshot_manifest(ids[1]), b"of an exporter that was slow").await;
    let mut process = Process::begin();
    assert_eq!(process.thin(&archive, Duration::ZERO).await, [0; 0]);
    assert_eq!(process.thin(&archive, DAY).await, [0; 0]);
    assert_eq!(keys(&archive, "3.9.1/cache").await.len(), 0);
    assert_eq!(sequences(&archive).await, [1, 2, 3]);
}

#[tokio::test]
async fn what_the_control_plane_has_and_an_operator_may_release_stays() {
    let archive = with_limit(1);
    publish(&archive, CHANGED).await;
    let held = hold(&archive).await;
    for _ in 0..3 {
        publish(&archive, CHANGED).await;
    }
    let mut process = Process::begin();
    let spared = archive.prune_expired(version(), Some(held.config_hash), &mut process.time).await.unwrap();
    assert!(!spared.gone.contains(&held) && !spared.gone.is_empty(), "{spared:?}");
    assert_eq!(process.thin(&archive, DAY).await, [held.sequence]);
}

/// A folder with thirty snapshots of one hour, published by a host whose clock is so many hours ahead, or behind.
async fn folder_of(publishers_clock: i64) -> (tempfile::TempDir, Archive) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display()).parse().unwrap();
    let archive = Archive::open(&crate::settings::StoreSettings::local(url, 1 << 20)).unwrap();
    for number in 0..30 {
        publish(&archive, if number % 2 == 0 { FIRST } else { CHANGED }).await;
    }
    for file in std::fs::read_dir(folder.path().join("3.9.1/lifeboat/snapshots")).unwrap() {
        let written = ahead(now(), publishers_clock).into();
        std::fs::File::options().append(true).open(file.unwrap().path()).unwrap().set_modified(written).unwrap();
    }
    (folder, archive)
}

fn ahead(time: WallTime, hours: i64) -> WallTime {
    let by = Duration::from_secs(hours.unsigned_abs() * 3600);
    let time = time.to_system();
    WallTime::from_system(if hours < 0 { time - by } else { time + by })
}

#[tokio::test]
async fn no_clock_of_a_host_deletes_anything() {
    for (at_export, at_thinning) in
        [(0, 26), (26, 26), (26, 0), (-26, 0), (0, -26), (-72, 72), (72, -72), (0, 24 * 365)]
    {
        let (_folder, archive) = folder_of(at_export).await;
        // A command an hour, on that host and on one whose clock is right, in turns.
        for hour in 0..6 {
            for clock in [at_thinning, 0] {
                let mut process = Process::begin();
                process.time.wall = ahead(now(), clock + hour);
                assert_eq!(process.thin(&archive, Duration::ZERO).await, [0; 0], "{at_export} and {at_thinning}");
            }
        }
        assert_eq!(sequences(&archive).await.len(), 30);
    }
}

#[tokio::test]
async fn in_a_folder_a_day_that_was_seen_to_pass_makes_snapshots_old_and_then_a_tenth_goes() {
    let (_folder, archive) = folder_of(26).await;
    let mut process = Process::begin();
    assert_eq!(process.thin(&archive, Duration::ZERO).await, [0; 0]);
    for _ in 0..23 {
        assert_eq!(process.thin(&archive, DAY / 24).await, [0; 0]);
    }
    assert_eq!(process.thin(&archive, DAY / 24).await, [1, 2, 3]);
    // Another process a minute later, and one a day later by its clock alone.
    for wall in [now(), ahead(now(), 24)] {
        let mut another = Process::begin();
        another.time.wall = wall;
        assert_eq!(another.thin(&archive, Duration::ZERO).await, [0; 0]);
    }
    assert_eq!(process.thin(&archive, DAY).await, [4, 5, 6]);
}

#[tokio::test]
async fn a_record_that_can_not_be_written_keeps_everything() {
    let archive = with_limit(1);
    for message in [FIRST, CHANGED, FIRST, CHANGED] {
        publish(&archive, message).await;
    }
    let fence = lifeboat_storage::Fence::new(lifeboat_runtime::clock::Clock::start());
    let error =
        archive.clone().fenced(fence).prune_expired(version(), None, &mut Process::begin().time).await.unwrap_err();
    assert!(matches!(error, StorageError::NotLeading { .. }), "{error}");
    assert_eq!(sequences(&archive).await.len(), 4);
}
