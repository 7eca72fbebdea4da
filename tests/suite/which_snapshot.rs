//! Which snapshot a node is given: of which version, how old, and from which of several stores.

use std::path::Path;
use std::time::Duration;

use lifeboat::archive::Archive;
use lifeboat::settings::StoreSettings;
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_fakes::node::NodeOptions;
use lifeboat_fakes::recorded;
use lifeboat_tests::stage::{Actor, play};
use lifeboat_tests::world::{RunningRelay, VERSION, World, configuration};

fn node_of(world: &World, relay: &RunningRelay, version: &str) -> Actor {
    Actor::start(NodeOptions { version: version.to_owned(), ..world.node_options(relay.address) })
}

fn folder(path: &Path) -> (String, Archive) {
    let url = format!("file://{}", path.display());
    let settings = StoreSettings::local(url.parse().unwrap(), 1 << 20);
    (url, Archive::open(&settings).unwrap())
}

#[test]
fn a_node_whose_version_has_no_backup_is_given_the_newest_of_the_same_minor_version() {
    play(async {
        let world = World::begin().await;
        world.keep(&recorded::first()).await;
        world.control_plane.stop().await;
        let relay = world.relay().await;
        let node = node_of(&world, &relay, "3.9.0");
        node.wait_for(|state| state.applied == 1).await;
        world.log.wait_for(&["for new nodes of Kong 3.9.0", "of Kong 3.9.1", "LIFEBOAT_VERSION_MATCH=exact"]).await;
        // Another minor version is another matter.
        let older = node_of(&world, &relay, "3.8.1");
        world.log.wait_for(&["WARN", "new nodes of Kong 3.8.1 can't be restored", "3.9.1"]).await;
        assert_eq!(older.state().received, 0);
    });
}

#[test]
fn where_the_version_must_be_exact_no_other_ones_backup_is_given() {
    play(async {
        let mut world = World::begin().await;
        world.set("LIFEBOAT_VERSION_MATCH", "exact");
        world.keep(&recorded::first()).await;
        world.control_plane.stop().await;
        let relay = world.relay().await;
        let node = node_of(&world, &relay, "3.9.0");
        world.log.wait_for(&["WARN", "new nodes of Kong 3.9.0 can't be restored"]).await;
        assert_eq!(node.state().received, 0);
        let own = node_of(&world, &relay, "3.9.1");
        own.wait_for(|state| state.applied == 1).await;
    });
}

#[test]
fn a_snapshot_that_the_control_plane_had_too_long_ago_is_refused_and_the_override_is_named() {
    play(async {
        let mut world = World::begin().await;
        world.set("LIFEBOAT_MAX_AGE", "1s");
        world.keep(&recorded::first()).await;
        world.control_plane.stop().await;
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let relay = world.relay().await;
        let node = world.node(relay.address);
        let line = world.log.wait_for(&["WARN", "can't be restored yet", "LIFEBOAT_MAX_AGE allows 1s"]).await;
        assert!(line.contains("unset it, or set it to more"), "{line}");
        assert_eq!(node.state().received, 0);
        // One that was seen a moment ago is young enough; the fetch is tried again by itself.
        world.set("LIFEBOAT_MAX_AGE", "1h");
        let relay = world.relay().await;
        let node = world.node(relay.address);
        node.wait_for(|state| state.applied == 1).await;
    });
}

#[test]
fn of_several_stores_the_newest_snapshot_that_verifies_wins() {
    play(async {
        let other = tempfile::tempdir().unwrap();
        let (url, archive) = folder(other.path());
        let mut world = World::begin().await;
        world.set("LIFEBOAT_FALLBACK_STORAGE", url);
        // The first store has fallen behind: the other one has a second snapshot.
        world.keep(&recorded::first()).await;
        world.keep_in(&archive, &recorded::first()).await;
        world.keep_in(&archive, &recorded::after_change()).await;
        world.control_plane.stop().await;
        let relay = world.relay().await;
        let node = world.node(relay.address);
        node.wait_for(|state| state.applied == 1).await;
        assert_eq!(node.configuration(), Some(configuration(&recorded::after_change()).table));
        drop(relay);

        // Damage it: its own previous one and the first store's are the same, and the reason is said.
        let second = ObjectKeys::new(VERSION).snapshots();
        let damaged = std::fs::read_dir(other.path().join(second)).unwrap().map(|entry| entry.unwrap().path());
        let is_second = |path: &std::path::PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with("0000000002") && name.ends_with(".json.gz")
        };
        std::fs::write(damaged.into_iter().find(is_second).unwrap(), b"nonsense").unwrap();
        let relay = world.relay().await;
        let node = world.node(relay.address);
        node.wait_for(|state| state.applied == 1).await;
        assert_eq!(node.configuration(), Some(configuration(&recorded::first()).table));
        world.log.wait_for(&["WARN", "0000000002", "is not used"]).await;
    });
}

#[test]
fn a_store_that_is_away_does_not_keep_the_others_from_helping() {
    play(async {
        let (empty, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (url, archive) = folder(other.path());
        let (no_backup, _) = folder(empty.path());
        let mut world = World::begin().await;
        world.set("LIFEBOAT_FALLBACK_STORAGE", format!("{no_backup},{url}"));
        world.keep_in(&archive, &recorded::first()).await;
        world.control_plane.stop().await;
        // Nobody listens there.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        world.set("AWS_CONFIG_STORAGE_ENDPOINT", format!("http://{free}"));
        let relay = world.relay().await;
        let node = world.node(relay.address);
        node.wait_for(|state| state.applied == 1).await;
        assert_eq!(node.configuration(), Some(configuration(&recorded::first()).table));
    });
}
