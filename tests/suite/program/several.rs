//! Several exporters as processes: one leads, and when it is stopped, killed or cut off, another does, with no gap in what
//! is published. And one process that keeps several versions of Kong.

use std::collections::BTreeSet;
use std::time::Duration;

use lifeboat_tests::forwarder::Forwarder;
use lifeboat_tests::program::{Invocation, Running};
use rustix::process::Signal;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{Cluster, Store, VERSION, stored};

/// Nothing that is waited for takes nearly as long.
const HUNG: Duration = Duration::from_secs(120);

/// One of several exporters of one version.
struct Candidate {
    id: String,
    running: Running,
    /// Its way to the store.
    way: Forwarder,
}

/// Exporters of one cluster into one store.
struct Exporters {
    cluster: Cluster,
    store: Store,
    candidates: Vec<Candidate>,
    sent: BTreeSet<String>,
}

impl Exporters {
    async fn three() -> Self {
        let (cluster, store) = (Cluster::start().await, Store::s3().await);
        let server = store.server.as_ref().unwrap().endpoint();
        let to = server.trim_start_matches("http://").parse().unwrap();
        let mut exporters = Self { cluster, store, candidates: Vec::new(), sent: BTreeSet::new() };
        let first = exporters.send(1);
        for _ in 0..3 {
            let way = Forwarder::start(to).await;
            let running = exporters.exporter(&way).start();
            let line = running.says("as backup node ").await;
            let id = line.split("as backup node ").nth(1).unwrap().trim().to_owned();
            exporters.candidates.push(Candidate { id, running, way });
        }
        exporters.published(&first, |_| true).await;
        exporters
    }

    fn exporter(&self, way: &Forwarder) -> Invocation {
        let invocation = self.cluster.lifeboat(["run", "--export", "on", "--export-delay", "0"]);
        let invocation = self.store.given_to(invocation);
        invocation.with("AWS_CONFIG_STORAGE_ENDPOINT", format!("http://{}", way.address()))
    }

    /// Lets the control plane send a configuration of its own number, and gives its hash.
    fn send(&mut self, number: usize) -> String {
        let hash = self.cluster.push_generated(20 + number);
        self.sent.insert(hash.clone());
        hash
    }

    /// Takes the one that leads out of the candidates.
    fn leader(&mut self) -> Candidate {
        let lease = std::fs::read(self.store.objects.join(VERSION).join("election/leader.json")).unwrap();
        let lease: Value = serde_json::from_slice(&lease).unwrap();
        let leads = |candidate: &Candidate| lease["owner"] == candidate.id.as_str();
        let index = self.candidates.iter().position(leads).expect("one of them leads");
        self.candidates.swap_remove(index)
    }

    fn manifest(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.store.manifest_json()).unwrap()).unwrap()
    }

    /// Waits until this configuration is published, by one of whom `by` says yes to its id; gives the epoch.
    async fn published(&self, hash: &str, by: impl Fn(&str) -> bool) -> u64 {
        let begun = Instant::now();
        loop {
            if self.store.manifest_json().exists() {
                let manifest = self.manifest();
                if manifest["config_hash"] == hash && by(manifest["exporter"]["node_id"].as_str().unwrap()) {
                    return manifest["epoch"].as_u64().unwrap();
                }
            }
            if begun.elapsed() > HUNG {
                let logs: Vec<String> = self.candidates.iter().map(|candidate| candidate.running.log()).collect();
                panic!("{hash} is not published: {}\n{}", self.manifest(), logs.join("\n---\n"));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// How often one of those that are candidates still has said that a leader's lease is dead.
    fn deaths(&self) -> usize {
        let logs = self.candidates.iter().map(|candidate| candidate.running.log());
        logs.map(|log| log.matches("has not renewed its lease for 30 s").count()).sum()
    }

    /// All that was sent is in the history as published, and sequences and epochs grow together.
    async fn has_no_gap(&self) {
        let whole = stored::published(&self.store.objects).unwrap().expect("a manifest");
        assert!(self.sent.contains(&whole.config_hash));
        // The history's own manifest comes after the one that was waited for.
        let stem = format!("lifeboat/snapshots/{:010}-{}", whole.sequence, whole.config_hash);
        let last = self.store.objects.join(VERSION).join(format!("{stem}.manifest.json"));
        let is_there = async {
            while !last.exists() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(HUNG, is_there).await.unwrap_or_else(|_| panic!("there is no {}", last.display()));
        let snapshots = self.store.objects.join(VERSION).join("lifeboat/snapshots");
        let mut history: Vec<(u64, u64, String)> = stored::files(&snapshots)
            .iter()
            .filter(|path| path.to_str().unwrap().ends_with(".manifest.json"))
            .map(|path| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap())
            .map(|manifest| {
                let number = |field: &str| manifest[field].as_u64().unwrap();
                (number("sequence"), number("epoch"), manifest["config_hash"].as_str().unwrap().to_owned())
            })
            .collect();
        history.sort();
        assert!(history.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 <= two[1].1), "{history:?}");
        let hashes: BTreeSet<String> = history.iter().map(|(_, _, hash)| hash.clone()).collect();
        assert_eq!(hashes, self.sent, "{history:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_stopped_is_replaced_and_writes_nothing_when_it_wakes() {
    let mut exporters = Exporters::three().await;
    let epoch = exporters.manifest()["epoch"].as_u64().unwrap();
    let stopped = exporters.leader();
    stopped.running.signal(Signal::STOP);
    let hash = exporters.send(2);
    let successor = exporters.published(&hash, |id| id != stopped.id).await;
    assert!(successor > epoch, "epoch {successor}");

    // What it had received before it slept is older now.
    stopped.running.signal(Signal::CONT);
    stopped.running.says("this exporter no longer leads").await;
    let hash = exporters.send(3);
    let later = exporters.published(&hash, |id| id != stopped.id).await;
    let logs = || exporters.candidates.iter().map(|other| other.running.log()).collect::<Vec<_>>().join("\n---\n");
    assert_eq!(later, successor, "{}\n---\n{}", stopped.running.log(), logs());
    exporters.has_no_gap().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_killed_is_replaced() {
    let mut exporters = Exporters::three().await;
    let epoch = exporters.manifest()["epoch"].as_u64().unwrap();
    let killed = exporters.leader();
    killed.running.kill().await;
    let hash = exporters.send(2);
    let successor = exporters.published(&hash, |_| true).await;
    assert!(successor > epoch, "epoch {successor}");

    // An exporter that is stopped hands over at once: nobody waits until its lease has died.
    let leaving = exporters.leader();
    let deaths = exporters.deaths();
    leaving.running.signal(Signal::TERM);
    assert_eq!(leaving.running.ends().await.code, Some(0));
    let hash = exporters.send(3);
    let last = exporters.published(&hash, |id| id != leaving.id).await;
    assert!(last > successor && exporters.deaths() == deaths, "epoch {last}");
    exporters.has_no_gap().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_cut_off_from_the_store_is_replaced() {
    let mut exporters = Exporters::three().await;
    let epoch = exporters.manifest()["epoch"].as_u64().unwrap();
    let cut_off = exporters.leader();
    cut_off.way.cut();
    let hash = exporters.send(2);
    let successor = exporters.published(&hash, |id| id != cut_off.id).await;
    assert!(successor > epoch, "epoch {successor}");
    cut_off.running.says("the leader can't be elected").await;
    exporters.has_no_gap().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_versions_of_kong_are_kept_side_by_side_by_one_process() {
    let (cluster, store) = (Cluster::start().await, Store::s3().await);
    let hash = cluster.push_generated(20);
    let invocation = cluster.lifeboat(["run", "--export", "on", "--kong-versions", "3.9.1,3.8.1"]);
    let running = store.given_to(invocation).start();
    for version in ["3.9.1", "3.8.1"] {
        let published = async {
            let path = store.objects.join(version).join("lifeboat/manifest.json");
            while !path.exists() {
                sleep(Duration::from_millis(50)).await;
            }
            serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap()
        };
        let manifest = tokio::time::timeout(HUNG, published).await.unwrap_or_else(|_| panic!("{}", running.log()));
        assert_eq!((&manifest["kong_version"], &manifest["config_hash"]), (&version.into(), &hash.as_str().into()));
        assert!(store.objects.join(version).join("election/leader.json").exists());
    }
    let nodes = cluster.control_plane.state();
    assert!(nodes.events.len() >= 2, "{:?}", nodes.events);
    running.signal(Signal::TERM);
    let ended = running.ends().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    let listed = store.given_to(cluster.lifeboat(["list"])).finish().await;
    assert!(listed.stdout.contains("3.8.1") || listed.stdout.contains("3.9.1"), "{listed}");
}
