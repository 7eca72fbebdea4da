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

fn main() -> ExitCode {
    report::begin();
    let mut all = Vec::new();
    for snapshots in HISTORIES {
        play_within(HUNG, async { all.push(measure(snapshots).await) });
        report::print(all.last());
    }
    report::verdict(&all)
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

/// An exporter that starts, until it has published what it is sent first.
async fn started(world: &World) -> (Running, Cost) {
    let (message, before) = (message(1), world.store.counts());
    let hash = configuration(&message).hash;
    world.control_plane.push(message);
    let program = world.program(["run"]).start();
    // It is said when all that belongs to it is written.
    program.says_within(HUNG, &format!("published configuration {hash}")).await;

    let usage = program.usage().expect("it runs");
    (program, Cost::new(before, world.store.counts(), usage.processor))
}

/// One publication: the median of some, for once a minute an exporter looks at the store anyway.
async fn published(world: &World, program: &Running) -> Cost {
    let mut costs = Vec::new();
    for change in 2..PUBLICATIONS + 2 {
        let (message, before, usage) = (message(change), world.store.counts(), program.usage().expect("it runs"));
        let hash = configuration(&message).hash;
        world.control_plane.push(message);
        program.says_within(HUNG, &format!("published configuration {hash}")).await;

        let Usage { processor, .. } = program.usage().expect("it runs");
        costs.push(Cost::new(before, world.store.counts(), processor - usage.processor));
    }
    Cost::median(costs)
}

async fn listed<const N: usize>(world: &World, arguments: [&str; N]) -> Cost {
    let before = world.store.counts();
    let (ended, usage) = world.program(arguments).measured().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    Cost::new(before, world.store.counts(), usage.processor)
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
        turns.push((pruned.gone.len(), Cost::new(before, world.store.counts(), Duration::ZERO)));
    }
    turns
}
