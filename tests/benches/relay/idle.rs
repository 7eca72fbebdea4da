//! What an idle node costs the relay in resident memory.

use std::time::Duration;

use lifeboat_tests::crowd::Broadcaster;
use lifeboat_tests::crowd::outage::Outage;
use lifeboat_tests::program::{Memory, Running};

use super::report::Report;
use super::{HUNG, empty_nodes, nodes, syncing_nodes};

const NODES: usize = 5_000;
/// As they come after a rollout, or after the 5 to 10 s in which Kong's nodes try again.
const WITHIN: Duration = Duration::from_secs(15);
/// So that each has pinged since, and what the handshakes needed is given back or not.
const SETTLED: Duration = Duration::from_secs(35);
const IN_AN_OUTAGE: f64 = 64.0;
const WITH_CONTROL_PLANE: f64 = 128.0;

/// Each has been given the snapshot, and is answered by the relay.
pub(super) async fn in_an_outage(outage: &Outage, report: &mut Report) {
    let (relay, address) = outage.relay("127.0.0.1:0").await;
    let first = empty_nodes(outage, address, 1, Duration::ZERO);
    first.wait_for(HUNG, |seen| seen.messages == 1).await;
    let shared = settled(&relay, Duration::from_secs(3)).await;
    let all = empty_nodes(outage, address, NODES, WITHIN);
    all.wait_for(HUNG, |seen| seen.up == NODES as u64 && seen.messages >= NODES as u64).await;
    each("an idle node in an outage", shared, settled(&relay, SETTLED).await, IN_AN_OUTAGE, report);
}

/// Each has been given it by incremental sync, over one connection.
pub(super) async fn synced_in_an_outage(outage: &Outage, report: &mut Report) {
    let (relay, address) = outage.relay("127.0.0.1:0").await;
    let first = syncing_nodes(outage, address, 1, Duration::ZERO);
    first.wait_for(HUNG, |seen| seen.messages == 1).await;
    let shared = settled(&relay, Duration::from_secs(3)).await;
    let all = syncing_nodes(outage, address, NODES, WITHIN);
    all.wait_for(HUNG, |seen| seen.up == NODES as u64 && seen.messages >= NODES as u64).await;
    each(
        "an idle node with incremental sync in an outage",
        shared,
        settled(&relay, SETTLED).await,
        IN_AN_OUTAGE,
        report,
    );
}

/// Each has a link of its own to the control plane.
pub(super) async fn with_control_plane(outage: &Outage, report: &mut Report) {
    let control_plane = Broadcaster::start(NODES + 1, outage.certificate());
    let (relay, address) = outage.relay_before(control_plane.address()).await;
    let _first = nodes(outage, address, 1, Duration::ZERO, &outage.hash);
    control_plane.has(1, HUNG).await;
    let shared = settled(&relay, Duration::from_secs(3)).await;
    let all = nodes(outage, address, NODES, WITHIN, &outage.hash);
    all.wait_for(HUNG, |seen| seen.up == NODES as u64).await;
    control_plane.has(NODES as u64 + 1, HUNG).await;
    each(
        "an idle node while the control plane is there",
        shared,
        settled(&relay, SETTLED).await,
        WITH_CONTROL_PLANE,
        report,
    );
}

fn each(what: &str, shared: u64, now: u64, limit: f64, report: &mut Report) {
    let kib = (now - shared) as f64 / NODES as f64 / 1024.0;
    report.add(&format!("{what}, of {NODES}: resident memory beyond what one takes"), kib, "KiB", Some(limit));
    report.add("… the process, all together", now as f64 / 1048576.0, "MiB", None);
}

async fn settled(relay: &Running, after: Duration) -> u64 {
    tokio::time::sleep(after).await;
    relay.memory(Memory::Resident)
}
