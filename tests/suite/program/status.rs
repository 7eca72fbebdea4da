//! `lifeboat status`: what is seen of running lifeboats, of stopped ones, of several at once, and again and again.

use std::net::SocketAddr;

use lifeboat_fakes::recorded;
use lifeboat_tests::page::{http_address, page_until};
use lifeboat_tests::program::{Running, lifeboat};
use rustix::process::Signal;
use serde_json::Value;

use super::commands::succeeds;
use super::{Cluster, Store, VERSION, configuration, relay_address};

/// What xterm calls the alternate screen.
const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?1049l";

fn exporter(cluster: &Cluster, store: &Store) -> Running {
    store.given_to(cluster.lifeboat(["run", "--export", "on", "--export-delay", "0"])).start()
}

fn relay(cluster: &Cluster, store: &Store) -> Running {
    store.given_to(cluster.lifeboat(["run", "--import", "on"])).start()
}

async fn status_of(address: SocketAddr) -> String {
    succeeds(lifeboat(["status", &address.to_string()])).await.stdout
}

fn row<'a>(shown: &'a str, begin: &str) -> &'a str {
    shown.lines().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("no {begin} in:\n{shown}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_and_a_follower_are_shown_at_once_and_a_stopped_one_is_said_to_be_so() {
    let (cluster, store) = (Cluster::start().await, Store::s3().await);
    cluster.control_plane.push(recorded::first());
    let leader = exporter(&cluster, &store);
    let first = http_address(&leader).await;
    page_until(first, "/readyz/export", |page| page.status == 200).await;
    let follower = exporter(&cluster, &store);
    let second = http_address(&follower).await;
    page_until(second, "/readyz/export", |page| page.body.contains("leads, and this one follows")).await;

    let (one, two) = (first.to_string(), second.to_string());
    let both = succeeds(lifeboat(["status", &format!("http://{one}"), &two])).await.stdout;
    let expected = configuration(&recorded::first()).hash;
    let rows: Vec<&str> = both.lines().filter(|line| line.contains("3.9.1") && line.contains(&expected)).collect();
    assert_eq!(rows.len(), 2, "{both}");
    assert!(rows[0].starts_with(&one) && rows[0].contains("leader") && rows[0].contains("published"), "{both}");
    assert!(rows[1].starts_with(&two) && rows[1].contains("follower of "), "{both}");

    leader.signal(Signal::TERM);
    assert_eq!(leader.ends().await.code, Some(0));
    let stopped = lifeboat(["status", &one, &two]).finish().await;
    assert_eq!(stopped.code, Some(1), "{stopped}");
    assert!(row(&stopped.stdout, &one).contains("no answer"), "{stopped}");
    assert!(stopped.stdout.contains(&format!("{one}: nothing listens on {one}")), "{stopped}");
    assert!(stopped.stdout.contains("follower") || stopped.stdout.contains("leader"), "{stopped}");
    assert_eq!(stopped.stderr, format!("lifeboat: no status of {one}\n"));

    let json = lifeboat(["status", "--output", "json", &one, &two]).finish().await;
    assert_eq!(json.code, Some(1), "{json}");
    let whole: Value = serde_json::from_str(&json.stdout).unwrap();
    let answers = &whole["lifeboats"];
    assert!(answers[0]["error"].as_str().unwrap().contains("nothing listens") && answers[0]["status"].is_null());
    assert_eq!(answers[1]["status"]["export"][0]["kong_version"], VERSION);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_url_the_lifeboat_of_the_same_settings_is_asked_and_no_other_setting_matters() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let running = relay(&cluster, &store);
    let address = http_address(&running).await;
    let asked = lifeboat(["status"])
        .with("LIFEBOAT_HTTP_LISTEN", address.to_string())
        .with("LIFEBOAT_LOG", "=;=")
        .with("KONG_CLUSTER_CERT", "/no/such/file");
    let shown = succeeds(asked).await.stdout;
    assert!(row(&shown, &address.to_string()).contains("ready"), "{shown}");
    let off = lifeboat(["status", "--http-listen", "off"]).finish().await;
    assert!(off.code == Some(1) && off.stderr.contains("LIFEBOAT_HTTP_LISTEN is off"), "{off}");
    let wrong = lifeboat(["status", "https://edge-7"]).finish().await;
    assert!(wrong.code == Some(2) && wrong.stderr.contains("plain HTTP"), "{wrong}");
    let both = lifeboat(["status", "--watch", "--output", "json"]).finish().await;
    assert!(both.code == Some(2) && both.stderr.contains("--watch is for people"), "{both}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_it_stays_in_its_place_until_ctrl_c_which_is_no_failure() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let running = relay(&cluster, &store);
    let address = http_address(&running).await.to_string();
    let watching = lifeboat(["status", "--watch", "--every", "100ms", &address]).on_a_terminal(80).start();
    watching.shows("LIFEBOAT").await;
    let node = cluster.node(relay_address(&running).await);
    watching.shows("linked").await;
    watching.signal(Signal::INT);
    let ended = watching.ends().await;
    assert_eq!(ended.code, Some(0), "{ended}");

    let (screen, after) = ended.stdout.split_once(LEAVE).unwrap_or_else(|| panic!("it is left: {ended:?}"));
    assert!(screen.starts_with(ENTER), "{ended:?}");
    // Each table begins in the first column of the first line, and is no taller than the terminal: nothing scrolls.
    for table in screen.split("\u{1b}[H").skip(1) {
        assert!(table.matches('\n').count() < 50 && table.ends_with("\u{1b}[J"), "{table:?}");
    }
    assert!(after.contains("LIFEBOAT") && after.contains("linked"), "what was shown last stays: {after:?}");
    drop(node);
}

#[tokio::test(flavor = "multi_thread")]
async fn elsewhere_it_is_written_again_only_when_something_has_happened() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let running = relay(&cluster, &store);
    let address = http_address(&running).await;
    let watching = lifeboat(["status", "--watch", "--every", "20ms", &address.to_string()]).start();
    watching.prints("LIFEBOAT").await;
    let node = cluster.node(relay_address(&running).await);
    watching.prints("linked").await;
    assert!(status_of(address).await.contains("linked"));
    watching.signal(Signal::TERM);
    let ended = watching.ends().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended}");
    // The node comes, is linked, says what it runs; hundreds of looks would be hundreds of tables.
    assert!((2..=8).contains(&ended.stdout.matches("LIFEBOAT").count()), "{ended}");
    assert!(!ended.stdout.contains('\u{1b}'), "{ended:?}");
    drop(node);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_names_the_command_that_restores_and_the_one_that_backs_up() {
    for (word, hint) in [("restore", "lifeboat run --import on"), ("backup", "lifeboat run --export on")] {
        let ended = lifeboat([word, "--storage", "s3://kong/backups"]).finish().await;
        assert_eq!(ended.code, Some(2), "{ended}");
        assert!(ended.stderr.contains(hint) && ended.stdout.is_empty(), "{ended}");
    }
}
