//! `lifeboat show` and `lifeboat diff`, as somebody uses them who has to decide which backup is the right one.

use lifeboat_fakes::recorded;
use lifeboat_tests::program::{Finished, Invocation, lifeboat};
use serde_json::Value;

use super::{Cluster, Store, VERSION, configuration, stored};

/// What is secret in the recorded configuration.
const SECRETS: [&str; 2] = ["alice-secret-key", "6ec1def57f28bb5e720ebdefdfcbde725a3c7f02"];

/// A store with two snapshots of what was recorded: before and after a route was added.
async fn two_snapshots(store: &Store) {
    let cluster = Cluster::start().await;
    for message in [recorded::first(), recorded::after_change()] {
        cluster.control_plane.push(message);
        let kept = store.given_to(cluster.lifeboat(["export"])).finish().await;
        assert_eq!(kept.code, Some(0), "{kept}");
    }
}

fn with<const N: usize>(store: &Store, arguments: [&str; N]) -> Invocation {
    store.given_to(lifeboat(arguments)).with("LIFEBOAT_LOG", "off")
}

async fn succeeds(invocation: Invocation) -> Finished {
    let finished = invocation.finish().await;
    assert_eq!(finished.code, Some(0), "{finished}");
    for secret in SECRETS {
        assert!(!finished.to_string().contains(secret), "a secret is told: {finished}");
    }
    finished
}

async fn fails(invocation: Invocation, code: i32, parts: &[&str]) -> Finished {
    let finished = invocation.finish().await;
    assert_eq!(finished.code, Some(code), "{finished}");
    for part in parts {
        assert!(finished.stderr.contains(part), "{part:?} is not said: {finished}");
    }
    finished
}

#[tokio::test(flavor = "multi_thread")]
async fn show_tells_what_a_snapshot_is_and_that_a_node_could_be_restored_from_it() {
    let store = Store::s3().await;
    two_snapshots(&store).await;
    let (first, second) = (configuration(&recorded::first()), configuration(&recorded::after_change()));
    let published = succeeds(with(&store, ["show"])).await;
    for part in ["2 of Kong 3.9.1, published", "restorable    yes", "5 routes, 2 services", &second.hash, "received"] {
        assert!(published.stdout.contains(part), "{part:?} in {published}");
    }
    let older = succeeds(with(&store, ["show", "1"])).await;
    assert!(older.stdout.contains("1 of Kong 3.9.1, in") && older.stdout.contains(&first.hash), "{older}");
    let json = succeeds(with(&store, ["show", "--output", "json"])).await;
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    let manifest: Value = serde_json::from_slice(&std::fs::read(store.manifest_json()).unwrap()).unwrap();
    assert_eq!((&json["manifest"], &json["published"], &json["restorable"]), (&manifest, &true.into(), &true.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_is_shown_with_its_secrets_masked_and_revealed_only_on_request() {
    let store = Store::folder();
    two_snapshots(&store).await;
    let sent = configuration(&recorded::after_change());
    let masked = succeeds(with(&store, ["show", "--config"])).await;
    let (masked, whole): (Value, Value) =
        (serde_json::from_str(&masked.stdout).unwrap(), serde_json::from_slice(&sent.table).unwrap());
    assert_eq!(masked["keyauth_credentials"][0]["key"], "(masked)");
    assert_eq!(masked["routes"], whole["routes"]);
    let revealed = with(&store, ["show", "--config", "--reveal-secrets"]).finish().await;
    assert_eq!(revealed.code, Some(0), "{revealed}");
    assert!(revealed.stdout.as_bytes() == sent.table, "it is not what was sent");
    fails(with(&store, ["show", "--reveal-secrets"]), 2, &["--config"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn diff_names_what_differs_to_people_and_to_programs() {
    let store = Store::folder();
    two_snapshots(&store).await;
    let difference = succeeds(with(&store, ["diff", "1"])).await;
    assert!(difference.stdout.contains("\n+ routes  added-later  (aa89fc08-"), "{difference}");
    assert!(difference.stdout.contains("\n1 added, 0 removed, 0 changed, "), "{difference}");
    let reverse = succeeds(with(&store, ["diff", "2", "1", "--output", "json"])).await;
    let reverse: Value = serde_json::from_str(&reverse.stdout).unwrap();
    assert_eq!(reverse["counts"]["removed"], 1);
    let [change] = &reverse["changes"].as_array().unwrap()[..] else { panic!("{reverse}") };
    assert_eq!(
        (&change["kind"], &change["name"], &change["change"]),
        (&"routes".into(), &"added-later".into(), &"removed".into())
    );
    let same = succeeds(with(&store, ["diff", "published", "2"])).await;
    assert!(same.stdout.contains("0 added, 0 removed, 0 changed"), "{same}");
}

#[tokio::test(flavor = "multi_thread")]
async fn diff_tells_what_a_file_would_change_and_no_secret() {
    let store = Store::folder();
    two_snapshots(&store).await;
    let mut edited: Value = serde_json::from_slice(&configuration(&recorded::after_change()).table).unwrap();
    edited["services"][0]["host"] = "elsewhere.internal".into();
    edited["keyauth_credentials"][0]["key"] = "wonderful-new-secret".into();
    edited["routes"][0]["service"] = edited["services"][0]["id"].clone();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kong.json");
    std::fs::write(&file, edited.to_string()).unwrap();
    let name = format!("file:{}", file.display());
    let difference = succeeds(with(&store, ["diff", "published", &name])).await;
    for part in [
        "~ services  orders",
        "host: \"orders.internal\" → \"elsewhere.internal\"",
        "~ keyauth_credentials  of consumer alice",
        "key: changed (masked)",
        "~ routes  echo",
        "service: \"echo\" → \"orders\"",
        "0 added, 0 removed, 3 changed",
    ] {
        assert!(difference.stdout.contains(part), "{part:?} in {difference}");
    }
    assert!(!difference.to_string().contains("wonderful"), "a secret is told: {difference}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_snapshot_is_shown_as_what_no_node_can_be_restored_from() {
    let store = Store::folder();
    two_snapshots(&store).await;
    let payloads = stored::files(&store.objects);
    let payload = payloads
        .iter()
        .find(|file| file.to_string_lossy().contains("0000000001-") && file.extension().unwrap() == "gz")
        .unwrap();
    let mut bytes = std::fs::read(payload).unwrap();
    bytes[100] ^= 1;
    std::fs::write(payload, bytes).unwrap();
    let shown = fails(with(&store, ["show", "1"]), 1, &["no node can be restored", "SHA-256"]).await;
    assert!(shown.stdout.contains("restorable    NO: ") && shown.stdout.contains("4 routes"), "{shown}");
    fails(with(&store, ["diff", "1"]), 1, &["0000000001-", "SHA-256"]).await;
    succeeds(with(&store, ["show", "2"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_and_which_kong_is_meant_is_said() {
    let store = Store::folder();
    fails(with(&store, ["show"]), 1, &["there is no such folder"]).await;
    std::fs::create_dir(&store.objects).unwrap();
    fails(with(&store, ["show"]), 1, &["there are no backups in file://"]).await;
    two_snapshots(&store).await;
    fails(with(&store, ["show", "7"]), 1, &["snapshot 7 of Kong 3.9.1", "lifeboat list"]).await;
    fails(with(&store, ["diff", "7"]), 1, &["snapshot 7 of Kong 3.9.1"]).await;
    fails(with(&store, ["diff", "newest"]), 2, &["valid: 41, published, file:kong.yml"]).await;
    let other = store.objects.join("3.8.1");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("config.json"), br#"{"_format_version":"3.0","services":[{"id":"s"}]}"#).unwrap();
    fails(with(&store, ["show"]), 1, &["for Kong 3.8.1, 3.9.1", "--kong-version"]).await;
    // What Kong's own exporter has left, without a manifest.
    let bare = succeeds(with(&store, ["show", "--kong-version", "3.8.1"])).await;
    assert!(bare.stdout.contains("a bare config.json of Kong 3.8.1") && bare.stdout.contains("1 services"), "{bare}");
    succeeds(with(&store, ["show", "--kong-version", VERSION])).await;
}
