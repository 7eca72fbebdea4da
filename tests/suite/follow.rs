//! Following in an outage (`LIFEBOAT_FOLLOW`): what an operator publishes with the program reaches nodes that have a
//! configuration already, and whatever else lies in the store doesn't.

use std::path::PathBuf;
use std::time::Duration;

use lifeboat::settings::Follow;
use lifeboat_core::manifest::State;
use lifeboat_fakes::message::Configuration;
use lifeboat_fakes::recorded;
use lifeboat_fakes::store::RequestCounts;
use lifeboat_tests::keys::signing;
use lifeboat_tests::stage::{Actor, play};
use lifeboat_tests::world::{RunningRelay, World, configuration};

const MANIFEST: &str = "3.9.1/lifeboat/manifest.json";

/// A world in which exporters sign, relays trust them, and follow.
async fn world() -> World {
    let mut world = World::begin().await;
    let (private, public) = signing("prod");
    world.set("LIFEBOAT_SIGNING_KEY", private);
    world.set("LIFEBOAT_TRUSTED_KEYS", public);
    world.set("LIFEBOAT_FOLLOW", "on");
    world
}

/// A relay that looks often.
async fn relay(world: &World) -> RunningRelay {
    let ms = Duration::from_millis;
    let often = Follow { every: (ms(100), ms(150)) };
    world
        .relay_with(|settings| {
            settings.rules.retry = (ms(50), ms(100));
            settings.follow = settings.follow.map(|_| often);
        })
        .await
}

/// What an operator has written: the recorded configuration with one service renamed.
fn by_hand() -> Configuration {
    let mut table: serde_json::Value = serde_json::from_slice(&configuration(&recorded::first()).table).unwrap();
    table["services"][0]["name"] = "renamed-by-hand".into();
    Configuration { table: table.to_string().into(), hash: String::new() }
}

/// Publishes this with `lifeboat export --from file:… --pin`.
async fn publish(world: &World, change: &Configuration) {
    let file: PathBuf = world.path_of("emergency.json");
    std::fs::write(&file, &change.table).unwrap();
    let origin = format!("file:{}", file.display());
    let done = world.program(["export", "--pin", "--from"]).and([&origin]).finish().await;
    assert_eq!(done.code, Some(0), "{done}");
    assert_eq!(world.manifest().state, State::Pinned);
}

/// Waits until the store was looked at some times more.
async fn looks(world: &World, more: u64) {
    let before = world.store.counts().get;
    while world.store.counts().get < before + more {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Nobody has looked at the store since, for a node that has a configuration. The relay itself looks at the manifest once,
/// whether its nodes have a backup.
fn is_as_read_as(world: &World, before: RequestCounts) {
    let now = world.store.counts();
    assert!(now.get <= before.get + 1, "{before:?}, {now:?}");
    assert_eq!(RequestCounts { get: before.get, ..now }, before);
}

async fn runs(node: &Actor, expected: &Configuration) {
    node.wait_for(|state| state.configuration.as_ref().is_some_and(|now| now.table == expected.table)).await;
}

#[test]
fn an_emergency_change_reaches_all_nodes_and_the_control_plane_wins_when_it_is_back() {
    play(async {
        let world = world().await;
        world.keep(&recorded::first()).await;
        world.control_plane.push(recorded::after_change());
        let relay = relay(&world).await;
        // One has its configuration from the control plane, the other from the store.
        let fed_by_control_plane = world.node(relay.address);
        let sent = configuration(&recorded::after_change());
        world.confirmed(fed_by_control_plane.node_id(), &sent).await;
        world.control_plane.stop().await;
        let restored = world.node(relay.address);
        runs(&restored, &configuration(&recorded::first())).await;
        looks(&world, 3).await;
        assert_eq!(fed_by_control_plane.state().received, 1);

        let change = by_hand();
        publish(&world, &change).await;
        let before = world.store.counts();
        runs(&fed_by_control_plane, &change).await;
        runs(&restored, &change).await;
        // One look at what is published, and one fetch: its manifest and its payload. Looks go on meanwhile.
        let log = world.log.text();
        let fetches = log.lines().filter(|line| line.contains("for new nodes of Kong 3.9.1: snapshot 2")).count();
        assert_eq!(fetches, 1, "{before:?} {:?}", world.store.counts());
        for node in [&fed_by_control_plane, &restored] {
            let state = node.state();
            assert_eq!((state.received, state.connections), (2, 1), "{:?}", state.log);
        }
        world.log.wait_for(&["INFO", "an operator has published snapshot 2 of Kong 3.9.1"]).await;

        world.control_plane_comes_back().await;
        runs(&fed_by_control_plane, &sent).await;
        runs(&restored, &sent).await;
        // From now on the store is not looked at.
        let counts = world.store.counts();
        tokio::time::sleep(Duration::from_secs(2)).await;
        is_as_read_as(&world, counts);
        assert_eq!((fed_by_control_plane.state().connections, restored.state().connections), (1, 1));
    });
}

#[test]
fn nodes_keep_what_they_have_unless_they_are_to_follow() {
    play(async {
        let mut world = world().await;
        world.set("LIFEBOAT_FOLLOW", "off");
        world.keep(&recorded::first()).await;
        world.control_plane.stop().await;
        let relay = relay(&world).await;
        let node = world.node(relay.address);
        world.log.wait_for(&["the node runs configuration"]).await;
        publish(&world, &by_hand()).await;
        let (counts, pongs) = (world.store.counts(), node.state().pongs);
        node.wait_for(|state| state.pongs >= pongs + 5).await;
        assert_eq!(node.state().received, 1);
        is_as_read_as(&world, counts);
    });
}

#[test]
fn a_manifest_that_somebody_has_put_back_is_not_followed() {
    play(async {
        let world = world().await;
        world.keep(&recorded::first()).await;
        let old = world.object(MANIFEST);
        world.keep(&recorded::after_change()).await;
        world.control_plane.stop().await;
        let relay = relay(&world).await;
        let node = world.node(relay.address);
        runs(&node, &configuration(&recorded::after_change())).await;
        looks(&world, 3).await;
        std::fs::write(world.path_of(MANIFEST), old).unwrap();
        world.log.wait_for(&["WARN", "has gone back from snapshot 2 to 1"]).await;
        looks(&world, 5).await;
        assert_eq!(node.state().received, 1, "{:?}", node.state().log);
        // What comes after it is followed.
        std::fs::remove_file(world.path_of(MANIFEST)).unwrap();
        publish(&world, &by_hand()).await;
        runs(&node, &by_hand()).await;
    });
}

#[test]
fn what_an_operator_had_pinned_before_the_outage_is_for_new_nodes_alone() {
    play(async {
        let world = world().await;
        world.keep(&recorded::first()).await;
        publish(&world, &by_hand()).await;
        world.control_plane.push(recorded::after_change());
        let relay = relay(&world).await;
        let node = world.node(relay.address);
        let sent = configuration(&recorded::after_change());
        world.confirmed(node.node_id(), &sent).await;
        world.control_plane.stop().await;
        let new = world.node(relay.address);
        runs(&new, &by_hand()).await;
        looks(&world, 5).await;
        assert_eq!((node.state().configuration, node.state().received), (Some(sent), 1));
    });
}
