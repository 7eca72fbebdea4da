//! What is held back, and what confirms what is published: the guard, nodes that are seen through the relay, and the
//! operator who has the last word.

use lifeboat::archive::Stay;
use lifeboat::export::BackupNode;
use lifeboat_core::manifest::{Manifest, Pin, State};
use lifeboat_core::object_key::{HistoryState, ObjectKeys};
use lifeboat_core::verify::Provenance;
use lifeboat_fakes::message::Configuration;
use lifeboat_fakes::recorded;
use lifeboat_runtime::clock::Clock;
use lifeboat_tests::stage::play;
use lifeboat_tests::world::{Backup, VERSION, World, configuration, of_a_lost_database};

#[test]
fn what_a_control_plane_with_a_lost_database_sends_is_kept_and_not_published() {
    play(async {
        let world = World::begin().await;
        let (first, lost) = (configuration(&recorded::first()), of_a_lost_database());
        world.control_plane.push(recorded::first());
        let _backup = world.backup();
        world.published(&first).await;
        world.control_plane.push(lost.to_message().unwrap());
        let line = world.log.wait_for(&["ERROR", &lost.hash, "is held"]).await;
        assert!(line.contains("services 2 -> 0, ") && line.contains("lifeboat release"), "{line}");

        let held = format!("3.9.1/lifeboat/snapshots/0000000002-{}.held-shrunk.json", lost.hash);
        world.wait_for_object(&held).await;
        let manifest = Manifest::decode(&world.object(&held)).unwrap();
        assert_eq!((manifest.sequence, manifest.state), (2, State::Held));
        assert_eq!((world.manifest().sequence, world.manifest().config_hash.to_string()), (1, first.hash.clone()));
        assert!(world.object("3.9.1/config.json") == first.table);
        // Also where the manifest is lost, a held one is never what a node is given.
        std::fs::write(world.path_of(&ObjectKeys::new(VERSION).manifest()), b"{}").unwrap();
        let restored = world.archive().restore(VERSION).await.unwrap();
        assert_eq!(restored.verified.config_hash().to_string(), first.hash);
    });
}

#[test]
fn an_operator_releases_what_is_held_and_the_exporter_goes_on_from_there() {
    play(async {
        let world = World::begin().await;
        let (lost, changed) = (of_a_lost_database(), configuration(&recorded::after_change()));
        world.control_plane.push(recorded::first());
        let _backup = world.backup();
        world.published(&configuration(&recorded::first())).await;
        world.control_plane.push(lost.to_message().unwrap());
        let held = format!("3.9.1/lifeboat/snapshots/0000000002-{}.held-shrunk.json", lost.hash);
        world.wait_for_object(&held).await;

        let (archive, clock) = (world.operator(), Clock::start());
        let author = BackupNode::new(VERSION).author();
        assert!(archive.release(&author, Some(1), clock.wall()).await.is_err(), "it isn't held");
        let released = archive.release(&author, None, clock.wall()).await.unwrap();
        assert_eq!((released.manifest.sequence, released.manifest.state), (3, State::Received));
        let restored = archive.restore(VERSION).await.unwrap();
        assert_eq!(restored.verified.config_json().unwrap(), &lost.table[..]);
        assert!(matches!(restored.verified.provenance(), Provenance::Manifest(manifest) if manifest.sequence == 3));

        // The exporter didn't write what it finds there, and must not overwrite it unseen: it looks, and goes on.
        world.control_plane.push(recorded::after_change());
        world.published(&changed).await;
        // Its first try has found the released one in the way, and left a number behind.
        assert_eq!((world.manifest().sequence, world.manifest().config_hash.to_string()), (5, changed.hash));
        let past = archive.past(VERSION).await.unwrap();
        let states: Vec<HistoryState> = past.iter().take(3).map(|past| past.state).collect();
        assert_eq!(states, [HistoryState::Published, HistoryState::HeldAsShrunk, HistoryState::Published]);
    });
}

#[test]
fn what_may_shrink_is_the_operators_to_say() {
    play(async {
        let mut world = World::begin().await;
        // From four routes to one, and from two services to one.
        let message: serde_json::Value = serde_json::from_slice(&configuration(&recorded::first()).table).unwrap();
        let mut smaller = message.clone();
        smaller["routes"].as_array_mut().unwrap().truncate(1);
        let table = smaller.to_string().into();
        let smaller = Configuration { table, hash: "00112233445566778899aabbccddeeff".to_owned() };
        world.keep(&recorded::first()).await;
        world.control_plane.push(smaller.to_message().unwrap());
        let backup = world.backup();
        world.log.wait_for(&["ERROR", &smaller.hash, "is held", "routes 4 -> 1"]).await;
        backup.stop().await;
        world.set("LIFEBOAT_MAX_SHRINK", "75");
        let _backup = world.backup();
        // It was held, and another limit releases nothing: that is for an operator to say.
        world.log.wait_for_count("is held", 2).await;
        assert_eq!(world.manifest().sequence, 1);
    });
}

#[test]
fn a_configuration_that_a_node_runs_is_published_as_confirmed() {
    play(async {
        let world = World::begin().await;
        let (first, changed) = (configuration(&recorded::first()), configuration(&recorded::after_change()));
        let companion = world.companion().await;
        let node = world.node(companion.relay_address().unwrap());
        world.control_plane.push(recorded::first());
        world.published(&first).await;
        world.control_plane.push(recorded::after_change());
        world.published(&changed).await;
        let manifest = world.manifest();
        assert_eq!((manifest.config_hash.to_string(), manifest.state), (changed.hash, State::Confirmed));
        drop(node);
        companion.stop().await;
    });
}

/// A world in which the second configuration is published and an exporter runs; the first one is snapshot 1.
async fn with_a_history() -> (World, Backup) {
    let world = World::begin().await;
    world.keep(&recorded::first()).await;
    world.control_plane.push(recorded::after_change());
    let backup = world.backup();
    world.published(&configuration(&recorded::after_change())).await;
    (world, backup)
}

#[test]
fn a_rollback_stays_while_the_control_plane_sends_what_it_was_chosen_instead_of() {
    play(async {
        let (world, backup) = with_a_history().await;
        let (archive, author) = (world.operator(), BackupNode::new(VERSION).author());
        let clock = Clock::start();
        assert!(archive.roll_back(&author, 7, Stay::UntilItChanges, clock.wall()).await.is_err(), "there is none");
        archive.roll_back(&author, 1, Stay::UntilItChanges, clock.wall()).await.unwrap();
        let first = configuration(&recorded::first());
        assert_eq!((world.manifest().sequence, world.manifest().state), (3, State::Pinned));
        assert_eq!(world.manifest().config_hash.to_string(), first.hash);
        assert!(world.object("3.9.1/config.json") == first.table);

        // Another exporter, and a control plane that still sends the same.
        backup.stop().await;
        let backup = world.backup();
        world.log.wait_for(&["is not published", "an operator has chosen another one"]).await;
        assert_eq!(world.manifest().sequence, 3);
        // A change ends it.
        let changed = renamed(&first);
        world.control_plane.push(changed.to_message().unwrap());
        world.published(&changed).await;
        assert_eq!((world.manifest().state, world.manifest().pin), (State::Received, None));
        backup.stop().await;
    });
}

#[test]
fn a_hard_rollback_stays_until_it_is_unpinned() {
    play(async {
        let (world, backup) = with_a_history().await;
        let (archive, author, clock) = (world.operator(), BackupNode::new(VERSION).author(), Clock::start());
        // Nobody else writes meanwhile.
        backup.stop().await;
        archive.roll_back(&author, 1, Stay::UntilUnpinned, clock.wall()).await.unwrap();
        let changed = renamed(&configuration(&recorded::first()));
        world.control_plane.push(changed.to_message().unwrap());
        let backup = world.backup();
        world.log.wait_for(&[&changed.hash, "is not published", "stays until it is unpinned"]).await;
        assert_eq!((world.manifest().sequence, world.manifest().pin), (3, Some(Pin::Unpin)));

        archive.unpin(&author, clock.wall()).await.unwrap();
        assert!(archive.unpin(&author, clock.wall()).await.is_err(), "there is no pin any more");
        backup.stop().await;
        let _backup = world.backup();
        world.published(&changed).await;
    });
}

/// Another configuration, as large as this one.
fn renamed(original: &Configuration) -> Configuration {
    let mut table: serde_json::Value = serde_json::from_slice(&original.table).unwrap();
    table["services"][0]["name"] = "renamed".into();
    Configuration { table: table.to_string().into(), hash: "fedcba9876543210fedcba9876543210".to_owned() }
}
