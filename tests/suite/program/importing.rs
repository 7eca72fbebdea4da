//! `lifeboat import` into the cache of a node that isn't running, killed at any moment, and what it never asks.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_fakes::recorded;
use lifeboat_node_cache::{CacheId, Contents, NodePrefix};
use lifeboat_tests::program::Invocation;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::{Pid, Signal, kill_process};

use super::images::{Beside, RECORDED};
use super::{Cluster, Store, configuration};

const VERSION: KongVersion = KongVersion::new(3, 9, 1);

/// The cache of a node that runs [`recorded::after_change`], of several parts when it is unpacked.
const CACHE: &[u8] = include_bytes!("../../data/lmdb-0.9.33/deep.mdb.gz");

/// How far an import has come is seen by what is there below the prefix, and how long it is at least.
const TRACES: [(&str, u64); 6] = [
    ("dbless.lmdb", 0),
    ("dbless.lmdb/.lifeboat-import", 0),
    ("dbless.lmdb/.lifeboat-import/new.mdb", 0),
    ("dbless.lmdb/.lifeboat-import/new.mdb", 1),
    ("dbless.lmdb/data.mdb", 0),
    ("dbless.lmdb/data.mdb", 1),
];

/// A store with an image of the cache of a node that runs [`recorded::after_change`].
pub(super) async fn with_image(cluster: &Cluster, store: &Store) {
    cluster.control_plane.push(recorded::after_change());
    let mut cache = Vec::new();
    GzDecoder::new(CACHE).read_to_end(&mut cache).unwrap();
    let beside = Beside::with_cache(cluster, &cache);
    let kept = beside.given_to(store.given_to(cluster.lifeboat(["export"]))).finish().await;
    assert!(kept.code == Some(0) && !kept.stderr.contains("without an image"), "{kept}");
}

fn fresh(cluster: &Cluster, name: &str) -> NodePrefix {
    let prefix = NodePrefix::new(cluster.path(name));
    fs::create_dir(prefix.path()).unwrap();
    prefix
}

fn import(cluster: &Cluster, store: &Store, prefix: &NodePrefix) -> Invocation {
    store.given_to(cluster.lifeboat(["import", "--always"])).with("KONG_PREFIX", prefix.path())
}

/// There is no cache, or a whole one with what was kept.
fn assert_absent_or_whole(prefix: &NodePrefix) -> bool {
    match File::open(prefix.data_file()) {
        Ok(file) => {
            let config_hash = configuration(&recorded::after_change()).hash.parse().unwrap();
            Contents::read(&file).unwrap().check("the cache", &CacheId { version: VERSION, config_hash }).unwrap();
            true
        }
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => panic!("{error}"),
    }
}

/// What a killed one has left is no hindrance, and gone afterwards.
async fn assert_finished_by_the_next(cluster: &Cluster, store: &Store, prefix: &NodePrefix) {
    let was_whole = assert_absent_or_whole(prefix);
    let next = import(cluster, store, prefix).finish().await;
    assert_eq!(next.code, Some(if was_whole { 3 } else { 0 }), "{next}");
    assert!(assert_absent_or_whole(prefix));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_killed_at_any_moment_leaves_no_cache_or_a_whole_one() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    with_image(&cluster, &store).await;
    let whole = fresh(&cluster, "whole");
    let start = Instant::now();
    let finished = import(&cluster, &store, &whole).finish().await;
    assert_eq!(finished.code, Some(0), "{finished}");
    let takes = start.elapsed();
    assert!(assert_absent_or_whole(&whole));

    // At once when it has come so far.
    for (number, (name, length)) in TRACES.into_iter().enumerate() {
        let prefix = fresh(&cluster, &format!("traced-{number}"));
        let running = import(&cluster, &store, &prefix).start();
        let (trace, data, process) = (prefix.path().join(name), prefix.data_file(), running.id());
        tokio::task::spawn_blocking(move || kill_at(&trace, length, &data, process)).await.unwrap();
        running.ends().await;
        assert_finished_by_the_next(&cluster, &store, &prefix).await;
    }

    // And at any moment.
    let seed: u64 = rand::random();
    eprintln!("seed {seed} of the moments at which imports are killed: put it in the place of rand::random above");
    let mut chance = StdRng::seed_from_u64(seed);
    for number in 0..8 {
        let prefix = fresh(&cluster, &format!("drawn-{number}"));
        let running = import(&cluster, &store, &prefix).start();
        tokio::time::sleep(takes.mul_f64(chance.random_range(0.3..1.1))).await;
        running.kill().await;
        assert_finished_by_the_next(&cluster, &store, &prefix).await;
    }
}

// What is waited for may be there for less than a millisecond, so nothing is done in between; it may have come and gone,
// after which there is a cache.
fn kill_at(trace: &Path, length: u64, data: &Path, process: u32) {
    let is_there = |path: &Path| fs::metadata(path).is_ok_and(|found| found.is_dir() || found.len() >= length);
    let until = Instant::now() + Duration::from_secs(60);
    while !is_there(trace) && !is_there(data) {
        assert!(Instant::now() < until, "{} never came", trace.display());
    }
    let process = Pid::from_raw(process.cast_signed()).unwrap();
    // It may just have ended.
    let _ = kill_process(process, Signal::KILL);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_has_a_configuration_asks_neither_its_control_plane_nor_the_store() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let prefix = fresh(&cluster, "configured");
    fs::create_dir(prefix.lmdb_folder()).unwrap();
    fs::write(prefix.data_file(), RECORDED).unwrap();
    let (control_plane, objects) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let endpoint = format!("http://{}", objects.local_addr().unwrap());
    let import = store.given_to(cluster.lifeboat(["import"])).with("KONG_PREFIX", prefix.path());
    let import = import
        .with("KONG_CLUSTER_CONTROL_PLANE", control_plane.local_addr().unwrap().to_string())
        .with("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", "s3://kong/backups")
        .with("AWS_CONFIG_STORAGE_ENDPOINT", endpoint)
        .with("AWS_ACCESS_KEY_ID", "AKIDLIFEBOAT")
        .with("AWS_SECRET_ACCESS_KEY", "wonderful-storage-secret");
    let nothing = import.finish().await;
    assert!(nothing.code == Some(3) && nothing.stderr.contains("has a configuration already"), "{nothing}");
    for listener in [control_plane, objects] {
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "somebody was asked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_knows_only_success_and_failure_is_told_success_where_the_node_can_be_started() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let prefix = fresh(&cluster, "started-anyway");
    let ended_with = async |also: &[&str], prefix: &NodePrefix| {
        let import =
            store.given_to(cluster.lifeboat(["import", "--always"]).and(also)).with("KONG_PREFIX", prefix.path());
        import.finish().await
    };
    // There is no backup.
    let failed = ended_with(&["--exit-zero-if", "nothing-to-do"], &prefix).await;
    assert_eq!(failed.code, Some(1), "{failed}");
    let tolerated = ended_with(&["--exit-zero-if", "failed"], &prefix).await;
    assert!(tolerated.code == Some(0) && tolerated.stderr.contains("ERROR"), "{tolerated}");
    let wrong = ended_with(&["--exit-zero-if", "failed", "--kong-version", "3"], &prefix).await;
    assert_eq!(wrong.code, Some(2), "settings are put right before anything is started: {wrong}");

    fs::create_dir(prefix.lmdb_folder()).unwrap();
    fs::write(prefix.data_file(), RECORDED).unwrap();
    for also in ["nothing-to-do", "failed"] {
        let nothing = ended_with(&["--exit-zero-if", also], &prefix).await;
        assert!(nothing.code == Some(0) && nothing.stderr.contains("has a configuration already"), "{nothing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_another_patch_version_will_do_unless_that_is_forbidden() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    with_image(&cluster, &store).await;
    let prefix = fresh(&cluster, "patched");
    let patched = || import(&cluster, &store, &prefix).with("KONG_VERSION", "3.9.2");
    let refused = patched().with("LIFEBOAT_VERSION_MATCH", "exact").finish().await;
    assert!(refused.code == Some(1) && refused.stderr.contains("3.9.2"), "{refused}");
    assert!(!assert_absent_or_whole(&prefix));
    let filled = patched().finish().await;
    assert!(filled.code == Some(0) && filled.stderr.contains("the one of Kong 3.9.1"), "{filled}");
    assert!(assert_absent_or_whole(&prefix));
    let other = import(&cluster, &store, &fresh(&cluster, "other")).with("KONG_VERSION", "3.8.1").finish().await;
    assert!(other.code == Some(1) && other.stderr.contains("3.8.1"), "{other}");
}
