//! What the relay adds to a push of 10 KB while the control plane is there: one node that is connected to it directly and
//! one through the relay, pushed to in turn.
//!
//! Run by `cargo bench -p lifeboat-tests --no-default-features --bench passing`. Control planes, relay and nodes are
//! processes of their own. Ends with an error if the relay adds more than a millisecond at the median.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use lifeboat_tests::crowd::outage::{NOTHING, Outage, size_of};
use lifeboat_tests::crowd::{Broadcaster, Crowd, CrowdOptions, is_part};

const ROUNDS: u64 = 500;
/// Connections, buffers and caches are warm before anything counts.
const WARM_UP: u64 = 20;
/// Services (and as many routes) that make 10 KB, compressed.
const SERVICES: usize = 70;
const LIMIT: Duration = Duration::from_secs(30);
/// What the relay may add.
const ALLOWED: Duration = Duration::from_millis(1);

fn main() -> ExitCode {
    match is_part() {
        Some(ended) => ended,
        None => tokio::runtime::Runtime::new().expect("a runtime can be started").block_on(measure()),
    }
}

/// A control plane and its only node.
struct Pair {
    control_plane: Broadcaster,
    node: Crowd,
}

impl Pair {
    async fn start(outage: &Outage, control_plane: Broadcaster, to: SocketAddr) -> Self {
        let (runs, adopts) = (NOTHING.to_owned(), outage.hash.clone());
        let options = CrowdOptions { to, nodes: 1, within: Duration::ZERO, runs, adopts };
        let node = Crowd::start(&options, outage.certificate());
        control_plane.has(1, LIMIT).await;
        Self { control_plane, node }
    }

    /// How long a push takes until its last byte is there.
    async fn push(&self, message: &Path, count: u64) -> Duration {
        let begun = self.control_plane.push(message);
        let seen = self.node.wait_for(LIMIT, |seen| seen.messages == count).await;
        Duration::from_nanos(seen.last_message - begun)
    }
}

async fn measure() -> ExitCode {
    let outage = Outage::begin(SERVICES).await;
    let [one, two] = [(), ()].map(|()| Broadcaster::start(1, outage.certificate()));
    let (_relay, relay) = outage.relay_before(two.address()).await;
    let to = one.address();
    let direct = Pair::start(&outage, one, to).await;
    let relayed = Pair::start(&outage, two, relay).await;
    let (mut directly, mut through) = (Vec::new(), Vec::new());
    for round in 1..=WARM_UP + ROUNDS {
        let both = [direct.push(&outage.message, round).await, relayed.push(&outage.message, round).await];
        if round > WARM_UP {
            directly.push(both[0]);
            through.push(both[1]);
        }
    }
    report(size_of(&outage.message), directly, through)
}

#[expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
fn report(bytes: u64, mut directly: Vec<Duration>, mut through: Vec<Duration>) -> ExitCode {
    directly.sort_unstable();
    through.sort_unstable();
    let at = |times: &[Duration], percent: usize| times[(times.len() - 1) * percent / 100];
    let ms = |time: Duration| format!("{:.3}", time.as_secs_f64() * 1e3);
    println!("a push of {bytes} bytes to one node, {ROUNDS} interleaved rounds, in milliseconds\n");
    println!("| | median | 90 % | 99 % |\n|---|---|---|---|");
    for (name, times) in [("directly", &directly), ("through the relay", &through)] {
        println!("| {name} | {} | {} | {} |", ms(at(times, 50)), ms(at(times, 90)), ms(at(times, 99)));
    }
    let added = at(&through, 50).saturating_sub(at(&directly, 50));
    println!("\nthe relay adds {} ms at the median; limit {} ms", ms(added), ms(ALLOWED));
    if added <= ALLOWED { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
