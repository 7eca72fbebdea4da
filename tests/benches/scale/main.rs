//! Thousands of nodes at one relay: what an idle one costs in memory, how long a push to many takes beside a minimal
//! broadcast, what a thousand empty ones cost the store, and when all are back after the relay was restarted.
//!
//! Run by `cargo bench -p lifeboat-tests --no-default-features --bench scale`; some minutes, and 20,000 open files. Nodes,
//! broadcasters and the relay are processes of their own on the same machine and share its processors. Ends with an error
//! if a limit is not kept.

mod idle;
mod push;
mod report;
mod restart;
mod rush;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use lifeboat_tests::crowd::outage::{NOTHING, Outage};
use lifeboat_tests::crowd::{Crowd, CrowdOptions, is_part};

use self::report::Report;

/// Services (and as many routes) that make about 10 KB and 1 MB, compressed.
const SMALL: usize = 70;
const LARGE: usize = 7_900;
/// Nothing that is measured takes nearly as long.
const HUNG: Duration = Duration::from_secs(180);

fn main() -> ExitCode {
    match is_part() {
        Some(ended) => ended,
        None => tokio::runtime::Runtime::new().expect("a runtime can be started").block_on(measure()),
    }
}

async fn measure() -> ExitCode {
    let wanted = std::env::args().nth(1).filter(|argument| !argument.starts_with('-'));
    let is_wanted = |name: &str| wanted.as_ref().is_none_or(|wanted| wanted == name);
    let mut report = Report::default();
    let (small, large) = (Outage::begin(SMALL).await, Outage::begin(LARGE).await);
    if is_wanted("push") {
        push::measure(&large, &mut report).await;
    }
    if is_wanted("rush") {
        rush::measure(&large, &mut report).await;
    }
    if is_wanted("idle") {
        idle::with_control_plane(&small, &mut report).await;
        idle::in_an_outage(&small, &mut report).await;
    }
    if is_wanted("restart") {
        restart::measure(&small, &mut report).await;
    }
    report.verdict()
}

/// Nodes that say at first that they run this.
fn nodes(outage: &Outage, to: SocketAddr, nodes: usize, within: Duration, runs: &str) -> Crowd {
    let (runs, adopts) = (runs.to_owned(), outage.hash.clone());
    Crowd::start(&CrowdOptions { to, nodes, within, runs, adopts }, outage.certificate())
}

/// Empty ones.
fn empty_nodes(outage: &Outage, to: SocketAddr, count: usize, within: Duration) -> Crowd {
    nodes(outage, to, count, within, NOTHING)
}
