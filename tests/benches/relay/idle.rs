//! What an idle node costs the relay in resident memory: how much more the relay has with each crowd that comes.

use std::time::Duration;

use lifeboat_tests::crowd::outage::Outage;
use lifeboat_tests::crowd::{Broadcaster, Crowd};
use lifeboat_tests::program::{Memory, Running};

use super::report::Report;
use super::{HUNG, empty_nodes, nodes, syncing_nodes};

/// How many there are when it is measured.
const COUNTS: [usize; 4] = [1, 500, 2_000, 5_000];
/// As they come after a rollout, or after the 5 to 10 s in which Kong's nodes try again: 3 ms for each.
const EACH_WITHIN: Duration = Duration::from_millis(3);
/// So that each has pinged since, and what the handshakes needed is given back or not.
const SETTLED: Duration = Duration::from_secs(35);
pub(super) const IN_AN_OUTAGE: f64 = 32.0;
pub(super) const WITH_CONTROL_PLANE: f64 = 48.0;

/// Nodes that are measured.
pub(super) struct Case<'a> {
    pub(super) what: &'a str,
    pub(super) counts: &'a [usize],
    /// What each further one may take, in KiB.
    pub(super) limit: f64,
}

/// Each has been given the snapshot, and is answered by the relay.
pub(super) async fn in_an_outage(outage: &Outage, report: &mut Report) {
    let (relay, address) = outage.relay("127.0.0.1:0").await;
    let case = Case { what: "idle nodes in an outage", counts: &COUNTS, limit: IN_AN_OUTAGE };
    grow(&case, &relay, report, async |more, _| restored(empty_nodes(outage, address, more, within(more)), more).await)
        .await;
}

/// Each has been given it by incremental sync, over one connection.
pub(super) async fn synced_in_an_outage(outage: &Outage, report: &mut Report) {
    let (relay, address) = outage.relay("127.0.0.1:0").await;
    let case = Case { what: "idle nodes with incremental sync in an outage", counts: &COUNTS, limit: IN_AN_OUTAGE };
    grow(&case, &relay, report, async |more, _| {
        restored(syncing_nodes(outage, address, more, within(more)), more).await
    })
    .await;
}

/// Each has a link of its own to the control plane.
pub(super) async fn with_control_plane(outage: &Outage, report: &mut Report) {
    let control_plane = Broadcaster::start(COUNTS[COUNTS.len() - 1], outage.certificate());
    let (relay, address) = outage.relay_before(control_plane.address()).await;
    let what = "idle nodes while the control plane is there";
    let case = Case { what, counts: &COUNTS, limit: WITH_CONTROL_PLANE };
    grow(&case, &relay, report, async |more, all| {
        let crowd = nodes(outage, address, more, within(more), &outage.hash);
        crowd.wait_for(HUNG, |seen| seen.up == more as u64).await;
        control_plane.has(all as u64, HUNG).await;
        crowd
    })
    .await;
}

/// In what time so many come.
pub(super) fn within(nodes: usize) -> Duration {
    EACH_WITHIN * u32::try_from(nodes).expect("they are thousands")
}

/// These, when each is there and has been given a snapshot.
pub(super) async fn restored(crowd: Crowd, nodes: usize) -> Crowd {
    crowd.wait_for(2 * HUNG, |seen| seen.up == nodes as u64 && seen.messages >= nodes as u64).await;
    crowd
}

/// Lets so many more come again and again, `come(more, all)`, and measures each time. What each takes is the slope, by least
/// squares: what the relay takes whoever is there is no part of it.
pub(super) async fn grow(
    case: &Case<'_>,
    relay: &Running,
    report: &mut Report,
    mut come: impl AsyncFnMut(usize, usize) -> Crowd,
) -> Vec<Crowd> {
    let (mut crowds, mut points, mut there) = (Vec::new(), Vec::new(), 0);
    for &count in case.counts {
        crowds.push(come(count - there, count).await);
        there = count;
        tokio::time::sleep(SETTLED).await;
        let resident = relay.memory(Memory::Resident);
        let mib = resident as f64 / 1_048_576.0;
        report.add(&format!("{}, {count} of them: resident memory", case.what), mib, "MiB", None);
        points.push((count as f64, resident as f64 / 1024.0));
    }

    report.add("… each further one, by least squares", slope(&points), "KiB", Some(case.limit));
    crowds
}

fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |values: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(values).sum::<f64>() / count;
    let (x, y) = (mean(&|point| point.0), mean(&|point| point.1));
    let covariance: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    covariance / points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>()
}
