//! `lifeboat import --dbless`: a node without a database is given what was kept while it has nothing, and only then.

use lifeboat_fakes::recorded;
use lifeboat_tests::dbless_node::DblessNode;
use lifeboat_tests::program::{Invocation, lifeboat};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Cluster, Store, VERSION, configuration};

async fn kept() -> Store {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    cluster.control_plane.push(recorded::first());
    let kept = store.given_to(cluster.lifeboat(["export"])).finish().await;
    assert_eq!(kept.code, Some(0), "{kept}");
    store
}

fn import(store: &Store, node: &DblessNode) -> Invocation {
    let import = store.given_to(lifeboat(["import", "--dbless", &node.url()]));
    import.with("LIFEBOAT_CP_CONFIG_TIMEOUT", "1s")
}

#[tokio::test]
async fn an_empty_node_without_a_database_is_given_the_newest_byte_for_byte() {
    let (node, store) = (DblessNode::start(VERSION).await, kept().await);
    let given = import(&store, &node).finish().await;
    assert_eq!(given.code, Some(0), "{given}");
    let sent = configuration(&recorded::first());
    assert!(given.stdout.contains(&sent.hash) && given.stdout.contains(&node.url()), "{given}");
    assert!(node.given() == [sent.table], "it was given something else");

    let again = import(&store, &node).and(["--always"]).finish().await;
    assert!(again.code == Some(3) && again.stderr.contains("already"), "{again}");
    assert_eq!(node.given().len(), 1);
}

#[tokio::test]
async fn whoever_feeds_a_node_without_a_database_goes_first() {
    let (node, store) = (DblessNode::start(VERSION).await, kept().await);
    let waiting = import(&store, &node).with("LIFEBOAT_CP_CONFIG_TIMEOUT", "1h").start();
    node.is_asked_for_its_hash(3).await;
    node.runs(&json!({ "_format_version": "3.0" }), &"1".repeat(32));
    let ended = waiting.ends().await;
    assert!(ended.code == Some(3) && ended.stderr.contains(&"1".repeat(32)), "{ended}");
    // And in the very last moment.
    let (node, store) = (DblessNode::start(VERSION).await, kept().await);
    node.is_restless(&[&"0".repeat(32), &"0".repeat(32), &"2".repeat(32)]);
    let late = import(&store, &node).and(["--always"]).finish().await;
    assert!(late.code == Some(3) && late.stderr.contains("meanwhile: it stays"), "{late}");
    assert_eq!(node.given().len(), 0);
}

#[tokio::test]
async fn what_a_node_without_a_database_refuses_is_shown_by_the_entities_that_kong_names() {
    let (node, store) = (DblessNode::start(VERSION).await, kept().await);
    let invalid = json!({
        "message": "declarative config is invalid: {}", "fields": {},
        "flattened_errors": [{
            "entity_type": "service", "entity_name": "orders", "entity": { "path": "wonderful-secret" },
            "errors": [{ "type": "field", "field": "host", "message": "required field missing" }],
        }],
    });
    let html = Value::from("<html><head><title>413 Request Entity Too Large</title></head></html>");
    let bytes = configuration(&recorded::first()).table.len().to_string();
    for (status, body, parts) in [
        ("400 Bad Request", invalid, ["service \"orders\": host required field missing", "400"]),
        ("413 Request Entity Too Large", html, ["KONG_NGINX_ADMIN_CLIENT_MAX_BODY_SIZE", &bytes]),
        (
            "413 Request Entity Too Large",
            json!({ "message": "Configuration does not fit in LMDB database, consider raising lmdb_map_size" }),
            ["does not fit in LMDB database", "KONG_LMDB_MAP_SIZE"],
        ),
        ("404 Not Found", json!({ "message": "Not found" }), ["Not found", "404"]),
    ] {
        // A node that names entities only if it is asked to says less at first.
        let less =
            json!({ "message": "declarative config is invalid: {}", "fields": { "services": [{ "host": "..." }] } });
        let at_first = if status.starts_with("400") { less } else { body.clone() };
        node.answers_a_configuration(&[(status, &at_first), (status, &body)]);
        let refused = import(&store, &node).and(["--always"]).finish().await;
        assert_eq!(refused.code, Some(1), "{refused}");
        for part in parts {
            assert!(refused.stderr.contains(part), "{part:?} is not said: {refused}");
        }
        assert!(!refused.to_string().contains("wonderful-secret"), "{refused}");
    }
    // It is loading something else, of which nothing comes.
    node.answers_a_configuration(&[("429 Too Many Requests", &json!({ "message": "busy" }))]);
    let given = import(&store, &node).and(["--always"]).finish().await;
    assert_eq!(given.code, Some(0), "{given}");
}

#[tokio::test]
async fn a_node_that_starts_anew_is_given_it_again_until_a_signal() {
    let (node, store) = (DblessNode::start(VERSION).await, kept().await);
    let watching = import(&store, &node).and(["--watch", "--always"]).start();
    watching.says("gave configuration").await;
    node.forgets();
    node.is_given(2).await;
    // As long as it runs something, nobody reads the store.
    std::fs::remove_dir_all(&store.objects).unwrap();
    node.is_asked_for_its_hash(2).await;
    assert!(!watching.log().contains("WARN"), "{}", watching.log());
    node.forgets();
    watching.says("Trying again in").await;
    watching.signal(Signal::HUP);
    watching.says("SIGHUP changes nothing").await;
    watching.signal(Signal::TERM);
    let ended = watching.ends().await;
    assert_eq!(ended.code, Some(0), "{ended}");
}

#[tokio::test]
async fn a_node_without_a_database_that_is_none_or_is_not_there_is_named() {
    let (node, store) = (DblessNode::start(VERSION).await, kept().await);
    node.has_a_database();
    let database = import(&store, &node).finish().await;
    assert!(database.code == Some(1) && database.stderr.contains("has a database"), "{database}");
    let other = import(&store, &node).with("KONG_VERSION", "3.8.1").finish().await;
    assert_eq!(other.code, Some(1), "{other}");
    let nobody = store.given_to(lifeboat(["import", "--dbless", "http://127.0.0.1:9"]));
    let nobody = nobody.with("LIFEBOAT_CP_CONFIG_TIMEOUT", "1s").finish().await;
    assert!(nobody.code == Some(1) && nobody.stderr.contains("http://127.0.0.1:9/"), "{nobody}");
    for arguments in [&["import", "--dbless", "127.0.0.1:8001"][..], &["import", "--watch"]] {
        let wrong = lifeboat(arguments).finish().await;
        assert_eq!(wrong.code, Some(2), "{wrong}");
    }
}
