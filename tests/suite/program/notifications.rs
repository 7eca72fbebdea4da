//! Heartbeats and webhook messages as a receiver gets them: pings, and signed messages.

use std::time::{Duration, Instant, SystemTime};

use hmac::{Hmac, KeyInit, Mac};
use lifeboat_fakes::recorded;
use lifeboat_tests::json_schema::Schema;
use lifeboat_tests::page::{http_address, page, page_until};
use lifeboat_tests::program::{Invocation, Running, lifeboat};
use lifeboat_tests::receiver::{Behaviour, Received, Receiver};
use serde_json::Value;
use sha2::Sha256;

use super::{Cluster, Store, VERSION, configuration, relay_address};

const KEY: &str = "a-wonderful-webhook-key";

fn exporter(cluster: &Cluster, store: &Store) -> Invocation {
    let start = cluster.lifeboat(["run", "--export", "on"]).with("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT_DELAY", "1");
    store.given_to(start)
}

fn with_webhook(start: Invocation, receiver: &Receiver) -> Invocation {
    start.with("LIFEBOAT_WEBHOOK_URL", receiver.url("/hook")).with("LIFEBOAT_WEBHOOK_KEY", KEY)
}

/// Waits for a line of the log that may take minutes.
async fn says_in_time(running: &Running, part: &str) {
    let began = Instant::now();
    while !running.log().contains(part) {
        assert!(began.elapsed() < Duration::from_secs(240), "lifeboat never said {part:?}, but:\n{}", running.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A message, once its signature and its form are as docs/notifications.md says: by means of its own.
async fn message(received: &Received) -> Value {
    assert_eq!((received.method.as_str(), received.header("content-type")), ("POST", "application/json"));
    let timestamp = received.header("lifeboat-timestamp");
    let mut code = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
    code.update(format!("lifeboat notification 1\n{timestamp}\n").as_bytes());
    code.update(&received.body);
    let digits: String = code.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(received.header("lifeboat-signature"), format!("hmac-sha256={digits}"));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert!(now.abs_diff(timestamp.parse().unwrap()) < 300, "{timestamp} is not now, {now}");

    let described = lifeboat(["schema", "http"]).finish().await;
    let described: Value = serde_json::from_str(&described.stdout).unwrap();
    let message = serde_json::from_slice(&received.body).unwrap();
    let faults = Schema::at(&described, "/components/schemas/notification").faults(&message);
    assert!(faults.is_empty(), "{faults:?} in {message}");
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn that_a_configuration_is_held_is_told_once_and_that_it_is_released_too() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let receiver = Receiver::start(Behaviour::Takes).await;
    cluster.control_plane.push(recorded::first());
    let running = with_webhook(exporter(&cluster, &store), &receiver).start();
    page_until(http_address(&running).await, "/readyz/export", |found| found.status == 200).await;
    assert!(receiver.received().is_empty(), "all is well: {:?}", receiver.received());

    cluster.control_plane.push(recorded::lost_database());
    let begins = message(&receiver.gets(1).await).await;
    let lost = configuration(&recorded::lost_database()).hash;
    assert_eq!((&begins["state"], &begins["phase"]), (&"held".into(), &"begins".into()));
    assert_eq!((&begins["config_hash"], &begins["sequence"]), (&lost.into(), &1.into()));
    assert_eq!((&begins["kong_version"], &begins["ended"]), (&VERSION.into(), &Value::Null));
    running.says("LIFEBOAT_WEBHOOK_URL was told: held of Kong 3.9.1 begins").await;

    let released = store.given_to(cluster.lifeboat(["release"])).finish().await;
    assert_eq!(released.code, Some(0), "{released}");
    let ends = message(&receiver.gets(2).await).await;
    assert_eq!((&ends["state"], &ends["phase"], &ends["began"]), (&"held".into(), &"ends".into(), &begins["began"]));
    assert!(ends["ended"].is_string() && ends["hostname"] == begins["hostname"], "{ends}");
    assert_eq!(receiver.received().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_tells_that_nodes_are_served_from_the_store() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    cluster.control_plane.push(recorded::first());
    let kept = store.given_to(cluster.lifeboat(["export"])).finish().await;
    assert_eq!(kept.code, Some(0), "{kept}");
    cluster.control_plane.stop().await;

    let receiver = Receiver::start(Behaviour::Takes).await;
    let relay = with_webhook(store.given_to(cluster.lifeboat(["run", "--import", "on"])), &receiver).start();
    let node = cluster.node(relay_address(&relay).await);
    node.wait_for(|state| state.configuration.is_some()).await;
    let told = message(&receiver.gets(1).await).await;
    assert_eq!(
        (&told["state"], &told["phase"], &told["nodes"]),
        (&"nodes_served_from_store".into(), &"begins".into(), &1.into())
    );
    assert_eq!(told["config_hash"], *configuration(&recorded::first()).hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_exporter_that_leads_is_heard_and_only_while_all_is_well() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let (first, second) = (Receiver::start(Behaviour::Answers(500)).await, Receiver::start(Behaviour::Takes).await);
    let pinging = |receiver: &Receiver| {
        exporter(&cluster, &store).with("LIFEBOAT_HEARTBEAT_URL", receiver.url("/ping/{kong_version}"))
    };
    // Nothing has been sent, so nothing is published, and it is not well.
    let leader = pinging(&first).start();
    let at = http_address(&leader).await;
    page_until(at, "/readyz/export", |found| found.body.contains("sent nothing yet")).await;
    assert!(first.received().is_empty(), "{:?}", first.received());

    cluster.control_plane.push(recorded::first());
    let ping = first.gets(1).await;
    assert_eq!((ping.method.as_str(), ping.path.as_str()), ("GET", "/ping/3.9.1"));
    leader.says("LIFEBOAT_HEARTBEAT_URL could not be told: it answered 500").await;
    let follower = pinging(&second).start();
    let other = http_address(&follower).await;
    page_until(other, "/readyz/export", |found| found.body.contains("leads, and this one follows")).await;
    // A ping that failed is sent again, well before the next one.
    first.becomes(Behaviour::Takes);
    says_in_time(&leader, "LIFEBOAT_HEARTBEAT_URL can be reached again").await;
    assert!(second.received().is_empty(), "a follower's ping would hide a dead leader: {:?}", second.received());

    leader.kill().await;
    second.gets(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_redirects_is_not_followed_and_one_that_hangs_holds_up_nobody() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let elsewhere = Receiver::start(Behaviour::Takes).await;
    let redirects = Receiver::start(Behaviour::Redirects(elsewhere.url("/internal"))).await;
    let (hangs, drills) = (Receiver::start(Behaviour::Hangs).await, Receiver::start(Behaviour::Takes).await);
    cluster.control_plane.push(recorded::first());
    let start = with_webhook(exporter(&cluster, &store), &redirects).with("LIFEBOAT_HEARTBEAT_URL", hangs.url("/"));
    let start = start.with("LIFEBOAT_DRILL_HEARTBEAT_URL", drills.url("/drill")).with("LIFEBOAT_DRILL_EVERY", "1s");
    let running = start.start();
    page_until(http_address(&running).await, "/readyz/export", |found| found.status == 200).await;

    hangs.gets(1).await;
    let after_a_drill = drills.gets(2).await;
    assert_eq!((after_a_drill.method.as_str(), after_a_drill.path.as_str()), ("GET", "/drill"));
    running.says("LIFEBOAT_HEARTBEAT_URL could not be told: there was no answer within 10 s").await;

    cluster.control_plane.push(recorded::lost_database());
    redirects.gets(1).await;
    running.says("LIFEBOAT_WEBHOOK_URL could not be told: it answered 302").await;
    assert!(elsewhere.received().is_empty(), "{:?}", elsewhere.received());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_receivers_url_or_key_shows_anywhere_at_any_level() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let (hook, ping) = (Receiver::start(Behaviour::Takes).await, Receiver::start(Behaviour::Answers(404)).await);
    // Nobody listens there any more.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refusing = format!("http://localhost:{port}/wonderful-drill");
    cluster.control_plane.push(recorded::first());
    let start = exporter(&cluster, &store)
        .with("LIFEBOAT_LOG", "trace")
        .with("LIFEBOAT_WEBHOOK_URL", hook.url("/wonderful-hook?token=wonderful-token"))
        .with("LIFEBOAT_WEBHOOK_KEY", KEY)
        .with("LIFEBOAT_HEARTBEAT_URL", ping.url("/wonderful-ping"))
        .with("LIFEBOAT_DRILL_HEARTBEAT_URL", &refusing)
        .with("LIFEBOAT_DRILL_EVERY", "1s");
    let running = start.start();
    let at = http_address(&running).await;
    running.says("LIFEBOAT_HEARTBEAT_URL could not be told: it answered 404").await;
    running.says("LIFEBOAT_DRILL_HEARTBEAT_URL could not be told: no connection came about (refused)").await;
    cluster.control_plane.push(recorded::lost_database());
    // The first drill may have failed, for want of a backup, and is told first.
    hook.gets(1).await;
    says_in_time(&running, "LIFEBOAT_WEBHOOK_URL was told: held of Kong 3.9.1 begins").await;

    let mut shown = running.log();
    assert!(shown.contains("DEBUG"), "all that there is to log is logged:\n{shown}");
    for path in ["/status", "/metrics", "/readyz/export"] {
        shown.push_str(&page(at, path).await.body);
    }
    // What is refused at a start is not repeated either.
    for (name, value) in [
        ("LIFEBOAT_WEBHOOK_URL", "http://receiver.test/wonderful-hook"),
        ("LIFEBOAT_HEARTBEAT_URL", "https://169.254.169.254/wonderful-ping"),
        ("LIFEBOAT_WEBHOOK_KEY", "wonderful-token"),
    ] {
        let refused = exporter(&cluster, &store).with(name, value).finish().await;
        assert!(refused.code == Some(2) && refused.stderr.contains(name), "{refused}");
        shown.push_str(&refused.stderr);
    }
    let ports = [hook.url(""), ping.url("")].map(|url| url.trim_start_matches("http://").to_owned());
    for secret in ["wonderful", "receiver.test", KEY, &ports[0], &ports[1], &format!("localhost:{port}")] {
        let lines: Vec<&str> = shown.lines().filter(|line| line.contains(secret)).collect();
        assert!(lines.is_empty(), "{secret} shows:\n{}", lines.join("\n"));
    }
}
