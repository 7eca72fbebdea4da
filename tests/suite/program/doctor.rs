//! `lifeboat doctor`: each thing that is broken on purpose is found by its own row, with what to do; nothing else is
//! blamed for it, nothing is left behind and nobody is disturbed.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use lifeboat_core::keys::{EncryptionKey, SigningKey};
use lifeboat_fakes::certificate::{CLUSTER_VALIDITY, ClusterCertificate, Credentials};
use lifeboat_fakes::control_plane::{Behaviour, Event};
use lifeboat_fakes::recorded;
use lifeboat_tests::admin_api::AdminApi;
use lifeboat_tests::peculiar_store::{ConditionalWrites, PeculiarStore, Peculiarities, Permission};
use lifeboat_tests::program::{Finished, Invocation, lifeboat};
use serde_json::Value;

use super::{ACCESS_KEY, Cluster, SECRET_KEY, Store, configuration, stored, write_credentials};

const ALL_IS_WELL: i32 = 0;
const FAILED: i32 = 1;
/// Nothing listens on the discard port.
const NOBODY: &str = "127.0.0.1:9";
const OTHER_SECRET: &str = "terrible-storage-secret";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a doctor said, as a program reads it.
struct Report {
    rows: BTreeMap<String, Vec<Value>>,
    finished: Finished,
}

impl Report {
    /// The one row of this name.
    fn row(&self, name: &str) -> &Value {
        match self.rows.get(name).map_or(&[][..], Vec::as_slice) {
            [row] => row,
            rows => panic!("{} rows are named {name:?}: {}", rows.len(), self.finished),
        }
    }

    /// The row has this verdict and says all of this, in what was seen or in the cure.
    #[track_caller]
    fn says(&self, name: &str, verdict: &str, parts: &[&str]) {
        let row = self.row(name);
        let text = format!("{} {}", row["seen"].as_str().unwrap(), row["cure"].as_str().unwrap_or_default());
        assert_eq!(row["verdict"], verdict, "{name}: {text}");
        assert_eq!(row["cure"].is_string(), verdict != "pass", "{name}: {text}");
        for part in parts {
            assert!(text.contains(part), "{name} does not say {part:?}: {text}");
        }
    }

    /// The names of the rows that aren't as they should be, but for the keys, which most of these clusters have none of.
    fn complaints(&self) -> Vec<&str> {
        let is_complaint = |rows: &[Value]| rows.iter().any(|row| row["verdict"] != "pass");
        let names = self.rows.iter().filter(|(_, rows)| is_complaint(rows)).map(|(name, _)| name.as_str());
        names.filter(|name| *name != "keys").collect()
    }
}

/// Runs a doctor for programs, and looks at what is true of each report.
async fn examined(invocation: Invocation, code: i32) -> Report {
    let finished = invocation.and(["--output", "json"]).with("LIFEBOAT_MAX_CONFIG", "1000000").finish().await;
    assert_eq!(finished.code, Some(code), "{finished}");
    for secret in [SECRET_KEY, OTHER_SECRET, "PRIVATE KEY"] {
        assert!(!finished.stdout.contains(secret) && !finished.stderr.contains(secret), "a secret is told: {finished}");
    }
    let report: Value = serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("no JSON: {finished}"));
    assert_eq!(report["format"], 1);
    assert_eq!(report["verdict"] == "fail", code == FAILED, "{finished}");
    let mut rows: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for row in report["checks"].as_array().unwrap() {
        rows.entry(row["name"].as_str().unwrap().to_owned()).or_default().push(row.clone());
    }
    Report { rows, finished }
}

fn exporter(cluster: &Cluster, store: &Store) -> Invocation {
    store.given_to(cluster.lifeboat(["doctor", "--export", "on"]))
}

fn importer(cluster: &Cluster, store: &Store) -> Invocation {
    store.given_to(cluster.lifeboat(["doctor", "--import", "on"]))
}

/// A cluster whose configuration is in the store already.
async fn kept(store: &Store) -> Cluster {
    let cluster = Cluster::start().await;
    cluster.control_plane.push(recorded::first());
    let kept = store.given_to(cluster.lifeboat(["export"])).finish().await;
    assert_eq!(kept.code, Some(0), "{kept}");
    cluster
}

fn at(invocation: Invocation, store: &PeculiarStore) -> Invocation {
    invocation
        .with("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", "s3://kong/backups")
        .with("AWS_CONFIG_STORAGE_ENDPOINT", store.endpoint())
        .with("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .with("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_where_all_is_well_is_told_so_and_nothing_is_left_in_the_store() {
    let store = Store::s3().await;
    let cluster = kept(&store).await;
    let before = stored::files(&store.objects);
    let report = examined(exporter(&cluster, &store), ALL_IS_WELL).await;
    assert_eq!(report.complaints(), Vec::<&str>::new(), "{}", report.finished);
    let names: Vec<&str> = report.rows.keys().map(String::as_str).collect();
    let expected = [
        "backup: config.json",
        "backup: current",
        "backup: newest",
        "backup: nodes",
        "certificate: cluster",
        "clock",
        "control plane: address",
        "control plane: configuration",
        "control plane: link",
        "keys",
        "limit: memory",
        "limit: open files",
        "role",
        "settings",
        "store: conditional writes",
        "store: list",
        "store: read",
        "store: replace",
        "store: write",
    ];
    assert_eq!(names, expected);
    let hash = configuration(&recorded::first()).hash;
    report.says("control plane: configuration", "pass", &[&hash, "2 services, 4 routes"]);
    report.says("backup: newest", "pass", &["snapshot 1", &hash, "it verifies"]);
    report.says("store: conditional writes", "pass", &["create-if-absent is honoured; compare-and-swap is honoured"]);
    assert_eq!(stored::files(&store.objects), before, "something was left");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_given_a_table_and_the_cures_below_it() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    cluster.control_plane.push(recorded::first());
    let finished = exporter(&cluster, &store).finish().await;
    assert_eq!(finished.code, Some(ALL_IS_WELL), "{finished}");
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert!(lines[0].starts_with("CHECK") && lines[0].contains("RESULT") && lines[0].contains("SEEN"), "{finished}");
    assert!(lines.iter().all(|line| line.chars().count() <= 200), "{finished}");
    let row = lines.iter().find(|line| line.starts_with("store: conditional writes")).expect("a row");
    assert!(row.contains("warn"), "{finished}");
    let cure = "store: conditional writes (warn): let one exporter alone write here";
    assert!(finished.stdout.contains(cure), "{finished}");
    assert!(finished.stdout.contains("backup: newest (warn): lifeboat run with export on"), "{finished}");
    assert!(finished.stderr.is_empty(), "{finished}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mistake_in_the_settings_is_a_row_and_the_rest_is_checked_all_the_same() {
    let store = Store::s3().await;
    let cluster = kept(&store).await;
    let invocation = exporter(&cluster, &store)
        .with("LIFEBOAT_PLUGIN", "x")
        .with("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT_DELAY", "soon");
    let report = examined(invocation, FAILED).await;
    let mistakes = &report.rows["settings"];
    assert_eq!(mistakes.len(), 2, "{}", report.finished);
    assert!(mistakes.iter().any(|row| row["seen"].as_str().unwrap().contains("did you mean LIFEBOAT_PLUGINS")));
    assert_eq!(report.complaints(), ["settings"], "{}", report.finished);

    let report = examined(lifeboat(["doctor"]), FAILED).await;
    assert!(report.rows["settings"].len() >= 4, "{}", report.finished);
    report.says("role", "warn", &["neither export nor import is on", "KONG_CLUSTER_FALLBACK_CONFIG_EXPORT=on"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_asked_for_its_key_and_its_end() {
    let store = Store::s3().await;
    let cluster = kept(&store).await;
    let ends_in = |left: Duration| ClusterCertificate::version_1(SystemTime::now() + left - CLUSTER_VALIDITY);
    let report = examined(with(&cluster, exporter(&cluster, &store), &ends_in(10 * DAY)), FAILED).await;
    report.says("certificate: cluster", "warn", &["expires in 9 days", "renew it before", "KONG_CLUSTER_CERT"]);
    // It isn't the control plane's either.
    report.says("control plane: link", "fail", &["KONG_CLUSTER_CERT"]);
    let begun = SystemTime::now() - CLUSTER_VALIDITY - DAY;
    let report =
        examined(with(&cluster, exporter(&cluster, &store), &ClusterCertificate::version_1(begun)), FAILED).await;
    report.says("certificate: cluster", "fail", &["expired at", "renew it"]);
    let report = examined(
        with(&cluster, exporter(&cluster, &store), &ClusterCertificate::version_1(SystemTime::now() + DAY)),
        FAILED,
    )
    .await;
    report.says("certificate: cluster", "fail", &["not valid before", "clock"]);

    let other = ClusterCertificate::version_1(SystemTime::now());
    let (_, key) = write_credentials(&cluster.path(""), "other", &other);
    let report = examined(exporter(&cluster, &store).with("KONG_CLUSTER_CERT_KEY", key), FAILED).await;
    report.says(
        "settings",
        "fail",
        &["KONG_CLUSTER_CERT (--cluster-cert) and KONG_CLUSTER_CERT_KEY (--cluster-cert-key)", "not a pair"],
    );
}

fn with(cluster: &Cluster, invocation: Invocation, credentials: &Credentials) -> Invocation {
    let (certificate, key) = write_credentials(&cluster.path(""), "another", credentials);
    invocation.with("KONG_CLUSTER_CERT", certificate).with("KONG_CLUSTER_CERT_KEY", key)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_that_is_silent_refuses_or_is_away_is_told_apart() {
    let store = Store::s3().await;
    let cluster = kept(&store).await;
    let examine = || exporter(&cluster, &store).with("LIFEBOAT_CP_CONFIG_TIMEOUT", "1s");
    cluster.control_plane.behave(Behaviour::Silent);
    let report = examined(examine(), FAILED).await;
    assert_eq!(report.complaints(), ["control plane: configuration"], "{}", report.finished);
    report.says("control plane: configuration", "fail", &["has sent nothing for 1 s", "LIFEBOAT_PLUGINS"]);

    cluster.control_plane.behave(Behaviour::Refusing);
    let report = examined(examine(), FAILED).await;
    assert_eq!(report.complaints(), ["control plane: link"], "{}", report.finished);
    report.says("control plane: link", "fail", &["refuses this node of Kong 3.9.1", "KONG_VERSION"]);

    let report = examined(examine().with("KONG_CLUSTER_CONTROL_PLANE", NOBODY), FAILED).await;
    assert_eq!(report.complaints(), ["control plane: address", "control plane: link"], "{}", report.finished);
    report.says("control plane: address", "fail", &[NOBODY, "can't be reached", "LIFEBOAT_CONTROL_PLANE"]);

    let report = examined(examine().with("KONG_CLUSTER_CONTROL_PLANE", "no-such-host.invalid:8005"), FAILED).await;
    report.says("control plane: address", "fail", &["no-such-host.invalid:8005", "can't be resolved"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_turns_us_away_or_is_away_is_named_with_the_cure_and_nothing_hangs() {
    let store = Store::s3().await;
    let cluster = kept(&store).await;
    let stores = ["store: list", "store: read", "store: write"];
    for (variable, value, parts) in [
        ("AWS_SECRET_ACCESS_KEY", OTHER_SECRET, ["denied", "AWS_SECRET_ACCESS_KEY"]),
        ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", "s3://other/backups", ["s3://other/backups", "does not exist"]),
        ("AWS_CONFIG_STORAGE_ENDPOINT", &format!("http://{NOBODY}"), [NOBODY, "AWS_CONFIG_STORAGE_ENDPOINT"]),
    ] {
        let report = examined(exporter(&cluster, &store).with(variable, value), FAILED).await;
        report.says("store: list", "fail", &parts);
        let complaints = report.complaints();
        assert!(complaints.iter().all(|name| stores.contains(name) || name.starts_with("backup")), "{complaints:?}");
        assert!(complaints.contains(&"store: write"), "{}", report.finished);
    }
    assert!(!store.objects.parent().unwrap().join("../other").exists(), "a bucket was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_is_named_by_its_row() {
    let denied = Permission::Denied;
    for (name, peculiarities, permission) in [
        ("store: list", Peculiarities { listing: denied, ..Peculiarities::default() }, "s3:ListBucket"),
        ("store: write", Peculiarities { writing: denied, ..Peculiarities::default() }, "s3:PutObject"),
    ] {
        let (cluster, store) = (Cluster::start().await, PeculiarStore::start(Peculiarities::default()).await);
        cluster.control_plane.push(recorded::first());
        let kept = at(cluster.lifeboat(["export"]), &store).finish().await;
        assert_eq!(kept.code, Some(0), "{kept}");
        store.becomes(peculiarities);
        let report = examined(at(cluster.lifeboat(["doctor", "--export", "on"]), &store), FAILED).await;
        assert_eq!(report.complaints(), [name], "{}", report.finished);
        report.says(name, "fail", &["denied", permission]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_whose_conditional_writes_are_worth_nothing_is_found_out() {
    let cluster = Cluster::start().await;
    cluster.control_plane.push(recorded::first());
    for (how, parts) in [
        (ConditionalWrites::NotImplemented, ["is refused", "one exporter alone"]),
        (ConditionalWrites::Ignored, ["said yes to what it should have refused", "can't be trusted"]),
        (ConditionalWrites::CheckedTooEarly, ["were told that they had won", "can't be trusted"]),
    ] {
        let peculiarities = Peculiarities { conditional_writes: how, ..Peculiarities::default() };
        let store = PeculiarStore::start(peculiarities).await;
        let report = examined(at(cluster.lifeboat(["doctor", "--export", "on"]), &store), ALL_IS_WELL).await;
        report.says("store: conditional writes", "warn", &parts);
        report.says("store: write", "pass", &[]);
        assert_eq!(store.keys(), Vec::<String>::new(), "{how:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_may_be_deleted_a_doctor_leaves_one_object_however_often_it_comes() {
    let (cluster, peculiarities) =
        (Cluster::start().await, Peculiarities { deleting: Permission::Denied, ..Peculiarities::default() });
    let store = PeculiarStore::start(peculiarities).await;
    cluster.control_plane.push(recorded::first());
    for _ in 0..2 {
        let report = examined(at(cluster.lifeboat(["doctor", "--export", "on"]), &store), ALL_IS_WELL).await;
        report.says("store: conditional writes", "pass", &[]);
        assert_eq!(store.keys(), ["kong/backups/3.9.1/election/doctor.json"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_importer_needs_no_right_but_to_read_and_is_told_of_one_too_many() {
    let (cluster, store) = (Cluster::start().await, PeculiarStore::start(Peculiarities::default()).await);
    cluster.control_plane.push(recorded::first());
    let kept = at(cluster.lifeboat(["export"]), &store).finish().await;
    assert_eq!(kept.code, Some(0), "{kept}");
    let before = store.keys();
    let examine = || at(cluster.lifeboat(["doctor", "--import", "on"]), &store);
    let report = examined(examine(), ALL_IS_WELL).await;
    assert_eq!(report.complaints(), ["store: write"], "{}", report.finished);
    report.says("store: write", "warn", &["an importer needs no such right", "decides what restored nodes run"]);
    assert_eq!(store.keys(), before, "something was left");

    let denied = Permission::Denied;
    store.becomes(Peculiarities { deleting: denied, listing: denied, writing: denied, ..Peculiarities::default() });
    let report = examined(examine(), ALL_IS_WELL).await;
    assert_eq!(report.complaints(), Vec::<&str>::new(), "{}", report.finished);
    report.says("store: list", "pass", &["not needed while the newest snapshot is whole"]);
    report.says("backup: newest", "pass", &["snapshot 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_importer_without_a_backup_fails_and_an_exporter_is_told_how_to_make_one() {
    let (cluster, store) = (Cluster::start().await, Store::s3().await);
    cluster.control_plane.push(recorded::first());
    let report = examined(importer(&cluster, &store), FAILED).await;
    report.says("backup: newest", "fail", &["there is no backup for Kong 3.9.1", "let an exporter write here"]);
    let report = examined(exporter(&cluster, &store), ALL_IS_WELL).await;
    report.says("backup: newest", "warn", &["there is no backup for Kong 3.9.1", "lifeboat export"]);

    let nowhere = cluster.path("nowhere");
    let storage = format!("file://{}", nowhere.display());
    let invocation = importer(&cluster, &store).with("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", storage);
    examined(invocation, FAILED).await.says("store", "fail", &["is not there", "let the exporter make it"]);
    assert!(!nowhere.exists(), "an importer made the store");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_without_a_version_is_checked_for_every_version_in_its_store() {
    let store = Store::s3().await;
    let cluster = kept(&store).await;
    let report = examined(importer(&cluster, &store).with("KONG_VERSION", ""), ALL_IS_WELL).await;
    report.says("backup: newest", "pass", &["Kong 3.9.1: snapshot 1"]);
    report.says("control plane: link", "warn", &["KONG_VERSION is not set"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_the_store_is_looked_at_to_the_last_byte() {
    let store = Store::s3().await;
    let cluster = kept(&store).await;
    let whole = std::fs::read(store.config_json()).unwrap();
    std::fs::write(store.config_json(), "{}").unwrap();
    // Times in answers have whole seconds.
    let later = SystemTime::now() + Duration::from_secs(60);
    std::fs::File::options().write(true).open(store.config_json()).unwrap().set_modified(later).unwrap();
    let report = examined(exporter(&cluster, &store), ALL_IS_WELL).await;
    assert_eq!(report.complaints(), ["backup: config.json"], "{}", report.finished);
    report.says("backup: config.json", "warn", &["someone else after the newest manifest", "another exporter"]);
    std::fs::remove_file(store.config_json()).unwrap();
    let report = examined(exporter(&cluster, &store), ALL_IS_WELL).await;
    report.says("backup: config.json", "warn", &["not what is published"]);
    std::fs::write(store.config_json(), whole).unwrap();

    let manifest = std::fs::read(store.manifest_json()).unwrap();
    std::fs::write(store.manifest_json(), &manifest[..manifest.len() / 2]).unwrap();
    let report = examined(exporter(&cluster, &store), FAILED).await;
    report.says("backup: newest", "fail", &["3.9.1/lifeboat/manifest.json", "not a lifeboat manifest"]);
    std::fs::write(store.manifest_json(), manifest).unwrap();

    let payload = stored::files(&store.objects).into_iter().find(|file| file.to_string_lossy().ends_with(".json.gz"));
    std::fs::write(payload.unwrap(), "half").unwrap();
    let report = examined(exporter(&cluster, &store), FAILED).await;
    assert_eq!(report.complaints(), ["backup: newest"], "{}", report.finished);
    report.says("backup: newest", "fail", &["it is incomplete"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_not_what_the_control_plane_sends_is_told() {
    let store = Store::s3().await;
    let cluster = kept(&store).await;
    cluster.control_plane.push(recorded::after_change());
    let report = examined(exporter(&cluster, &store), ALL_IS_WELL).await;
    assert_eq!(report.complaints(), ["backup: current"], "{}", report.finished);
    let hash = configuration(&recorded::after_change()).hash;
    report.says("backup: current", "warn", &[&hash, "look whether the exporter runs"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_text_from_before_encryption_fails_until_it_is_deleted() {
    let store = Store::s3().await;
    let cluster = kept(&store).await;
    let plain = examined(exporter(&cluster, &store), ALL_IS_WELL).await;
    plain.says("keys", "warn", &["anyone who can write to s3://kong/backups controls the nodes", "lifeboat keygen"]);

    let signing = SigningKey::from_seed("s".parse().unwrap(), [7; 32]).to_text();
    let encryption = EncryptionKey::from_secret("e".parse().unwrap(), [8; 32]).to_text();
    let keyed = |invocation: Invocation| {
        invocation.with("LIFEBOAT_SIGNING_KEY", &*signing).with("LIFEBOAT_ENCRYPTION_KEYS", &*encryption)
    };
    let kept = keyed(store.given_to(cluster.lifeboat(["export"]))).finish().await;
    assert_eq!(kept.code, Some(0), "{kept}");
    let report = examined(keyed(exporter(&cluster, &store)), FAILED).await;
    report.says("backup: plaintext", "fail", &["3.9.1/config.json", "delete them"]);
    report.says("keys", "pass", &["sealed with \"e\"", "signed by \"s\""]);
    assert_eq!(report.complaints(), ["backup: plaintext"], "{}", report.finished);

    std::fs::remove_file(store.config_json()).unwrap();
    let report = examined(keyed(exporter(&cluster, &store)), ALL_IS_WELL).await;
    report.says("backup: plaintext", "pass", &["none is left"]);
    let secrets = [&*signing, &*encryption];
    assert!(!secrets.iter().any(|secret| report.finished.to_string().contains(*secret)), "{}", report.finished);

    // Who trusts another key gets nothing of it.
    let other = SigningKey::from_seed("o".parse().unwrap(), [9; 32]).trusted().to_text();
    let report = examined(importer(&cluster, &store).with("LIFEBOAT_TRUSTED_KEYS", &*other), FAILED).await;
    report.says("backup: newest", "fail", &["3.9.1/lifeboat/manifest.json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_in_place_of_a_store_is_checked_for_what_it_gives() {
    let store = Store::s3().await;
    let cluster = kept(&store).await;
    let ticket = store.given_to(cluster.lifeboat(["presign"])).finish().await;
    assert_eq!(ticket.code, Some(0), "{ticket}");
    let with_ticket = || cluster.lifeboat(["doctor", "--import", "on"]).with("LIFEBOAT_TICKET", ticket.stdout.trim());
    let report = examined(with_ticket(), ALL_IS_WELL).await;
    assert_eq!(report.complaints(), Vec::<&str>::new(), "{}", report.finished);
    report.says("ticket", "pass", &["it works for"]);
    report.says("backup: newest", "pass", &["snapshot 1", "it verifies"]);
    assert!(!report.finished.to_string().contains(ticket.stdout.trim()), "a ticket is a secret: {}", report.finished);
    store.server.as_ref().unwrap().stop().await;
    examined(with_ticket(), FAILED).await.says("backup: newest", "fail", &["look whether the store is up"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_exporter_is_not_disturbed() {
    let (cluster, store) = (Cluster::start().await, Store::s3().await);
    cluster.control_plane.push(recorded::first());
    let running = store.given_to(cluster.lifeboat(["run", "--export", "on", "--export-delay", "0"])).start();
    running.says("published configuration").await;
    let id = cluster.control_plane.state().nodes[0].node_id.clone();
    let before = (stored::files(&store.objects), std::fs::read(store.manifest_json()).unwrap());
    let report = examined(exporter(&cluster, &store), ALL_IS_WELL).await;
    assert_eq!(report.complaints(), Vec::<&str>::new(), "{}", report.finished);
    assert_eq!((stored::files(&store.objects), std::fs::read(store.manifest_json()).unwrap()), before);
    let events = cluster.control_plane.state().events;
    let has_gone = |event: &Event| matches!(event, Event::Disconnected(node, _) if *node == id);
    assert!(!events.iter().any(has_gone), "{events:?}");
    cluster.control_plane.push(recorded::after_change());
    running.says(&format!("published configuration {}", configuration(&recorded::after_change()).hash)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_that_does_not_exist_is_wrong_usage() {
    let finished = lifeboat(["doctor", "--outptu", "json"]).finish().await;
    assert_eq!(finished.code, Some(2), "{finished}");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_data_planes_without_a_backup_are_found_in_the_admin_api() {
    let store = Store::s3().await;
    let cluster = kept(&store).await;
    let report = examined(exporter(&cluster, &store), ALL_IS_WELL).await;
    report.says("backup: nodes", "pass", &["not looked at", "LIFEBOAT_ADMIN_URL is not set"]);

    let admin = AdminApi::start().await;
    let asked = || exporter(&cluster, &store).with("LIFEBOAT_ADMIN_URL", admin.url());
    // The recorded nodes have long gone.
    let report = examined(asked(), ALL_IS_WELL).await;
    report.says("backup: nodes", "pass", &["no data plane in the last hour"]);
    admin.sees("3.9.4");
    let report = examined(asked(), ALL_IS_WELL).await;
    report.says("backup: nodes", "pass", &["each with a backup: 1 of Kong 3.9.4"]);
    let report = examined(asked().with("LIFEBOAT_VERSION_MATCH", "exact"), ALL_IS_WELL).await;
    report.says("backup: nodes", "warn", &["without a backup: 1 of Kong 3.9.4"]);
    admin.sees("3.8.1");
    let report = examined(asked(), ALL_IS_WELL).await;
    report.says("backup: nodes", "warn", &["without a backup: 1 of Kong 3.8.1", "LIFEBOAT_KONG_VERSIONS"]);
    assert_eq!(report.complaints(), ["backup: nodes"], "{}", report.finished);
    drop(admin);
    let report =
        examined(exporter(&cluster, &store).with("LIFEBOAT_ADMIN_URL", "http://127.0.0.1:9"), ALL_IS_WELL).await;
    report.says("backup: nodes", "warn", &["not known: LIFEBOAT_ADMIN_URL"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_near_what_nodes_take_is_a_warning() {
    let store = Store::s3().await;
    let cluster = kept(&store).await;
    let report = examined(exporter(&cluster, &store).with("KONG_LMDB_MAP_SIZE", "1k"), ALL_IS_WELL).await;
    report.says("backup: newest", "warn", &["% of what lmdb_map_size lets nodes take"]);
}
