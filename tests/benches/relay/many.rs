//! As many nodes as the machine's limit of open files allows: in an outage, where each takes one, and when the control plane
//! comes back, where each needs two. What each takes of memory, whether all pings are answered, and what pages take.

use std::time::Duration;

use lifeboat_tests::crowd::outage::Outage;
use lifeboat_tests::crowd::{Broadcaster, Crowd, Seen};
use lifeboat_tests::page::{http_address, page};
use lifeboat_tests::program::{Memory, Running};
use tokio::time::{Instant, sleep};

use super::idle::{Case, IN_AN_OUTAGE, grow, restored, within};
use super::report::Report;
use super::{HUNG, empty_nodes, most_nodes, nodes, watched};

/// Those that come when nobody else can.
const TOO_MANY: usize = 100;
/// Each pings within this time.
const PINGS: Duration = Duration::from_secs(31);
/// The whole process, with as many nodes as 20,000 files allow, in MiB.
const PROCESS: f64 = 1024.0;

pub(super) async fn measure(outage: &Outage, report: &mut Report) {
    let most = most_nodes();
    let before = Broadcaster::start(most / 2, outage.certificate());
    let control_plane = before.address();
    drop(before);
    let (relay, address) = outage.relay_before(control_plane).await;

    let counts = [1, most / 4, most / 2, most * 3 / 4, most];
    let case = Case { what: "nodes in an outage", counts: &counts, limit: IN_AN_OUTAGE };
    let crowds = grow(&case, &relay, report, async |more, _| {
        restored(empty_nodes(outage, address, more, within(more)), more).await
    })
    .await;
    report.add("… the process, all together", mib(&relay), "MiB", Some(PROCESS));
    answered(&crowds, report).await;
    let http = http_address(&relay).await;
    watched::pages(&relay, http, ["/metrics", "/status?nodes=0", "/status?nodes=1000", "/status"], most, report).await;

    let too_many = nodes(outage, address, TOO_MANY, Duration::ZERO, &outage.hash);
    too_many.wait_for(HUNG, |seen| seen.failed >= TOO_MANY as u64).await;
    report.add(&format!("{TOO_MANY} more: links"), too_many.seen().links as f64, "", Some(0.0));
    drop(too_many);
    comes_back(outage, &relay, &crowds, Broadcaster::start_at(control_plane, most / 2, outage.certificate()), report)
        .await;
}

/// All of them together.
fn sum(crowds: &[Crowd], of: impl Fn(&Seen) -> u64) -> u64 {
    crowds.iter().map(|crowd| of(&crowd.seen())).sum()
}

async fn answered(crowds: &[Crowd], report: &mut Report) {
    let before = [sum(crowds, |seen| seen.pings), sum(crowds, |seen| seen.links)];
    sleep(PINGS).await;
    let sent = sum(crowds, |seen| seen.pings);
    let begun = Instant::now();
    while sum(crowds, |seen| seen.pongs) < sent && begun.elapsed() < HUNG {
        sleep(Duration::from_millis(5)).await;
    }

    report.add("… pings within 31 s", (sent - before[0]) as f64, "", None);
    report.add(
        "… those that are not answered",
        sent.saturating_sub(sum(crowds, |seen| seen.pongs)) as f64,
        "",
        Some(0.0),
    );
    report.add("… links that were lost meanwhile", (sum(crowds, |seen| seen.links) - before[1]) as f64, "", Some(0.0));
}

async fn comes_back(
    outage: &Outage,
    relay: &Running,
    crowds: &[Crowd],
    control_plane: Broadcaster,
    report: &mut Report,
) {
    let linked = sum(crowds, |seen| seen.up) / 2;
    let begun = Instant::now();
    control_plane.has(linked, 2 * HUNG).await;
    // Those that are sent away come again and again, and find no place.
    let http = http_address(relay).await;
    let connected = async || page(http, "/metrics").await.number("lifeboat_relay_nodes_connected") as u64;
    while connected().await > linked {
        assert!(begun.elapsed() < 2 * HUNG, "more nodes than can be linked are still connected");
        sleep(Duration::from_millis(100)).await;
    }
    report.add("the control plane comes back: nodes that are linked to it", linked as f64, "", None);
    report.add("… after", begun.elapsed().as_secs_f64(), "s", None);
    report.add("… the process, all together", mib(relay), "MiB", Some(PROCESS));

    let ran_out = relay.log().matches("could not be accepted").count();
    report.add("… how often the relay ran out of files", ran_out as f64, "", Some(0.0));
    let before = sum(crowds, |seen| seen.messages);
    let begun = control_plane.push(&outage.message);
    let deadline = Instant::now() + HUNG;
    while sum(crowds, |seen| seen.messages) - before < linked {
        assert!(Instant::now() < deadline, "not all of those that are linked get what is pushed");
        sleep(Duration::from_millis(5)).await;
    }
    let last = crowds.iter().map(|crowd| crowd.seen().last_message).max().unwrap_or(begun);
    report.add("… a push reaches all of them within", (last - begun) as f64 / 1e6, "ms", None);
}

fn mib(relay: &Running) -> f64 {
    relay.memory(Memory::Resident) as f64 / 1_048_576.0
}
