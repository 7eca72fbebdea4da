//! The relay while the control plane is there: frames pass as they are, and each side sees the other as if nobody stood
//! between.

use lifeboat_core::frame::{Frame, Opcode};
use lifeboat_fakes::certificate::Authority;
use lifeboat_fakes::control_plane::{Behaviour, Event};
use lifeboat_fakes::node::{EMPTY_HASH, NodeOptions, Wrpc};
use lifeboat_fakes::recorded;
use lifeboat_tests::raw_node::RawNode;
use lifeboat_tests::stage::{Actor, play};
use lifeboat_tests::world::{World, configuration};

#[test]
fn a_node_comes_up_with_the_control_planes_bytes_and_is_seen_under_its_own_name() {
    play(async {
        let world = World::begin().await;
        world.control_plane.push(recorded::first());
        let relay = world.relay().await;
        let options = NodeOptions {
            hostname: "dp-7.eu".to_owned(),
            version: "3.8.1".to_owned(),
            ..world.node_options(relay.address).with_labels(serde_json::json!({ "région": "eu" }))
        };
        let node = Actor::start(options.clone());
        let sent = configuration(&recorded::first());
        let scene = world.confirmed(node.node_id(), &sent).await;
        assert_eq!(node.configuration(), Some(sent.table));
        let seen = scene.node(node.node_id()).unwrap();
        assert_eq!((seen.hostname.as_str(), seen.version.as_str()), ("dp-7.eu", "3.8.1"));
        assert!(seen.first_message == options.first_message(), "basic_info has other bytes");
        assert_eq!(seen.pings.first().map(String::as_str), Some(EMPTY_HASH));
        // Every ping was answered, and none by two.
        node.wait_for(|state| state.pings > 4 && state.pongs == state.pings).await;
        assert_eq!((scene.nodes.len(), node.state().received), (1, 1));
        assert_eq!(world.store.counts().put, 0);
    });
}

#[test]
fn a_change_reaches_the_node_at_once() {
    play(async {
        let world = World::begin().await;
        world.control_plane.push(recorded::first());
        let relay = world.relay().await;
        let node = world.node(relay.address);
        world.confirmed(node.node_id(), &configuration(&recorded::first())).await;
        world.control_plane.push(recorded::after_change());
        let changed = configuration(&recorded::after_change());
        world.confirmed(node.node_id(), &changed).await;
        assert_eq!(node.configuration(), Some(changed.table));
        assert_eq!((node.state().connections, node.state().received), (1, 2));
    });
}

#[test]
fn an_almost_empty_configuration_of_a_living_control_plane_passes_unchanged() {
    play(async {
        let world = World::begin().await;
        world.keep(&recorded::first()).await;
        world.control_plane.push(recorded::first());
        let relay = world.relay().await;
        let node = world.node(relay.address);
        world.confirmed(node.node_id(), &configuration(&recorded::first())).await;
        world.control_plane.push(recorded::lost_database());
        let lost = configuration(&recorded::lost_database());
        world.confirmed(node.node_id(), &lost).await;
        assert_eq!(node.configuration(), Some(lost.table));
        // A fresh node gets the same.
        let fresh = world.node(relay.address);
        world.confirmed(fresh.node_id(), &configuration(&recorded::lost_database())).await;
        assert_eq!(fresh.state().received, 1);
    });
}

#[test]
fn pongs_are_the_control_planes_and_empty_and_a_node_that_leaves_leaves_the_control_plane() {
    play(async {
        let world = World::begin().await;
        world.control_plane.push(recorded::first());
        let relay = world.relay().await;
        let mut node = RawNode::open(relay.address, world.node_tls(), "raw-1").await.unwrap();
        node.introduce().await.unwrap();
        let frames = [node.next().await.unwrap(), node.next().await.unwrap()];
        // The two may come in either order, as without a relay.
        assert!(frames.contains(&Frame::empty_pong()), "{frames:?}");
        assert!(frames.contains(&Frame::binary(recorded::first())), "the message has other bytes: {frames:?}");

        let hash = configuration(&recorded::first()).hash;
        node.send(Frame::ping(hash.clone().into_bytes())).await.unwrap();
        assert_eq!(node.next().await, Some(Frame::empty_pong()));
        let pings = world.control_plane.state().node("raw-1").unwrap().pings.clone();
        assert_eq!(pings, [EMPTY_HASH.to_owned(), hash]);

        node.send(Frame::close(1000)).await.unwrap();
        let closed = Event::Disconnected("raw-1".to_owned(), "the node closed the link".to_owned());
        world.control_plane.wait_for(|scene| scene.events.contains(&closed)).await;
        let last = node.next().await;
        assert!(last.is_none_or(|frame| frame.opcode == Opcode::Close));
    });
}

#[test]
fn a_fragmented_message_is_passed_on_in_fragments_and_not_mended() {
    play(async {
        let world = World::begin().await;
        world.control_plane.behave(Behaviour::Fragmenting);
        world.control_plane.push(recorded::first());
        let relay = world.relay().await;
        let node = world.node(relay.address);
        let again = |error: &String| error.contains("again: the message is fragmented");
        node.wait_for(|state| state.last_error.as_ref().is_some_and(again)).await;
        assert_eq!(node.state().applied, 0);
        world.control_plane.behave(Behaviour::Serving);
        node.wait_for(|state| state.applied == 1).await;
    });
}

#[test]
fn a_3_0_node_that_asks_for_wrpc_gets_404_and_then_its_configuration() {
    play(async {
        let world = World::begin().await;
        world.control_plane.push(recorded::first());
        let relay = world.relay().await;
        let options = world.node_options(relay.address);
        let node = Actor::start(NodeOptions { version: "3.0.2".to_owned(), wrpc: Wrpc::AskedFirst, ..options });
        node.wait_for(|state| state.applied == 1).await;
        // The relay answered by itself.
        let events = world.control_plane.state().events;
        assert!(!events.iter().any(|event| matches!(event, Event::Answered(..))), "{events:?}");
    });
}

#[test]
fn with_an_authority_of_their_own_node_relay_and_control_plane_each_show_their_certificate() {
    play(async {
        let world = World::with_authority(&Authority::new("the cluster's authority")).await;
        world.control_plane.push(recorded::first());
        let backup = world.backup();
        world.published(&configuration(&recorded::first())).await;
        world.confirmed(&backup.id, &configuration(&recorded::first())).await;
        let relay = world.relay().await;
        let node = world.node(relay.address);
        world.confirmed(node.node_id(), &configuration(&recorded::first())).await;

        world.control_plane.stop().await;
        let fresh = world.node(relay.address);
        fresh.wait_for(|state| state.applied == 1).await;
        assert_eq!(fresh.configuration(), Some(configuration(&recorded::first()).table));
    });
}

#[test]
fn a_certificate_of_another_authority_is_refused_in_both_directions() {
    play(async {
        let world = World::with_authority(&Authority::new("the cluster's authority")).await;
        let stranger = World::with_authority(&Authority::new("another authority")).await;
        world.control_plane.push(recorded::first());
        world.keep(&recorded::first()).await;
        let relay = world.relay().await;
        let node = Actor::start(stranger.node_options(relay.address));
        world.log.wait_for(&["a connection was refused", "the node", "authority"]).await;
        node.wait_for(|state| state.last_error.is_some()).await;
        assert_eq!((node.state().connections, node.state().received), (0, 0));

        // The same from the relay's side: a control plane that a stranger runs counts as gone, with the reason.
        let mut fooled = world;
        fooled.set("KONG_CLUSTER_CONTROL_PLANE", stranger.control_plane.address().to_string());
        stranger.control_plane.push(recorded::after_change());
        let relay = fooled.relay().await;
        let node = fooled.node(relay.address);
        node.wait_for(|state| state.applied == 1).await;
        assert_eq!(node.configuration(), Some(configuration(&recorded::first()).table));
        fooled
            .log
            .wait_for(&["WARN", "the control plane's certificate comes from an authority that is not trusted"])
            .await;
    });
}
