//! A thousand short histories of publishing in bad weather. Whatever happens, what a reader gets is whole, was sent, and
//! is never older than what was reported as published.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::thread::panicking;
use std::time::{Duration, SystemTime};

use lifeboat::archive::{Archive, RestoreError, Restored};
use lifeboat::export::{BackupNode, ExportError, Exported, Exporter};
use lifeboat_core::digest::{ConfigHash, Sha256Digest};
use lifeboat_core::export::Received;
use lifeboat_core::export::guard::ShrinkGuard;
use lifeboat_core::export::publisher::{Doubt, Rules};
use lifeboat_core::kong::reconfigure::decode;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::Manifest;
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::Provenance;
use lifeboat_runtime::clock::Clock;
use lifeboat_storage::StorageError;
use lifeboat_tests::faulty::{MemoryS3, PREFIX, Weather};
use lifeboat_tests::generator;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::timeout;
use tracing::subscriber::{NoSubscriber, with_default};

use super::{LONGEST, storage_in};

const SEEDS: u64 = 1000;
/// Set to a seed that was printed, to play that one only.
const REPLAY: &str = "LIFEBOAT_FAULT_SEED";

/// In one history of so many the exporters find out in bad weather what the store's conditional writes are worth.
const UNKNOWN_EVERY: u64 = 17;

const VERSION: KongVersion = KongVersion::new(3, 9, 1);
const MAX_CONFIG: usize = 1 << 20;
/// How many operations on the store a publication takes at most, and how many tries it has to find a free number.
const OPERATIONS: u32 = 16;

/// All that is sent may be published.
const RULES: Rules = Rules { export_delay: Duration::ZERO, guard: ShrinkGuard::new(100), doubt: Doubt::AskAgain };

static SENT: LazyLock<Vec<Received>> = LazyLock::new(|| {
    let received = |services| {
        let message = generator::reconfigure_message(&generator::configuration(services));
        let message = decode(&message, MAX_CONFIG).expect("the generator's messages are valid");
        let at = WallTime::from_system(SystemTime::UNIX_EPOCH);
        let (configuration, hashes) = (message.configuration, message.hashes);
        Received { configuration, config_hash: message.config_hash, hashes, at, source: None }
    };
    (1..6).map(received).collect()
});

#[test]
fn a_thousand_histories_in_bad_weather_keep_what_was_published_whole() {
    let replayed = std::env::var(REPLAY).ok().map(|seed| seed.parse().expect("a seed is a number"));
    let base: u64 = rand::random_range(0..1 << 48);
    let seeds = replayed.map_or(base..base + SEEDS, |seed: u64| seed..seed + 1);
    eprintln!("seeds {}..{}", seeds.start, seeds.end);
    let faults: u64 = std::thread::scope(|scope| {
        let half = |parity| {
            let seeds = seeds.clone().filter(move |seed| seed % 2 == parity);
            // Nobody reads what is logged here, and writing it would take most of the time.
            scope.spawn(move || {
                with_default(NoSubscriber::default(), || {
                    let known = Stage::known();
                    seeds.map(|seed| play(&known, seed)).sum::<u64>()
                })
            })
        };
        let halves = [half(0), half(1)];
        halves.map(|half| half.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).iter().sum()
    });
    eprintln!("{faults} faults");
    assert!(replayed.is_some() || faults > 5 * SEEDS, "there were {faults} faults only: the weather was too fair");
}

/// Where histories are played: a store, those who write to it and those who read it, each in a weather of its own.
struct Stage {
    s3: MemoryS3,
    weathers: [Weather; 2],
    archive: Archive,
    reader: Archive,
}

impl Stage {
    fn build() -> Self {
        let s3 = MemoryS3::default();
        let weathers = [Weather::fair(), Weather::fair()];
        let archive = |weather| Archive::over(storage_in(weather, &s3), MAX_CONFIG);
        let (writer, reader) = (archive(&weathers[0]), archive(&weathers[1]));
        Self { s3, weathers, archive: writer, reader }
    }

    /// One whose exporters know already what its conditional writes are worth, which takes as many requests to find out
    /// as a history has otherwise.
    fn known() -> Self {
        let stage = Self::build();
        let exported = runtime().block_on(async { exporter(&stage.archive).export(&SENT[0]).await });
        exported.expect("nothing goes wrong");
        stage
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime can be started")
}

/// Plays one history, and answers how many faults it had.
fn play(known: &Stage, seed: u64) -> u64 {
    let _named = NamedOnFailure(seed);
    let unknown;
    let stage = if seed.is_multiple_of(UNKNOWN_EVERY) {
        unknown = Stage::build();
        &unknown
    } else {
        known
    };
    runtime().block_on(async {
        let mut history = History::begin(stage, seed);
        for _ in 0..3 {
            history.publish().await;
            history.look().await;
        }
        history.end().await
    })
}

struct NamedOnFailure(u64);

impl Drop for NamedOnFailure {
    fn drop(&mut self) {
        if panicking() {
            eprintln!("seed {}: {REPLAY}={} plays it again", self.0, self.0);
        }
    }
}

struct History<'a> {
    stage: &'a Stage,
    random: StdRng,
    exporters: [Exporter; 2],
    /// Whether the second exporter publishes too.
    has_company: bool,
    sent: BTreeSet<ConfigHash>,
    /// The newest that was reported as published.
    reported: Option<Manifest>,
}

impl<'a> History<'a> {
    fn begin(stage: &'a Stage, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        stage.s3.forget();
        stage.weathers.iter().for_each(|weather| weather.turn(random.random()));
        let exporters = [exporter(&stage.archive), exporter(&stage.archive)];
        let has_company = random.random_range(0..3) == 0;
        Self { stage, random, exporters, has_company, sent: BTreeSet::new(), reported: None }
    }

    /// One exporter publishes, sometimes two at the same moment.
    async fn publish(&mut self) {
        let are_two = self.has_company && self.random.random();
        let picks = [(); 2].map(|()| &SENT[self.random.random_range(0..SENT.len())]);
        self.sent.extend(picks.iter().take(1 + usize::from(are_two)).map(|received| received.config_hash));
        let [first, second] = &mut self.exporters;
        let bound = OPERATIONS * 2 * LONGEST;
        let second = async { if are_two { Some(timeout(bound, second.export(picks[1])).await) } else { None } };
        let (first, second) = tokio::join!(timeout(bound, first.export(picks[0])), second);
        for result in [Some(first), second].into_iter().flatten() {
            match result.expect("a publication ends within the bounds of its operations") {
                Ok(exported) => self.report(&exported),
                Err(ExportError::Storage(error)) => self.has_a_reason(&error),
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn has_a_reason(&self, error: &StorageError) {
        let text = error.to_string();
        let is_expected = match error {
            StorageError::Unavailable { .. } => true,
            StorageError::Denied { .. } => text.contains("has expired") || text.contains("20m behind"),
            // With whom? Who is alone has none but with own requests that arrive when they are no longer wanted.
            StorageError::Conflict { .. } => self.has_company || self.stage.weathers.iter().any(Weather::has_been_late),
            // The other exporter wrote config.json meanwhile.
            StorageError::ReadBackDiffers { .. } => self.has_company && text.contains("config.json"),
            StorageError::NotFound { .. }
            | StorageError::NotLeading { .. }
            | StorageError::Misconfigured { .. }
            | StorageError::Unusable { .. }
            | StorageError::Later { .. } => false,
        };
        assert!(is_expected && text.starts_with("s3://kong/backups: ") && text.contains("3.9.1/"), "{text}");
    }

    fn report(&mut self, exported: &Exported) {
        let manifest = exported.manifest();
        if self.reported.as_ref().is_none_or(|reported| reported.sequence < manifest.sequence) {
            self.reported = Some(manifest.clone());
        }
    }

    /// Whoever restores now gets something whole that was sent and isn't older than what was reported, in fair weather;
    /// in bad weather that, or a reason.
    async fn look(&self) {
        let calm = Archive::over(storage_in(&Weather::fair(), &self.stage.s3), MAX_CONFIG);
        self.restored_is_good(calm.restore(VERSION).await, |error| {
            matches!(error, RestoreError::NoBackup { .. }) && self.reported.is_none()
        });
        let in_bad_weather = timeout(OPERATIONS * LONGEST, self.stage.reader.restore(VERSION)).await;
        self.restored_is_good(in_bad_weather.expect("a restoration ends within its bounds"), |error| match error {
            RestoreError::NoBackup { .. } => self.reported.is_none(),
            RestoreError::Storage(StorageError::Unavailable { .. } | StorageError::Denied { .. }) => true,
            _ => false,
        });
    }

    fn restored_is_good(
        &self,
        restored: Result<Restored, RestoreError>,
        is_expected: impl FnOnce(&RestoreError) -> bool,
    ) {
        let restored = match restored {
            Ok(restored) => restored,
            Err(error) => return assert!(is_expected(&error), "{}: {error}", error.class()),
        };
        assert!(restored.skipped.is_empty(), "{:?}", restored.skipped);
        assert!(self.sent.contains(&restored.verified.config_hash()));
        let Provenance::Manifest(manifest) = restored.verified.provenance() else { panic!("there is a manifest") };
        if let Some(reported) = &self.reported {
            assert!(
                manifest.sequence >= reported.sequence,
                "{} is older than {}",
                manifest.sequence,
                reported.sequence
            );
            let is_same = manifest.sequence == reported.sequence;
            assert!(!is_same || ***manifest == *reported, "two manifests have number {}", reported.sequence);
        }
    }

    /// The weather clears up, and what is published then is there at once.
    async fn end(mut self) -> u64 {
        self.stage.weathers.iter().for_each(Weather::clear_up);
        // What was under way has arrived by then.
        tokio::time::sleep(Duration::from_secs(60)).await;
        let last = &SENT[self.random.random_range(0..SENT.len())];
        self.sent.insert(last.config_hash);
        // One that starts now looks at what is there. Two that published at the same moment may have left a config.json
        // that isn't the manifest's, which the next to look repairs.
        let mut exporter = exporter(&self.stage.archive);
        let exported = exporter.export(last).await;
        self.report(&exported.expect("nothing goes wrong any more"));
        self.look().await;
        let published = self.reported.as_ref().expect("it was just published");
        assert_eq!(published.config_hash, last.config_hash);
        let config_json = self.stage.s3.object(&format!("{PREFIX}/{VERSION}/config.json")).expect("it is written last");
        assert!(config_json == last.configuration.json(), "config.json is not what was published last");
        no_number_has_two_contents(&self.stage.s3);
        self.stage.weathers.iter().map(Weather::played).sum()
    }
}

fn exporter(archive: &Archive) -> Exporter {
    Exporter::new(archive.clone(), &BackupNode::new(VERSION), RULES, Clock::start())
}

/// By all that was ever written: a snapshot's objects never change, and each manifest that was published has a number
/// above the one before and names a payload that lay there already.
fn no_number_has_two_contents(s3: &MemoryS3) {
    let mut immutable = BTreeMap::new();
    let mut newest = 0;
    for (path, bytes) in s3.writes() {
        if path.contains("/snapshots/") {
            let first = immutable.entry(path.clone()).or_insert_with(|| bytes.clone());
            assert_eq!(*first, bytes, "{path} was written with two contents");
        } else if path.ends_with("/lifeboat/manifest.json") {
            let manifest = Manifest::decode(&bytes).expect("a manifest is written whole");
            assert!(manifest.sequence > newest, "{} was published after {newest}", manifest.sequence);
            newest = manifest.sequence;
            let payload = immutable.get(&format!("{PREFIX}/{}", manifest.snapshot.key));
            let digest = payload.map(|payload| Sha256Digest::of(payload));
            assert_eq!(digest, Some(manifest.snapshot.sha256), "snapshot {newest} was published before its payload");
        }
    }
}
