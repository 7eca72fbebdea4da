//! What it costs that there are many snapshots: requests and processor time of a start, of a publication, of `list`, and of
//! pruning, after 100, 1,000 and 10,000 of them.
//!
//! Run by `cargo bench -p lifeboat-tests --no-default-features --bench history`. The program is the one that is released, the
//! store a process's neighbour that counts requests and answers a listing in pages of 1,000 objects, as the clouds do. Requests
//! don't depend on what else the machine does. Ends with an error if a publication, or `list --newest`, costs more after 10,000
//! snapshots than after 100.

mod report;

use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use lifeboat::archive::Timekeeper;
use lifeboat::settings::HistoryLimit;
use lifeboat_fakes::store::RequestCounts;
use lifeboat_runtime::clock::Clock;
use lifeboat_tests::program::{Running, Usage};
use lifeboat_tests::stage::play_within;
use lifeboat_tests::world::{VERSION, World, configuration};
use lifeboat_tests::{generator, old_history};

use self::report::{Cost, Measured};

/// How many snapshots there are.
const HISTORIES: [u64; 3] = [100, 1_000, 10_000];
/// One an hour.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// How many services the configuration has, and as many routes: 10 KB, compressed.
const SERVICES: usize = 70;
const PUBLICATIONS: usize = 5;
/// Nothing that is measured takes nearly as long.
const HUNG: Duration = Duration::from_secs(30 * 60);
/// Whoever has asked for nothing for so long is done.
const QUIET: Duration = Duration::from_millis(1_500);

fn main() -> ExitCode {
    let mut all = Vec::new();
    for snapshots in HISTORIES {
        play_within(HUNG, async { all.push(measure(snapshots).await) });
    }
    report::print(&all)
}

async fn measure(snapshots: u64) -> Measured {
    let mut world = World::begin().await;
    world.set("KONG_CLUSTER_FALLBACK_CONFIG_IMPORT", "off");
    world.set("LIFEBOAT_HISTORY", "all");
    world.set("LIFEBOAT_ELECTION", "none");
    world.keep(&message(0)).await;
    old_history::grow(&world.path_of(&VERSION.to_string()), snapshots, EVERY);

    let (program, start) = started(&world).await;
    let publication = published(&world, &program).await;
    drop(program);
    let list = listed(&world, ["list"]).await;
    let newest = listed(&world, ["list", "--newest", "20"]).await;
    let pruning = pruned(&world, snapshots / 2).await;
    Measured { snapshots, start, publication, list, newest, pruning }
}

fn message(change: usize) -> Bytes {
    Bytes::from(generator::reconfigure_message(&generator::configuration(SERVICES + change)))
}

/// An exporter that starts and is sent what is published already, until it asks the store for nothing more.
async fn started(world: &World) -> (Running, Cost) {
    let before = world.store.counts();
    world.control_plane.push(message(0));
    let program = world.program(["run"]).start();
    program.says("is the published one already").await;

    let requests = quiet(world).await;
    let usage = program.usage().expect("it runs");
    (program, Cost::new(&before, &requests, usage.processor))
}

/// One publication: the median of some, for once a minute an exporter looks at the store anyway.
async fn published(world: &World, program: &Running) -> Cost {
    let mut costs = Vec::new();
    for change in 1..=PUBLICATIONS {
        let (message, before, usage) = (message(change), world.store.counts(), program.usage().expect("it runs"));
        let hash = configuration(&message).hash;
        world.control_plane.push(message);
        program.says(&format!("published configuration {hash}")).await;

        let requests = quiet(world).await;
        let Usage { processor, .. } = program.usage().expect("it runs");
        costs.push(Cost::new(&before, &requests, processor - usage.processor));
    }
    Cost::median(costs)
}

async fn listed<const N: usize>(world: &World, arguments: [&str; N]) -> Cost {
    let before = world.store.counts();
    let (ended, usage) = world.program(arguments).measured().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    Cost::new(&before, &world.store.counts(), usage.processor)
}

/// What an exporter prunes in the first two turns of a day, down to so many snapshots.
async fn pruned(world: &World, limit: u64) -> Vec<(usize, Cost)> {
    let archive = world.archive().with_history(HistoryLimit::AtMost(limit as usize));
    let mut time = Timekeeper::begin(Clock::start().wall());
    let mut turns = Vec::new();
    for _ in 0..2 {
        let before = world.store.counts();
        let pruned = archive.prune_expired(VERSION, None, &mut time).await.expect("the store is there");
        // This process is the store's, too: whose time it was can't be told.
        turns.push((pruned.gone.len(), Cost::new(&before, &world.store.counts(), Duration::ZERO)));
    }
    turns
}

async fn quiet(world: &World) -> RequestCounts {
    let mut counts = world.store.counts();
    loop {
        tokio::time::sleep(QUIET).await;
        let now = world.store.counts();
        if now == counts {
            return now;
        }
        counts = now;
    }
}
