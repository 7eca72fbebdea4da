//! What the relay costs: `restore` (how long an empty node waits in an outage), `synced` (the same with incremental sync), `passing` (what a push takes longer by it),
//! `push`, `rush`, `idle`, `watched`, `many` and `restart` (thousands of nodes), each beside the least that it could take, in the
//! same run.
//!
//! Run by `cargo bench -p lifeboat-tests --no-default-features --bench relay`, with names after `--` for some of them; all
//! take half an hour, and 20,000 open files. Nodes, broadcasters and the relay are processes of their own on the same
//! machine and share its processors. Ends with an error if a limit is not kept.

mod idle;
mod many;
mod passing;
mod push;
mod report;
mod restart;
mod restore;
mod rush;
mod watched;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use lifeboat_tests::crowd::outage::{NOTHING, Outage};
use lifeboat_tests::crowd::{By, Crowd, CrowdOptions, is_part};
use rustix::process::{Resource, getrlimit};

use self::report::Report;

/// Services (and as many routes) that make about 10 KB, 1 MB and 6.6 MB, compressed.
const SMALL: usize = 70;
const LARGE: usize = 7_900;
const LARGEST: usize = 50_000;
/// What the relay leaves to everything else of the files that may be open (docs/relay.md).
const OTHER_FILES: u64 = 400;
/// More nodes than that are of no use here: the ports of one address are 28,000.
const MOST_NODES: u64 = 19_600;
/// Nothing that is measured takes nearly as long.
const HUNG: Duration = Duration::from_secs(180);

fn main() -> ExitCode {
    match is_part() {
        Some(ended) => ended,
        None => tokio::runtime::Runtime::new().expect("a runtime can be started").block_on(measure()),
    }
}

async fn measure() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let mut report = Report::default();
    if is_wanted("restore") {
        restore::measure(&Outage::begin(LARGEST).await, &mut report).await;
    }
    if is_wanted("synced") {
        restore::synced(&Outage::begin(LARGEST).await, &mut report).await;
    }
    let (small, large) = (Outage::begin(SMALL).await, Outage::begin(LARGE).await);
    if is_wanted("passing") {
        passing::measure(&small, &mut report).await;
    }
    if is_wanted("push") {
        push::measure(&large, &mut report).await;
    }
    if is_wanted("rush") {
        rush::measure(&large, &mut report).await;
    }
    if is_wanted("idle") {
        idle::with_control_plane(&small, &mut report).await;
        idle::in_an_outage(&small, &mut report).await;
        idle::synced_in_an_outage(&small, &mut report).await;
    }
    if is_wanted("watched") {
        watched::measure(&small, &mut report).await;
    }
    if is_wanted("many") {
        many::measure(&small, &mut report).await;
    }
    if is_wanted("restart") {
        restart::measure(&small, 5_000, &mut report).await;
        restart::measure(&small, most_nodes(), &mut report).await;
    }
    report.verdict()
}

/// How many nodes a relay can have in an outage, when the limit of open files is raised as far as it may.
fn most_nodes() -> usize {
    let files = getrlimit(Resource::Nofile).maximum;
    let most = files.map_or(MOST_NODES, |files| files.saturating_sub(OTHER_FILES).min(MOST_NODES));
    usize::try_from(most).expect("they are thousands")
}

/// Nodes that say at first that they run this.
fn nodes(outage: &Outage, to: SocketAddr, nodes: usize, within: Duration, runs: &str) -> Crowd {
    let (runs, adopts) = (runs.to_owned(), outage.hash.clone());
    Crowd::start(&CrowdOptions { to, nodes, within, runs, adopts, by: By::Outlet }, outage.certificate())
}

/// Empty ones with incremental sync.
fn syncing_nodes(outage: &Outage, to: SocketAddr, nodes: usize, within: Duration) -> Crowd {
    let (runs, adopts) = (NOTHING.to_owned(), outage.hash.clone());
    Crowd::start(&CrowdOptions { to, nodes, within, runs, adopts, by: By::Sync }, outage.certificate())
}

/// Empty ones.
fn empty_nodes(outage: &Outage, to: SocketAddr, count: usize, within: Duration) -> Crowd {
    nodes(outage, to, count, within, NOTHING)
}
