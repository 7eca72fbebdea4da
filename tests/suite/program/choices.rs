//! What an operator decides: to publish what was held back, to go back to an older snapshot, and to end that.

use lifeboat_fakes::recorded;
use lifeboat_tests::program::{Finished, Invocation};

use super::{Cluster, Store, configuration, stored};

async fn succeeds(invocation: Invocation) -> Finished {
    let finished = invocation.finish().await;
    assert_eq!(finished.code, Some(0), "{finished}");
    finished
}

fn published(store: &Store) -> (u64, String) {
    let published = stored::published(&store.objects).unwrap().expect("a manifest");
    (published.sequence, published.config_hash)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_database_is_held_back_until_somebody_releases_it() {
    let (cluster, store) = (Cluster::start().await, Store::s3().await);
    let (whole, lost) = (configuration(&recorded::first()), configuration(&recorded::lost_database()));
    cluster.control_plane.push(recorded::first());
    succeeds(store.given_to(cluster.lifeboat(["export"]))).await;

    cluster.control_plane.push(recorded::lost_database());
    let held = store.given_to(cluster.lifeboat(["export"])).finish().await;
    assert_eq!(held.code, Some(1), "{held}");
    assert!(held.stderr.contains("held") && held.stderr.contains("lifeboat release"), "{held}");
    assert_eq!(published(&store), (1, whole.hash.clone()), "{held}");
    let listed = succeeds(store.given_to(cluster.lifeboat(["list"]))).await;
    assert!(listed.stdout.lines().any(|line| line.contains("held") && line.contains(&lost.hash)), "{listed}");

    let released = succeeds(store.given_to(cluster.lifeboat(["release"]))).await;
    assert!(released.stdout.contains(&lost.hash), "{released}");
    let (sequence, config_hash) = published(&store);
    assert!(sequence > 2 && config_hash == lost.hash, "{released}");
    let again = store.given_to(cluster.lifeboat(["release"])).finish().await;
    assert_eq!(again.code, Some(3), "nothing is held any more: {again}");

    // What the command itself says takes it back.
    let undo =
        released.stdout.lines().find_map(|line| line.strip_prefix("to undo this: lifeboat ")).expect("a way back");
    let undo: [&str; 4] = undo.split(' ').collect::<Vec<_>>().try_into().expect("four words");
    assert_eq!(undo, ["rollback", "1", "--kong-version", "3.9.1"], "{released}");
    succeeds(store.given_to(cluster.lifeboat(undo))).await;
    assert_eq!(published(&store).1, whole.hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_a_decision_says_what_changes_and_waits_for_a_yes() {
    let (cluster, store) = (Cluster::start().await, Store::s3().await);
    let lost = configuration(&recorded::lost_database());
    cluster.control_plane.push(recorded::first());
    succeeds(store.given_to(cluster.lifeboat(["export"]))).await;
    cluster.control_plane.push(recorded::lost_database());
    store.given_to(cluster.lifeboat(["export"])).finish().await;

    let before = published(&store);
    for (answer, code) in [("n", 1), ("", 1), ("y", 0)] {
        assert_eq!(published(&store), before, "nothing changes before a yes");
        let mut asking = store.given_to(cluster.lifeboat(["release"])).on_a_terminal(200).start();
        asking.shows("Go on? [y/N]").await;
        asking.is_answered(answer);
        let ended = asking.ends().await;
        assert_eq!(ended.code, Some(code), "{ended}");
        assert!(ended.stdout.contains("routes ") && ended.stdout.contains(" → 0"), "{ended}");
    }
    assert_eq!(published(&store).1, lost.hash);

    let told = store.given_to(cluster.lifeboat(["rollback", "1", "--yes"])).on_a_terminal(200).finish().await;
    assert!(told.code == Some(0) && !told.stdout.contains("Go on?"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_snapshot_stays_published_until_the_control_plane_changes_or_it_is_unpinned() {
    let (cluster, store) = (Cluster::start().await, Store::s3().await);
    let (first, second) = (configuration(&recorded::first()), configuration(&recorded::after_change()));
    for message in [recorded::first(), recorded::after_change()] {
        cluster.control_plane.push(message);
        succeeds(store.given_to(cluster.lifeboat(["export"]))).await;
    }
    assert_eq!(published(&store), (2, second.hash.clone()));

    let back = succeeds(store.given_to(cluster.lifeboat(["rollback", "1", "--hard"]))).await;
    assert_eq!(published(&store), (3, first.hash.clone()), "{back}");
    assert!(back.stdout.contains("to undo this: lifeboat rollback 2 --kong-version 3.9.1"), "{back}");
    let pinned = store.given_to(cluster.lifeboat(["export"])).finish().await;
    assert_eq!(pinned.code, Some(1), "{pinned}");
    assert!(pinned.stderr.contains("unpin"), "{pinned}");
    assert_eq!(published(&store), (3, first.hash.clone()), "{pinned}");

    let unpinned = succeeds(store.given_to(cluster.lifeboat(["unpin"]))).await;
    assert!(unpinned.stdout.contains("to undo this: lifeboat pin --kong-version 3.9.1"), "{unpinned}");
    let nothing = store.given_to(cluster.lifeboat(["unpin"])).finish().await;
    assert_eq!(nothing.code, Some(3), "{nothing}");
    assert!(nothing.stderr.contains("is not pinned"), "{nothing}");
    let unknown = store.given_to(cluster.lifeboat(["rollback", "77"])).finish().await;
    assert_eq!(unknown.code, Some(1), "{unknown}");
    assert!(unknown.stderr.contains("77"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_is_pinned_until_it_is_unpinned() {
    let (cluster, store) = (Cluster::start().await, Store::s3().await);
    let (first, second) = (configuration(&recorded::first()), configuration(&recorded::after_change()));
    cluster.control_plane.push(recorded::first());
    succeeds(store.given_to(cluster.lifeboat(["export"]))).await;

    let pinned = succeeds(store.given_to(cluster.lifeboat(["pin"]))).await;
    assert!(pinned.stdout.contains("snapshot 1 of Kong 3.9.1 is pinned") && pinned.stdout.contains("lifeboat unpin"));
    assert_eq!(published(&store), (1, first.hash.clone()), "nothing new was written: {pinned}");
    succeeds(store.given_to(cluster.lifeboat(["pin", "1"]))).await;
    cluster.control_plane.push(recorded::after_change());
    let kept_back = store.given_to(cluster.lifeboat(["export"])).finish().await;
    assert_eq!(kept_back.code, Some(1), "{kept_back}");
    assert!(kept_back.stderr.contains("unpin"), "{kept_back}");
    let listed = succeeds(store.given_to(cluster.lifeboat(["list"]))).await;
    assert!(listed.stdout.contains("1*") && listed.stdout.contains("snapshot 1 is pinned: whatever"), "{listed}");
    let shown = succeeds(store.given_to(cluster.lifeboat(["show"]))).await;
    assert!(shown.stdout.contains("pinned until lifeboat unpin"), "{shown}");

    succeeds(store.given_to(cluster.lifeboat(["unpin"]))).await;
    succeeds(store.given_to(cluster.lifeboat(["export"]))).await;
    assert_eq!(published(&store), (2, second.hash.clone()));
    // Another one than what is published is published first.
    let back = succeeds(store.given_to(cluster.lifeboat(["pin", "1"]))).await;
    assert!(back.stdout.contains("snapshot 1 of Kong 3.9.1 is published as snapshot 3 and pinned"), "{back}");
    assert_eq!(published(&store), (3, first.hash));
    let none = store.given_to(cluster.lifeboat(["pin", "77"])).finish().await;
    assert_eq!(none.code, Some(1), "{none}");
    assert!(none.stderr.contains("nothing was changed") && none.stderr.contains("77"), "{none}");
}
