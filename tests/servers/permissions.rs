//! The policies in `deploy/iam/` are enough, and not more than enough: with them, on an S3 that enforces IAM, exporting
//! and importing work, and neither may do what the other does.

use std::time::Duration;

use lifeboat_fakes::recorded;
use lifeboat_tests::cluster::{Cluster, configuration, relay_address};
use serde_json::Value;
use tokio::time::timeout;

use super::s3_with_iam::S3WithIam;

#[tokio::test(flavor = "multi_thread")]
async fn the_exporters_policy_lets_it_keep_and_the_importers_lets_it_restore() {
    let (cluster, store) = (Cluster::start().await, S3WithIam::start().await);
    for message in [recorded::first(), recorded::after_change()] {
        cluster.control_plane.push(message);
        let kept = store.given_to(cluster.lifeboat(["export"]), "exporter").finish().await;
        assert_eq!(kept.code, Some(0), "{kept}");
    }
    let listed = store.given_to(cluster.lifeboat(["list", "--output", "json"]), "exporter").finish().await;
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap_or_else(|error| panic!("{error}: {listed}"));
    assert_eq!(listed["versions"][0]["snapshots"].as_array().map(Vec::len), Some(2), "{listed}");

    cluster.control_plane.stop().await;
    let relay = store.given_to(cluster.lifeboat(["run", "--import", "on"]), "importer").start();
    let node = cluster.node(relay_address(&relay).await);
    let expected = configuration(&recorded::after_change());
    let fed = timeout(Duration::from_secs(60), node.wait_for(|state| state.hash() == expected.hash)).await;
    assert!(fed.is_ok(), "the node was not restored:\n{}", relay.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_importer_can_not_write_and_is_told_which_permission_that_takes() {
    let (cluster, store) = (Cluster::start().await, S3WithIam::start().await);
    cluster.control_plane.push(recorded::first());
    let refused = store.given_to(cluster.lifeboat(["export"]), "importer").finish().await;
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(refused.stderr.contains("s3:ListBucket") || refused.stderr.contains("s3:PutObject"), "{refused}");
    let listed = store.given_to(cluster.lifeboat(["list"]), "importer").finish().await;
    assert_eq!(listed.code, Some(1), "{listed}");
    assert!(listed.stderr.contains("need s3:ListBucket"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_sees_that_each_role_has_what_it_needs_and_no_more() {
    let (cluster, store) = (Cluster::start().await, S3WithIam::start().await);
    cluster.control_plane.push(recorded::first());
    let kept = store.given_to(cluster.lifeboat(["export"]), "exporter").finish().await;
    assert_eq!(kept.code, Some(0), "{kept}");
    for (user, role) in [("exporter", "--export"), ("importer", "--import")] {
        let doctor = cluster.lifeboat(["doctor", role, "on", "--output", "json"]);
        let doctor = store.given_to(doctor, user).finish().await;
        assert_eq!(doctor.code, Some(0), "{user}: {doctor}");
        let report: Value = serde_json::from_str(&doctor.stdout).unwrap_or_else(|error| panic!("{error}: {doctor}"));
        assert_ne!(report["verdict"], "fail", "{user}: {doctor}");
    }
    let doctor = cluster.lifeboat(["doctor", "--export", "on"]);
    let doctor = store.given_to(doctor, "importer").finish().await;
    assert_eq!(doctor.code, Some(1), "{doctor}");
    assert!(doctor.stdout.contains("s3:PutObject"), "{doctor}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_has_the_policy_for_thinning_deletes_what_is_old_and_nothing_else() {
    let (cluster, store) = (Cluster::start().await, S3WithIam::start().await);
    for user in ["exporter", "exporter", "exporter", "thinner"] {
        let count = listed(&cluster, &store).await.len();
        cluster.control_plane.push(if count % 2 == 0 { recorded::first() } else { recorded::after_change() });
        let export = store.given_to(cluster.lifeboat(["export"]), user).with("LIFEBOAT_HISTORY", "1");
        let kept = export.finish().await;
        assert_eq!(kept.code, Some(0), "{user}: {kept}");
        let is_said = kept.stderr.contains("old snapshots stay") && kept.stderr.contains("s3:DeleteObject");
        assert_eq!(is_said, user == "exporter" && count == 2, "{user}: {kept}");
    }
    // A tenth of what is there goes a day, and at least one.
    assert_eq!(listed(&cluster, &store).await, [4, 3, 2]);
    let verified = store.given_to(cluster.lifeboat(["verify", "--all"]), "thinner").finish().await;
    assert_eq!(verified.code, Some(0), "{verified}");
}

async fn listed(cluster: &Cluster, store: &S3WithIam) -> Vec<u64> {
    let listed = store.given_to(cluster.lifeboat(["list", "--output", "json"]), "exporter").finish().await;
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap_or_else(|error| panic!("{error}: {listed}"));
    let snapshots = listed["versions"][0]["snapshots"].as_array().cloned().unwrap_or_default();
    snapshots.iter().filter_map(|snapshot| snapshot["sequence"].as_u64()).collect()
}
