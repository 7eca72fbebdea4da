//! What it costs that there are many snapshots: nothing when one is published or the newest are listed, and one listing for
//! all that is pruned in a day. Requests are counted at the store. `tests/benches/history` goes further, with the program itself.

use std::time::Duration;

use lifeboat::archive::{Extent, Timekeeper};
use lifeboat::settings::HistoryLimit;
use lifeboat_fakes::recorded;
use lifeboat_fakes::store::RequestCounts;
use lifeboat_runtime::clock::Clock;
use lifeboat_tests::old_history;
use lifeboat_tests::stage::play;
use lifeboat_tests::world::{VERSION, World};

const HOUR: Duration = Duration::from_secs(60 * 60);
/// As many objects as one answer to a listing has.
const PAGE: u64 = 1_000;
/// Each snapshot has a payload and a manifest.
const OBJECTS: u64 = 2;

/// A world whose store has so many snapshots, one an hour.
async fn world_with(snapshots: u64) -> World {
    let world = World::begin().await;
    world.keep(&recorded::first()).await;
    old_history::grow(&world.path_of(&VERSION.to_string()), snapshots, HOUR);
    world
}

fn since(world: &World, before: RequestCounts) -> RequestCounts {
    world.store.counts().since(before)
}

#[test]
fn a_publication_costs_the_same_after_a_hundred_snapshots_and_after_a_thousand() {
    play(async {
        let mut costs = Vec::new();
        for snapshots in [100, 1_000] {
            let world = world_with(snapshots).await;
            let before = world.store.counts();
            world.keep(&recorded::after_change()).await;
            assert_eq!(world.manifest().sequence, snapshots + 1);
            costs.push(since(&world, before));
        }
        assert_eq!(costs[0], costs[1]);
        assert_eq!(costs[0].list, 1);
    });
}

#[test]
fn the_newest_twenty_are_found_by_two_requests_however_many_there_are() {
    play(async {
        for snapshots in [100, 1_000] {
            let world = world_with(snapshots).await;
            let before = world.store.counts();
            let history = world.archive().history(VERSION, 20, Extent::Newest).await.unwrap();
            let cost = since(&world, before);
            let sequences: Vec<u64> = history.snapshots.iter().map(|listed| listed.id.sequence).collect();
            assert_eq!(sequences, (snapshots - 19..=snapshots).rev().collect::<Vec<_>>());
            assert!(history.snapshots.iter().all(|listed| listed.manifest.is_some()));

            // What is published and one page, and then each manifest but the published one.
            let expected = RequestCounts { list: 1, get: 1 + 19, ..RequestCounts::default() };
            assert_eq!(cost, expected, "of {snapshots}");
        }
    });
}

#[test]
fn a_snapshot_is_found_by_its_number_without_listing_older_ones() {
    play(async {
        let world = world_with(1_000).await;
        let before = world.store.counts();
        let picked = world.archive().pick(VERSION, lifeboat::archive::Pick::Sequence(990)).await.unwrap();
        assert_eq!(picked.manifest.sequence, 990);
        assert_eq!(since(&world, before), RequestCounts { list: 1, get: 2, ..RequestCounts::default() });
    });
}

#[test]
fn pruning_lists_a_history_once_for_several_turns() {
    play(async {
        const SNAPSHOTS: u64 = 1_500;
        let world = world_with(SNAPSHOTS).await;
        let archive = world.archive().with_history(HistoryLimit::AtMost(500));
        let mut time = Timekeeper::begin(Clock::start().wall());

        let mut costs = Vec::new();
        for _ in 0..2 {
            let before = world.store.counts();
            let pruned = archive.prune_expired(VERSION, None, &mut time).await.unwrap();
            costs.push((pruned.gone.len(), pruned.left, since(&world, before)));
        }

        // A tenth a day, a hundred a turn: a page shows a thousand objects, and one listing shows images of caches.
        let pages = (SNAPSHOTS * OBJECTS).div_ceil(PAGE);
        assert_eq!((costs[0].0, costs[0].1, costs[0].2.list), (100, 50, pages + 1));
        assert_eq!((costs[1].0, costs[1].1, costs[1].2.list), (50, 0, 1));
        assert_eq!(costs[0].2.delete, 100 * OBJECTS);
        assert_eq!(archive.past(VERSION).await.unwrap().len() as u64, SNAPSHOTS - 150);
    });
}

#[test]
fn a_listing_is_not_used_again_after_something_was_published() {
    play(async {
        let world = world_with(1_500).await;
        let archive = world.archive().with_history(HistoryLimit::AtMost(500));
        let mut time = Timekeeper::begin(Clock::start().wall());
        assert_eq!(archive.prune_expired(VERSION, None, &mut time).await.unwrap().left, 50);

        world.keep(&recorded::after_change()).await;
        let before = world.store.counts();
        let pruned = archive.prune_expired(VERSION, None, &mut time).await.unwrap();
        // One more than there would have been without it: a tenth of all that there were.
        assert_eq!(pruned.gone.len(), 51);
        assert!(since(&world, before).list > 1, "it went by a listing that lacks what is published");
    });
}
