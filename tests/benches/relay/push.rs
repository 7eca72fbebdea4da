//! A push of 1 MB to 1,000 nodes: by a minimal broadcaster directly, and through the relay, whose nodes each have their own
//! link to such a broadcaster.

use std::path::Path;
use std::time::Duration;

use lifeboat_tests::crowd::outage::{Outage, size_of};
use lifeboat_tests::crowd::{Broadcaster, Crowd};

use super::report::{Report, at_percent};
use super::{HUNG, nodes};

const NODES: usize = 1_000;
const WITHIN: Duration = Duration::from_secs(4);
const ROUNDS: u64 = 7;
const LIMIT: f64 = 1.5;

pub(super) async fn measure(outage: &Outage, report: &mut Report) {
    let direct = Broadcaster::start(NODES, outage.certificate());
    let behind = Broadcaster::start(NODES, outage.certificate());
    let (_relay, address) = outage.relay_before(behind.address()).await;
    let crowds = [
        nodes(outage, direct.address(), NODES, WITHIN, &outage.hash),
        nodes(outage, address, NODES, WITHIN, &outage.hash),
    ];
    direct.has(NODES as u64, HUNG).await;
    behind.has(NODES as u64, HUNG).await;
    let (mut least, mut through) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let times = (
            last_one(&direct, &crowds[0], &outage.message, round + 1).await,
            last_one(&behind, &crowds[1], &outage.message, round + 1).await,
        );
        // In the first one buffers grow.
        if round > 0 {
            least.push(times.0);
            through.push(times.1);
        }
    }
    let [least, through] = [least, through].map(|mut times| at_percent(&mut times, 50));
    let bytes = size_of(&outage.message);
    report.add(
        &format!("a push of {bytes} bytes to {NODES} nodes, minimal broadcast: the last has it after"),
        least,
        "ms",
        None,
    );
    report.add("… through the relay: the last has it after", through, "ms", None);
    report.add("… times as long", through / least, "", Some(LIMIT));
}

/// How long it takes until all of them have all of it, in milliseconds.
async fn last_one(control_plane: &Broadcaster, crowd: &Crowd, message: &Path, count: u64) -> f64 {
    let begun = control_plane.push(message);
    let seen = crowd.wait_for(HUNG, |seen| seen.messages == count * NODES as u64).await;
    (seen.last_message - begun) as f64 / 1e6
}
