//! What happens, and what can be read of it afterwards.

use std::time::{Duration, SystemTime};

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::export::publisher::{Leadership, NewestState};
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::lifetimes::{End, Expiring, Lifetimes};
use lifeboat_core::manifest::{Held, Manifest, Pin, State};
use lifeboat_core::room::NodeLimits;
use lifeboat_core::time::{Moment, WallTime};
use lifeboat_runtime::clock::Clock;
use lifeboat_storage::{Operation, StorageError};

use crate::metrics::{Form, Metrics};
use crate::observation::{ExportRecorder, Observation, Trace};

const VERSION: KongVersion = KongVersion::new(3, 9, 1);
const BEGIN: Duration = Duration::from_secs(1_800_000_000);

struct Scene {
    metrics: Metrics,
    recorder: ExportRecorder,
}

impl Scene {
    /// It stands in paused time.
    fn begin() -> Self {
        let clock = Clock::simulated(WallTime::from_system(SystemTime::UNIX_EPOCH + BEGIN));
        let observation = Observation::new(clock);
        Self { recorder: observation.export(VERSION), metrics: Metrics::new(&observation) }
    }

    /// The numbers of a metric, with all its labels but the version of Kong.
    fn read(&self, name: &str) -> Vec<String> {
        let text = self.metrics.text(Form::Prometheus).replace("kong_version=\"3.9.1\",", "");
        let mut found: Vec<String> = text
            .lines()
            .filter_map(|line| line.strip_prefix(name))
            .filter(|rest| rest.starts_with(['{', ' ']))
            .map(|rest| rest.replace("{kong_version=\"3.9.1\"}", "").trim().to_owned())
            .collect();
        found.sort();
        found
    }

    fn why_not(&self) -> String {
        self.recorder.facts().check_ready().unwrap_err()
    }
}

fn manifest() -> Manifest {
    Manifest::decode(include_bytes!("../../../../tests/data/manifest-format-1.json")).unwrap()
}

fn hash(digit: char) -> ConfigHash {
    digit.to_string().repeat(32).parse().unwrap()
}

fn unavailable(reason: &str) -> StorageError {
    let (place, key, what) = ("s3://b".to_owned(), "k".to_owned(), Operation::Get);
    StorageError::Unavailable { place, key, what, reason: reason.to_owned() }
}

fn conflict() -> StorageError {
    StorageError::Conflict { place: "s3://b".to_owned(), key: "k".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn what_is_published_is_told_with_its_sizes_and_why() {
    let (scene, manifest) = (Scene::begin(), manifest());
    assert!(scene.read("lifeboat_keep_sequence").is_empty(), "nothing is known yet");
    scene.recorder.attempted();
    tokio::time::advance(Duration::from_millis(250)).await;
    scene.recorder.succeeded(Some(&manifest));
    assert_eq!(scene.read("lifeboat_keep_sequence"), [manifest.sequence.to_string()]);
    assert_eq!(scene.read("lifeboat_keep_config_bytes"), [manifest.config.bytes.to_string()]);
    assert_eq!(scene.read("lifeboat_keep_payload_bytes"), [manifest.snapshot.bytes.to_string()]);
    scene.recorder.nodes_take(NodeLimits { max_payload: 2 * manifest.snapshot.bytes, map_size: u64::MAX });
    let used = scene.read("lifeboat_keep_node_limit_used_ratio");
    assert!(used[0].starts_with("{limit=\"cluster_max_payload\"} 0.5"), "{used:?}");
    let info = format!("{{config_hash=\"{}\",state=\"received\"}} 1", manifest.config_hash);
    assert_eq!(scene.read("lifeboat_keep_configuration_info"), [info]);
    assert!(scene.read("lifeboat_keep_entities").contains(&"{kind=\"routes\"} 5".to_owned()));
    assert_eq!(scene.read("lifeboat_keep_last_attempt_timestamp_seconds"), ["1800000000.0"]);
    assert_eq!(scene.read("lifeboat_keep_last_success_timestamp_seconds"), ["1800000000.25"]);
}

#[tokio::test(start_paused = true)]
async fn numbers_of_a_manifest_that_nobody_could_mean_do_not_break_the_page() {
    let scene = Scene::begin();
    let mut manifest = manifest();
    (manifest.sequence, manifest.epoch, manifest.config.bytes) = (u64::MAX, u64::MAX, u64::MAX);
    scene.recorder.succeeded(Some(&manifest));
    assert_eq!(scene.read("lifeboat_keep_sequence"), [i64::MAX.to_string()]);
}

#[tokio::test(start_paused = true)]
async fn failures_are_counted_by_class_and_those_that_never_happened_are_zero() {
    let scene = Scene::begin();
    scene.recorder.failed(&unavailable("no answer"));
    scene.recorder.failed(&unavailable("no answer"));
    scene.recorder.failed(&conflict());
    scene.recorder.noticed_another_exporter(Trace::Manifest);
    let failures = scene.read("lifeboat_keep_failures_total");
    assert_eq!(failures.len(), StorageError::CLASSES.len());
    for expected in ["{class=\"unavailable\"} 2", "{class=\"conflict\"} 1", "{class=\"denied\"} 0"] {
        assert!(failures.contains(&expected.to_owned()), "{failures:?}");
    }
    let others = ["{object=\"config_json\"} 0", "{object=\"manifest\"} 1"];
    assert_eq!(scene.read("lifeboat_keep_other_exporter_total"), others);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_says_which_and_why() {
    let scene = Scene::begin();
    assert_eq!(scene.read("lifeboat_keep_held"), ["0"]);
    scene.recorder.newest_state(Some(hash('a')), NewestState::Held(Held::Refused));
    assert_eq!(scene.read("lifeboat_keep_held"), ["1"]);
    let info = format!("{{config_hash=\"{}\",reason=\"refused\"}} 1", hash('a'));
    assert_eq!(scene.read("lifeboat_keep_held_info"), [info]);
    let standings = scene.read("lifeboat_keep_standing");
    assert_eq!(standings.iter().filter(|line| line.ends_with(" 1")).collect::<Vec<_>>(), ["{standing=\"held\"} 1"]);
    scene.recorder.newest_state(Some(hash('a')), NewestState::Published);
    assert!(scene.read("lifeboat_keep_held_info").is_empty());
}

#[tokio::test(start_paused = true)]
async fn nodes_that_run_another_configuration_are_counted() {
    let scene = Scene::begin();
    assert_eq!(scene.read("lifeboat_keep_nodes_that_differ"), ["0"]);
    scene.recorder.nodes_differ(3);
    assert_eq!(scene.read("lifeboat_keep_nodes_that_differ"), ["3"]);
}

#[tokio::test(start_paused = true)]
async fn a_lead_that_is_not_renewed_in_time_is_none() {
    let scene = Scene::begin();
    let until = Moment::after_start(Duration::from_secs(25));
    scene.recorder.leadership(&Leadership::Leader { epoch: 7, until });
    assert_eq!(
        (scene.read("lifeboat_keep_leader"), scene.read("lifeboat_keep_epoch")),
        (vec!["1".into()], vec!["7".into()])
    );
    tokio::time::advance(Duration::from_secs(25)).await;
    assert_eq!(scene.read("lifeboat_keep_leader"), ["0"]);
    assert!(scene.why_not().contains("no exporter is known to lead"), "{}", scene.why_not());
}

#[tokio::test(start_paused = true)]
async fn who_follows_is_ready_whatever_it_has_received() {
    let scene = Scene::begin();
    assert!(scene.why_not().contains("no exporter is known to lead"));
    scene.recorder.leadership(&Leadership::Follower);
    scene.recorder.follows("backup-2");
    scene.recorder.leadership(&Leadership::Follower);
    scene.recorder.received(hash('a'), 100);
    assert_eq!(scene.recorder.facts().check_ready(), Ok(()));
    assert_eq!(
        (scene.read("lifeboat_keep_leader"), scene.read("lifeboat_keep_ready")),
        (vec!["0".into()], vec!["1".into()])
    );
    // Who can't look does not know that the other one still leads.
    scene.recorder.election_failed(&unavailable("no answer"));
    assert!(scene.why_not().contains("the leader can't be elected since 2027-01-15T08:00:00.000Z"));
    scene.recorder.election_goes_on();
    assert_eq!(scene.recorder.facts().check_ready(), Ok(()));
    scene.recorder.lost_its_leader();
    assert!(scene.recorder.facts().check_ready().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_leader_is_ready_when_the_newest_configuration_is_published() {
    let scene = Scene::begin();
    scene.recorder.leadership(&Leadership::Alone);
    assert!(scene.why_not().contains("not known yet"));
    scene.recorder.newest_state(None, NewestState::Nothing);
    assert!(scene.why_not().contains("not connected"));
    scene.recorder.connected();
    assert!(scene.why_not().contains("has sent nothing yet"));
    scene.recorder.received(hash('a'), 100);
    assert!(scene.why_not().contains("has just come"), "{}", scene.why_not());
    for (state, part) in [
        (NewestState::Ready(State::Received), "was not written"),
        (NewestState::Delayed { until: Moment::default() }, "EXPORT_DELAY"),
        (NewestState::Held(Held::Unreleased), "lifeboat release"),
    ] {
        scene.recorder.newest_state(Some(hash('a')), state);
        let why = scene.why_not();
        assert!(why.contains(part) && why.contains(&hash('a').to_string()), "{why}");
    }
    scene.recorder.newest_state(Some(hash('a')), NewestState::Published);
    assert_eq!(scene.recorder.facts().check_ready(), Ok(()));
    // The next one is not published yet, though the last word was that all is.
    scene.recorder.received(hash('b'), 100);
    assert!(scene.recorder.facts().check_ready().is_err());
    scene.recorder.newest_state(Some(hash('b')), NewestState::Pinned(Pin::Unpin));
    assert_eq!(scene.recorder.facts().check_ready(), Ok(()), "an operator wants it so");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_says_since_when_and_why_until_it_is_well() {
    let scene = Scene::begin();
    scene.recorder.leadership(&Leadership::Alone);
    scene.recorder.received(hash('a'), 100);
    scene.recorder.newest_state(Some(hash('a')), NewestState::Published);
    scene.recorder.failed(&conflict());
    assert_eq!(scene.recorder.facts().check_ready(), Ok(()), "the store is well");
    scene.recorder.failed(&unavailable("refused"));
    tokio::time::advance(Duration::from_secs(60)).await;
    scene.recorder.failed(&unavailable("no answer"));
    let why = scene.why_not();
    assert!(why.contains("since 2027-01-15T08:00:00.000Z") && why.contains("no answer"), "{why}");
    scene.recorder.succeeded(None);
    assert_eq!(scene.recorder.facts().check_ready(), Ok(()));
}

#[test]
fn when_something_in_the_newest_configuration_ends_is_told_of_that_one_alone() {
    const ENDS: &str = "lifeboat_keep_configuration_expiry_timestamp_seconds";
    let scene = Scene::begin();
    assert_eq!(scene.read(ENDS), Vec::<String>::new());
    let at = |seconds| WallTime::from_system(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    let end = |of, seconds| End { of, name: "a".to_owned(), at: at(seconds) };
    let ends = vec![
        end(Expiring::Certificate, 1_800_000_100),
        end(Expiring::CaCertificate, 1_800_000_200),
        end(Expiring::Certificate, 1_800_000_300),
    ];
    let lifetimes = Lifetimes { ends, credentials_with_ttl: 3 };
    scene.recorder.received(hash('a'), 5);
    scene.recorder.ends(hash('b'), lifetimes.clone());
    assert_eq!(scene.read(ENDS), Vec::<String>::new());

    scene.recorder.ends(hash('a'), lifetimes);
    let numbers: Vec<(String, f64)> = scene
        .read(ENDS)
        .iter()
        .map(|line| line.split_once(' ').map(|(of, at)| (of.to_owned(), at.parse().unwrap())).unwrap())
        .collect();
    assert_eq!(
        numbers,
        [("{of=\"ca_certificate\"}".to_owned(), 1_800_000_200.0), ("{of=\"certificate\"}".to_owned(), 1_800_000_100.0),]
    );
    assert_eq!(scene.read("lifeboat_keep_credentials_with_ttl"), ["3"]);
}
