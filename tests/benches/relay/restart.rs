//! A relay with thousands of nodes is told to end (SIGTERM) and started again at the same address, in an outage: when all are
//! back. Beside it a bare acceptor, rustls with the relay's own TLS settings and nothing behind it, that is killed and started
//! again under the same nodes, in turn with the relay.

use std::net::SocketAddr;

use lifeboat_tests::crowd::outage::Outage;
use lifeboat_tests::crowd::{Broadcaster, Crowd, now};
use rustix::process::Signal;

use super::idle::within;
use super::report::{Report, at_percent};
use super::{HUNG, nodes};

const ROUNDS: usize = 3;
/// How many times as long as at the bare acceptor it may take.
const LIMIT: f64 = 1.2;

/// What was seen of restarts.
#[derive(Default)]
struct Restarts {
    /// Until the last node was back, in seconds.
    back: Vec<f64>,
    failed: u64,
    /// The slowest connection that came to a link, in seconds.
    slowest: f64,
}

impl Restarts {
    // Since `down` nobody has listened.
    async fn all_are_back(&mut self, crowd: &Crowd, nodes: usize, down: u64, failed: u64) {
        crowd.wait_for(HUNG, |seen| seen.up < nodes as u64 / 2).await;
        let back = crowd.wait_for(HUNG, |seen| seen.up == nodes as u64).await;
        assert_eq!(back.messages, 0, "a node that has a configuration was fed");
        self.back.push((back.last_link - down) as f64 / 1e9);
        self.failed += back.failed - failed;
        self.slowest = self.slowest.max(back.slowest_link as f64 / 1e9);
    }

    fn report(&mut self, what: &str, nodes: usize, report: &mut Report) -> f64 {
        let median = at_percent(&mut self.back, 50);
        let what = format!("{what} with {nodes} nodes is started again: all are back after, median of {ROUNDS}");
        report.add(&what, median, "s", None);
        report.add("… tries that came to nothing, all rounds together", self.failed as f64, "", None);
        report.add("… the slowest connection, of at most 5 s, that came to a link", self.slowest, "s", None);
        median
    }
}

pub(super) async fn measure(outage: &Outage, nodes: usize, report: &mut Report) {
    let (mut relay, address) = outage.relay("127.0.0.1:0").await;
    let mut bare = Broadcaster::start(nodes, outage.certificate());
    let at_relay = linked(outage, address, nodes).await;
    let at_bare = linked(outage, bare.address(), nodes).await;

    let (mut relays, mut bares, mut ends) = (Restarts::default(), Restarts::default(), Vec::new());
    for _ in 0..ROUNDS {
        let (before, listened) = (at_bare.seen().failed, bare.address());
        drop(bare);
        let down = now();
        bare = Broadcaster::start_at(listened, nodes, outage.certificate());
        bares.all_are_back(&at_bare, nodes, down, before).await;

        let (before, told) = (at_relay.seen().failed, now());
        relay.signal(Signal::TERM);
        let ended = relay.ends().await;
        assert_eq!(ended.code, Some(0), "it ends with an error");
        let down = now();
        ends.push((down - told) as f64 / 1e9);
        relay = outage.relay(&address.to_string()).await.0;
        relays.all_are_back(&at_relay, nodes, down, before).await;
    }

    let ends = at_percent(&mut ends, 50);
    let least = bares.report("a bare acceptor", nodes, report);
    let measured = relays.report("a relay", nodes, report);
    report.add("… it had ended after SIGTERM within", ends, "s", None);
    report.add("… times as long as the bare acceptor", measured / least, "", Some(LIMIT));
}

async fn linked(outage: &Outage, to: SocketAddr, count: usize) -> Crowd {
    let crowd = nodes(outage, to, count, within(count), &outage.hash);
    crowd.wait_for(HUNG, |seen| seen.up == count as u64).await;
    crowd
}
