//! fake-gcs-server, an emulator of Google Cloud Storage: it lists and reads by Google's XML API, which Lifeboat uses, and writes only by
//! its JSON API. So it can't be used, and Lifeboat says so.

use lifeboat_fakes::recorded;
use lifeboat_tests::cluster::Cluster;

use super::server::{Kind, Store};

#[tokio::test(flavor = "multi_thread")]
async fn that_it_can_not_be_written_to_is_said_with_the_reason() {
    let (cluster, store) = (Cluster::start().await, Store::start(Kind::FakeGcs).await);
    cluster.control_plane.push(recorded::first());

    let listed = store.given_to(cluster.lifeboat(["list"])).finish().await;
    assert!(listed.stdout.contains("no backups in gs://kong-backups"), "{listed}");

    let refused = store.given_to(cluster.lifeboat(["export"])).finish().await;
    assert_eq!(refused.code, Some(1), "{refused}");
    for words in ["invalid uploadType", "this server lacks that part of the XML API of Google Cloud Storage"] {
        assert!(refused.stderr.contains(words), "{refused}");
    }
}
