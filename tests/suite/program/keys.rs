//! Keys as their user makes and sets them: with `lifeboat keygen`, in files and in variables.

use std::path::Path;

use lifeboat_fakes::recorded;
use lifeboat_tests::keys::{encryption, signing};
use lifeboat_tests::program::{Finished, Invocation, lifeboat};
use serde_json::Value;

use super::commands::{mode, succeeds};
use super::{Cluster, Store};

fn text(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// What the `NAME=value` lines among the results say, to be given to another start.
fn given_to(invocation: Invocation, keygen: &Finished) -> Invocation {
    let settings = keygen.stdout.lines().filter(|line| !line.starts_with('#'));
    settings
        .map(|line| line.split_once('=').unwrap())
        .fold(invocation, |invocation, (name, value)| invocation.with(name, value))
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_keygen_has_made_seal_sign_and_open() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    cluster.control_plane.push(recorded::first());
    let folder = cluster.path("keys");
    let signing = succeeds(lifeboat(["keygen", "signing", "--name", "prod", "--folder"]).and([&folder])).await;
    let encryption = succeeds(lifeboat(["keygen", "encryption"])).await;
    assert_eq!((mode(&folder.join("prod.signing-key")), mode(&folder.join("prod.trusted-key"))), (0o600, 0o644));
    assert!(text(folder.join("prod.signing-key")).starts_with("prod:sk1_"));
    assert!(!signing.stdout.contains("k1_") && signing.stdout.contains("LIFEBOAT_SIGNING_KEY_FILE="), "{signing}");
    assert!(encryption.stdout.contains("LIFEBOAT_ENCRYPTION_KEYS=encryption-"), "{encryption}");

    let export = given_to(given_to(cluster.lifeboat(["export"]), &signing), &encryption);
    let exported = succeeds(store.given_to(export)).await;
    assert!(exported.stdout.starts_with("kept configuration"), "{exported}");
    assert!(!store.config_json().exists());
    let manifest: Value = serde_json::from_str(&text(store.manifest_json())).unwrap();
    assert_eq!(manifest["proofs"][0]["key"], "prod");

    // The public half may be an argument.
    let public = text(folder.join("prod.trusted-key"));
    let list = || store.given_to(lifeboat(["list", "--trusted-keys"]));
    let listed = succeeds(list().and([public.trim()])).await;
    assert!(listed.stdout.contains("received"), "{listed}");
    let (_, other) = lifeboat_tests::keys::signing("other");
    let refused = list().and([other]).finish().await;
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(refused.stdout.contains("refused") && refused.stderr.contains("signed by \"prod\""), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keygen_overwrites_nothing_and_speaks_json() {
    let cluster = Cluster::start().await;
    let folder = cluster.path("keys");
    let keygen = || lifeboat(["keygen", "encryption", "--name", "prod", "--folder"]).and([&folder]);
    succeeds(keygen()).await;
    let before = text(folder.join("prod.encryption-key"));
    let again = keygen().finish().await;
    assert_eq!(again.code, Some(1), "{again}");
    assert!(again.stderr.contains("prod.encryption-key is there already"), "{again}");
    assert_eq!(text(folder.join("prod.encryption-key")), before);

    let json = succeeds(lifeboat(["keygen", "signing", "--output", "json"])).await;
    let settings: Value = serde_json::from_str(&json.stdout).unwrap();
    assert!(settings["LIFEBOAT_SIGNING_KEY"].as_str().unwrap().contains(":sk1_"), "{json}");
    assert!(settings["LIFEBOAT_TRUSTED_KEYS"].as_str().unwrap().contains(":pk1_"), "{json}");
    let wrong = lifeboat(["keygen", "signing", "--name", "two words"]).finish().await;
    assert_eq!(wrong.code, Some(2), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_the_wrong_place_are_named_and_never_repeated() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let (private, public) = signing("prod");
    for (setting, value, message) in [
        (
            "LIFEBOAT_TRUSTED_KEYS",
            &private,
            "LIFEBOAT_TRUSTED_KEYS (--trusted-keys): key \"prod\" is a private signing key",
        ),
        ("LIFEBOAT_SIGNING_KEY", &public, "LIFEBOAT_SIGNING_KEY: key \"prod\" is a public key"),
        ("LIFEBOAT_ENCRYPTION_KEYS", &private, "LIFEBOAT_ENCRYPTION_KEYS: key \"prod\" is a private signing key"),
        ("LIFEBOAT_SIGNING_KEY", &encryption("e"), "LIFEBOAT_SIGNING_KEY: key \"e\" is an encryption key"),
        ("LIFEBOAT_ENCRYPTION_KEYS_FILE", &"/no/such/file".to_owned(), "LIFEBOAT_ENCRYPTION_KEYS_FILE: /no/such/file"),
        // An exporter whose backups nobody would accept.
        (
            "LIFEBOAT_TRUSTED_KEYS",
            &public,
            "LIFEBOAT_SIGNING_KEY is not set, but LIFEBOAT_TRUSTED_KEYS (--trusted-keys) is",
        ),
    ] {
        let refused = store.given_to(cluster.lifeboat(["export"])).with(setting, value).finish().await;
        assert_eq!(refused.code, Some(2), "{refused}");
        assert!(refused.stderr.contains(message), "{message}: {refused}");
        if let Some((_, material)) = value.split_once("k1_") {
            assert!(!refused.stderr.contains(&material[..8]), "{refused}");
        }
    }
    for flag in ["--signing-key", "--encryption-keys"] {
        let refused = lifeboat(["run", flag, private.as_str()]).finish().await;
        assert_eq!(refused.code, Some(2), "{refused}");
    }
}
