//! What the relay adds to a push of 10 KB while the control plane is there: one node that is connected to it directly and
//! one through the relay, pushed to in turn.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use lifeboat_tests::crowd::outage::{Outage, size_of};
use lifeboat_tests::crowd::{Broadcaster, Crowd};

use super::report::{Report, at_percent};
use super::{HUNG, empty_nodes};

const ROUNDS: u64 = 500;
/// Connections, buffers and caches are warm before anything counts.
const WARM_UP: u64 = 20;
/// What the relay may add at the median, in milliseconds.
const LIMIT: f64 = 1.0;

/// A control plane and its only node.
struct Pair {
    control_plane: Broadcaster,
    node: Crowd,
}

impl Pair {
    async fn start(outage: &Outage, control_plane: Broadcaster, to: SocketAddr) -> Self {
        let node = empty_nodes(outage, to, 1, Duration::ZERO);
        control_plane.has(1, HUNG).await;
        Self { control_plane, node }
    }

    /// How long a push takes until its last byte is there, in milliseconds.
    async fn push(&self, message: &Path, count: u64) -> f64 {
        let begun = self.control_plane.push(message);
        let seen = self.node.wait_for(HUNG, |seen| seen.messages == count).await;
        (seen.last_message - begun) as f64 / 1e6
    }
}

pub(super) async fn measure(outage: &Outage, report: &mut Report) {
    let [one, two] = [(), ()].map(|()| Broadcaster::start(1, outage.certificate()));
    let (_relay, relay) = outage.relay_before(two.address()).await;
    let to = one.address();
    let direct = Pair::start(outage, one, to).await;
    let relayed = Pair::start(outage, two, relay).await;
    let (mut directly, mut through) = (Vec::new(), Vec::new());
    for round in 1..=WARM_UP + ROUNDS {
        let both = [direct.push(&outage.message, round).await, relayed.push(&outage.message, round).await];
        if round > WARM_UP {
            directly.push(both[0]);
            through.push(both[1]);
        }
    }
    let bytes = size_of(&outage.message);
    for (name, times) in [("directly", &mut directly), ("through the relay", &mut through)] {
        let [median, late] = [50, 99].map(|percent| at_percent(times, percent));
        report.add(&format!("a push of {bytes} bytes to one node {name}, median of {ROUNDS}"), median, "ms", None);
        report.add("… 99 % within", late, "ms", None);
    }
    let added = at_percent(&mut through, 50) - at_percent(&mut directly, 50);
    report.add("… what the relay adds at the median", added, "ms", Some(LIMIT));
}
