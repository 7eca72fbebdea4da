//! What a crash, a bad disk or somebody with write access can leave in the store. Nothing of it reaches a node.

use std::time::Duration;

use lifeboat_fakes::recorded;
use lifeboat_tests::stage::play;
use lifeboat_tests::world::{World, configuration};

const MANIFEST: &str = "3.9.1/lifeboat/manifest.json";

/// Two snapshots, the control plane gone.
async fn two_snapshots() -> World {
    let world = World::begin().await;
    world.keep(&recorded::first()).await;
    world.keep(&recorded::after_change()).await;
    world.control_plane.stop().await;
    world
}

fn overwrite(world: &World, key: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = world.object(key);
    change(&mut bytes);
    std::fs::write(world.path_of(key), bytes).unwrap();
}

/// A fresh node gets the first configuration and has never been sent another.
async fn the_one_before_is_given(world: &World, damaged: &str, reason: &str) {
    let relay = world.relay().await;
    let node = world.node(relay.address);
    let state = node.wait_for(|state| state.applied == 1).await;
    assert_eq!(state.configuration, Some(configuration(&recorded::first())));
    assert_eq!(state.received, 1, "{:?}", state.log);
    world.log.wait_for(&["WARN", damaged, "is not used", reason]).await;
}

#[test]
fn a_tampered_snapshot_is_never_delivered() {
    play(async {
        let world = two_snapshots().await;
        let key = world.manifest().snapshot.key;
        overwrite(&world, &key, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
        the_one_before_is_given(&world, &key, "it was changed or damaged").await;
    });
}

#[test]
fn a_half_written_snapshot_is_never_delivered() {
    play(async {
        let world = two_snapshots().await;
        let key = world.manifest().snapshot.key;
        overwrite(&world, &key, |bytes| bytes.truncate(bytes.len() / 2));
        the_one_before_is_given(&world, &key, "it is incomplete").await;
    });
}

#[test]
fn a_missing_snapshot_is_made_up_for_by_the_one_before() {
    play(async {
        let world = two_snapshots().await;
        let key = world.manifest().snapshot.key;
        std::fs::remove_file(world.path_of(&key)).unwrap();
        the_one_before_is_given(&world, &key, "it is missing").await;
    });
}

#[test]
fn a_half_written_manifest_is_not_believed() {
    play(async {
        let world = two_snapshots().await;
        // The history is whole, so its newest is used.
        overwrite(&world, MANIFEST, |bytes| bytes.truncate(bytes.len() / 2));
        let relay = world.relay().await;
        let node = world.node(relay.address);
        let state = node.wait_for(|state| state.applied == 1).await;
        assert_eq!(state.configuration, Some(configuration(&recorded::after_change())));
        world.log.wait_for(&["WARN", MANIFEST, "is not used"]).await;
    });
}

#[test]
fn a_manifest_that_names_another_payload_is_not_believed() {
    play(async {
        let world = two_snapshots().await;
        let key = world.manifest().snapshot.key;
        let other = format!("3.9.1/lifeboat/snapshots/0000000001-{}.json.gz", configuration(&recorded::first()).hash);
        let first = std::fs::read(world.path_of(&other)).unwrap();
        overwrite(&world, &key, |bytes| *bytes = first);
        let relay = world.relay().await;
        let node = world.node(relay.address);
        let state = node.wait_for(|state| state.applied == 1).await;
        // Whole again under its own name, the older one is what it says.
        assert_eq!(state.configuration, Some(configuration(&recorded::first())));
        world.log.wait_for(&["for new nodes of Kong 3.9.1: snapshot 1 "]).await;
    });
}

#[test]
fn of_damaged_snapshots_alone_nothing_is_delivered_and_each_is_named() {
    play(async {
        let world = two_snapshots().await;
        let keys: Vec<String> = world.kept().into_iter().filter(|key| key.ends_with(".json.gz")).collect();
        for key in &keys {
            overwrite(&world, key, |bytes| bytes[20] ^= 1);
        }
        let relay = world.relay().await;
        let node = world.node(relay.address);
        let line = world.log.wait_for(&["WARN", "there is no usable backup for Kong 3.9.1"]).await;
        assert!(keys.iter().all(|key| line.contains(key)), "{line}");
        world.log.wait_for_count("there is no usable backup", 2).await;
        assert_eq!((node.state().received, node.state().connections), (0, 1));
    });
}

#[test]
fn a_bucket_with_a_bare_config_json_restores_a_node() {
    play(async {
        let world = World::begin().await;
        world.control_plane.stop().await;
        let sent = configuration(&recorded::first());
        let path = world.path_of("3.9.1/config.json");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &sent.table).unwrap();
        let relay = world.relay().await;
        let node = world.node(relay.address);
        let state = node.wait_for(|state| state.applied == 1).await;
        // Under the hash that Kong itself gives it, though nothing in the bucket says so.
        assert_eq!(state.configuration, Some(sent));
        world.log.wait_for(&["WARN", "a bare config.json"]).await;
    });
}

#[test]
fn a_half_written_bare_config_json_is_not_delivered() {
    play(async {
        let world = World::begin().await;
        world.control_plane.stop().await;
        let sent = configuration(&recorded::first());
        let path = world.path_of("3.9.1/config.json");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &sent.table[..sent.table.len() - 1]).unwrap();
        let relay = world.relay().await;
        let node = world.node(relay.address);
        world.log.wait_for(&["WARN", "no usable backup for Kong 3.9.1", "3.9.1/config.json", "not JSON"]).await;
        assert_eq!(node.state().received, 0);
    });
}

#[test]
fn a_damaged_config_json_is_repaired_when_a_backup_node_starts() {
    play(async {
        let world = World::begin().await;
        world.keep(&recorded::first()).await;
        overwrite(&world, "3.9.1/config.json", |bytes| bytes.truncate(100));
        world.control_plane.push(recorded::first());
        let _backup = world.backup();
        world.log.wait_for(&["WARN", "config.json was not the published configuration", "repaired"]).await;
        assert!(world.object("3.9.1/config.json") == configuration(&recorded::first()).table);
    });
}

#[test]
fn another_exporter_that_writes_config_json_is_reported_and_left_alone() {
    play(async {
        let world = World::begin().await;
        world.keep(&recorded::first()).await;
        // S3 tells the time of a write in whole seconds.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        // What Kong's own exporter leaves: it knows of no manifest.
        let others = configuration(&recorded::after_change());
        overwrite(&world, "3.9.1/config.json", |bytes| *bytes = others.table.to_vec());
        world.control_plane.push(recorded::first());
        let _backup = world.backup();
        let line = world.log.wait_for(&["ERROR", "another exporter, perhaps Kong's own"]).await;
        assert!(line.contains("different prefixes"), "{line}");
        assert!(world.object("3.9.1/config.json") == others.table);
        // What this one publishes next is the newest again.
        world.control_plane.push(recorded::lost_database());
        world.log.wait_for(&["is not published", "held"]).await;
        assert!(world.object("3.9.1/config.json") == others.table);
    });
}
