//! A push of 1 MB to 1,000 nodes: by a minimal broadcaster directly; through something that only decrypts and encrypts; and
//! through the relay. Behind both of the latter each node has its own link to such a broadcaster.

use std::net::SocketAddr;
use std::time::Duration;

use lifeboat_tests::crowd::outage::{Outage, size_of};
use lifeboat_tests::crowd::{Broadcaster, Crowd, TlsForwarder};

use super::report::{Report, at_percent};
use super::{HUNG, nodes};

const NODES: usize = 1_000;
const WITHIN: Duration = Duration::from_secs(4);
const ROUNDS: u64 = 7;
/// The relay decrypts and encrypts all that it passes on: so does its yardstick.
const LIMIT: f64 = 1.5;

/// A broadcaster and the nodes that it reaches.
struct Way<'a> {
    outage: &'a Outage,
    broadcaster: Broadcaster,
    crowd: Crowd,
    times: Vec<f64>,
}

impl<'a> Way<'a> {
    async fn open(outage: &'a Outage, broadcaster: Broadcaster, to: SocketAddr) -> Self {
        let crowd = nodes(outage, to, NODES, WITHIN, &outage.hash);
        broadcaster.has(NODES as u64, HUNG).await;
        Self { outage, broadcaster, crowd, times: Vec::new() }
    }

    /// Pushes, and notes how long it takes until all of them have all of it, in milliseconds.
    async fn push(&mut self, count: u64) {
        let begun = self.broadcaster.push(&self.outage.message);
        let seen = self.crowd.wait_for(HUNG, |seen| seen.messages == count * NODES as u64).await;
        self.times.push((seen.last_message - begun) as f64 / 1e6);
    }

    fn median(&mut self) -> f64 {
        at_percent(&mut self.times, 50)
    }
}

pub(super) async fn measure(outage: &Outage, report: &mut Report) {
    let [one, two, three] = [(), (), ()].map(|()| Broadcaster::start(NODES, outage.certificate()));
    let forwarder = TlsForwarder::start(NODES, two.address(), outage.certificate());
    let (_relay, relay) = outage.relay_before(three.address()).await;
    let to = one.address();
    let mut direct = Way::open(outage, one, to).await;
    let mut forwarded = Way::open(outage, two, forwarder.address()).await;
    let mut relayed = Way::open(outage, three, relay).await;
    for round in 0..=ROUNDS {
        for way in [&mut direct, &mut forwarded, &mut relayed] {
            way.push(round + 1).await;
            // In the first one buffers grow.
            if round == 0 {
                way.times.clear();
            }
        }
    }
    let [direct, forwarded, relayed] = [direct, forwarded, relayed].map(|mut way| way.median());
    let bytes = size_of(&outage.message);
    report.add(
        &format!("a push of {bytes} bytes to {NODES} nodes: the last has it after, directly"),
        direct,
        "ms",
        None,
    );
    report.add("… through what only decrypts and encrypts", forwarded, "ms", None);
    report.add("… through the relay", relayed, "ms", None);
    report.add("… times as long as through what only decrypts and encrypts", relayed / forwarded, "", Some(LIMIT));
    report.add("… times as long as directly, on the same processors", relayed / direct, "", None);
}
