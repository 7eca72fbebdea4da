//! An emergency change in the store: how long it stays there, and who ends it.

use lifeboat::archive::Stay;
use lifeboat::export::BackupNode;
use lifeboat_core::export::Received;
use lifeboat_core::kong::reconfigure::decode;
use lifeboat_core::manifest::{Pin, State};
use lifeboat_fakes::message::Configuration;
use lifeboat_fakes::recorded;
use lifeboat_tests::stage::play;
use lifeboat_tests::world::{VERSION, World, configuration};

/// Another configuration, as large as the recorded ones.
fn renamed(name: &str, hash: char) -> Configuration {
    let mut table: serde_json::Value = serde_json::from_slice(&configuration(&recorded::first()).table).unwrap();
    table["services"][0]["name"] = name.into();
    Configuration { table: table.to_string().into(), hash: hash.to_string().repeat(32) }
}

async fn publish(world: &World, change: &Configuration, stay: Stay) {
    let message = decode(&change.to_message().unwrap(), 1 << 20).unwrap();
    let (configuration, config_hash) = (message.configuration, message.config_hash);
    let now = lifeboat_runtime::clock::Clock::start().wall();
    let received = Received { configuration, config_hash, hashes: None, at: now, source: None };
    let author = BackupNode::new(VERSION).author();
    world.operator().publish_pinned(&author, &received, stay, now).await.unwrap();
}

#[test]
fn it_stays_while_the_control_plane_has_what_it_had_and_ends_with_its_next_change() {
    play(async {
        let world = World::begin().await;
        let (sent, change) = (configuration(&recorded::first()), renamed("by-hand", 'e'));
        world.control_plane.push(recorded::first());
        let backup = world.backup();
        world.published(&sent).await;
        backup.stop().await;
        world.control_plane.stop().await;
        publish(&world, &change, Stay::UntilItChanges).await;
        assert!(world.object("3.9.1/config.json") == change.table);

        // It is back, with what it had before.
        world.control_plane_comes_back().await;
        let backup = world.backup();
        world.log.wait_for(&[&sent.hash, "is not published", "an operator has chosen another one"]).await;
        let manifest = world.manifest();
        assert_eq!((manifest.config_hash.to_string(), manifest.state), (change.hash.clone(), State::Pinned));
        // And with something else.
        let changed = renamed("by-the-control-plane", 'c');
        world.control_plane.push(changed.to_message().unwrap());
        world.published(&changed).await;
        assert_eq!((world.manifest().state, world.manifest().pin), (State::Received, None));
        assert!(world.object("3.9.1/config.json") == changed.table);
        backup.stop().await;
    });
}

#[test]
fn a_running_exporter_adopts_it_although_it_was_published_by_another_process() {
    play(async {
        let world = World::begin().await;
        let (sent, change) = (configuration(&recorded::first()), renamed("by-hand", 'e'));
        world.control_plane.push(recorded::first());
        let backup = world.backup();
        world.published(&sent).await;
        publish(&world, &change, Stay::UntilUnpinned).await;
        // Another configuration makes the exporter try to publish: it finds the change in its way.
        let changed = renamed("by-the-control-plane", 'c');
        world.control_plane.push(changed.to_message().unwrap());
        world.log.wait_for(&[&changed.hash, "is not published", "stays until it is unpinned"]).await;
        let manifest = world.manifest();
        assert_eq!((manifest.config_hash.to_string(), manifest.pin), (change.hash, Some(Pin::Unpin)));
        backup.stop().await;
    });
}

#[test]
fn where_nothing_was_kept_before_it_gives_way_to_the_first_that_the_control_plane_sends() {
    play(async {
        let world = World::begin().await;
        publish(&world, &renamed("by-hand", 'e'), Stay::UntilItChanges).await;
        world.control_plane.push(recorded::first());
        let backup = world.backup();
        world.published(&configuration(&recorded::first())).await;
        assert_eq!(world.manifest().pin, None);
        backup.stop().await;
    });
}
