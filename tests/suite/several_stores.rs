//! Several stores: what is published in the first is kept in the others, too, and none of them delays it.

use std::path::{Path, PathBuf};

use lifeboat::companion::Companion;
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_fakes::recorded;
use lifeboat_tests::page::page_until;
use lifeboat_tests::program::{Finished, Invocation, lifeboat};
use lifeboat_tests::stage::play;
use lifeboat_tests::world::{VERSION, World, configuration};

const STORAGE: &str = "KONG_CLUSTER_FALLBACK_CONFIG_STORAGE";

fn url(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// What a node would be restored from, and `config.json`.
fn objects(manifest: &[u8]) -> Vec<String> {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap();
    let payload = manifest["snapshot"]["key"].as_str().unwrap().to_owned();
    let keys = ObjectKeys::new(VERSION);
    vec![keys.manifest(), payload.replace(".json.gz", ".manifest.json"), payload, keys.config_json()]
}

fn read(folder: &Path, key: &str) -> Vec<u8> {
    let path = folder.join(key);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

async fn is_current(companion: &Companion, expected: f64) {
    let name = "lifeboat_keep_other_store_current";
    let at = companion.http_address().unwrap();
    page_until(at, "/metrics", |found| {
        found.series().any(|(series, _)| series.starts_with(name)) && found.sum(name, "store=\"s3://") == expected
    })
    .await;
}

#[test]
fn each_store_gets_what_is_published_and_one_that_was_away_delays_nothing_and_is_caught_up() {
    play(async {
        // The first is a folder, the other one that of this world.
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::begin().await;
        world.set(STORAGE, url(folder.path()));
        world.set("LIFEBOAT_FALLBACK_STORAGE", "s3://kong/backups/edge");
        world.set("LIFEBOAT_ELECTION", "none");
        let of_world = world.path_of("");
        world.control_plane.push(recorded::first());
        let companion = world.companion().await;
        world.log.wait_for(&["INFO", "s3://kong/backups/edge has snapshot 1, too"]).await;
        is_current(&companion, 1.0).await;
        let manifest = read(folder.path(), &ObjectKeys::new(VERSION).manifest());
        for key in objects(&manifest) {
            assert!(read(folder.path(), &key) == read(&of_world, &key), "{key} differs");
        }

        // It comes back only below, so what waited for it would not be published here.
        world.store.stop().await;
        world.control_plane.push(recorded::after_change());
        world.published(&configuration(&recorded::after_change())).await;
        world.log.wait_for(&["WARN", "s3://kong/backups/edge does not have what is published"]).await;
        is_current(&companion, 0.0).await;

        world.store.come_back().await.unwrap();
        world.log.wait_for(&["INFO", "s3://kong/backups/edge has snapshot 2, too"]).await;
        is_current(&companion, 1.0).await;
        let manifest = read(folder.path(), &ObjectKeys::new(VERSION).manifest());
        for key in objects(&manifest) {
            assert!(read(folder.path(), &key) == read(&of_world, &key), "{key} differs");
        }
        companion.stop().await;
    });
}

fn program(arguments: &[&str], first: &Path, others: &str) -> Invocation {
    lifeboat(arguments)
        .with("KONG_VERSION", "3.9.1")
        .with(STORAGE, url(first))
        .with("LIFEBOAT_FALLBACK_STORAGE", others)
}

async fn succeeds(invocation: Invocation) -> Finished {
    let finished = invocation.finish().await;
    assert_eq!(finished.code, Some(0), "{finished}");
    finished
}

#[tokio::test]
async fn a_command_gives_all_stores_what_it_publishes_and_succeeds_where_one_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| -> PathBuf { folder.path().join(name) };
    std::fs::write(place("kong.json"), &configuration(&recorded::first()).table).unwrap();
    std::fs::write(place("file"), "").unwrap();
    // Below a file there is no folder.
    let others = format!("{},{}", url(&place("file").join("below")), url(&place("other")));
    let first = place("first");
    let from = format!("file:{}", place("kong.json").display());
    let manifest = ObjectKeys::new(VERSION).manifest();
    for (sequence, arguments) in [
        (1, vec!["export", "--from", &from]),
        (2, vec!["export", "--from", &from, "--pin"]),
        (3, vec!["rollback", "1"]),
    ] {
        let done = succeeds(program(&arguments, &first, &others)).await;
        assert!(done.stderr.contains(&format!("other has snapshot {sequence}, too")), "{done}");
        assert!(done.stderr.contains("below does not have what is published"), "{done}");
        assert!(read(&first, &manifest) == read(&place("other"), &manifest), "{done}");
    }
    // The first was replaced by an empty one: the other's is the newer one, and is not overwritten.
    std::fs::remove_dir_all(&first).unwrap();
    let before = read(&place("other"), &manifest);
    let done = succeeds(program(&["export", "--from", &from], &first, &url(&place("other")))).await;
    assert!(done.stderr.contains("has something newer than the first store"), "{done}");
    assert!(read(&place("other"), &manifest) == before);
}
