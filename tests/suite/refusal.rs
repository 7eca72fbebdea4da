//! A control plane that refuses is not gone: nothing is fed, unless the operator says so. And a relay that would be its
//! own control plane.

use std::net::SocketAddr;

use http::StatusCode;
use lifeboat::rehearsal::control_plane::{Behaviour, Event, Scene};
use lifeboat::rehearsal::recording;
use lifeboat::settings::Address;
use lifeboat_tests::stage::play;
use lifeboat_tests::world::{World, configuration};
use tokio::net::{TcpListener, TcpStream};

/// Three times, so that a fetch that began meanwhile would have come to its end.
fn thrice(is_refusal: impl Fn(&Event) -> bool) -> impl FnMut(&Scene) -> bool {
    move |scene| scene.events.iter().filter(|event| is_refusal(event)).count() >= 3
}

async fn refusing(behaviour: Behaviour) -> World {
    let world = World::begin().await;
    world.keep(&recording::first()).await;
    world.control_plane.push(recording::first());
    world.control_plane.behave(behaviour);
    world
}

#[test]
fn a_node_that_the_control_plane_turns_away_is_not_fed() {
    play(async {
        let world = refusing(Behaviour::Refusing).await;
        let relay = world.relay().await;
        let node = world.node(relay.address);
        world.control_plane.wait_for(thrice(|event| matches!(event, Event::Refused(..)))).await;
        let line = world.log.wait_for(&["WARN", "closed its link at once"]).await;
        assert!(line.contains("the node is not restored") && line.contains("LIFEBOAT_FEED_ON_REFUSAL=on"), "{line}");
        // As without a relay, its link is closed and it tries again.
        let state = node.wait_for(|state| state.connections >= 3).await;
        assert_eq!(state.received, 0, "{:?}", state.log);
        world.control_plane.behave(Behaviour::Serving);
        node.wait_for(|state| state.applied == 1).await;
    });
}

#[test]
fn a_4xx_turns_a_node_away_too() {
    play(async {
        let world = refusing(Behaviour::Answering(StatusCode::FORBIDDEN)).await;
        let relay = world.relay().await;
        let node = world.node(relay.address);
        world.control_plane.wait_for(thrice(|event| matches!(event, Event::Answered(StatusCode::FORBIDDEN, _)))).await;
        world.log.wait_for(&["WARN", "answered HTTP 403", "the node is not restored"]).await;
        assert_eq!(node.state().received, 0, "{:?}", node.state().log);
    });
}

#[test]
fn a_refused_node_is_fed_where_the_operator_says_so() {
    play(async {
        for behaviour in [Behaviour::Refusing, Behaviour::Answering(StatusCode::FORBIDDEN)] {
            let mut world = refusing(behaviour).await;
            world.set("LIFEBOAT_FEED_ON_REFUSAL", "on");
            let relay = world.relay().await;
            let node = world.node(relay.address);
            let state = node.wait_for(|state| state.applied == 1).await;
            assert_eq!(state.configuration, Some(configuration(&recording::first())));
            assert_eq!(state.connections, 1);
        }
    });
}

#[test]
fn a_relay_that_is_told_to_dial_itself_refuses_and_names_the_setting() {
    play(async {
        for host in ["localhost", "0.0.0.0", "127.0.0.1"] {
            let world = World::begin().await;
            let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
            // The settings' own check sees only what is written there; here the name says nothing.
            let relay = world.relay_to(Address { host: host.to_owned(), port: free.port() }, free).await;
            let node = world.node(relay.address);
            let line = world.log.wait_for(&["WARN", "that address is this relay itself"]).await;
            assert!(line.contains("set LIFEBOAT_CONTROL_PLANE to the real control plane"), "{line}");
            assert_eq!(node.state().received, 0);
        }
    });
}

#[test]
fn a_relay_that_meets_itself_behind_something_else_says_so() {
    play(async {
        let world = World::begin().await;
        let between = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = between.local_addr().unwrap();
        let relay = world.relay_to(address.to_string().parse().unwrap(), "127.0.0.1:0".parse().unwrap()).await;
        let forwarding = tokio::spawn(forward(between, relay.address));
        let _node = world.node(relay.address);
        let line = world.log.wait_for(&["WARN", "leads back to itself"]).await;
        assert!(line.contains("LIFEBOAT_CONTROL_PLANE"), "{line}");
        forwarding.abort();
    });
}

async fn forward(from: TcpListener, to: SocketAddr) {
    while let Ok((mut near, _)) = from.accept().await {
        tokio::spawn(async move {
            let mut far = TcpStream::connect(to).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        });
    }
}
