//! What is left of a history that is thinned or pruned, as an operator sees it.

use bytes::Bytes;
use lifeboat_fakes::recorded;
use lifeboat_tests::program::Finished;
use serde_json::Value;

use super::{Cluster, Store, stored};

async fn exported(cluster: &Cluster, store: &Store, message: Bytes, limit: &str) -> Option<i32> {
    cluster.control_plane.push(message);
    let export = store.given_to(cluster.lifeboat(["export"])).with("LIFEBOAT_HISTORY", limit);
    export.finish().await.code
}

async fn pruned<const N: usize>(cluster: &Cluster, store: &Store, limit: &str, prune: [&str; N]) -> Finished {
    store.given_to(cluster.lifeboat(prune)).with("LIFEBOAT_HISTORY", limit).finish().await
}

async fn listed(cluster: &Cluster, store: &Store) -> Vec<(u64, String, bool)> {
    let listed = store.given_to(cluster.lifeboat(["list", "--output", "json"])).finish().await;
    assert_eq!(listed.code, Some(0), "{listed}");
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    let row = |row: &Value| {
        let state = row["state"].as_str().unwrap().to_owned();
        (row["sequence"].as_u64().unwrap(), state, row["published"].as_bool().unwrap())
    };
    listed["versions"][0]["snapshots"].as_array().unwrap().iter().map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_publications_the_newest_stay_and_what_is_held_with_the_one_before_it() {
    let (cluster, store) = (Cluster::start().await, Store::s3().await);
    for turn in 0..6 {
        let message = if turn % 2 == 0 { recorded::first() } else { recorded::after_change() };
        assert_eq!(exported(&cluster, &store, message, "2").await, Some(0));
    }
    let row = |sequence, state: &str, is_published| (sequence, state.to_owned(), is_published);
    let newest = [row(6, "received", true), row(5, "received", false)];
    // By itself a tenth goes in a day, and of so few, one.
    let older = [4, 3, 2].map(|sequence| row(sequence, "received", false));
    let all = listed(&cluster, &store).await;
    assert_eq!(all, [&newest[..], &older[..]].concat());

    let shown = pruned(&cluster, &store, "2", ["prune"]).await;
    assert_eq!(shown.code, Some(0), "{shown}");
    assert!(shown.stdout.contains("3 of 5 snapshots of Kong 3.9.1"), "{shown}");
    assert!(shown.stdout.contains("Nothing was deleted: lifeboat prune --yes deletes them"), "{shown}");
    assert_eq!(listed(&cluster, &store).await, all);
    let done = pruned(&cluster, &store, "2", ["prune", "--yes", "--output", "json"]).await;
    assert_eq!(done.code, Some(0), "{done}");
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    let gone = report["snapshots"].as_array().unwrap().iter().map(|snapshot| &snapshot["sequence"]);
    assert_eq!(gone.collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(listed(&cluster, &store).await, newest);
    for limit in ["2", "all"] {
        let again = pruned(&cluster, &store, limit, ["prune", "--yes"]).await;
        assert_eq!(again.code, Some(3), "{again}");
    }

    assert_eq!(exported(&cluster, &store, recorded::lost_database(), "2").await, Some(1), "it is held");
    let with_held = [row(7, "held", false), row(6, "received", true), row(5, "received", false)];
    assert_eq!(listed(&cluster, &store).await, with_held);

    // The published one is what the held one would replace: it stays, whatever the limit is.
    assert_eq!(exported(&cluster, &store, recorded::first(), "1").await, Some(0));
    assert_eq!(pruned(&cluster, &store, "1", ["prune", "--yes"]).await.code, Some(0));
    let left = listed(&cluster, &store).await;
    assert_eq!(left, [row(8, "received", true), row(6, "received", false)]);
    let published = stored::published(&store.objects).unwrap().unwrap();
    assert_eq!(published.sequence, 8);
    let files = stored::files(&store.objects.join("3.9.1/lifeboat/snapshots"));
    assert_eq!(files.len(), 4, "{files:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_of_no_number_is_refused_with_a_valid_one() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let refused = store.given_to(cluster.lifeboat(["export", "--history", "30d"])).finish().await;
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(refused.stderr.contains("--history: \"30d\"") && refused.stderr.contains("(valid: 500)"), "{refused}");
}
