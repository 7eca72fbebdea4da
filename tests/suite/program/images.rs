//! Images of the cache of a node that runs beside the exporter: taken from files that the node goes on using, kept with the
//! snapshot, named in its manifest.

use std::fs;
use std::path::PathBuf;

use lifeboat::archive::Archive;
use lifeboat::settings::{Source, StoreSettings};
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::verify::VerifiedImage;
use lifeboat_fakes::recorded;
use lifeboat_node_cache::{NodePrefix, Outcome, place_image};
use lifeboat_tests::program::{Invocation, lifeboat};
use rustix::process::Signal;
use serde_json::Value;

use super::{Cluster, Store, configuration};

/// The cache of a node that runs [`recorded::after_change`].
pub(super) const RECORDED: &[u8] = include_bytes!("../../data/kong-3.9.1/dbless.lmdb/data.mdb");
const LOCK: &[u8] = b"the node's own";
const VERSION: KongVersion = KongVersion::new(3, 9, 1);

/// A node's prefix, and the folder in which lifeboat may work.
pub(super) struct Beside {
    prefix: NodePrefix,
    temporary: PathBuf,
}

impl Beside {
    pub(super) fn with_cache(cluster: &Cluster, data: &[u8]) -> Self {
        let beside = Self { prefix: NodePrefix::new(cluster.path("kong")), temporary: cluster.path("temporary") };
        fs::create_dir_all(beside.prefix.lmdb_folder()).unwrap();
        fs::create_dir(&beside.temporary).unwrap();
        fs::write(beside.prefix.data_file(), data).unwrap();
        fs::write(beside.prefix.lmdb_folder().join("lock.mdb"), LOCK).unwrap();
        beside
    }

    pub(super) fn given_to(&self, invocation: Invocation) -> Invocation {
        invocation
            .with("LIFEBOAT_CACHE_IMAGE", "on")
            .with("KONG_PREFIX", self.prefix.path())
            .with("TMPDIR", &self.temporary)
    }

    fn assert_untouched(&self, data: &[u8]) {
        let mut names: Vec<_> =
            fs::read_dir(self.prefix.lmdb_folder()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["data.mdb", "lock.mdb"]);
        assert!(fs::read(self.prefix.data_file()).unwrap() == data, "the node's cache was changed");
        assert_eq!(fs::read(self.prefix.lmdb_folder().join("lock.mdb")).unwrap(), LOCK);
        assert_eq!(fs::read_dir(&self.temporary).unwrap().count(), 0, "something that holds keys is left");
    }
}

fn exporting(cluster: &Cluster, store: &Store, beside: &Beside) -> Invocation {
    beside.given_to(store.given_to(cluster.lifeboat(["run", "--export", "on", "--export-delay", "0"])))
}

fn manifest(store: &Store) -> Value {
    serde_json::from_slice(&fs::read(store.manifest_json()).unwrap()).unwrap()
}

/// The image as an importer with these further settings finds it.
async fn found(store: &Store, settings: &[(&str, &str)]) -> VerifiedImage {
    let own = store.settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    let further = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let settings = StoreSettings::read_alone(&Source::from_environment(own.chain(further))).unwrap();
    let archive = Archive::open(&settings).unwrap();
    let published = archive.published(VERSION).await.unwrap().expect("something was published");
    archive.cache_image(&published.manifest).await.unwrap().expect("the manifest names an image")
}

/// A fresh node's cache that is made of it.
fn restored(cluster: &Cluster, image: &VerifiedImage) -> Vec<u8> {
    let fresh = NodePrefix::new(cluster.path("fresh"));
    fs::create_dir(fresh.path()).unwrap();
    let outcome = place_image(&fresh, image, VERSION, &mut |_| {}).unwrap();
    assert_eq!(outcome, Outcome::Placed { instead_of: None });
    fs::read(fresh.data_file()).unwrap()
}

fn has(bytes: &[u8], part: &str) -> bool {
    bytes.windows(part.len()).any(|window| window == part.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_the_node_beside_is_kept_with_the_snapshot_that_it_runs() {
    for store in [Store::folder(), Store::s3().await] {
        let cluster = Cluster::start().await;
        let beside = Beside::with_cache(&cluster, RECORDED);
        cluster.control_plane.push(recorded::after_change());
        let running = exporting(&cluster, &store, &beside).start();
        running.says("kept an image of a node's cache with snapshot 1").await;
        let hash = configuration(&recorded::after_change()).hash;
        let named = &manifest(&store)["cache_image"];
        let key = format!("3.9.1/lifeboat/cache/0000000001-{hash}.mdb.gz");
        assert_eq!(named["key"], key.as_str());
        assert_eq!(fs::read(store.objects.join(&key)).unwrap().len() as u64, named["bytes"].as_u64().unwrap());
        let data = restored(&cluster, &found(&store, &[]).await);
        assert!(data.len() < RECORDED.len() && has(&data, &hash) && has(&data, "added-later"));
        beside.assert_untouched(RECORDED);

        // As an init container does for a node that isn't there yet, and again when it restarts.
        let fresh = NodePrefix::new(cluster.path("imported"));
        fs::create_dir(fresh.path()).unwrap();
        let import = || store.given_to(cluster.lifeboat(["import", "--always"])).with("KONG_PREFIX", fresh.path());
        let imported = import().finish().await;
        assert_eq!(imported.code, Some(0), "{imported}");
        assert!(fs::read(fresh.data_file()).unwrap() == data, "another cache was made");
        let again = import().finish().await;
        assert!(again.code == Some(3) && again.stderr.contains(&hash), "{again}");

        // What comes later has none until the node runs it, and is published all the same.
        cluster.control_plane.push(recorded::first());
        running.says("as snapshot 2").await;
        running.says("snapshot 2 has no image of the node's cache").await;
        assert_eq!(manifest(&store)["cache_image"], Value::Null);
        running.signal(Signal::TERM);
        let ended = running.ends().await;
        assert_eq!(ended.code, Some(0), "{ended}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_taken_once_the_node_runs_what_is_published() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let damaged = &RECORDED[..RECORDED.len() / 2];
    let beside = Beside::with_cache(&cluster, damaged);
    cluster.control_plane.push(recorded::after_change());
    let running = exporting(&cluster, &store, &beside).start();
    running.says("it is damaged").await;
    beside.assert_untouched(damaged);
    // As a node does that throws its cache away.
    let new = beside.prefix.lmdb_folder().join("new");
    fs::write(&new, RECORDED).unwrap();
    fs::rename(new, beside.prefix.data_file()).unwrap();
    running.says("kept an image").await;
    running.kill().await;

    // After a restart nothing is published anew but under whose lead, and an image that is there is not taken again.
    let of_snapshot = |manifest: Value| (manifest["snapshot"].clone(), manifest["cache_image"].clone());
    let before = of_snapshot(manifest(&store));
    let again = exporting(&cluster, &store, &beside).start();
    again.says("is the published one already").await;
    again.signal(Signal::TERM);
    let ended = again.ends().await;
    assert!(ended.code == Some(0) && !ended.stderr.contains("kept an image"), "{ended}");
    assert_eq!(of_snapshot(manifest(&store)), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_encryption_the_image_is_sealed_too() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let keygen = lifeboat(["keygen", "encryption"]).finish().await;
    let keys = keygen.stdout.lines().find_map(|line| line.strip_prefix("LIFEBOAT_ENCRYPTION_KEYS="));
    let keys = keys.unwrap_or_else(|| panic!("{keygen}"));
    let beside = Beside::with_cache(&cluster, RECORDED);
    cluster.control_plane.push(recorded::after_change());
    let exporting = || beside.given_to(store.given_to(cluster.lifeboat(["export", "--output", "json"])));
    let exported = exporting().with("LIFEBOAT_ENCRYPTION_KEYS", keys).finish().await;
    assert_eq!(exported.code, Some(0), "{exported}");
    let mut printed: Value = serde_json::from_str(&exported.stdout).unwrap();
    printed.as_object_mut().unwrap().remove("command");
    assert_eq!(printed, manifest(&store));
    let named = &printed["cache_image"];
    let stored = fs::read(store.objects.join(named["key"].as_str().unwrap())).unwrap();
    assert!(!stored.starts_with(&[0x1f, 0x8b]) && named["sealed"]["algorithm"] == "AES-256-GCM", "{named}");
    let data = restored(&cluster, &found(&store, &[("LIFEBOAT_ENCRYPTION_KEYS", keys)]).await);
    assert!(has(&data, "added-later"));
    beside.assert_untouched(RECORDED);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_without_a_node_beside_says_so_and_keeps_the_snapshot() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    cluster.control_plane.push(recorded::after_change());
    let exporting = || store.given_to(cluster.lifeboat(["export", "--cache-image", "on", "--prefix"]));
    let exported = exporting().and([cluster.path("nowhere")]).finish().await;
    assert_eq!(exported.code, Some(0), "{exported}");
    assert!(
        exported.stderr.contains("without an image") && exported.stderr.contains("nowhere/dbless.lmdb"),
        "{exported}"
    );
    assert!(store.manifest_json().exists());

    let refused = exporting().and([cluster.path("nowhere")]).with("LIFEBOAT_KONG_VERSIONS", "3.3.1").finish().await;
    assert!(
        refused.code == Some(2) && refused.stderr.contains("LIFEBOAT_CACHE_IMAGE (--cache-image): only Kong 3.4"),
        "{refused}"
    );
}
