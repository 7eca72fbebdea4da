//! Files with mistakes in them, through `lifeboat export --from file:` and all that says afterwards what is known of them.

use lifeboat_tests::dbless_node::DblessNode;
use lifeboat_tests::program::{Invocation, lifeboat};
use serde_json::{Value, json};

use super::{Store, VERSION};

fn with(store: &Store, arguments: &[&str]) -> Invocation {
    store.given_to(lifeboat(arguments)).with("KONG_VERSION", VERSION)
}

struct File(tempfile::TempDir);

impl File {
    fn of(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("kong.yml"), text).unwrap();
        Self(folder)
    }

    fn from(&self) -> String {
        format!("file:{}", self.0.path().join("kong.yml").display())
    }
}

const MISTAKES: &str = "\
_format_version: '3.0'
services:
- name: orders
  host: orders.test
  port: '80'
  retrys: 3
consumers:
- username: alice
  keyauth_credentials:
  - key: $SERVICE_KEY
  basicauth_credentials:
  - username: alice
    password: 0123456789abcdef0123456789abcdef01234567
";

#[tokio::test]
async fn all_mistakes_are_named_at_once_and_nothing_is_written_unless_an_operator_accepts_it() {
    let (store, file) = (Store::folder(), File::of(MISTAKES));
    for pin in [&[][..], &["--pin"]] {
        let refused = with(&store, &[&["export", "--from", &file.from()], pin].concat()).finish().await;
        assert_eq!(refused.code, Some(1), "{refused}");
        for part in [
            "services \"orders\", port: expected an integer",
            "services \"orders\", retrys: unknown field",
            "keyauth_credentials \"of consumer alice\", key: this placeholder was not filled in",
            "basicauth_credentials \"alice of consumer alice\", password: it looks like a hash",
            "Nothing was written",
            "--accept \"",
        ] {
            assert!(refused.stderr.contains(part), "{part}: {refused}");
        }
        assert!(!refused.to_string().contains("SERVICE_KEY"), "a secret is told: {refused}");
    }
    let listed = with(&store, &["list"]).finish().await;
    assert!(listed.stdout.contains("no backups"), "{listed}");

    let accept = ["export", "--from", &file.from(), "--pin", "--accept", "tried on staging"];
    let accepted = with(&store, &accept).finish().await;
    assert_eq!(accepted.code, Some(0), "{accepted}");
    assert!(accepted.stderr.contains("accepted, and so not checked: services"), "{accepted}");
    let listed = with(&store, &["list"]).finish().await;
    assert!(listed.stdout.contains("is not checked") && listed.stdout.contains("tried on staging"), "{listed}");
    let shown = with(&store, &["show", "--output", "json"]).finish().await;
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown["manifest"]["source"], json!({ "from": "file", "accepted": "tried on staging" }));
    assert_eq!(shown["evidence"], "not_checked");
    let shown = with(&store, &["show"]).finish().await;
    assert!(shown.stdout.contains("never at a control plane: it was read from a file"), "{shown}");
    let verified = with(&store, &["verify"]).finish().await;
    assert!(verified.stdout.contains("warn") && verified.stdout.contains("tried on staging"), "{verified}");

    // What is published is not judged again, and what is added to it is.
    let file = File::of(&format!("{MISTAKES}routes:\n- name: new\n  pahts: [/new]\n"));
    let again = with(&store, &["export", "--from", &file.from(), "--pin"]).finish().await;
    assert!(again.code == Some(1) && again.stderr.contains("routes \"new\", pahts: unknown field"), "{again}");
    assert!(!again.stderr.contains("retrys"), "{again}");
}

#[tokio::test]
async fn what_matches_kongs_schemas_is_said_and_what_no_schema_describes_too() {
    let store = Store::folder();
    let file = File::of(
        "_format_version: '3.0'\nplugins:\n- name: pre-function\n  config: {access: ['kong.log(1)']}\n- name: our-own\n",
    );
    let kept = with(&store, &["export", "--from", &file.from()]).finish().await;
    assert_eq!(kept.code, Some(0), "{kept}");
    assert!(kept.stderr.contains("not checked, since no schema describes it: plugin pre-function: the code"), "{kept}");
    assert!(kept.stderr.contains("the plugin \"our-own\" is not known"), "{kept}");
    let named = with(&store, &["export", "--from", &file.from()]).with("LIFEBOAT_PLUGINS", "our-own").finish().await;
    assert!(!named.stderr.contains("is not known"), "{named}");
    let shown = with(&store, &["show"]).finish().await;
    assert!(shown.stdout.contains("it matches Kong 3.9.1's schemas"), "{shown}");
    let verified = with(&store, &["verify", "--output", "json"]).finish().await;
    let verified: Value = serde_json::from_str(&verified.stdout).unwrap();
    assert_eq!(verified["snapshots"][0]["evidence"], "schemas");

    let enterprise = with(&store, &["export", "--from", &file.from()]).with("KONG_VERSION", "3.9.0.1").finish().await;
    assert_eq!(enterprise.code, Some(0), "{enterprise}");
    assert!(enterprise.stderr.contains("what Kong's schemas say of it is not checked"), "{enterprise}");
}

#[tokio::test]
async fn what_a_node_without_a_database_runs_is_kept_with_warnings_and_what_kong_refuses_is_not() {
    let (store, node) = (Store::folder(), DblessNode::start(VERSION).await);
    let id = |last: u32| format!("00000000-0000-4000-8000-00000000000{last}");
    let mut runs = json!({
        "_format_version": "3.0", "_transform": false,
        "services": [
            {"id": id(1), "name": "orders", "host": "a.test"},
            {"id": id(2), "name": "orders", "host": "b.test"},
        ],
        "routes": [{"id": id(3), "name": "orders", "paths": ["/a"], "service": id(1)}],
        "consumers": [{"id": id(4), "username": "alice"}],
        "keyauth_credentials": [{"id": id(5), "key": "$SERVICE_KEY", "consumer": id(4)}],
    });
    node.runs(&runs, &"1".repeat(32));
    let export = ["export", "--from", &format!("dbless:{}", node.url())];
    let kept = with(&store, &export).finish().await;
    assert_eq!(kept.code, Some(0), "{kept}");
    for part in ["look at this before you rely on it: services \"orders\"", "uniqueness violation", "this placeholder"]
    {
        assert!(kept.stderr.contains(part), "{part}: {kept}");
    }
    assert!(!kept.to_string().contains("SERVICE_KEY"), "a secret is told: {kept}");
    let shown = with(&store, &["show"]).finish().await;
    assert!(shown.stdout.contains("a node of Kong 3.9.1 without a database loaded it"), "{shown}");

    runs["routes"][0]["pahts"] = json!(["/b"]);
    node.runs(&runs, &"2".repeat(32));
    for pin in [&[][..], &["--pin"]] {
        let refused = with(&store, &[&export[..], pin].concat()).finish().await;
        assert_eq!(refused.code, Some(1), "{refused}");
        assert!(refused.stderr.contains("routes \"orders\", pahts: unknown field"), "{refused}");
        assert!(refused.stderr.contains("Nothing was written") && !refused.stderr.contains("hots"), "{refused}");
    }
}

#[tokio::test]
async fn a_size_near_what_nodes_take_is_a_warning_wherever_a_snapshot_is_looked_at() {
    let (store, file) = (Store::folder(), File::of("_format_version: '3.0'\nservices:\n- {name: a, host: a.test}\n"));
    let kept = with(&store, &["export", "--from", &file.from(), "--output", "json"]).finish().await;
    let manifest: Value = serde_json::from_str(&kept.stdout).unwrap_or_else(|_| panic!("{kept}"));
    // An estimate of 4.4 bytes in LMDB for each of JSON.
    let cache = manifest["config"]["bytes"].as_u64().unwrap() * 5;
    for command in ["verify", "show"] {
        let near = with(&store, &[command]).with("KONG_LMDB_MAP_SIZE", cache.to_string()).finish().await;
        assert_eq!(near.code, Some(0), "{near}");
        assert!(flat(&near.stdout).contains("% of what lmdb_map_size lets nodes take"), "{near}");
        let far = with(&store, &[command]).with("KONG_LMDB_MAP_SIZE", "128m").finish().await;
        assert!(!far.stdout.contains("lmdb_map_size"), "{far}");
        let wrong = with(&store, &[command]).with("KONG_LMDB_MAP_SIZE", "large").finish().await;
        assert!(wrong.code == Some(2) && wrong.stderr.contains("KONG_LMDB_MAP_SIZE"), "{wrong}");
    }
    let verified = with(&store, &["verify", "--output", "json", "--lmdb-map-size", &cache.to_string()]).finish().await;
    let verified: Value = serde_json::from_str(&verified.stdout).unwrap();
    assert_eq!(verified["snapshots"][0]["verdict"], "warn", "{verified}");
}

/// A text whose lines a table may have broken.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
