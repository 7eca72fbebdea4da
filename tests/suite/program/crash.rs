//! `kill -9` at any moment: what was published stays whole, what was not is never restored from.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lifeboat::archive::{Archive, RestoreError};
use lifeboat::settings::{Source, StoreSettings};
use lifeboat_core::kong::version::KongVersion;
use lifeboat_fakes::message::Configuration;
use lifeboat_fakes::node::{EMPTY_HASH, Node};
use lifeboat_fakes::recorded;
use lifeboat_tests::generator;
use lifeboat_tests::program::{Invocation, Running};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use tokio::time::{sleep, timeout};

use super::{Cluster, Store, configuration, relay_address, stored};

/// For how long each store is tormented.
const TORMENT: Duration = Duration::from_secs(12);
/// The longest life. Some of it goes by before a backup is written: the store is probed first.
const LIFE: Duration = Duration::from_millis(1_000);
/// How often a node is restored from what a kill has left.
const RESTORED_EVERY: usize = 7;
/// Some megabytes, so that writing them takes its time.
const LARGE: usize = 3_000;

/// The configurations that the control plane sends, by Kong's name for them. Each is sent once: one that comes back after
/// another was published is doubted for minutes.
struct Repertoire {
    kinds: Vec<Bytes>,
    tables: HashMap<String, Bytes>,
}

impl Repertoire {
    fn new() -> Self {
        let generated = |services| generator::reconfigure_message(&generator::configuration(services)).into();
        let messages: [Bytes; 4] = [recorded::first(), generated(LARGE), recorded::after_change(), generated(40)];
        let kinds = messages.iter().map(|message| configuration(message).table).collect();
        Self { kinds, tables: HashMap::new() }
    }

    /// The next one, of any kind.
    fn any(&mut self, random: &mut StdRng) -> Bytes {
        let (number, kind) = (self.tables.len() + 1, &self.kinds[random.random_range(0..self.kinds.len())]);
        let rest = kind.strip_prefix(b"{").expect("a configuration is an object");
        let table = [format!(r#"{{"_comment":"{number}","#).as_bytes(), rest].concat();
        let sent = Configuration { table: table.into(), hash: format!("{number:032x}") };
        self.tables.insert(sent.hash.clone(), sent.table.clone());
        sent.to_message().expect("it can be written as JSON")
    }

    fn has(&self, hash: &str, table: &[u8]) -> bool {
        self.tables.get(hash).is_some_and(|sent| sent == table)
    }
}

/// What the kills have left behind.
#[derive(Debug, Default)]
struct Tally {
    kills: usize,
    publications: usize,
    unpublished_payloads: usize,
    stale_config_jsons: usize,
    warnings: usize,
    restorations: usize,
}

impl Tally {
    fn proves_something(&self) -> bool {
        self.publications > 3 && self.restorations > 0
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_moment_leaves_a_folder_from_which_only_whole_snapshots_are_restored() {
    torment(&Store::folder()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_moment_leaves_a_bucket_from_which_only_whole_snapshots_are_restored() {
    torment(&Store::s3().await).await;
}

async fn torment(store: &Store) {
    let (cluster, mut repertoire) = (Cluster::start().await, Repertoire::new());
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (mut tally, mut last) = (Tally::default(), 0);
    let (end, at_latest) = (Instant::now() + TORMENT, Instant::now() + 5 * TORMENT);
    let kills = kills_asked_for();
    // On a slow machine it takes longer to see enough.
    while tally.kills < kills || Instant::now() < end || (!tally.proves_something() && Instant::now() < at_latest) {
        kill_while_it_writes(&cluster, store, &mut repertoire, &mut random).await;
        tally.kills += 1;
        let sequence = check(store, &repertoire, &mut tally).await;
        if sequence > 0 {
            // Every node would be restored, so nothing is worse than a warning.
            let verified = store.given_to(cluster.lifeboat(["verify"])).finish().await;
            assert_eq!(verified.code, Some(0), "{verified}");
            tally.warnings += usize::from(!verified.stdout.contains(" 0 to look at"));
        }
        assert!(sequence >= last, "sequence {sequence} was published after {last}");
        tally.publications += usize::from(sequence > last);
        last = sequence;
        if tally.kills % RESTORED_EVERY == 0 {
            restore(&cluster, store, &repertoire, sequence > 0).await;
            tally.restorations += 1;
        }
    }
    eprintln!("{tally:?}");
    assert!(tally.proves_something(), "this proves little: {tally:?}");
    survive(&cluster, store, &repertoire).await;
}

/// `LIFEBOAT_KILLS=200` kills so often at least.
fn kills_asked_for() -> usize {
    std::env::var("LIFEBOAT_KILLS").map_or(0, |number| number.parse().expect("LIFEBOAT_KILLS is a number"))
}

fn exporting(cluster: &Cluster, store: &Store) -> Invocation {
    // Small ones follow large ones, and none is to be held. A lease would have to die after each kill.
    let invocation = cluster.lifeboat(["run", "--export", "on", "--export-delay", "0", "--max-shrink", "100"]);
    let invocation = invocation.with("LIFEBOAT_ELECTION", "none");
    store.given_to(invocation)
}

/// One life: it connects, is sent one configuration after the other, and is killed.
async fn kill_while_it_writes(cluster: &Cluster, store: &Store, repertoire: &mut Repertoire, random: &mut StdRng) {
    cluster.control_plane.push(repertoire.any(random));
    let running = exporting(cluster, store).start();
    running.says("connected to control plane").await;
    let death = Instant::now() + LIFE.mul_f64(random.random());
    loop {
        let wait = Duration::from_millis(random.random_range(5..80));
        let left = death.saturating_duration_since(Instant::now());
        sleep(wait.min(left)).await;
        if wait >= left {
            break;
        }
        cluster.control_plane.push(repertoire.any(random));
    }
    let ended = running.kill().await;
    assert_eq!(ended.code, None, "it ended before it was killed: {ended}");
}

/// Looks at what is there, without the product's code and with it. Gives the published sequence, or 0.
async fn check(store: &Store, repertoire: &Repertoire, tally: &mut Tally) -> u64 {
    let published = stored::published(&store.objects).unwrap_or_else(|problem| panic!("half-written: {problem}"));
    let restored = archive(store).restore(KongVersion::new(3, 9, 1)).await;
    let Some(published) = published else {
        assert!(matches!(restored, Err(RestoreError::NoBackup { .. })), "nothing was published: {restored:?}");
        return 0;
    };
    let (sequence, hash) = (published.sequence, &published.config_hash);
    assert!(repertoire.has(hash, &published.config_json), "snapshot {sequence} ({hash}) was never sent so");
    let restored = restored.unwrap();
    assert!(restored.skipped.is_empty(), "{:?}", restored.skipped);
    assert!(restored.verified.config_json().unwrap() == published.config_json, "another one is restored");
    tally.unpublished_payloads += usize::from(stored::highest_sequence(&store.objects) > sequence);
    let is_current = std::fs::read(store.config_json()).is_ok_and(|json| json == published.config_json);
    tally.stale_config_jsons += usize::from(!is_current);
    sequence
}

fn archive(store: &Store) -> Archive {
    let variables = store.settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    Archive::open(&StoreSettings::read_alone(&Source::from_environment(variables)).unwrap()).unwrap()
}

/// A new node, while the control plane is dead: it gets what is published, or nothing.
async fn restore(cluster: &Cluster, store: &Store, repertoire: &Repertoire, is_published: bool) {
    cluster.control_plane.stop().await;
    let (running, node) = relay_with_a_new_node(cluster, store).await;
    if is_published {
        let fed = timeout(Duration::from_secs(20), node.wait_for(|state| state.configuration.is_some())).await;
        let fed = fed.unwrap_or_else(|_| panic!("nothing was restored:\n{}", running.log())).configuration.unwrap();
        assert!(repertoire.has(&fed.hash, &fed.table), "the node was given what was never sent");
    } else {
        stays_empty(&running, &node).await;
    }
    running.kill().await;
    cluster.control_plane.come_back().await.unwrap();
}

async fn relay_with_a_new_node(cluster: &Cluster, store: &Store) -> (Running, Node) {
    let running = store.given_to(cluster.lifeboat(["run", "--import", "on"])).start();
    let node = cluster.node(relay_address(&running).await);
    (running, node)
}

async fn stays_empty(running: &Running, node: &Node) {
    running.says("can't be restored yet").await;
    let state = node.state();
    assert_eq!((state.hash(), state.received), (EMPTY_HASH, 0), "{:?}", state.log);
}

/// The last life ends in peace, and leaves all in order.
async fn survive(cluster: &Cluster, store: &Store, repertoire: &Repertoire) {
    let running = exporting(cluster, store).start();
    running.says("connected to control plane").await;
    let last = Bytes::from(generator::reconfigure_message(&generator::configuration(41)));
    cluster.control_plane.push(last.clone());
    let sent = configuration(&last);
    running.says(&format!("published configuration {}", sent.hash)).await;
    running.signal(Signal::TERM);
    let ended = running.ends().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    let published = stored::published(&store.objects).unwrap().expect("something was published");
    assert!(!repertoire.tables.contains_key(&published.config_hash) && published.config_hash == sent.hash);
    assert!(published.config_json == sent.table && std::fs::read(store.config_json()).unwrap() == sent.table);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_was_never_published_is_not_restored() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    cluster.control_plane.push(recorded::first());
    let kept = store.given_to(cluster.lifeboat(["export", "--from", "cp"])).finish().await;
    assert_eq!(kept.code, Some(0), "{kept}");
    // What a kill leaves after the payload's last byte and before the manifest's first.
    for file in stored::files(&store.objects) {
        if !file.to_string_lossy().ends_with(".json.gz") {
            std::fs::remove_file(file).unwrap();
        }
    }
    assert_eq!(stored::highest_sequence(&store.objects), 1);
    cluster.control_plane.stop().await;
    let (running, node) = relay_with_a_new_node(&cluster, &store).await;
    stays_empty(&running, &node).await;
}

#[test]
fn the_look_from_outside_sees_what_is_half_written() {
    let folder = tempfile::tempdir().unwrap();
    let lifeboat = folder.path().join("3.9.1/lifeboat");
    std::fs::create_dir_all(&lifeboat).unwrap();
    assert!(stored::published(folder.path()).unwrap().is_none());
    let manifest = include_str!("../../data/manifest-format-1.json");
    std::fs::write(lifeboat.join("manifest.json"), &manifest[..manifest.len() / 2]).unwrap();
    assert!(stored::published(folder.path()).unwrap_err().contains("manifest.json"));
    std::fs::write(lifeboat.join("manifest.json"), manifest).unwrap();
    let problem = stored::published(folder.path()).unwrap_err();
    assert!(problem.contains("which is published"), "{problem}");
    let key: serde_json::Value = serde_json::from_str(manifest).unwrap();
    let payload = folder.path().join(key["snapshot"]["key"].as_str().unwrap());
    std::fs::create_dir_all(payload.parent().unwrap()).unwrap();
    std::fs::write(payload, "half").unwrap();
    let problem = stored::published(folder.path()).unwrap_err();
    assert!(problem.contains("4 bytes, and the manifest says"), "{problem}");
}
