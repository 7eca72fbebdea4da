//! The end of an outage: links to the control plane are made again beneath the nodes' own, which they don't notice.

use std::time::{Duration, Instant};

use lifeboat_fakes::control_plane::{Behaviour, ControlPlaneState};
use lifeboat_fakes::node::NodeOptions;
use lifeboat_fakes::recorded;
use lifeboat_tests::stage::{Actor, play};
use lifeboat_tests::world::{World, configuration};

#[test]
fn a_restored_node_is_spliced_to_the_returned_control_plane_without_losing_its_link() {
    play(async {
        let world = World::begin().await;
        world.keep(&recorded::first()).await;
        world.control_plane.push(recorded::first());
        world.control_plane.stop().await;
        let relay = world.relay().await;
        // It pings when it has applied something and then not for an hour: what else the control plane learns of it, it
        // learns from the relay.
        let often = world.node_options(relay.address);
        let options = NodeOptions { ping_interval: Duration::from_secs(60 * 60), ..often };
        let node = Actor::start(options.clone());
        node.wait_for(|state| state.applied == 1 && state.pings == 2 && state.pongs == 2).await;
        world.control_plane_comes_back().await;
        let first = configuration(&recorded::first());
        let scene = world.confirmed(node.node_id(), &first).await;
        let seen = scene.node(node.node_id()).unwrap();
        assert!(seen.first_message == options.first_message(), "basic_info has other bytes");
        assert!(seen.pings.iter().all(|hash| *hash == first.hash), "{:?}", seen.pings);
        world.log.wait_for(&["INFO", "control plane", "is back"]).await;

        world.control_plane.push(recorded::after_change());
        world.confirmed(node.node_id(), &configuration(&recorded::after_change())).await;
        // The pong to the ping in its name is not the node's.
        let state = node.wait_for(|state| state.pongs >= 3).await;
        assert_eq!((state.pings, state.pongs), (3, 3));
        assert_eq!((state.connections, state.configuration), (1, Some(configuration(&recorded::after_change()))));
    });
}

#[test]
fn a_node_that_never_needed_the_store_is_spliced_too() {
    play(async {
        let world = World::begin().await;
        world.control_plane.push(recorded::first());
        let relay = world.relay().await;
        let nodes: Vec<Actor> = (0..5).map(|_| world.node(relay.address)).collect();
        for node in &nodes {
            world.confirmed(node.node_id(), &configuration(&recorded::first())).await;
        }
        for _ in 0..2 {
            world.control_plane.stop().await;
            world.control_plane_comes_back().await;
            for node in &nodes {
                world.confirmed(node.node_id(), &configuration(&recorded::first())).await;
            }
        }
        world.control_plane.push(recorded::after_change());
        for node in &nodes {
            world.confirmed(node.node_id(), &configuration(&recorded::after_change())).await;
            assert_eq!(node.state().connections, 1, "{:?}", node.state().log);
        }
    });
}

#[test]
fn a_control_plane_that_comes_out_of_a_hang_is_linked_again_beneath_the_node() {
    play(async {
        let world = World::begin().await;
        world.control_plane.push(recorded::first());
        let relay = world.relay().await;
        let node = world.node(relay.address);
        world.confirmed(node.node_id(), &configuration(&recorded::first())).await;
        world.control_plane.behave(Behaviour::Hanging);
        world.log.wait_for(&["the control plane is gone"]).await;
        world.control_plane.push(recorded::after_change());
        world.control_plane.behave(Behaviour::Serving);
        world.confirmed(node.node_id(), &configuration(&recorded::after_change())).await;
        assert_eq!(node.state().connections, 1, "{:?}", node.state().log);
    });
}

#[test]
fn a_returned_control_plane_without_a_configuration_leaves_the_restored_one_alone() {
    play(async {
        let mut world = World::begin().await;
        world.set("LIFEBOAT_CP_CONFIG_TIMEOUT", "1s");
        world.keep(&recorded::first()).await;
        world.control_plane.stop().await;
        let relay = world.relay().await;
        let node = world.node(relay.address);
        node.wait_for(|state| state.applied == 1).await;
        // Back, with its database still away.
        world.control_plane.behave(Behaviour::Silent);
        world.control_plane_comes_back().await;
        world.confirmed(node.node_id(), &configuration(&recorded::first())).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let state = node.state();
        assert_eq!((state.received, state.connections), (1, 1), "{:?}", state.log);
    });
}

#[test]
fn a_control_plane_that_returns_with_an_empty_database_is_passed_on_with_an_alert_and_what_is_published_stays() {
    play(async {
        let world = World::begin().await;
        let (first, lost) = (configuration(&recorded::first()), configuration(&recorded::lost_database()));
        world.control_plane.push(recorded::first());
        let _backup = world.backup();
        world.published(&first).await;
        world.control_plane.stop().await;
        let relay = world.relay().await;
        let nodes: Vec<Actor> = (0..3).map(|_| world.node(relay.address)).collect();
        for node in &nodes {
            node.wait_for(|state| state.configuration.as_ref() == Some(&first)).await;
        }
        world.control_plane.push(recorded::lost_database());
        world.control_plane_comes_back().await;
        for node in &nodes {
            world.confirmed(node.node_id(), &lost).await;
            let state = node.state();
            assert_eq!((state.connections, state.configuration), (1, Some(lost.clone())), "{:?}", state.log);
        }
        let line = world.log.wait_for(&["ERROR", &lost.hash, "without a single route"]).await;
        assert!(line.contains("was passed on"), "{line}");
        assert_eq!(world.log.lines_with("without a single route").len(), 1, "it is said once, not once per node");
        world.log.wait_for(&["ERROR", &lost.hash, "is held"]).await;

        // So whoever comes in the next outage is whole again.
        world.control_plane.stop().await;
        let fresh = world.node(relay.address);
        fresh.wait_for(|state| state.configuration.as_ref() == Some(&first)).await;
    });
}

#[test]
fn with_kongs_own_times_the_link_is_made_again_and_not_at_once() {
    play(async {
        let world = World::begin().await;
        world.keep(&recorded::first()).await;
        world.control_plane.push(recorded::first());
        world.control_plane.stop().await;
        let relay = world.relay_with(|_| {}).await;
        let node = world.node(relay.address);
        node.wait_for(|state| state.applied == 1).await;
        let since = Instant::now();
        world.control_plane_comes_back().await;
        let linked = |scene: &ControlPlaneState| scene.node(node.node_id()).is_some();
        world.control_plane.wait_for(linked).await;
        // The wait began a little before the node was restored.
        let waited = since.elapsed();
        assert!(waited > Duration::from_secs(3), "{waited:?}");
        assert_eq!(node.state().connections, 1);
    });
}
