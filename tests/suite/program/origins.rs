//! Configurations that don't come from a control plane: files as people write them, and nodes without a database.

use lifeboat_fakes::recorded;
use lifeboat_tests::dbless_node::DblessNode;
use lifeboat_tests::program::{Invocation, lifeboat};
use rustix::process::Signal;
use serde_json::Value;

use super::{Cluster, Store, VERSION, configuration, relay_address, stored};

const WRITTEN: &str = "\
_format_version: '3.0'
services:
- name: orders
  url: https://orders.internal:8443
  routes:
  - name: buy
    paths: [/buy]
consumers:
- username: alice
  keyauth_credentials:
  - key: wonderful-secret
";

fn export(store: &Store, origin: &str) -> Invocation {
    store.given_to(lifeboat(["export", "--from", origin])).with("KONG_VERSION", VERSION)
}

fn config_json(store: &Store) -> Value {
    serde_json::from_slice(&std::fs::read(store.config_json()).unwrap()).unwrap()
}

fn recorded() -> Value {
    serde_json::from_slice(&configuration(&recorded::first()).table).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_as_people_write_it_is_kept_and_restores_a_node() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let file = cluster.path("kong.yml");
    std::fs::write(&file, WRITTEN).unwrap();
    let origin = format!("file:{}", file.display());
    let kept = export(&store, &origin).finish().await;
    assert_eq!(kept.code, Some(0), "{kept}");
    assert!(kept.stdout.starts_with("kept configuration ") && kept.stdout.contains("1 service, 1 route"), "{kept}");
    assert!(!kept.to_string().contains("wonderful-secret"), "a secret is told: {kept}");
    let config = config_json(&store);
    assert_eq!(config["routes"][0]["service"], config["services"][0]["id"]);
    assert_eq!(config["keyauth_credentials"][0]["key"], "wonderful-secret");
    let again = export(&store, &origin).finish().await;
    assert!(again.stdout.starts_with("already kept: "), "{again}");

    cluster.control_plane.stop().await;
    let published = stored::published(&store.objects).unwrap().expect("a manifest");
    let relay = store.given_to(cluster.lifeboat(["run", "--import", "on"])).start();
    let node = cluster.node(relay_address(&relay).await);
    node.wait_for(|state| state.hash() == published.config_hash).await;
    let ran: Value = serde_json::from_slice(&node.configuration().unwrap()).unwrap();
    assert_eq!(ran, config);
}

#[tokio::test]
async fn a_nodes_cache_and_a_backup_are_kept_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let sent = configuration(&recorded::first());
    let (plain, cache) = (folder.path().join("config.json"), folder.path().join("config.cache.json.gz"));
    std::fs::write(&plain, &sent.table).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, &sent.table).unwrap();
    std::fs::write(&cache, gzip.finish().unwrap()).unwrap();
    for file in [plain, cache] {
        let store = Store::folder();
        let kept = export(&store, &format!("file:{}", file.display())).finish().await;
        assert_eq!(kept.code, Some(0), "{kept}");
        let published = stored::published(&store.objects).unwrap().expect("a manifest");
        assert!(published.config_json == sent.table, "it was written anew");
        // Whoever sent it first called it the same.
        assert_eq!(published.config_hash, sent.hash);
    }
}

#[tokio::test]
async fn a_file_that_nodes_would_not_take_is_refused_by_the_entitys_name_and_nothing_is_written() {
    let (folder, store) = (tempfile::tempdir().unwrap(), Store::folder());
    for (text, parts) in [
        (
            "_format_version: '3.0'\nroutes: [{name: buy, service: nobody}]\n",
            &["routes \"buy\"", "service: nobody"][..],
        ),
        ("_format_version: 3.0\n", &["_format_version is 3", "in quotes"]),
        ("services: []\n", &["has no _format_version", "add _format_version"]),
        ("_format_version: '3.0'\nservices:\n  - a\n b: c\n", &["YAML", "line 4"]),
        ("{\"_format_version\": ", &["not JSON"]),
    ] {
        let file = folder.path().join("kong.yml");
        std::fs::write(&file, text).unwrap();
        let refused = export(&store, &format!("file:{}", file.display())).with("LIFEBOAT_LOG", "off").finish().await;
        assert_eq!(refused.code, Some(1), "{refused}");
        for part in parts.iter().chain([&"kong.yml"]) {
            assert!(refused.stderr.contains(part), "{part:?} is not said: {refused}");
        }
    }
    let missing = export(&store, "file:no-such.yml").finish().await;
    assert!(missing.code == Some(1) && missing.stderr.contains("no-such.yml can't be read"), "{missing}");
    let large = export(&store, &format!("file:{}", folder.path().join("kong.yml").display()));
    std::fs::write(folder.path().join("kong.yml"), "x".repeat(5000)).unwrap();
    let large = large.with("LIFEBOAT_MAX_CONFIG", "1024").finish().await;
    assert!(large.code == Some(1) && large.stderr.contains("LIFEBOAT_MAX_CONFIG"), "{large}");
    let versionless = store.given_to(lifeboat(["export", "--from", "file:kong.yml"])).finish().await;
    assert!(
        versionless.code == Some(2) && versionless.stderr.contains("KONG_VERSION (--kong-version) is not set"),
        "{versionless}"
    );
    assert_eq!(stored::published(&store.objects).unwrap().map(|published| published.sequence), None);
}

#[tokio::test]
async fn what_a_node_without_a_database_runs_is_kept_under_the_nodes_own_version() {
    let (node, store) = (DblessNode::start(VERSION).await, Store::folder());
    let origin = format!("dbless:{}", node.url());
    let dbless = || store.given_to(lifeboat(["export", "--from", &origin]));
    let empty = dbless().finish().await;
    assert!(empty.code == Some(1) && empty.stderr.contains("has no configuration yet"), "{empty}");

    let mut expected = recorded();
    // A node exports no workspaces, and an empty list as what Lua has for it.
    expected.as_object_mut().unwrap().remove("workspaces");
    node.runs(&expected, &"1".repeat(32));
    // The configuration changes while it is read: what was read first is not kept.
    node.is_restless(&[&"2".repeat(32), &"3".repeat(32)]);
    let kept = dbless().finish().await;
    assert_eq!(kept.code, Some(0), "{kept}");
    let config = config_json(&store).to_string().replace("{}", "[]");
    let expected = expected.to_string().replace("{}", "[]");
    assert_eq!(serde_json::from_str::<Value>(&config).unwrap(), serde_json::from_str::<Value>(&expected).unwrap());

    let other = dbless().with("KONG_VERSION", "3.8.1").finish().await;
    assert!(other.code == Some(1) && other.stderr.contains("runs Kong 3.9.1, and KONG_VERSION says 3.8.1"), "{other}");
    node.has_a_database();
    let database = dbless().finish().await;
    assert!(database.code == Some(1) && database.stderr.contains("has a database"), "{database}");
}

#[tokio::test]
async fn a_node_without_a_database_is_followed_until_a_signal() {
    let (node, store) = (DblessNode::start(VERSION).await, Store::folder());
    let mut configuration = recorded();
    node.runs(&configuration, &"1".repeat(32));
    let origin = format!("dbless:{}", node.url());
    let arguments = ["export", "--from", &origin, "--watch", "--export-delay", "0"];
    let file = tempfile::NamedTempFile::new().unwrap();
    let running = store.given_to(lifeboat(arguments)).with("LIFEBOAT_SETTINGS_FILE", file.path()).start();
    running.says("as snapshot 1 in").await;
    std::fs::write(file.path(), "LIFEBOAT_MAX_SHRINK=90\n").unwrap();
    running.signal(Signal::HUP);
    running.says("LIFEBOAT_MAX_SHRINK is 90 (was 50)").await;
    configuration["services"][0]["name"] = "renamed".into();
    node.runs(&configuration, &"2".repeat(32));
    running.says("as snapshot 2 in").await;
    assert_eq!(config_json(&store)["services"][0]["name"], "renamed");
    running.signal(Signal::TERM);
    let ended = running.ends().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    let published = stored::published(&store.objects).unwrap().expect("a manifest");
    assert_eq!(published.sequence, 2);
}

#[tokio::test]
async fn what_a_followed_node_runs_is_judged_before_it_is_kept() {
    let (node, store) = (DblessNode::start(VERSION).await, Store::folder());
    let mut configuration = recorded();
    node.runs(&configuration, &"1".repeat(32));
    let origin = format!("dbless:{}", node.url());
    let watch = || store.given_to(lifeboat(["export", "--from", &origin, "--watch", "--export-delay", "0"]));
    let running = watch().start();
    running.says("as snapshot 1 in").await;

    // What every other node would refuse is not kept, and said with the field.
    let whole = configuration.clone();
    configuration["services"][0]["retries"] = (-7).into();
    node.runs(&configuration, &"2".repeat(32));
    running.says("runs is not exported: other nodes of its version would refuse it").await;
    assert!(running.log().contains("retries: value should be between 0 and 32767"), "{}", running.log());
    // What runs there twice is an oddity.
    let mut odd = whole;
    let mut twin = odd["services"][0].clone();
    twin["id"] = "7f0e4a3e-6a1b-4e55-9d4c-0c8f3f0f2f11".into();
    odd["services"].as_array_mut().unwrap().push(twin);
    node.runs(&odd, &"3".repeat(32));
    running.says("as snapshot 2 in").await;
    assert!(running.log().contains("look at this before you rely on it"), "{}", running.log());
    assert!(running.log().contains("runs a configuration that can be exported again"), "{}", running.log());
    running.signal(Signal::TERM);
    assert_eq!(running.ends().await.code, Some(0));
    assert_eq!(config_json(&store)["services"].as_array().unwrap().len(), odd["services"].as_array().unwrap().len());

    // With a reason it is kept, and the manifest has the reason.
    node.runs(&configuration, &"4".repeat(32));
    let accepting = watch().and(["--accept", "tried-on-staging"]).start();
    accepting.says("as snapshot 3 in").await;
    accepting.signal(Signal::TERM);
    accepting.ends().await;
    let manifest: Value = serde_json::from_slice(&std::fs::read(store.manifest_json()).unwrap()).unwrap();
    assert_eq!(manifest["source"]["accepted"], "tried-on-staging");
}

#[tokio::test]
async fn an_origin_that_is_none_is_wrong_usage_and_one_that_does_not_answer_is_named() {
    for (origin, part) in
        [("kong.yml", "valid: file:kong.yml"), ("dbless:127.0.0.1:8001", "dbless:http://127.0.0.1:8001")]
    {
        let wrong = lifeboat(["export", "--from", origin]).finish().await;
        assert!(wrong.code == Some(2) && wrong.stderr.contains(part), "{wrong}");
    }
    let watched = lifeboat(["export", "--from", "file:kong.yml", "--watch"]).finish().await;
    assert!(watched.code == Some(2) && watched.stderr.contains("--watch goes with --from dbless:URL"), "{watched}");
    let nobody = Store::folder();
    let unreachable = nobody.given_to(lifeboat(["export", "--from", "dbless:http://127.0.0.1:9"])).finish().await;
    assert!(unreachable.code == Some(1) && unreachable.stderr.contains("http://127.0.0.1:9/"), "{unreachable}");
}
