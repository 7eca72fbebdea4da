//! One story for each store: two exporters as processes, of which the leader is killed; a store that is killed, that hangs, and that
//! is lost with all it had; at last the control plane is gone, and a new node is restored.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lifeboat::archive::{Archive, Extent};
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::object_key::HistoryState;
use lifeboat_tests::cluster::{Cluster, relay_address};
use lifeboat_tests::page::{http_address, page};
use lifeboat_tests::program::Running;
use rustix::process::Signal;
use tokio::time::{sleep, timeout};

use super::server::Store;

const LIMIT: usize = 1 << 20;
/// How long a store hangs: a request gives up after 30 s, a lease dies after 30 s.
const HANGS: Duration = Duration::from_secs(60);
/// Nothing that is waited for takes nearly as long, on a busy machine either.
const HUNG: Duration = Duration::from_secs(300);

/// How the exporters of a store find out which of them leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Election {
    /// The store compares and swaps.
    Lease,
    /// It doesn't.
    Registry,
}

struct Exporter {
    running: Running,
    http: SocketAddr,
}

struct Outage {
    cluster: Cluster,
    store: Store,
    archive: Archive,
    exporters: Vec<Exporter>,
    /// The hashes of what the control plane has sent.
    sent: BTreeSet<String>,
}

fn version() -> KongVersion {
    KongVersion::new(3, 9, 1)
}

impl Election {
    /// What an exporter says at its start.
    fn announcement(self) -> &'static str {
        match self {
            Self::Lease => "is elected by a lease in",
            Self::Registry => "has been registered longest in",
        }
    }
}

impl Outage {
    async fn start_exporter(&mut self) {
        let invocation = self.cluster.lifeboat(["run", "--export", "on", "--export-delay", "0"]);
        let running = self.store.given_to(invocation).start();
        let http = http_address(&running).await;
        self.exporters.push(Exporter { running, http });
    }

    /// Lets the control plane send a configuration of its own number, and gives its hash.
    fn send(&mut self, number: usize) -> String {
        let hash = self.cluster.push_generated(20 + number);
        self.sent.insert(hash.clone());
        hash
    }

    /// Waits until this configuration is published.
    async fn published(&self, hash: &str) {
        let begun = Instant::now();
        loop {
            let newest = self.archive.published(version()).await;
            if let Ok(Some(published)) = &newest
                && published.manifest.config_hash.to_string() == hash
            {
                return;
            }
            assert!(begun.elapsed() < HUNG, "{hash} is not published: {newest:?}\n{}", self.logs());
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until exactly one of them leads, and says which.
    async fn leader(&self) -> usize {
        let begun = Instant::now();
        loop {
            let mut leading = Vec::new();
            for (index, exporter) in self.exporters.iter().enumerate() {
                if page(exporter.http, "/metrics").await.sum("lifeboat_keep_leader", "") > 0.0 {
                    leading.push(index);
                }
            }
            if let [leader] = leading[..] {
                return leader;
            }
            assert!(begun.elapsed() < HUNG, "{leading:?} lead\n{}", self.logs());
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until the whole history is what was sent, without a gap, and each of it published.
    async fn has_no_gap(&self) {
        let begun = Instant::now();
        loop {
            let history = self.archive.history(version(), 100, Extent::Whole).await;
            let hashes: Option<BTreeSet<String>> = history.as_ref().ok().map(|history| {
                let published = |state: &HistoryState| *state == HistoryState::Published;
                let listed = history.snapshots.iter().filter(|listed| published(&listed.state));
                listed.map(|listed| listed.id.config_hash.to_string()).collect()
            });
            if hashes.as_ref() == Some(&self.sent) {
                return;
            }
            assert!(begun.elapsed() < HUNG, "sent: {:?}\n{history:?}\n{}", self.sent, self.logs());
            sleep(Duration::from_millis(200)).await;
        }
    }

    fn logs(&self) -> String {
        self.exporters.iter().map(|exporter| exporter.running.log()).collect::<Vec<_>>().join("\n---\n")
    }
}

/// Plays it.
///
/// # Panics
/// When anything isn't as it should be, with the exporters' logs.
pub(super) async fn an_outage_with_two_exporters(store: Store, election: Election) {
    let archive = Archive::over(store.storage(), LIMIT);
    let cluster = Cluster::start().await;
    let mut outage = Outage { cluster, store, archive, exporters: Vec::new(), sent: BTreeSet::new() };

    let hash = outage.send(1);
    for _ in 0..2 {
        outage.start_exporter().await;
    }
    for exporter in &outage.exporters {
        exporter.running.says(election.announcement()).await;
    }
    outage.published(&hash).await;

    // The leader is killed.
    let leader = outage.leader().await;
    outage.exporters.swap_remove(leader).running.kill().await;
    let hash = outage.send(2);
    outage.published(&hash).await;
    outage.start_exporter().await;
    outage.exporters[1].running.says(election.announcement()).await;
    outage.leader().await;

    // The store is killed, and comes back with what it had.
    outage.store.has_saved().await;
    outage.store.kill().await;
    let hash = outage.send(3);
    for exporter in &outage.exporters {
        exporter.running.says("the leader can't be elected").await;
    }
    outage.store.come_back().await;
    outage.published(&hash).await;
    outage.leader().await;

    // The store hangs. This is the fault itself, not a wait for something.
    outage.store.signal(Signal::STOP);
    let hash = outage.send(4);
    sleep(HANGS).await;
    outage.store.signal(Signal::CONT);
    outage.published(&hash).await;
    outage.leader().await;
    outage.has_no_gap().await;

    // All that it had is gone: what the control plane has sent is there again.
    outage.store.is_replaced_by_an_empty_one().await;
    outage.published(&hash).await;
    outage.leader().await;

    // The control plane is gone, and so are the exporters.
    outage.cluster.control_plane.stop().await;
    outage.exporters.clear();
    let relay = outage.store.given_to(outage.cluster.lifeboat(["run", "--import", "on"])).start();
    let node = outage.cluster.node(relay_address(&relay).await);
    let restored = timeout(HUNG, node.wait_for(|state| state.hash() == hash)).await;
    assert!(restored.is_ok(), "the node was not restored:\n{}", relay.log());
    let verified = outage.store.given_to(outage.cluster.lifeboat(["verify", "--all"])).finish().await;
    assert_eq!(verified.code, Some(0), "{verified}");
}
