//! The keep flow in a world: what the control plane sees of the backup node, and what lies in the store afterwards.

use std::io::Read;

use bytes::Bytes;
use flate2::read::GzDecoder;
use lifeboat_core::digest::Sha256Digest;
use lifeboat_core::manifest::State;
use lifeboat_fakes::control_plane::Event;
use lifeboat_fakes::message::Configuration;
use lifeboat_fakes::node::EMPTY_HASH;
use lifeboat_fakes::recorded;
use lifeboat_tests::stage::play;
use lifeboat_tests::world::{World, configuration};

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut expanded = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut expanded).unwrap();
    expanded
}

/// The same configuration under the same hash, its members in another order: so Kong sends it each time.
fn in_other_bytes(original: &Configuration) -> Bytes {
    let table: serde_json::Value = serde_json::from_slice(&original.table).unwrap();
    let table = Bytes::from(table.to_string());
    assert_ne!(table, original.table);
    Configuration { table, hash: original.hash.clone() }.to_message().unwrap()
}

#[test]
fn the_control_plane_sees_a_backup_node_that_confirms_what_it_has_kept() {
    play(async {
        let world = World::begin().await;
        world.control_plane.push(recorded::first());
        let backup = world.backup();
        let scene = world.confirmed(&backup.id, &configuration(&recorded::first())).await;
        let node = scene.node(&backup.id).unwrap();
        assert_eq!(node.labels()["lifeboat"], "backup");
        assert_eq!(node.version, "3.9.1");
        assert_eq!(node.pings.first().map(String::as_str), Some(EMPTY_HASH));
        let plugins = node.basic_info["plugins"].as_array().unwrap();
        assert!(plugins.len() > 40, "{plugins:?}");
        // A plugin without a version passes the control plane's check, whichever version it has there.
        assert!(plugins.iter().all(|plugin| plugin["name"].is_string() && plugin.get("version").is_none()));
    });
}

#[test]
fn what_the_control_plane_sent_lies_in_the_store_byte_for_byte() {
    play(async {
        let world = World::begin().await;
        let sent = configuration(&recorded::first());
        world.control_plane.push(recorded::first());
        let backup = world.backup();
        world.published(&sent).await;

        assert!(world.object("3.9.1/config.json") == sent.table, "config.json has other bytes");
        let manifest = world.manifest();
        let snapshot = world.object(&manifest.snapshot.key);
        assert!(gunzip(&snapshot) == sent.table, "the snapshot expands to other bytes");
        assert_eq!((manifest.sequence, manifest.epoch, manifest.state), (1, 1, State::Received));
        assert_eq!(manifest.config_hash.to_string(), sent.hash);
        assert_eq!(manifest.config.sha256, Sha256Digest::of(&sent.table));
        assert_eq!(manifest.config.bytes, sent.table.len() as u64);
        assert_eq!(manifest.snapshot.sha256, Sha256Digest::of(&snapshot));
        assert_eq!(manifest.snapshot.bytes, snapshot.len() as u64);
        assert_eq!(manifest.exporter.node_id, backup.id);
        let table: serde_json::Value = serde_json::from_slice(&sent.table).unwrap();
        for (kind, count) in manifest.counts.iter() {
            assert_eq!(table[kind].as_array().map(Vec::len), Some(count as usize), "{kind}");
        }
        assert_eq!((manifest.counts.get("services"), manifest.counts.get("routes")), (2, 4));
        let stem = format!("3.9.1/lifeboat/snapshots/0000000001-{}", sent.hash);
        let expected = [
            "3.9.1/config.json".to_owned(),
            "3.9.1/lifeboat/manifest.json".to_owned(),
            format!("{stem}.json.gz"),
            format!("{stem}.manifest.json"),
        ];
        assert_eq!(world.kept(), expected);
    });
}

#[test]
fn a_changed_configuration_becomes_the_next_snapshot_and_the_first_stays() {
    play(async {
        let world = World::begin().await;
        let (first, changed) = (configuration(&recorded::first()), configuration(&recorded::after_change()));
        world.control_plane.push(recorded::first());
        let _backup = world.backup();
        world.published(&first).await;
        let kept = world.object(&world.manifest().snapshot.key);
        world.control_plane.push(recorded::after_change());
        world.published(&changed).await;

        let manifest = world.manifest();
        assert_eq!((manifest.sequence, manifest.config_hash.to_string()), (2, changed.hash.clone()));
        assert!(world.object("3.9.1/config.json") == changed.table);
        let of_first = format!("3.9.1/lifeboat/snapshots/0000000001-{}.json.gz", first.hash);
        assert!(world.object(&of_first) == kept, "a snapshot is immutable");
    });
}

#[test]
fn the_same_configuration_in_other_bytes_writes_nothing() {
    play(async {
        let world = World::begin().await;
        let first = configuration(&recorded::first());
        world.control_plane.push(recorded::first());
        let _backup = world.backup();
        world.published(&first).await;
        let (kept, manifest) = (world.kept(), world.manifest());

        // On the same link, and on a new one.
        world.control_plane.push(in_other_bytes(&first));
        world.log.wait_for(&["is the published one already", &first.hash]).await;
        world.control_plane.stop().await;
        world.control_plane_comes_back().await;
        world.log.wait_for_count("is the published one already", 2).await;
        assert_eq!((world.kept(), world.manifest()), (kept, manifest));
        assert!(world.object("3.9.1/config.json") == first.table);
    });
}

#[test]
fn a_backup_node_that_was_started_anew_finds_its_configuration_published_already() {
    play(async {
        let world = World::begin().await;
        let first = configuration(&recorded::first());
        world.keep(&recorded::first()).await;
        let before = world.kept();
        world.control_plane.push(in_other_bytes(&first));
        let _backup = world.backup();
        world.log.wait_for(&["is the published one already", &first.hash]).await;
        assert_eq!((world.kept(), world.manifest().sequence), (before, 1));
    });
}

#[test]
fn a_lost_connection_is_made_again_and_the_next_change_is_kept() {
    play(async {
        let world = World::begin().await;
        world.control_plane.push(recorded::first());
        let backup = world.backup();
        world.published(&configuration(&recorded::first())).await;
        world.control_plane.stop().await;
        world.log.wait_for(&["lost the control plane", &world.control_plane.address().to_string()]).await;
        world.control_plane_comes_back().await;
        world.control_plane.push(recorded::after_change());
        world.published(&configuration(&recorded::after_change())).await;
        let scene = world.confirmed(&backup.id, &configuration(&recorded::after_change())).await;
        // What it had kept is what it says it runs, from the first ping of the new link on.
        let pings = &scene.node(&backup.id).unwrap().pings;
        assert_eq!(pings[0], configuration(&recorded::first()).hash);
        assert_eq!(world.manifest().sequence, 2);
    });
}

#[test]
fn what_is_waiting_for_the_export_delay_is_written_when_the_program_stops() {
    play(async {
        let mut world = World::begin().await;
        world.set("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT_DELAY", "3600");
        world.control_plane.push(recorded::first());
        let backup = world.backup();
        world.published(&configuration(&recorded::first())).await;
        world.control_plane.push(recorded::after_change());
        world.confirmed(&backup.id, &configuration(&recorded::after_change())).await;
        assert_eq!(world.manifest().sequence, 1);
        backup.stop().await;
        assert_eq!(world.manifest().config_hash.to_string(), configuration(&recorded::after_change()).hash);
        assert!(world.object("3.9.1/config.json") == configuration(&recorded::after_change()).table);
    });
}

#[test]
fn a_control_plane_of_an_older_version_refuses_the_backup_node_too() {
    play(async {
        let world = World::begin_with(|options| options.version = "3.8.0".to_owned()).await;
        let backup = world.backup();
        let line = world.log.wait_for(&["ERROR", "refuses this node of Kong 3.9.1"]).await;
        assert!(line.contains("KONG_VERSION"), "{line}");
        let refused = |event: &Event| matches!(event, Event::Refused(id, _) if *id == backup.id);
        assert!(world.control_plane.state().events.iter().any(refused));
    });
}
