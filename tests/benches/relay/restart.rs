//! A relay with 5,000 nodes is told to end (SIGTERM) and started again at the same address, in an outage: when all are back.

use std::time::Duration;

use lifeboat_tests::crowd::now;
use lifeboat_tests::crowd::outage::Outage;
use rustix::process::Signal;

use super::report::Report;
use super::{HUNG, nodes};

const NODES: usize = 5_000;
const WITHIN: Duration = Duration::from_secs(15);

pub(super) async fn measure(outage: &Outage, report: &mut Report) {
    let (relay, address) = outage.relay("127.0.0.1:0").await;
    let crowd = nodes(outage, address, NODES, WITHIN, &outage.hash);
    let before = crowd.wait_for(HUNG, |seen| seen.up == NODES as u64).await;
    let told = now();
    relay.signal(Signal::TERM);
    let ended = relay.ends().await;
    assert_eq!(ended.code, Some(0), "it ends with an error");
    let down = now();
    let (_relay, _) = outage.relay(&address.to_string()).await;
    crowd.wait_for(HUNG, |seen| seen.up < NODES as u64 / 2).await;
    let back = crowd.wait_for(HUNG, |seen| seen.up == NODES as u64).await;
    assert_eq!(back.messages, 0, "a node that has a configuration was fed");
    let seconds = |from: u64, to: u64| (to - from) as f64 / 1e9;
    report.add(&format!("a relay with {NODES} nodes ends by SIGTERM after"), seconds(told, down), "s", None);
    report.add("… and is started again: all are back after", seconds(told, back.last_link), "s", None);
    report.add("… tries that came to nothing", (back.failed - before.failed) as f64, "", None);
    report.add(
        "… the slowest connection, of at most 5 s, that came to a link",
        back.slowest_link as f64 / 1e9,
        "s",
        None,
    );
}
