//! `lifeboat verify`, as somebody runs it each night who wants to sleep.

use std::path::PathBuf;

use lifeboat_fakes::recorded;
use lifeboat_tests::admin_api::AdminApi;
use lifeboat_tests::program::{Finished, Invocation, lifeboat};
use serde_json::Value;

use super::{Cluster, Store, VERSION, configuration, stored};

/// A store with two snapshots of what was recorded, made with these settings.
async fn two_snapshots(store: &Store, settings: &[(&str, &str)]) {
    let cluster = Cluster::start().await;
    for message in [recorded::first(), recorded::after_change()] {
        cluster.control_plane.push(message);
        let export = store.given_to(cluster.lifeboat(["export"]));
        let kept = settings.iter().fold(export, |export, (name, value)| export.with(name, value)).finish().await;
        assert_eq!(kept.code, Some(0), "{kept}");
    }
}

fn with<const N: usize>(store: &Store, arguments: [&str; N]) -> Invocation {
    store.given_to(lifeboat(arguments)).with("LIFEBOAT_LOG", "off")
}

async fn ends(invocation: Invocation, code: i32, parts: &[&str]) -> Finished {
    let finished = invocation.finish().await;
    assert_eq!(finished.code, Some(code), "{finished}");
    // Long texts are broken over several lines of the table.
    let text = finished.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in parts {
        assert!(text.contains(part), "{part:?} is not said: {finished}");
    }
    finished
}

fn object(store: &Store, part: &str) -> PathBuf {
    let files = stored::files(&store.objects);
    files.into_iter().find(|file| file.to_string_lossy().contains(part)).unwrap_or_else(|| panic!("no {part}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn good_snapshots_pass_with_all_that_belongs_to_them() {
    let store = Store::s3().await;
    two_snapshots(&store, &[]).await;
    let parts = "2* received pass manifest, own manifest, payload, configuration, config.json";
    ends(with(&store, ["verify"]), 0, &[parts, "1 passed, 0 to look at, 0 failed"]).await;
    ends(with(&store, ["verify", "1"]), 0, &["1 received pass manifest, payload, configuration"]).await;
    let all = ends(with(&store, ["verify", "--all", "--output", "json"]), 0, &[]).await;
    let all: Value = serde_json::from_str(&all.stdout).unwrap();
    let (first, second) = (configuration(&recorded::first()), configuration(&recorded::after_change()));
    assert_eq!((&all["verdict"], &all["format"]), (&"pass".into(), &1.into()));
    let hashes: Vec<&Value> = all["snapshots"].as_array().unwrap().iter().map(|row| &row["config_hash"]).collect();
    assert_eq!(hashes, [&Value::from(second.hash), &Value::from(first.hash)]);
    ends(with(&store, ["verify", "7"]), 1, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_payload_fails_with_its_key_the_cure_and_what_nodes_get_instead() {
    let store = Store::folder();
    two_snapshots(&store, &[]).await;
    let payload = object(&store, "0000000002-");
    let payload =
        payload.with_file_name(payload.file_name().unwrap().to_string_lossy().replace("manifest.json", "json.gz"));
    let whole = std::fs::read(&payload).unwrap();
    let mut damaged = whole.clone();
    damaged[100] ^= 1;
    std::fs::write(&payload, damaged).unwrap();
    let says = ["0000000002-", "SHA-256", "lifeboat rollback", "restored from snapshot 1"];
    ends(with(&store, ["verify"]), 1, &says).await;
    ends(with(&store, ["verify", "1"]), 0, &["1 passed"]).await;
    ends(with(&store, ["verify", "--all"]), 1, &["1 passed, 0 to look at, 1 failed"]).await;
    std::fs::remove_file(&payload).unwrap();
    ends(with(&store, ["verify"]), 1, &["there is no 3.9.1/lifeboat/snapshots/0000000002-"]).await;
    std::fs::write(&payload, whole).unwrap();
    ends(with(&store, ["verify"]), 0, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_beside_the_published_one_must_fit_to_it() {
    let store = Store::folder();
    two_snapshots(&store, &[]).await;
    let whole = std::fs::read(store.config_json()).unwrap();
    std::fs::write(store.config_json(), b"{}").unwrap();
    ends(with(&store, ["verify"]), 1, &["3.9.1/config.json is not what is published"]).await;
    std::fs::remove_file(store.config_json()).unwrap();
    // As an exporter leaves it that is killed right after the manifest.
    ends(with(&store, ["verify"]), 0, &["warn", "there is no 3.9.1/config.json", "0 failed"]).await;
    std::fs::write(store.config_json(), whole).unwrap();
    // A crash came before it was written: nothing needs it yet.
    let own = object(&store, "0000000002-");
    let own = own.with_file_name(own.file_name().unwrap().to_string_lossy().replace("json.gz", "manifest.json"));
    std::fs::remove_file(own).unwrap();
    ends(with(&store, ["verify"]), 0, &["2* received warn own manifest: there is no", "0 failed"]).await;
    let listed = ends(with(&store, ["list"]), 0, &["2* received"]).await;
    assert!(!listed.stdout.contains("unpublished"), "{listed}");
    ends(with(&store, ["show", "2"]), 0, &["2 of Kong 3.9.1, published"]).await;
    // Half a manifest.
    let manifest = std::fs::read(store.manifest_json()).unwrap();
    std::fs::write(store.manifest_json(), &manifest[..manifest.len() / 2]).unwrap();
    ends(with(&store, ["verify"]), 1, &["3.9.1/lifeboat/manifest.json", "restored from snapshot 1"]).await;
    let all = ends(with(&store, ["verify", "--all"]), 1, &["none* refused fail manifest:", "1 passed"]).await;
    assert!(all.stdout.contains(VERSION), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sealed_is_opened_and_must_not_lie_there_in_plain_text_too() {
    let store = Store::folder();
    let key = lifeboat(["keygen", "encryption", "--name", "k"]).finish().await;
    let key = key.stdout.lines().find_map(|line| line.strip_prefix("LIFEBOAT_ENCRYPTION_KEYS=")).unwrap().to_owned();
    let keys = [("LIFEBOAT_ENCRYPTION_KEYS", key.as_str())];
    two_snapshots(&store, &keys).await;
    let sealed = |arguments| with(&store, arguments).with(keys[0].0, keys[0].1);
    ends(sealed(["verify"]), 0, &["2* received pass manifest, own manifest, payload, configuration, config.json"])
        .await;
    ends(with(&store, ["verify"]), 1, &["LIFEBOAT_ENCRYPTION_KEYS"]).await;
    std::fs::write(store.config_json(), b"{}").unwrap();
    ends(sealed(["verify"]), 1, &["config.json holds a configuration in plain text"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_planes_without_a_backup_are_a_warning_where_the_admin_api_tells() {
    let store = Store::folder();
    two_snapshots(&store, &[]).await;
    let without = ends(with(&store, ["verify"]), 0, &["1 passed, 0 to look at, 0 failed"]).await;
    assert!(!without.stdout.contains("backup: nodes"), "{without}");

    let admin = AdminApi::start().await;
    let asked = || with(&store, ["verify"]).with("LIFEBOAT_ADMIN_URL", admin.url());
    admin.sees("3.9.4");
    ends(asked(), 0, &["backup: nodes (pass): data planes, each with a backup: 1 of Kong 3.9.4"]).await;
    admin.sees("3.8.1");
    let says = ["backup: nodes (warn): data planes without a backup: 1 of Kong 3.8.1: let an exporter keep"];
    ends(asked(), 0, &says).await;
    let json = ends(asked().and(["--output", "json"]), 0, &[]).await;
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&json["verdict"], &json["nodes"]["verdict"]), (&"warn".into(), &"warn".into()), "{json}");
    drop(admin);
    let away = with(&store, ["verify"]).with("LIFEBOAT_ADMIN_URL", "http://127.0.0.1:9");
    ends(away, 0, &["backup: nodes (warn): not known: LIFEBOAT_ADMIN_URL"]).await;
}
