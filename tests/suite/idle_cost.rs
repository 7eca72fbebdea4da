//! What an idle exporter costs: its requests to the store in an hour, counted, and the same as docs/cost.md says.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::stream::BoxStream;
use lifeboat::archive::{Archive, CurrentManifest, Extent, Pick, Terms};
use lifeboat::export::{BackupNode, Exporter, Newest};
use lifeboat::settings::HistoryLimit;
use lifeboat_core::export::Received;
use lifeboat_core::export::election::ElectionSetting;
use lifeboat_core::export::guard::ShrinkGuard;
use lifeboat_core::export::publisher::{Doubt, LastSeen, Rewrite, Rules};
use lifeboat_core::kong::reconfigure::decode;
use lifeboat_core::manifest::State;
use lifeboat_fakes::recorded;
use lifeboat_runtime::clock::Clock;
use lifeboat_storage::Storage;
use lifeboat_tests::generator;
use lifeboat_tests::world::VERSION;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};
use tokio_util::sync::CancellationToken;

/// It has begun, and done what it does once.
const SETTLED: Duration = Duration::from_secs(10 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A store that counts what it is asked, by kind.
#[derive(Debug, Default)]
struct Counting {
    store: InMemory,
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

impl Counting {
    fn count(&self, kind: &'static str) {
        *self.counts.lock().unwrap().entry(kind).or_default() += 1;
    }

    fn take(&self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut *self.counts.lock().unwrap())
    }
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counting")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Counting {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.count("PUT");
        self.store.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, at: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(at, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.count(if options.head { "HEAD" } else { "GET" });
        self.store.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.count("DELETE");
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.count("LIST");
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.count("LIST");
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

fn received(clock: Clock) -> Received {
    received_as(&recorded::first(), clock)
}

fn received_as(message: &[u8], clock: Clock) -> Received {
    let message = decode(message, 1 << 20).unwrap();
    let (config_hash, hashes) = (message.config_hash, message.hashes);
    Received { configuration: message.configuration, config_hash, hashes, at: clock.wall(), source: None }
}

/// The requests in one idle hour of an exporter that leads, and of a second one beside it that watches.
async fn requests_in_an_hour(election: ElectionSetting) -> [BTreeMap<&'static str, u64>; 2] {
    let rules = Rules { export_delay: Duration::ZERO, guard: ShrinkGuard::new(50), doubt: Doubt::AskAgain };
    let clock = Clock::start();
    // A clone is the same store.
    let common = InMemory::new();
    let mut counts = Vec::new();
    for _ in 0..2 {
        let counting = Arc::new(Counting { store: common.clone(), ..Counting::default() });
        let archive = Archive::over(Storage::over(counting.clone(), "memory://"), 1 << 20);
        // As it is opened by default: who leads thins the history.
        let archive = archive.with_history(HistoryLimit::default());
        let newest = Newest::without_a_link();
        newest.put(received(clock));
        let exporter = Exporter::new(archive, &BackupNode::new(VERSION), rules, clock).electing(election);
        tokio::spawn(exporter.run(newest, CancellationToken::new()));
        tokio::time::sleep(SETTLED).await;
        counts.push(counting);
    }
    counts.iter().for_each(|counting| drop(counting.take()));
    tokio::time::sleep(HOUR).await;
    [counts[0].take(), counts[1].take()]
}

/// Dollars for a thousand requests: Amazon S3 Standard (us-east-1) and Google Cloud Storage Standard (class A and B) ask the
/// same.
const WRITING_OR_LISTING: f64 = 0.005;
const READING: f64 = 0.0004;
const HOURS_IN_A_MONTH: f64 = 730.0;

fn row(strategy: &str, who: &str, counts: &BTreeMap<&'static str, u64>) -> String {
    let of = |kind| counts.get(kind).copied().unwrap_or_default();
    let (put, list, get, head) = (of("PUT"), of("LIST"), of("GET"), of("HEAD"));
    assert_eq!(put + list + get + head, counts.values().sum::<u64>(), "{counts:?}");
    let thousands = |requests: u64| requests as f64 * HOURS_IN_A_MONTH / 1000.0;
    let dollars = thousands(put + list) * WRITING_OR_LISTING + thousands(get + head) * READING;
    format!("| {strategy} | {who} | {put} | {list} | {get} | {head} | {dollars:.2} |")
}

#[tokio::test(start_paused = true)]
async fn an_idle_hour_costs_what_the_documentation_says() {
    // The jitter of the intervals is part of the count.
    lifeboat_runtime::rng::seed_with(1);
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cost.md")).unwrap();
    let mut rows = Vec::new();
    for (name, election) in [("lease", ElectionSetting::Lease), ("registry", ElectionSetting::Registry)] {
        let [leads, watches] = requests_in_an_hour(election).await;
        rows.extend([row(name, "leads", &leads), row(name, "watches", &watches)]);
    }
    let [alone, _] = requests_in_an_hour(ElectionSetting::None).await;
    rows.push(row("none", "alone", &alone));
    assert!(rows.iter().all(|row| document.contains(row)), "docs/cost.md should say:\n{}", rows.join("\n"));
}

#[tokio::test]
async fn a_publication_costs_what_the_documentation_says() {
    let counting = Arc::new(Counting::default());
    let archive = Archive::over(Storage::over(counting.clone(), "memory://"), 1 << 20);
    let (author, clock) = (BackupNode::new(VERSION).author(), Clock::start());
    let terms = Terms { epoch: 1, state: State::Received, pin: None, last_seen: None };
    archive.publish(&author, &received(clock), &CurrentManifest::Absent, &terms, clock.wall()).await.unwrap();
    let expected = [("GET", 3), ("HEAD", 1), ("LIST", 1), ("PUT", 4)];
    assert_eq!(counting.take(), BTreeMap::from(expected), "docs/cost.md says so");
}

#[tokio::test]
async fn a_further_store_costs_what_the_documentation_says() {
    let (first, counting) = (Arc::new(Counting::default()), Arc::new(Counting::default()));
    let archive = |store| Archive::over(Storage::over(store, "memory://"), 1 << 20);
    let (first, other) = (archive(first), archive(counting.clone()));
    let (author, clock) = (BackupNode::new(VERSION).author(), Clock::start());
    let terms = Terms { epoch: 1, state: State::Received, pin: None, last_seen: None };
    let published =
        first.publish(&author, &received(clock), &CurrentManifest::Absent, &terms, clock.wall()).await.unwrap();
    first.mirror(&published, &other).await.unwrap();
    let of_publication = [("GET", 5), ("HEAD", 1), ("PUT", 4)];
    assert_eq!(counting.take(), BTreeMap::from(of_publication), "docs/cost.md says so");
    let rewrite = Rewrite { epoch: 1, state: State::Confirmed, pin: None, last_seen: LastSeen::Now };
    let refreshed = first.rewrite(&author, &published, &rewrite, clock.wall()).await.unwrap();
    first.mirror(&refreshed, &other).await.unwrap();
    assert_eq!(counting.take(), BTreeMap::from([("GET", 2), ("HEAD", 1), ("PUT", 1)]), "docs/cost.md says so");
}

#[tokio::test]
async fn a_look_at_the_page_costs_what_the_documentation_says() {
    const LISTED: usize = 20;
    let counting = Arc::new(Counting::default());
    let archive = Archive::over(Storage::over(counting.clone(), "memory://"), 1 << 20);
    let (author, clock) = (BackupNode::new(VERSION).author(), Clock::start());
    let mut current = CurrentManifest::Absent;
    for services in 1..=LISTED + 5 {
        let message = generator::reconfigure_message(&generator::configuration(services));
        let received = received_as(&message, clock);
        let terms = Terms { epoch: 1, state: State::Received, pin: None, last_seen: None };
        let published = archive.publish(&author, &received, &current, &terms, clock.wall()).await.unwrap();
        current = CurrentManifest::Published(Box::new(published));
    }

    drop(counting.take());
    let versions = archive.versions().await.unwrap();
    assert_eq!((versions.len(), counting.take()), (1, BTreeMap::from([("LIST", 1)])), "docs/cost.md says so");
    let history = archive.history(VERSION, LISTED, Extent::Whole).await.unwrap();
    assert_eq!((history.snapshots.len(), history.older), (LISTED, Some(5)));
    assert_eq!(counting.take(), BTreeMap::from([("GET", LISTED as u64), ("LIST", 1)]), "docs/cost.md says so");

    let picked = archive.pick(VERSION, Pick::Sequence(3)).await.unwrap();
    archive.verified(&picked).await.unwrap();
    assert_eq!(counting.take(), BTreeMap::from([("GET", 3), ("LIST", 1)]), "docs/cost.md says so");
}
