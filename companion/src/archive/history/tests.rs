//! That a short listing shows the newest snapshots, wherever numbers are missing. How many requests that takes is counted in
//! `tests/suite/history_cost.rs`.

use bytes::Bytes;
use lifeboat_core::manifest::Held;
use lifeboat_storage::Write;

use super::super::tests::{CHANGED, FIRST, author, in_memory, now, publish, received, version};
use super::super::{Archive, Operator};
use super::*;

/// Leaves payloads alone under these numbers, and publishes one after them.
async fn archive_with(numbers: impl IntoIterator<Item = u64>) -> Archive {
    let archive = in_memory();
    let keys = ObjectKeys::new(version());
    for sequence in numbers {
        let id = SnapshotId { sequence, config_hash: received(CHANGED).config_hash };
        archive.storage.write(&keys.snapshot(id), Bytes::from_static(b"left"), Write::Create).await.unwrap();
    }
    publish(&archive, FIRST).await;
    archive
}

async fn sequences(archive: &Archive, limit: usize, extent: Extent) -> (Vec<u64>, Option<usize>) {
    let history = archive.history(version(), limit, extent).await.unwrap();
    (history.snapshots.iter().map(|listed| listed.id.sequence).collect(), history.older)
}

#[tokio::test]
async fn a_short_listing_shows_the_same_newest_snapshots_as_the_whole_one() {
    let histories: [Vec<u64>; 5] = [
        Vec::new(),
        (1..=40).collect(),
        (1..=3 * PAGE).collect(),
        // Numbers are missing: so many that the second listing finds them, and so many that only all have them.
        (1..=60).map(|number| number * PAGE).collect(),
        (1..=60).map(|number| number * PAGE * FURTHER).collect(),
    ];
    for history in histories {
        let there = history.len() + 1;
        let archive = archive_with(history).await;
        for limit in [0, 1, 3, 20, 500] {
            let (whole, older) = sequences(&archive, limit, Extent::Whole).await;
            let (newest, counted) = sequences(&archive, limit, Extent::Newest).await;
            assert_eq!(newest, whole, "{limit} of {there}");
            assert_eq!(older, Some(there - whole.len()));
            assert!(counted.is_none() || counted == older, "{counted:?}");
        }
    }
}

#[tokio::test]
async fn older_ones_are_not_counted_where_they_were_not_looked_for() {
    let archive = archive_with(1..=3 * PAGE).await;
    assert_eq!(sequences(&archive, 5, Extent::Newest).await.1, None);
    assert_eq!(sequences(&archive, 5, Extent::Whole).await.1, Some(3 * PAGE as usize - 4));
}

#[tokio::test]
async fn what_was_held_since_is_listed_before_what_is_published() {
    let archive = archive_with(1..=3 * PAGE).await;
    let over = archive.current_manifest(version()).await.unwrap();
    let held = archive.hold(&author(), &received(CHANGED), &over, &Held::Refused, 1, now()).await.unwrap();
    let (newest, _) = sequences(&archive, 2, Extent::Newest).await;
    assert_eq!(newest, [held.sequence, held.sequence - 1]);

    // It is found by the operator, too, also by its number once something else was published.
    let operator = Operator::new(archive.clone());
    assert_eq!(operator.held_sequence(&author(), None).await.unwrap(), held.sequence);
    publish(&archive, FIRST).await;
    assert!(operator.held_sequence(&author(), None).await.is_err());
    assert_eq!(operator.held_sequence(&author(), Some(held.sequence)).await.unwrap(), held.sequence);
}

#[tokio::test]
async fn a_history_without_a_published_one_is_listed_whole() {
    let archive = archive_with(1..=3 * PAGE).await;
    archive.storage.delete(&ObjectKeys::new(version()).manifest()).await.unwrap();
    assert_eq!(sequences(&archive, 2, Extent::Newest).await, sequences(&archive, 2, Extent::Whole).await);
}
