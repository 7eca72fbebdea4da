//! Each command does what its user wants of it, and says so with its exit code.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;

use bytes::Bytes;
use lifeboat_fakes::recorded;
use lifeboat_tests::forwarder::Forwarder;
use lifeboat_tests::generator;
use lifeboat_tests::program::{Finished, Invocation, lifeboat};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{ACCESS_KEY, Cluster, SECRET_KEY, Store, VERSION, configuration, stored};

/// What must not change when nothing is written: name, size and time of each file.
fn census(folder: &Path) -> Vec<(std::path::PathBuf, u64, SystemTime)> {
    let measured = |file: std::path::PathBuf| {
        let metadata = file.metadata().unwrap();
        (file, metadata.len(), metadata.modified().unwrap())
    };
    stored::files(folder).into_iter().map(measured).collect()
}

pub(super) fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

pub(super) async fn succeeds(invocation: Invocation) -> Finished {
    let finished = invocation.finish().await;
    assert_eq!(finished.code, Some(0), "{finished}");
    finished
}

#[tokio::test(flavor = "multi_thread")]
async fn export_keeps_what_the_control_plane_sent_readable_by_its_user_alone() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    cluster.control_plane.push(recorded::first());
    let sent = configuration(&recorded::first());
    let arguments = [
        ("--storage", format!("file://{}", store.objects.display())),
        ("--control-plane", cluster.control_plane.address().to_string()),
        ("--cluster-cert", cluster.certificate.display().to_string()),
        ("--cluster-cert-key", cluster.key.display().to_string()),
        ("--kong-version", VERSION.to_owned()),
    ];
    let export = || {
        let arguments = arguments.iter().flat_map(|(flag, value)| [*flag, value.as_str()]);
        lifeboat(["export", "--from", "cp"]).and(arguments)
    };
    let first = succeeds(export()).await;
    assert!(first.stdout.starts_with(&format!("kept configuration {} of Kong 3.9.1", sent.hash)), "{first}");
    assert!(std::fs::read(store.config_json()).unwrap() == sent.table, "config.json is not what was sent");
    let published = stored::published(&store.objects).unwrap().expect("a manifest");
    assert!(published.config_json == sent.table && published.config_hash == sent.hash);
    for file in stored::files(&store.objects) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
        for folder in file.ancestors().skip(1).take_while(|folder| folder.starts_with(&store.objects)) {
            assert_eq!(mode(folder), 0o700, "{}", folder.display());
        }
    }

    let before = census(&store.objects);
    let second = succeeds(export()).await;
    assert!(second.stdout.starts_with(&format!("already kept: configuration {}", sent.hash)), "{second}");
    assert_eq!(census(&store.objects), before, "something was written again");

    let third = succeeds(export().and(["--output", "json"])).await;
    let mut manifest: Value = serde_json::from_str(&third.stdout).unwrap();
    assert_eq!(manifest.as_object_mut().unwrap().remove("command"), Some("export".into()));
    assert_eq!(manifest, serde_json::from_slice::<Value>(&std::fs::read(store.manifest_json()).unwrap()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn list_shows_the_snapshots_to_people_and_to_programs() {
    let (cluster, store) = (Cluster::start().await, Store::s3().await);
    let list = || store.given_to(lifeboat(["list"]));
    let empty = succeeds(list()).await;
    assert_eq!(empty.stdout, "no backups in s3://kong/backups\n");
    let empty: Value = serde_json::from_str(&succeeds(list().and(["--output", "json"])).await.stdout).unwrap();
    assert_eq!(empty, json!({ "command": "list", "format": 1, "store": "s3://kong/backups", "versions": [] }));

    let messages = [recorded::first(), recorded::after_change()];
    for message in &messages {
        cluster.control_plane.push(message.clone());
        succeeds(store.given_to(cluster.lifeboat(["export"]))).await;
    }
    let table = succeeds(list()).await;
    let lines: Vec<&str> = table.stdout.lines().collect();
    assert!(lines[0].contains("SNAPSHOT") && lines[0].contains("CONFIGURATION"), "{table}");
    for (line, (mark, message)) in lines[1..].iter().zip([("2*", &messages[1]), ("1 ", &messages[0])]) {
        assert!(line.contains(mark) && line.contains(&configuration(message).hash), "{table}");
    }
    assert!(table.stderr.is_empty(), "{table}");

    let json = succeeds(list().and(["--output", "json"])).await;
    let listing: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(listing["versions"][0]["kong_version"], VERSION);
    let snapshots = listing["versions"][0]["snapshots"].as_array().unwrap();
    let seen: Vec<_> = snapshots.iter().map(|one| (one["sequence"].as_u64(), one["published"].as_bool())).collect();
    assert_eq!(seen, [(Some(2), Some(true)), (Some(1), Some(false))]);
    assert_eq!(snapshots[0]["config_hash"], *configuration(&messages[1]).hash);
    let newest = succeeds(list().and(["--limit", "1"])).await;
    assert!(newest.stdout.contains("1 older snapshots are not shown"), "{newest}");

    // So few are listed whole, and counted, in any case.
    let short = succeeds(list().and(["--newest", "1"])).await;
    assert!(short.stdout.contains("1 older snapshots are not shown"), "{short}");
    assert_eq!(short.stdout.lines().count(), newest.stdout.lines().count(), "{short}");
    let both = list().and(["--newest", "1", "--limit", "1"]).finish().await;
    assert!(both.code == Some(2) && both.stderr.contains("--limit"), "{both}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_waiting_is_written_before_the_program_ends_by_sigterm() {
    what_is_waiting_is_written_at(Signal::TERM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_waiting_is_written_before_the_program_ends_by_sigint() {
    what_is_waiting_is_written_at(Signal::INT).await;
}

async fn what_is_waiting_is_written_at(signal: Signal) {
    let (cluster, store) = (Cluster::start().await, Store::s3().await);
    let (first, second) = (configuration(&recorded::first()), configuration(&recorded::after_change()));
    cluster.control_plane.push(recorded::first());
    let invocation = cluster.lifeboat(["run", "--export", "on", "--import", "on", "--export-delay", "60"]);
    let running = store.given_to(invocation).start();
    running.says(&format!("published configuration {}", first.hash)).await;
    cluster.control_plane.push(recorded::after_change());
    running.says(&format!("hash={}", second.hash)).await;
    assert!(std::fs::read(store.config_json()).unwrap() == first.table, "the export delay was not kept");
    running.signal(signal);
    let ended = running.ends().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(std::fs::read(store.config_json()).unwrap() == second.table, "{ended}");
    let published = stored::published(&store.objects).unwrap().expect("a manifest");
    assert_eq!((published.sequence, published.config_hash), (2, second.hash));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_with_something_unwritten_is_no_success_and_sighup_is_no_end() {
    let (cluster, store) = (Cluster::start().await, Store::s3().await);
    let first = configuration(&recorded::first());
    store.server.as_ref().unwrap().stop().await;
    cluster.control_plane.push(recorded::first());
    let running = store.given_to(cluster.lifeboat(["run", "--export", "on", "--export-delay", "0"])).start();
    running.says(&format!("hash={}", first.hash)).await;
    // A service manager's reload ends nothing.
    running.signal(Signal::HUP);
    running.says("SIGHUP changes nothing").await;
    running.signal(Signal::TERM);
    let ended = running.ends().await;
    assert_eq!(ended.code, Some(1), "{ended}");
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.contains("was not written") && last.contains(&first.hash), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sigterm_ends_it_at_once_while_the_store_hangs() {
    a_second_one_ends_it_at_once(Signal::TERM, 143).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sigint_ends_it_at_once_while_the_store_hangs() {
    a_second_one_ends_it_at_once(Signal::INT, 130).await;
}

async fn a_second_one_ends_it_at_once(signal: Signal, code: i32) {
    let (cluster, store) = (Cluster::start().await, Store::s3().await);
    let (first, second) = (configuration(&recorded::first()), configuration(&recorded::after_change()));
    let server = store.server.as_ref().unwrap().endpoint();
    let way = Forwarder::start(server.trim_start_matches("http://").parse().unwrap()).await;
    cluster.control_plane.push(recorded::first());
    let invocation = store.given_to(cluster.lifeboat(["run", "--export", "on", "--export-delay", "0"]));
    let invocation = invocation.with("AWS_CONFIG_STORAGE_ENDPOINT", format!("http://{}", way.address()));
    let running = invocation.with("LIFEBOAT_ELECTION", "none").start();
    running.says(&format!("published configuration {}", first.hash)).await;

    way.cut();
    cluster.control_plane.push(recorded::after_change());
    running.says(&format!("hash={}", second.hash)).await;
    running.signal(signal);
    running.says("stopping").await;
    running.signal(signal);

    // Whoever waits for the store ends with 1 and names the configuration.
    let ended = running.ends().await;
    assert_eq!(ended.code, Some(code), "{ended}");
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.contains("again while it was stopping: it ended at once"), "{ended}");
    let published = stored::published(&store.objects).unwrap().expect("a manifest");
    assert_eq!((published.sequence, published.config_hash), (1, first.hash));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_during_a_long_export_is_written_before_the_program_ends() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let large = Bytes::from(generator::reconfigure_message(&generator::configuration(15_000)));
    let small = configuration(&recorded::first());
    cluster.control_plane.push(large.clone());
    // The small one loses nearly all, which would be held.
    let invocation = cluster.lifeboat(["run", "--export", "on", "--export-delay", "0", "--max-shrink", "100"]);
    let running = store.given_to(invocation).start();
    running.says(&format!("hash={}", configuration(&large).hash)).await;
    cluster.control_plane.push(recorded::first());
    running.says(&format!("hash={}", small.hash)).await;
    running.signal(Signal::TERM);
    let ended = running.ends().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(stored::published(&store.objects).unwrap().expect("a manifest").config_hash, small.hash, "{ended}");
    assert!(std::fs::read(store.config_json()).unwrap() == small.table, "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kongs_own_settings_file_and_secrets_in_files_are_enough() {
    let (cluster, store) = (Cluster::start().await, Store::s3().await);
    cluster.control_plane.push(recorded::first());
    let conf = cluster.path("kong.conf");
    let text = format!(
        "# as the data planes have it\nrole = data_plane\ncluster_control_plane = {}\ncluster_cert = {}\n\
         cluster_cert_key = {} # a path\ncluster_fallback_config_storage = s3://kong/backups\n",
        cluster.control_plane.address(),
        cluster.certificate.display(),
        cluster.key.display(),
    );
    std::fs::write(&conf, text).unwrap();
    let (id, secret) = (cluster.path("id"), cluster.path("secret"));
    std::fs::write(&id, ACCESS_KEY).unwrap();
    std::fs::write(&secret, format!("{SECRET_KEY}\n")).unwrap();
    let invocation = lifeboat(["export", "--kong-conf"])
        .and([&conf])
        .with("KONG_VERSION", VERSION)
        .with("AWS_CONFIG_STORAGE_ENDPOINT", store.server.as_ref().unwrap().endpoint())
        .with("AWS_ACCESS_KEY_ID_FILE", &id)
        .with("AWS_SECRET_ACCESS_KEY_FILE", &secret);
    let kept = succeeds(invocation).await;
    assert!(kept.stdout.contains("in s3://kong/backups"), "{kept}");
    assert!(std::fs::read(store.config_json()).unwrap() == configuration(&recorded::first()).table);
}

/// The steps of the issue, in their order.
fn tells_the_whole_story(demo: &Finished) {
    let mut rest = demo.stdout.as_str();
    for step in [
        "control plane on 127.0.0.1:",
        "configuration 1 kept",
        "configuration 2 kept",
        "the control plane is gone",
        "a fresh data plane starts",
        "restored in ",
        "byte for byte",
        "the control plane is back",
        "spliced",
        "a change made now arrives",
        "done",
    ] {
        let at = rest.find(step).unwrap_or_else(|| panic!("{step:?} is missing or out of order: {demo}"));
        rest = &rest[at + step.len()..];
    }
    assert!(demo.stdout.lines().all(|line| line.contains(" s  ")), "a line has no time: {demo}");
    assert!(demo.stderr.is_empty(), "{demo}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_needs_nothing_and_tells_its_story() {
    let demo = succeeds(lifeboat(["demo"])).await;
    tells_the_whole_story(&demo);
    assert!(demo.stdout.contains("a store in a folder of its own"), "{demo}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_runs_against_a_bucket_of_ones_own_and_touches_nothing_in_it() {
    let store = Store::s3().await;
    runs_beside_real_backups(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_runs_against_a_folder_of_ones_own_and_touches_nothing_in_it() {
    runs_beside_real_backups(&Store::folder()).await;
}

async fn runs_beside_real_backups(store: &Store) {
    let cluster = Cluster::start().await;
    cluster.control_plane.push(recorded::lost_database());
    succeeds(store.given_to(cluster.lifeboat(["export"]))).await;
    let before = census(&store.objects);
    let demo = succeeds(store.given_to(lifeboat(["demo"]))).await;
    tells_the_whole_story(&demo);
    let (rehearsed, real): (Vec<_>, Vec<_>) = census(&store.objects).into_iter().partition(|(file, ..)| {
        let inside = file.strip_prefix(&store.objects).unwrap();
        inside.to_string_lossy().starts_with("lifeboat-demo-")
    });
    assert_eq!(real, before, "the demo touched real backups");
    assert!(rehearsed.iter().any(|(file, ..)| file.ends_with("config.json")), "{rehearsed:?}");
    let clearing = demo.stdout.lines().last().and_then(|line| line.split_once("this removes it: "));
    assert!(clearing.is_some_and(|(_, command)| command.contains("lifeboat-demo-")), "{demo}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_json_is_one_object_a_line() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    cluster.control_plane.push(recorded::first());
    let invocation = cluster.lifeboat(["run", "--export", "on", "--import", "on"]).with("LIFEBOAT_LOG_FORMAT", "json");
    let running = store.given_to(invocation).start();
    running.says("published configuration").await;
    running.signal(Signal::TERM);
    let ended = running.ends().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(ended.stderr.lines().count() > 4, "{ended}");
    are_objects(&ended.stderr);
}

fn are_objects(log: &str) {
    for line in log.lines() {
        let entry: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(entry["level"].is_string() && entry["fields"]["message"].is_string(), "{line}");
        assert!(entry["timestamp"].is_string() && entry["target"].is_string(), "{line}");
    }
}

#[tokio::test]
async fn why_it_has_ended_is_an_object_too_where_the_log_is_in_json() {
    let run = lifeboat(["run", "--export", "on"]).with("LIFEBOAT_LOG_FORMAT", "json").with("LIFEBOAT_LOG", "off");
    let ended = run.finish().await;
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{ended}");
    are_objects(&ended.stderr);
    let entry: Value = serde_json::from_str(&ended.stderr).unwrap();
    let message = entry["fields"]["message"].as_str().unwrap();
    assert!(
        message.contains("KONG_CLUSTER_CERT (--cluster-cert) is not set") && entry["fields"]["exit_code"] == 2,
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_is_told_with_commit_platform_and_features() {
    let finished = succeeds(lifeboat(["--version"])).await;
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{finished}");
    assert_eq!(lines[0], format!("lifeboat {}", lifeboat::version::VERSION));
    // Builds for development, as this one is, don't ask git.
    assert_eq!(lines[1], "commit: unknown", "unless SOURCE_COMMIT was set");
    assert!(lines[2].starts_with("platform: ") && lines[2].contains(std::env::consts::ARCH), "{finished}");
    assert!(lines[3].starts_with("features: "), "{finished}");

    assert_eq!(succeeds(lifeboat(["-V"])).await.stdout.trim_end(), lines[0]);
}
