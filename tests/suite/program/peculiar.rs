//! What an operator decides in a store whose conditional writes are of no use: it is done, and it is looked at again
//! whether it lasts.

use lifeboat_fakes::recorded;
use lifeboat_tests::peculiar_store::{ConditionalWrites, PeculiarStore, Peculiarities, VersionNames};
use lifeboat_tests::program::{Finished, Invocation};
use serde_json::Value;
use tokio::time::{Duration, sleep};

use super::Cluster;

const MANIFEST: &str = "kong/backups/3.9.1/lifeboat/manifest.json";

/// As Ceph's RGW 16, and as JuiceFS' gateway.
fn without_conditions() -> [Peculiarities; 2] {
    let usual = Peculiarities::default();
    [
        Peculiarities { conditional_writes: ConditionalWrites::QuotesRefused, ..usual },
        Peculiarities { conditional_writes: ConditionalWrites::Ignored, version_names: VersionNames::None, ..usual },
    ]
}

fn at(store: &PeculiarStore, invocation: Invocation) -> Invocation {
    [
        ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", "s3://kong/backups".to_owned()),
        ("AWS_CONFIG_STORAGE_ENDPOINT", store.endpoint()),
        ("AWS_ACCESS_KEY_ID", "key".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
    ]
    .iter()
    .fold(invocation, |invocation, (variable, value)| invocation.with(variable, value))
}

async fn succeeds<const N: usize>(cluster: &Cluster, store: &PeculiarStore, arguments: [&str; N]) -> Finished {
    let finished = at(store, cluster.lifeboat(arguments)).finish().await;
    assert_eq!(finished.code, Some(0), "{arguments:?}: {finished}");
    finished
}

fn manifest(store: &PeculiarStore) -> Value {
    serde_json::from_slice(&store.object(MANIFEST).expect("a manifest")).unwrap()
}

/// Two snapshots, the second published.
async fn exported(cluster: &Cluster, store: &PeculiarStore) {
    for message in [recorded::first(), recorded::after_change()] {
        cluster.control_plane.push(message);
        succeeds(cluster, store, ["export"]).await;
    }
    assert_eq!(manifest(store)["sequence"], 2);
}

async fn every_decision_is_made(cluster: &Cluster, peculiarities: Peculiarities) {
    let store = &PeculiarStore::start(peculiarities).await;
    exported(cluster, store).await;
    succeeds(cluster, store, ["pin"]).await;
    assert_eq!((&manifest(store)["sequence"], &manifest(store)["pin"]["until"]), (&2.into(), &"unpin".into()));
    succeeds(cluster, store, ["unpin"]).await;
    assert_eq!(manifest(store)["pin"], Value::Null);
    let said = succeeds(cluster, store, ["rollback", "1"]).await;
    assert!(said.stdout.contains("published as snapshot 3"), "{said}");
    assert_eq!((&manifest(store)["sequence"], &manifest(store)["pin"]["until"]), (&3.into(), &"change".into()));

    let doctor = at(store, cluster.lifeboat(["doctor", "--export", "on"])).finish().await;
    let replaced = doctor.stdout.lines().find(|line| line.starts_with("store: replace")).expect("a row");
    assert!(replaced.contains("pass") && replaced.contains("looks before it writes"), "{doctor}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pin_unpin_and_rollback_work_where_conditional_writes_do_not() {
    let clusters = [Cluster::start().await, Cluster::start().await];
    let [ceph, juice] = without_conditions();
    tokio::join!(every_decision_is_made(&clusters[0], ceph), every_decision_is_made(&clusters[1], juice));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_an_exporter_overwrites_at_the_same_moment_is_reported() {
    let cluster = Cluster::start().await;
    let [peculiarities, _] = without_conditions();
    let store = &PeculiarStore::start(peculiarities).await;
    exported(&cluster, store).await;
    let before = store.object(MANIFEST).unwrap();
    // It had looked before the operator wrote, and writes after that.
    let exporter = async {
        while manifest(store)["sequence"] == 2 {
            sleep(Duration::from_millis(20)).await;
        }
        sleep(Duration::from_secs(1)).await;
        store.put(MANIFEST, before);
    };
    let rollback = at(store, cluster.lifeboat(["rollback", "1", "--hard"])).finish();
    let (finished, ()) = tokio::join!(rollback, exporter);
    assert_eq!(finished.code, Some(1), "{finished}");
    for part in ["snapshot 3 was published, but was replaced at once: snapshot 2 is published", "has overwritten it"] {
        assert!(finished.stderr.contains(part), "{finished}");
    }
    assert!(!finished.stdout.contains("is published as"), "{finished}");
}
