//! What the program says when something is wrong: broken on purpose, read as somebody reads it who was paged. Each message
//! names what is wrong and what to do, without the log before it, and ends with the documented exit code.

use std::net::TcpListener;
use std::time::SystemTime;

use bytes::Bytes;
use lifeboat_fakes::certificate::ClusterCertificate;
use lifeboat_fakes::control_plane::{Behaviour, ControlPlane, ControlPlaneOptions};
use lifeboat_fakes::recorded;
use lifeboat_link::tls::server_config_shared;
use lifeboat_tests::generator;
use lifeboat_tests::program::{Finished, Invocation, lifeboat};

use super::{Cluster, SECRET_KEY, Store, configuration, identity, stored, write_credentials};

const FAILED: i32 = 1;
const WRONG_USAGE: i32 = 2;
const OTHER_SECRET: &str = "terrible-storage-secret";
const STORAGE: &str = "KONG_CLUSTER_FALLBACK_CONFIG_STORAGE";
/// Nothing listens on the discard port.
const NOBODY: &str = "127.0.0.1:9";

/// Runs it without its log, and reads what is left.
async fn says(invocation: Invocation, code: i32, parts: &[&str]) -> Finished {
    let finished = invocation.with("LIFEBOAT_LOG", "off").finish().await;
    assert_eq!(finished.code, Some(code), "{finished}");
    assert!(finished.stdout.is_empty(), "errors don't belong there: {finished}");
    assert!(finished.stderr.starts_with("lifeboat: "), "{finished}");
    for part in parts {
        assert!(finished.stderr.contains(part), "{part:?} is not said: {finished}");
    }
    for mark in ["Some(", "None", "Ok(", "Err(", "Error {", " { ", "panicked", ".rs:"] {
        assert!(!finished.stderr.contains(mark), "{mark:?} is not for people: {finished}");
    }
    for secret in [SECRET_KEY, OTHER_SECRET, "PRIVATE KEY"] {
        assert!(!finished.stderr.contains(secret), "a secret is told: {finished}");
    }
    finished
}

fn export(cluster: &Cluster, store: &Store) -> Invocation {
    store.given_to(cluster.lifeboat(["export"]))
}

#[tokio::test]
async fn everything_that_is_missing_is_said_at_once() {
    let missing = [STORAGE, "LIFEBOAT_CONTROL_PLANE", "KONG_CLUSTER_CERT ", "KONG_CLUSTER_CERT_KEY", "KONG_VERSION"];
    says(lifeboat(["export"]), WRONG_USAGE, &missing).await;
    says(lifeboat(["run", "--export", "on", "--import", "on"]), WRONG_USAGE, &missing).await;
    says(lifeboat(["run"]), WRONG_USAGE, &["nothing to do", "--export on", "--import on", STORAGE]).await;
    says(lifeboat(["list"]), WRONG_USAGE, &[STORAGE, "s3://bucket/prefix"]).await;
}

#[tokio::test]
async fn a_word_where_a_snapshots_number_belongs_is_answered_with_a_valid_one() {
    for command in ["rollback", "show", "verify", "release", "pin", "presign"] {
        let finished = lifeboat([command, "abc"]).finish().await;
        assert_eq!(finished.code, Some(WRONG_USAGE), "{finished}");
        assert!(finished.stderr.contains("a snapshot's number is wanted, such as 41"), "{finished}");
    }
}

#[tokio::test]
async fn a_misspelt_setting_is_said_beside_all_else_that_is_wrong() {
    let invocation = lifeboat(["run", "--import", "on"])
        .with("LIFEBOAT_RELAY_LISTN", "127.0.0.1:8005")
        .with("LIFEBOAT_XYZZY", "1")
        .with("LIFEBOAT_FOLLOW", "on");
    let parts = [
        "LIFEBOAT_RELAY_LISTN is not a setting: did you mean LIFEBOAT_RELAY_LISTEN (--relay-listen)?",
        "LIFEBOAT_XYZZY is not a setting",
        "LIFEBOAT_FOLLOW (--follow) needs LIFEBOAT_TRUSTED_KEYS (--trusted-keys) or LIFEBOAT_ENCRYPTION_KEYS",
        STORAGE,
    ];
    says(invocation, WRONG_USAGE, &parts).await;
    says(
        lifeboat(["demo"]).with("LIFEBOAT_LOGFORMAT", "json"),
        WRONG_USAGE,
        &["did you mean LIFEBOAT_LOG_FORMAT (--log-format)?"],
    )
    .await;
}

#[tokio::test]
async fn a_flag_that_does_not_exist_is_answered_with_the_one_that_was_meant() {
    let finished = lifeboat(["run", "--storge", "s3://backups"]).finish().await;
    assert_eq!(finished.code, Some(WRONG_USAGE), "{finished}");
    assert!(finished.stderr.contains("there is no flag --storge: did you mean --storage?"), "{finished}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_storage_url_is_answered_with_a_valid_one() {
    let cluster = Cluster::start().await;
    for (url, said) in [
        ("backups/kong", "is not a storage URL"),
        ("s3:///kong", "names no bucket"),
        ("ftp://backups/kong", "ftp://"),
        ("file://backups", "file:///var/lib/lifeboat"),
    ] {
        let invocation = cluster.lifeboat(["export"]).with(STORAGE, url);
        says(invocation, WRONG_USAGE, &[STORAGE, said, "valid: "]).await;
    }
    let with_secret = format!("s3://AKID:{OTHER_SECRET}@backups/kong");
    let invocation = cluster.lifeboat(["export"]).with(STORAGE, with_secret);
    says(invocation, WRONG_USAGE, &["credentials belong in AWS_ACCESS_KEY_ID"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_turns_us_away_is_named_with_the_setting_to_correct() {
    let (cluster, store) = (Cluster::start().await, Store::s3().await);
    cluster.control_plane.push(recorded::first());
    let commands = || [export(&cluster, &store), store.given_to(lifeboat(["list"]))];
    for command in commands() {
        let invocation = command.with(STORAGE, "s3://other/backups");
        says(invocation, FAILED, &["s3://other/backups", "the bucket does not exist", STORAGE]).await;
    }
    for command in commands() {
        let invocation = command.with("AWS_ACCESS_KEY_ID", "AKIDOTHER");
        says(invocation, FAILED, &["s3://kong/backups", "denied", "doesn't know AWS_ACCESS_KEY_ID"]).await;
    }
    for command in commands() {
        let invocation = command.with("AWS_SECRET_ACCESS_KEY", OTHER_SECRET);
        says(invocation, FAILED, &["denied", "AWS_SECRET_ACCESS_KEY is not the secret of AWS_ACCESS_KEY_ID"]).await;
    }
    for command in commands() {
        let address = format!("http://{NOBODY}");
        let invocation = command.with("AWS_CONFIG_STORAGE_ENDPOINT", &address);
        says(invocation, FAILED, &["s3://kong/backups", &address, "AWS_CONFIG_STORAGE_ENDPOINT"]).await;
    }
    assert!(!store.objects.exists(), "something was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_written_is_named_with_what_is_in_the_way() {
    let cluster = Cluster::start().await;
    cluster.control_plane.push(recorded::first());
    std::fs::write(cluster.path("file"), "").unwrap();
    std::fs::create_dir_all(cluster.path("folder")).unwrap();
    std::fs::write(cluster.path("folder/3.9.1"), "").unwrap();
    for place in ["file", "file/below", "folder"] {
        let url = format!("file://{}", cluster.path(place).display());
        let invocation = cluster.lifeboat(["export"]).with(STORAGE, &url);
        says(invocation, FAILED, &[&url, "a file is where a folder must be", STORAGE]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_do_not_fit_are_named_with_their_settings() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let other = ClusterCertificate::version_1(SystemTime::now());
    let (certificate, key) = write_credentials(&cluster.path(""), "other", &other);
    let no_pair = export(&cluster, &store).with("KONG_CLUSTER_CERT_KEY", &key);
    says(
        no_pair,
        WRONG_USAGE,
        &["KONG_CLUSTER_CERT (--cluster-cert) and KONG_CLUSTER_CERT_KEY (--cluster-cert-key)", "not a pair"],
    )
    .await;
    let missing = export(&cluster, &store).with("KONG_CLUSTER_CERT_KEY", cluster.path("no-such.key"));
    says(missing, WRONG_USAGE, &["KONG_CLUSTER_CERT_KEY", "no-such.key", "can't be read"]).await;
    let swapped = export(&cluster, &store).with("KONG_CLUSTER_CERT", &cluster.key);
    says(swapped, WRONG_USAGE, &["KONG_CLUSTER_CERT", "no certificate in it"]).await;

    let stranger = export(&cluster, &store).with("KONG_CLUSTER_CERT", &certificate).with("KONG_CLUSTER_CERT_KEY", &key);
    says(stranger, FAILED, &["nothing was exported", "presented another certificate", "cluster_cert"]).await;
    // One that shows the cluster's certificate and accepts another only, as half-way through a rotation.
    let tls = server_config_shared(&[identity(&other).leaf().der().clone()], &cluster.identity).unwrap();
    let rotating = ControlPlane::start(ControlPlaneOptions::new(tls)).await.unwrap();
    let refused = export(&cluster, &store).with("LIFEBOAT_CONTROL_PLANE", rotating.address().to_string());
    says(refused, FAILED, &["nothing was exported", "refused our certificate"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_that_gives_nothing_is_named_with_the_reason() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let control_plane = cluster.control_plane.address().to_string();
    cluster.control_plane.push(recorded::first());
    let nobody = export(&cluster, &store).with("LIFEBOAT_CONTROL_PLANE", NOBODY);
    says(nobody, FAILED, &["nothing was exported", NOBODY, "can't be reached", "cluster_listen"]).await;
    let newer = export(&cluster, &store).with("KONG_VERSION", "3.10.0");
    says(newer, FAILED, &["nothing was exported", &control_plane, "KONG_VERSION"]).await;

    cluster.control_plane.behave(Behaviour::Answering(403.try_into().unwrap()));
    says(export(&cluster, &store), FAILED, &["nothing was exported", &control_plane, "HTTP 403"]).await;
    cluster.control_plane.behave(Behaviour::Answering(502.try_into().unwrap()));
    says(export(&cluster, &store), FAILED, &["nothing was exported", &control_plane, "HTTP 502"]).await;
    cluster.control_plane.behave(Behaviour::Silent);
    let silent = export(&cluster, &store).with("LIFEBOAT_CP_CONFIG_TIMEOUT", "1s");
    let causes = ["has sent nothing for 1 s", "LIFEBOAT_PLUGINS", "LIFEBOAT_FILTERS", "database", "sync_status"];
    says(silent, FAILED, &causes).await;
    assert!(stored::files(&store.objects).is_empty(), "something was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_kept_is_explained_with_the_limit_to_raise() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let large = generator::reconfigure_message(&generator::configuration(100)).into();
    cluster.control_plane.push(large);
    let expands = export(&cluster, &store).with("LIFEBOAT_MAX_CONFIG", "10000");
    says(expands, FAILED, &["nothing was exported", "beyond LIFEBOAT_MAX_CONFIG (10000 bytes)"]).await;
    let compressed = export(&cluster, &store).with("KONG_CLUSTER_MAX_PAYLOAD", "1024");
    let refusal =
        says(compressed, FAILED, &["nothing was exported", "1024 bytes", "Raise KONG_CLUSTER_MAX_PAYLOAD"]).await;
    assert!(!refusal.stderr.contains("KONG_VERSION"), "nobody refused: {refusal}");
    cluster.control_plane.push(Bytes::from_static(b"a proxy's error page"));
    says(export(&cluster, &store), FAILED, &["nothing was exported", "not gzip", "cluster_listen"]).await;
    assert!(stored::files(&store.objects).is_empty(), "something was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_cannot_listen_says_where_and_why() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = || store.given_to(cluster.lifeboat(["run", "--import", "on"]));
    let in_use = run().with("LIFEBOAT_RELAY_LISTEN", &address);
    says(in_use, FAILED, &["LIFEBOAT_RELAY_LISTEN", &address, "listens there", "another port"]).await;
    // TEST-NET-1 of RFC 5737: nobody's address.
    let foreign = run().with("LIFEBOAT_RELAY_LISTEN", "192.0.2.1:8005");
    says(foreign, FAILED, &["LIFEBOAT_RELAY_LISTEN", "192.0.2.1:8005", "no such address"]).await;
    let itself = run().with("LIFEBOAT_RELAY_LISTEN", &address).with("LIFEBOAT_CONTROL_PLANE", &address);
    says(itself, WRONG_USAGE, &["this relay itself", "LIFEBOAT_RELAY_LISTEN", "set LIFEBOAT_CONTROL_PLANE"]).await;
}

/// A store with one snapshot, and a control plane that has another configuration since.
async fn kept_once() -> (Cluster, Store, String) {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    cluster.control_plane.push(recorded::first());
    let kept = export(&cluster, &store).finish().await;
    assert_eq!(kept.code, Some(0), "{kept}");
    cluster.control_plane.push(recorded::after_change());
    let manifest = std::fs::read_to_string(store.manifest_json()).unwrap();
    (cluster, store, manifest)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_of_a_later_format_is_named_and_left_alone() {
    let (cluster, store, manifest) = kept_once().await;
    let later = manifest.replace("\"format\": 1", "\"format\": 2");
    assert_ne!(later, manifest);
    std::fs::write(store.manifest_json(), &later).unwrap();
    let files = stored::files(&store.objects);
    let named = ["3.9.1/lifeboat/manifest.json", "format 2", "update lifeboat"];
    says(export(&cluster, &store), FAILED, &named).await;
    // What can be read is listed all the same.
    let listed = store.given_to(lifeboat(["list"])).finish().await;
    assert_eq!(listed.code, Some(FAILED), "{listed}");
    assert!(listed.stdout.contains(&configuration(&recorded::first()).hash), "{listed}");
    assert!(named.iter().all(|part| listed.stderr.contains(part)), "{listed}");
    assert_eq!(std::fs::read_to_string(store.manifest_json()).unwrap(), later, "it was overwritten");
    assert_eq!(stored::files(&store.objects), files, "something was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_manifest_is_named_and_left_alone_until_somebody_deletes_it() {
    let (cluster, store, manifest) = kept_once().await;
    let half = &manifest[..manifest.len() / 2];
    std::fs::write(store.manifest_json(), half).unwrap();
    let files = stored::files(&store.objects);
    says(export(&cluster, &store), FAILED, &["3.9.1/lifeboat/manifest.json", "not a lifeboat manifest", "Delete it"])
        .await;
    assert_eq!(std::fs::read_to_string(store.manifest_json()).unwrap(), half, "it was overwritten");
    assert_eq!(stored::files(&store.objects), files, "something was written");

    std::fs::remove_file(store.manifest_json()).unwrap();
    let kept = export(&cluster, &store).finish().await;
    assert_eq!(kept.code, Some(0), "{kept}");
    let published = stored::published(&store.objects).unwrap().expect("a manifest");
    assert_eq!((published.sequence, published.config_hash), (2, configuration(&recorded::after_change()).hash));
}
