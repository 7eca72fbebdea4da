//! 1,000 empty nodes within one second of an outage, and a snapshot of 1 MB for each of them: what it costs the store, and
//! when the last one has it, beside the same crowd at a broadcaster that has the bytes in memory.

use std::time::Duration;

use lifeboat_tests::crowd::outage::Outage;
use lifeboat_tests::crowd::{Broadcaster, Crowd};

use super::report::{Report, at_percent};
use super::{HUNG, empty_nodes, syncing_nodes};

const NODES: usize = 1_000;
const WITHIN: Duration = Duration::from_secs(1);
const ROUNDS: usize = 5;
/// What giving it to all may take, as often as the least.
const LIMIT: f64 = 1.5;

pub(super) async fn measure(outage: &Outage, report: &mut Report) {
    let broadcaster = Broadcaster::start(NODES, outage.certificate());
    broadcaster.push(&outage.message);

    let (mut least, mut restored, mut synced, mut gets) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        least.push(all_have_it(empty_nodes(outage, broadcaster.address(), NODES, WITHIN)).await);

        let before = outage.store.counts().get;
        let (_relay, address) = outage.relay("127.0.0.1:0").await;
        restored.push(all_have_it(empty_nodes(outage, address, NODES, WITHIN)).await);
        gets = gets.max(outage.store.counts().get - before);

        let (_relay, address) = outage.relay("127.0.0.1:0").await;
        synced.push(all_have_it(syncing_nodes(outage, address, NODES, WITHIN)).await);
    }

    // The manifest and the payload; and the manifest once more, to tell whether these nodes have a backup.
    let what = format!("{NODES} empty nodes within a second of an outage: GETs at the store, at most");
    report.add(&what, gets as f64, "", Some(3.0));
    let [least, restored, synced] = [least, restored, synced].map(|mut times| at_percent(&mut times, 50));
    report.add(&format!("… until the last of them has 1 MB, median of {ROUNDS}"), restored, "ms", None);
    report.add("… the same at a minimal broadcaster that has it in memory", least, "ms", None);
    report.add("… times as long", restored / least, "", Some(LIMIT));
    report.add("… the same nodes with incremental sync", synced, "ms", None);
    report.add("… times as long as at the broadcaster", synced / least, "", None);
}

/// From the start of the crowd, which takes a second to come, to the last message, in milliseconds.
async fn all_have_it(crowd: Crowd) -> f64 {
    let begun = lifeboat_tests::crowd::now();
    let seen = crowd.wait_for(HUNG, |seen| seen.messages >= NODES as u64).await;
    (seen.last_message - begun) as f64 / 1e6
}
