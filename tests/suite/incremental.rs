//! Nodes with incremental sync: an outage, what is published meanwhile, and the control plane's return.

mod frames;

use std::time::Duration;

use lifeboat::relay::{ConfigurationFrom, ControlPlaneLink, ControlPlaneSync};
use lifeboat::settings::Follow;
use lifeboat_fakes::control_plane::{ControlPlaneOptions, Event, Rpc};
use lifeboat_fakes::incremental::{Database, IncrementalNode, IncrementalOptions, Times};
use lifeboat_fakes::recorded;
use lifeboat_tests::keys::signing;
use lifeboat_tests::stage::play;
use lifeboat_tests::world::{RunningRelay, World, configuration};

/// The credential that is in what was recorded.
const KEY: &str = "alice-secret-key";
/// How a node shows the first snapshot of a history, and the second.
const FIRST: &str = "-0000000000000000000000999999999";
const SECOND: &str = "-0000000000000000000000999999998";

/// A cluster with incremental sync, whose control plane has a configuration that was backed up.
async fn cluster_with(change: impl FnOnce(&mut ControlPlaneOptions)) -> World {
    let world = World::begin_with(|options| {
        options.rpc = Rpc::IncrementalSync;
        change(options);
    })
    .await;
    world.keep(&recorded::first()).await;
    world.control_plane.push(recorded::first());
    world
}

async fn cluster() -> World {
    cluster_with(|_| {}).await
}

fn options(world: &World, relay: &RunningRelay) -> IncrementalOptions {
    let mut options = IncrementalOptions::new(relay.address, world.node_tls());
    options.server_name = world.node_options(relay.address).server_name;
    options.times = Times::faster(20);
    options
}

fn start(world: &World, relay: &RunningRelay) -> IncrementalNode {
    IncrementalNode::start(options(world, relay))
}

/// The same, which asks only when it starts and when it is notified.
fn start_without_ticks(world: &World, relay: &RunningRelay) -> IncrementalNode {
    let mut options = options(world, relay);
    options.times.tick = Duration::from_secs(60 * 60);
    IncrementalNode::start(options)
}

/// Waits until a node serves this, ready and with its credentials.
async fn serves(node: &IncrementalNode, hash: &str) {
    let state = node.wait_for(|state| state.hash() == hash && state.ready() && state.key_auth(KEY) == 200).await;
    assert_eq!((state.answer("echo"), state.key_auth("another")), (200, 401));
}

#[test]
fn empty_nodes_come_up_while_the_control_plane_is_gone_and_survive_a_restart_without_anybody() {
    play(async {
        let world = cluster().await;
        world.control_plane.stop().await;
        let relay = world.relay().await;
        let mut nodes: Vec<_> = (0..20).map(|_| start(&world, &relay)).collect();
        for node in &nodes {
            serves(node, FIRST).await;
        }
        // The relay hears of it with a node's next call.
        while relay.view.nodes().iter().any(|node| node.config_from != ConfigurationFrom::Store) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let shown = relay.view.nodes();
        assert_eq!(shown.len(), 20);
        assert!(shown.iter().all(|node| node.control_plane == ControlPlaneLink::Gone && node.trouble.is_none()));

        drop(relay);
        for node in &mut nodes[..3] {
            node.restart().await;
            serves(node, FIRST).await;
        }
    });
}

#[test]
fn a_restored_node_gets_the_control_planes_configuration_when_that_is_back_and_keeps_its_credentials() {
    play(async {
        let world = cluster().await;
        world.control_plane.stop().await;
        let relay = world.relay().await;
        let mut node = start_without_ticks(&world, &relay);
        serves(&node, FIRST).await;

        world.control_plane.push(recorded::after_change());
        world.control_plane_comes_back().await;
        let of_control_plane = format!("{:032}", 17);
        serves(&node, &of_control_plane).await;
        let asked = node.state().asked();
        assert!(asked.contains(&-999_999_999.0), "{asked:?}");
        assert_eq!(relay.view.control_plane_sync(), ControlPlaneSync::On);

        // Its database is whole: it starts alone.
        world.control_plane.stop().await;
        drop(relay);
        node.restart().await;
        serves(&node, &of_control_plane).await;
    });
}

#[test]
fn while_the_control_plane_is_there_nodes_are_linked_through_and_its_writes_are_fast() {
    play(async {
        let world = cluster().await;
        let relay = world.relay().await;
        let node = start(&world, &relay);
        serves(&node, &format!("{:032}", 16)).await;
        node.wait_for(|state| state.links_up() == 2).await;
        world.control_plane.write(recorded::after_change()).await;
        serves(&node, &format!("{:032}", 17)).await;

        let told = Event::Notified(17, vec![(node.node_id().to_owned(), true)]);
        assert!(world.control_plane.state().events.contains(&told));
        let shown = relay.view.nodes();
        assert_eq!(shown.len(), 1, "{shown:?}");
        assert_eq!(
            (shown[0].control_plane, shown[0].config_from),
            (ControlPlaneLink::Linked, ConfigurationFrom::ControlPlane)
        );
    });
}

#[test]
fn a_running_node_that_loses_its_control_plane_keeps_what_it_has() {
    play(async {
        let world = cluster().await;
        let relay = world.relay().await;
        let node = start(&world, &relay);
        let of_control_plane = format!("{:032}", 16);
        serves(&node, &of_control_plane).await;
        let applied = node.state().applied;
        world.control_plane.stop().await;

        // It comes again, is asked, and asks at its ticks.
        let asked = node.state().asked().len();
        node.wait_for(|state| state.asked().len() > asked + 3).await;
        let state = node.state();
        assert_eq!((state.hash(), state.applied), (&*of_control_plane, applied));
        serves(&node, &of_control_plane).await;
    });
}

#[test]
fn what_is_published_in_an_outage_reaches_restored_nodes_where_following_is_on() {
    play(async {
        let mut world = cluster().await;
        let (private, public) = signing("prod");
        world.set("LIFEBOAT_SIGNING_KEY", private);
        world.set("LIFEBOAT_TRUSTED_KEYS", public);
        world.set("LIFEBOAT_FOLLOW", "on");
        world.control_plane.stop().await;
        // The one that was kept before is not signed.
        world.keep(&recorded::first()).await;
        let ms = Duration::from_millis;
        let relay = world
            .relay_with(|settings| settings.follow = settings.follow.map(|_| Follow { every: (ms(100), ms(150)) }))
            .await;
        let mut nodes: Vec<_> = (0..3).map(|_| start_without_ticks(&world, &relay)).collect();
        for node in &nodes {
            serves(node, SECOND).await;
        }

        world.keep(&recorded::after_change()).await;
        for node in &nodes {
            serves(node, "-0000000000000000000000999999997").await;
            assert_eq!(node.state().refused, 0);
        }
        drop(relay);
        nodes[0].restart().await;
        serves(&nodes[0], "-0000000000000000000000999999997").await;
    });
}

#[test]
fn a_node_with_a_configuration_from_v1_is_left_alone_by_a_relay_that_has_seen_it() {
    play(async {
        let world = cluster().await;
        world.control_plane.stop().await;
        let relay = world.relay().await;
        let warm = options(&world, &relay);
        let before = world.node_options(relay.address);
        let node = lifeboat_tests::stage::Actor::start(lifeboat_fakes::node::NodeOptions {
            node_id: warm.node_id.clone(),
            ..before
        });
        node.wait_for(|state| state.applied == 1 && state.pings > 1).await;
        drop(node);

        let database = Database::from_v1(&configuration(&recorded::first()));
        let node = IncrementalNode::start(IncrementalOptions { database, ..warm });
        world.log.wait_for(&["WARN", "the node is left as it is", "came by /v1/outlet"]).await;
        let asked = node.state().asked().len();
        let state = node.wait_for(|state| state.asked().len() > asked + 2).await;
        assert_eq!((state.applied, state.ready(), state.answer("echo")), (0, true, 200));
    });
}

#[test]
fn what_is_not_known_to_be_complete_is_given_to_no_node_and_named() {
    play(async {
        let world = cluster().await;
        world.control_plane.stop().await;
        let mut table: serde_json::Value = serde_json::from_slice(&configuration(&recorded::first()).table).unwrap();
        table["routes"][0].as_object_mut().unwrap().remove("regex_priority");
        let file = world.path_of("by-hand.json");
        std::fs::write(&file, table.to_string()).unwrap();
        let origin = format!("file:{}", file.display());
        let done = world.program(["export", "--pin", "--from"]).and([&origin]).finish().await;
        assert_eq!(done.code, Some(0), "{done}");

        let relay = world.relay().await;
        let node = start(&world, &relay);
        let line =
            world.log.wait_for(&["ERROR", "can't be restored by incremental sync", "has no regex_priority"]).await;
        assert!(line.contains(node.node_id()), "{line}");
        assert!(relay.view.nodes()[0].trouble.as_deref().unwrap_or_default().contains("regex_priority"));
        let state = node.state();
        assert_eq!((state.applied, state.ready()), (0, false));
    });
}

/// A restored node, whose control plane comes back otherwise than it was.
async fn comes_back(rpc: Rpc, first_version: u64) -> (World, RunningRelay, IncrementalNode) {
    let world = cluster_with(|options| {
        options.rpc = rpc;
        options.first_version = first_version;
    })
    .await;
    world.control_plane.stop().await;
    let relay = world.relay().await;
    let node = start(&world, &relay);
    serves(&node, FIRST).await;
    world.control_plane_comes_back().await;
    (world, relay, node)
}

#[test]
fn a_control_plane_that_has_no_incremental_sync_any_more_is_named_with_the_cure() {
    for (rpc, says, sync) in [
        (Rpc::WithoutSync, "speaks no kong.sync.v2", ControlPlaneSync::Off),
        (Rpc::Off, "answers 404 to /v2/outlet", ControlPlaneSync::NoRpc),
    ] {
        play(async {
            let (world, relay, node) = comes_back(rpc, 16).await;
            world.log.wait_for(&["WARN", says, "cluster_incremental_sync"]).await;
            assert_eq!(relay.view.control_plane_sync(), sync);
            serves(&node, FIRST).await;
        });
    }
}

#[test]
fn a_control_plane_that_gives_everything_under_version_0_is_named_with_the_cure() {
    play(async {
        let (world, relay, node) = comes_back(Rpc::IncrementalSync, 0).await;
        world.log.wait_for(&["WARN", "under version 0", "Change anything there once"]).await;
        assert_eq!(relay.view.control_plane_sync(), ControlPlaneSync::VersionZero);
        world.control_plane.write(recorded::after_change()).await;
        node.wait_for(|state| state.version() == 1 && state.ready()).await;
    });
}
