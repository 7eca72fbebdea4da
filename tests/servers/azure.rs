//! Azure Blob Storage as Azurite plays it: by the account's key and by shared access signatures.

use lifeboat_fakes::recorded;
use lifeboat_tests::cluster::{Cluster, relay_address};
use lifeboat_tests::program::Invocation;

use super::azurite::Azurite;

fn given(invocation: Invocation, settings: Vec<(String, String)>) -> Invocation {
    settings.into_iter().fold(invocation, |invocation, (name, value)| invocation.with(name, value))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_plays_on_azure() {
    let azurite = Azurite::start().await;
    let demo = given(lifeboat_tests::program::lifeboat(["demo"]), azurite.settings()).finish().await;
    assert_eq!(demo.code, Some(0), "{demo}");
    assert!(demo.stdout.contains("byte for byte"), "{demo}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_told_from_a_missing_container() {
    let (cluster, azurite) = (Cluster::start().await, Azurite::start().await);
    let wrong = given(cluster.lifeboat(["list"]), azurite.settings_with_a_wrong_key()).finish().await;
    assert_eq!(wrong.code, Some(1), "{wrong}");
    assert!(wrong.stderr.contains("AZURE_STORAGE_KEY"), "{wrong}");
    let elsewhere = given(cluster.lifeboat(["list"]), azurite.settings());
    let elsewhere = elsewhere.and(["--storage", "azure://devstoreaccount1/no-such-container/kong"]).finish().await;
    assert_eq!(elsewhere.code, Some(1), "{elsewhere}");
    assert!(elsewhere.stderr.contains("the container does not exist"), "{elsewhere}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_access_signature_is_enough_and_only_for_what_it_allows() {
    let (cluster, azurite) = (Cluster::start().await, Azurite::start().await);
    cluster.control_plane.push(recorded::first());
    let export = |permissions: &str| {
        given(cluster.lifeboat(["export"]), azurite.settings_with_a_shared_access_signature(permissions))
    };
    let refused = export("rl").finish().await;
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(refused.stderr.contains("Storage Blob Data Contributor"), "{refused}");
    let kept = export("rwcl").finish().await;
    assert_eq!(kept.code, Some(0), "{kept}");
    cluster.control_plane.stop().await;
    let importing = cluster.lifeboat(["run", "--import", "on"]);
    let relay = given(importing, azurite.settings_with_a_shared_access_signature("rl")).start();
    let node = cluster.node(relay_address(&relay).await);
    relay.says("for new nodes of Kong 3.9.1: snapshot 1").await;
    drop(node);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_signed_with_the_accounts_key_restores_who_has_none() {
    let (cluster, azurite) = (Cluster::start().await, Azurite::start().await);
    cluster.control_plane.push(recorded::first());
    let kept = given(cluster.lifeboat(["export"]), azurite.settings()).finish().await;
    assert_eq!(kept.code, Some(0), "{kept}");
    cluster.control_plane.stop().await;
    let presigned = given(cluster.lifeboat(["presign"]), azurite.settings()).finish().await;
    assert_eq!(presigned.code, Some(0), "{presigned}");
    let relay = cluster.lifeboat(["run", "--import", "on"]).with("LIFEBOAT_TICKET", presigned.stdout.trim()).start();
    let node = cluster.node(relay_address(&relay).await);
    relay.says("snapshot 1 from the ticket").await;
    drop(node);
}
