//! Settings in a file, and what becomes of it when they are read again while the program runs (SIGHUP).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use lifeboat_fakes::control_plane::Behaviour;
use lifeboat_fakes::message::Configuration;
use lifeboat_fakes::recorded;
use lifeboat_tests::keys::signing;
use lifeboat_tests::page::{http_address, page_until};
use lifeboat_tests::program::Running;
use rustix::process::Signal;

use super::{Cluster, Store, configuration, relay_address, stored};

/// A settings file with these lines.
fn file(cluster: &Cluster, lines: &[&str]) -> PathBuf {
    let path = cluster.path("lifeboat.env");
    std::fs::write(&path, lines.join("\n")).unwrap();
    path
}

/// The recorded configuration with one route left, under a hash of this digit.
fn shrunk(digit: char) -> Configuration {
    let mut table: serde_json::Value = serde_json::from_slice(&configuration(&recorded::first()).table).unwrap();
    table["routes"].as_array_mut().unwrap().truncate(1);
    Configuration { table: table.to_string().into(), hash: digit.to_string().repeat(32) }
}

/// Waits until so many readings are counted with this result.
async fn counted(address: SocketAddr, result: &str, count: f64) {
    let series = format!("lifeboat_settings_reloads_total{{result=\"{result}\"}}");
    page_until(address, "/metrics", |page| page.number(&series) == count).await;
}

async fn reload(running: &Running, said: &str) -> String {
    running.signal(Signal::HUP);
    running.says(said).await
}

fn published(store: &Store) -> String {
    stored::published(&store.objects).unwrap().expect("a manifest").config_hash
}

fn lines_of(store: &Store) -> String {
    store.settings.iter().map(|(name, value)| format!("{name}=\"{value}\"\n")).collect()
}

fn shown(path: &Path) -> std::path::Display<'_> {
    path.display()
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_may_stand_in_a_file_over_which_the_environment_and_flags_win() {
    let (cluster, store) = (Cluster::start().await, Store::s3().await);
    cluster.control_plane.push(recorded::first());
    let path = file(&cluster, &["# where it is kept", "", &lines_of(&store), "LIFEBOAT_LOG_FORMAT=json"]);
    let settings = path.display().to_string();
    let exported = cluster.lifeboat(["export", "--settings"]).and([&settings]).finish().await;
    assert_eq!(exported.code, Some(0), "{exported}");
    assert!(exported.stderr.contains("\"level\":\"INFO\""), "{exported}");
    assert_eq!(published(&store), configuration(&recorded::first()).hash);

    let list = || cluster.lifeboat(["list"]).with("LIFEBOAT_SETTINGS_FILE", &settings);
    let listed = list().finish().await;
    assert!(listed.code == Some(0) && listed.stdout.contains(&published(&store)), "{listed}");
    for list in [list().with("AWS_SECRET_ACCESS_KEY", "another"), list().and(["--storage", "s3://elsewhere/x"])] {
        let listed = list.finish().await;
        assert_eq!(listed.code, Some(1), "{listed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mistake_in_a_settings_file_is_told_with_its_line_and_no_secret() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let secret = "LIFEBOAT_SIGNING_KEY=prod:sk1_c2VjcmV0MTIzNDU2Nzg5";
    let path = file(&cluster, &["LIFEBOAT_MAX_SHRNK=3", "LIFEBOAT_MAX_AGE=old", "what is this", secret]);
    let wrong = store.given_to(cluster.lifeboat(["run", "--export", "on"])).with("LIFEBOAT_SETTINGS_FILE", &path);
    let wrong = wrong.with("LIFEBOAT_MAX_SHRINK", "all").finish().await;
    assert_eq!(wrong.code, Some(2), "{wrong}");
    let path = shown(&path);
    for said in [
        format!("{path} line 1: LIFEBOAT_MAX_SHRNK is not a setting: did you mean LIFEBOAT_MAX_SHRINK (--max-shrink)?"),
        format!("LIFEBOAT_MAX_AGE in {path} line 2: \"old\" is not a duration"),
        format!("{path} line 3: it is neither a comment nor NAME=value"),
        format!("LIFEBOAT_SIGNING_KEY ({path} line 4)"),
        "LIFEBOAT_MAX_SHRINK (--max-shrink): \"all\" is not a whole number".to_owned(),
    ] {
        assert!(wrong.stderr.contains(&said), "{said}\n{wrong}");
    }
    assert!(!wrong.stderr.contains("c2VjcmV0"), "{wrong}");

    let nowhere = cluster.lifeboat(["healthcheck", "--settings", "/no/such/file"]).finish().await;
    assert!(nowhere.code == Some(1) && nowhere.stderr.contains("/no/such/file can't be read"), "{nowhere}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_rule_decides_about_what_comes_next_and_releases_nothing() {
    let (cluster, store) = (Cluster::start().await, Store::s3().await);
    let (held, next) = (shrunk('a'), shrunk('b'));
    let path = file(&cluster, &["LIFEBOAT_MAX_SHRINK=50", "LIFEBOAT_ELECTION=none"]);
    cluster.control_plane.push(recorded::first());
    let run = cluster.lifeboat(["run", "--export", "on", "--export-delay", "0", "--max-config", "100000000"]);
    let running = store.given_to(run).with("LIFEBOAT_SETTINGS_FILE", &path).start();
    let page = http_address(&running).await;
    running.says("published configuration").await;

    // One line of it can't be used, and so none is.
    file(&cluster, &["LIFEBOAT_MAX_SHRINK=100", "LIFEBOAT_MAX_AGE=soon"]);
    reload(&running, "SIGHUP changes nothing, since what stands in").await;
    running.says(&format!("LIFEBOAT_MAX_AGE in {} line 2: \"soon\" is not a duration", shown(&path))).await;
    counted(page, "refused", 1.0).await;
    cluster.control_plane.push(held.to_message().unwrap());
    running.says("is held").await;

    file(&cluster, &["LIFEBOAT_MAX_SHRINK=100", "LIFEBOAT_LOG=debug", "KONG_PREFIX=/srv", "LIFEBOAT_MAX_CONFIG=1"]);
    let said = reload(&running, "settings were read again from").await;
    assert!(said.contains("LIFEBOAT_MAX_SHRINK is 100 (was 50), LIFEBOAT_LOG is debug (was info)"), "{said}");
    let waits = running.says("take effect when lifeboat is restarted, and not before").await;
    assert!(waits.ends_with("KONG_PREFIX, LIFEBOAT_ELECTION"), "{waits}");
    let overridden = running.says("a changed setting has no effect").await;
    assert!(overridden.contains("line 4 (the flag --max-config wins)"), "{overridden}");
    counted(page, "applied", 1.0).await;
    assert_eq!(published(&store), configuration(&recorded::first()).hash, "what was held is released");

    cluster.control_plane.push(next.to_message().unwrap());
    running.says(&format!("published configuration {}", next.hash)).await;
    assert!(running.log().contains("wrote the manifest"), "DEBUG is not logged");
    let listed = store.given_to(cluster.lifeboat(["list"])).finish().await;
    assert!(listed.stdout.lines().any(|line| line.contains("held") && line.contains(&held.hash)), "{listed}");
    reload(&running, "SIGHUP changes nothing: no setting in").await;
    counted(page, "unchanged", 1.0).await;
    running.signal(Signal::TERM);
    let ended = running.ends().await;
    assert_eq!(ended.code, Some(0), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_a_refused_node_is_fed_and_whether_nodes_follow_changes_while_it_runs() {
    let (cluster, store) = (Cluster::start().await, Store::s3().await);
    let (private, public) = signing("prod");
    let export = |origin: &str| {
        let export = cluster.lifeboat(["export", "--from"]).and([origin]);
        store.given_to(export).with("LIFEBOAT_SIGNING_KEY", &private).with("LIFEBOAT_TRUSTED_KEYS", &public)
    };
    cluster.control_plane.push(recorded::first());
    let exported = export("cp").finish().await;
    assert_eq!(exported.code, Some(0), "{exported}");

    cluster.control_plane.behave(Behaviour::Refusing);
    let path = file(&cluster, &["LIFEBOAT_FEED_ON_REFUSAL=off"]);
    let run = store.given_to(cluster.lifeboat(["run", "--import", "on"])).with("LIFEBOAT_TRUSTED_KEYS", &public);
    let running = run.with("LIFEBOAT_SETTINGS_FILE", &path).start();
    let node = cluster.node(relay_address(&running).await);
    running.says("refuse").await;
    file(&cluster, &["LIFEBOAT_FEED_ON_REFUSAL=on"]);
    reload(&running, "LIFEBOAT_FEED_ON_REFUSAL is on (was off)").await;
    let first = published(&store);
    node.wait_for(|state| state.hash() == first).await;

    cluster.control_plane.stop().await;
    let mut change: serde_json::Value = serde_json::from_slice(&configuration(&recorded::first()).table).unwrap();
    change["services"][0]["name"] = "renamed-by-hand".into();
    std::fs::write(cluster.path("change.json"), change.to_string()).unwrap();
    let origin = format!("file:{}", cluster.path("change.json").display());
    let pinned = export(&origin).and(["--pin"]).finish().await;
    assert_eq!(pinned.code, Some(0), "{pinned}");
    assert_eq!(node.state().hash(), first, "it follows what is published, and was not told to");
    file(&cluster, &["LIFEBOAT_FEED_ON_REFUSAL=on", "LIFEBOAT_FOLLOW=on"]);
    reload(&running, "LIFEBOAT_FOLLOW is on (was off)").await;
    let change = published(&store);
    node.wait_for(|state| state.hash() == change).await;
}
