//! Many at once: strangers, nodes that come back together, and large messages for all of them.

use std::time::{Duration, Instant};

use lifeboat_fakes::certificate::ClusterCertificate;
use lifeboat_fakes::recorded;
use lifeboat_tests::generator;
use lifeboat_tests::raw_node::{RawNode, connect_tls};
use lifeboat_tests::stage::{Actor, play};
use lifeboat_tests::world::{SNAPSHOTS, World, configuration};
use tokio::net::TcpStream;

#[test]
fn connections_that_say_nothing_keep_nobody_out() {
    play(async {
        let world = World::begin().await;
        world.keep(&recorded::first()).await;
        world.control_plane.stop().await;
        // None of them is ever late, so whoever waited for that would wait in vain.
        let never = Duration::from_secs(24 * 60 * 60);
        let relay = world.relay_with(|settings| (settings.limits.silent, settings.limits.handshake) = (8, never)).await;
        let mut silent = Vec::new();
        for _ in 0..200 {
            silent.push(TcpStream::connect(relay.address).await.unwrap());
        }
        let node = world.node(relay.address);
        node.wait_for(|state| state.applied == 1).await;
        assert_eq!(node.state().connections, 1);
    });
}

#[test]
fn a_flood_of_strangers_leaves_the_nodes_that_are_served_their_links() {
    play(async {
        let world = World::begin().await;
        world.control_plane.push(recorded::first());
        let relay = world.relay().await;
        let nodes: Vec<Actor> = (0..5).map(|_| world.node(relay.address)).collect();
        for node in &nodes {
            world.confirmed(node.node_id(), &configuration(&recorded::first())).await;
        }
        let other = ClusterCertificate::version_1(std::time::SystemTime::now());
        let tls = lifeboat_link::tls::client_config_shared(&lifeboat_tests::cluster::identity(&other));
        let mut strangers = tokio::task::JoinSet::new();
        for _ in 0..300 {
            let (to, tls) = (relay.address, tls.clone());
            strangers.spawn(async move { connect_tls(to, tls).await.is_err() });
        }
        world.control_plane.push(recorded::after_change());
        for node in &nodes {
            world.confirmed(node.node_id(), &configuration(&recorded::after_change())).await;
            assert_eq!(node.state().connections, 1, "{:?}", node.state().log);
        }
        let refused = strangers.join_all().await;
        assert!(refused.iter().all(|refused| *refused));
    });
}

#[test]
fn as_many_connections_as_there_may_be_and_no_more() {
    play(async {
        let world = World::begin().await;
        world.control_plane.push(recorded::first());
        let relay = world.relay_with(|settings| settings.limits.files = Some(4)).await;
        let nodes = [world.node(relay.address), world.node(relay.address)];
        for node in &nodes {
            world.confirmed(node.node_id(), &configuration(&recorded::first())).await;
        }
        let third = world.node(relay.address);
        world.log.wait_for(&["WARN", "closes further ones", "LimitNOFILE"]).await;
        assert_eq!(third.state().connections, 0);
        drop(nodes);
        world.confirmed(third.node_id(), &configuration(&recorded::first())).await;
    });
}

#[test]
fn of_twice_as_many_nodes_as_can_be_linked_half_are_when_the_control_plane_comes_back() {
    play(async {
        let world = World::begin().await;
        world.keep(&recorded::first()).await;
        world.control_plane.stop().await;
        let relay = world.relay_with(|settings| settings.limits.files = Some(4)).await;
        let nodes: Vec<Actor> = (0..4).map(|_| world.node(relay.address)).collect();
        for node in &nodes {
            node.wait_for(|state| state.applied == 1).await;
            assert_eq!(node.state().connections, 1, "{:?}", node.state().log);
        }

        world.control_plane.push(recorded::after_change());
        world.control_plane_comes_back().await;
        world.log.wait_for(&["WARN", "the control plane is back", "LimitNOFILE"]).await;
        let after = configuration(&recorded::after_change());
        let runs = |node: &Actor| node.state().configuration.as_ref() == Some(&after);
        while nodes.iter().filter(|node| runs(node)).count() < 2 || relay.view.nodes().len() > 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // The others have what they were restored with, and come in as soon as one of the first two has left.
        let (linked, waiting): (Vec<Actor>, Vec<Actor>) = nodes.into_iter().partition(runs);
        assert_eq!(linked.len(), 2);
        let first = configuration(&recorded::first());
        assert!(waiting.iter().all(|node| node.state().configuration.as_ref() == Some(&first)));
        drop(linked);
        for node in &waiting {
            world.confirmed(node.node_id(), &after).await;
        }
    });
}

#[test]
fn a_large_message_reaches_all_nodes_though_some_do_not_read_the_one_before_and_there_is_room_for_one() {
    play(async {
        let world = World::begin().await;
        let [first, second] = [50_000, 50_001].map(large);
        let relay = world
            .relay_with(|settings| {
                let limits = &mut settings.limits;
                (limits.large_messages, limits.slow) = (second.len(), Duration::from_millis(200));
            })
            .await;
        world.control_plane.push(first.clone());
        let mut stuck = RawNode::open(relay.address, world.node_tls(), "stuck").await.unwrap();
        stuck.introduce().await.unwrap();
        let nodes: Vec<Actor> = (0..4).map(|_| world.node(relay.address)).collect();
        for node in &nodes {
            world.confirmed(node.node_id(), &configuration(&first)).await;
        }

        world.control_plane.push(second.clone());
        for node in &nodes {
            world.confirmed(node.node_id(), &configuration(&second)).await;
        }
        world.log.wait_for(&["stuck", "did not take a message in time"]).await;
    });
}

#[test]
fn a_control_plane_whose_large_message_waits_for_room_is_neither_silent_nor_gone() {
    play(async {
        let mut world = World::begin().await;
        // Long enough for a busy machine to begin with a large message, and shorter than there is no room.
        world.set("LIFEBOAT_CP_CONFIG_TIMEOUT", "5s");
        world.keep(&recorded::first()).await;
        // More than a socket's buffers hold, so that who doesn't read it holds the room.
        let [first, second] = [50_000, 50_001].map(large);
        let relay = world
            .relay_with(|settings| {
                let limits = &mut settings.limits;
                (limits.large_messages, limits.slow) = (second.len(), Duration::from_secs(14));
            })
            .await;
        world.control_plane.push(first);
        let mut stuck = RawNode::open(relay.address, world.node_tls(), "stuck").await.unwrap();
        stuck.introduce().await.unwrap();
        world.log.wait_for(&["stuck", "the control plane sent the node a configuration"]).await;

        world.control_plane.push(second.clone());
        let began = Instant::now();
        let node = world.node(relay.address);
        world.confirmed(node.node_id(), &configuration(&second)).await;
        assert!(began.elapsed() > Duration::from_secs(10), "there was room after {:?}", began.elapsed());
        let state = node.state();
        assert_eq!((state.received, state.connections), (1, 1), "{:?}", state.log);
        assert_eq!(world.log.lines_with("the control plane is gone").len(), 0);
    });
}

fn large(services: usize) -> bytes::Bytes {
    generator::reconfigure_message(&generator::configuration(services)).into()
}

#[test]
fn an_outage_snapshot_goes_to_a_few_nodes_at_a_time_and_to_all_in_the_end() {
    play(async {
        let world = World::begin().await;
        let large: bytes::Bytes = generator::reconfigure_message(&generator::configuration(10_000)).into();
        world.keep(&large).await;
        world.control_plane.stop().await;
        let before = world.store.reads_of(SNAPSHOTS);
        let relay = world
            .relay_with(|settings| {
                let limits = &mut settings.limits;
                (limits.sends, limits.slow) = (1, Duration::from_millis(200));
            })
            .await;
        let mut stuck = RawNode::open(relay.address, world.node_tls(), "stuck").await.unwrap();
        stuck.introduce().await.unwrap();
        let nodes: Vec<Actor> = (0..8).map(|_| world.node(relay.address)).collect();
        for node in &nodes {
            node.wait_for(|state| state.applied == 1).await;
            assert_eq!(node.state().connections, 1);
        }
        assert_eq!(world.store.reads_of(SNAPSHOTS) - before, 1, "one snapshot for all");
    });
}
