//! Other paths than `/v1/outlet`: linked through to the control plane while it is there, refused without it.

use std::time::Duration;

use lifeboat_fakes::control_plane::{Event, Rpc};
use lifeboat_fakes::node::NodeOptions;
use lifeboat_fakes::recorded;
use lifeboat_tests::raw_node::connect_tls;
use lifeboat_tests::raw_rpc::{Asked, RawRpc, ask, hello, hello_of};
use lifeboat_tests::stage::{Actor, play};
use lifeboat_tests::world::{RunningRelay, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const NODE: &str = "0707cde5-c018-4bb3-88d5-f4c8e60823ad";

async fn opened(world: &World, relay: &RunningRelay) -> (RawRpc, String) {
    match ask(relay.address, world.node_tls(), "/v2/outlet").await.unwrap() {
        Asked::Opened(rpc, head) => (rpc, head),
        Asked::Refused(status) => panic!("refused with {status}"),
    }
}

async fn refused(world: &World, relay: &RunningRelay, path: &str) -> u16 {
    match ask(relay.address, world.node_tls(), path).await.unwrap() {
        Asked::Opened(..) => panic!("it was opened"),
        Asked::Refused(status) => status,
    }
}

/// A relay that is sooner sure of what a node does not ask for.
async fn relay(world: &World) -> RunningRelay {
    world.relay_with(|settings| settings.limits.only_v2 = Duration::from_millis(300)).await
}

#[test]
fn kongs_rpc_passes_through_with_its_subprotocol_while_the_control_plane_is_there() {
    play(async {
        let world = World::begin_with(|options| options.rpc = Rpc::On).await;
        let relay = relay(&world).await;
        let (mut rpc, head) = opened(&world, &relay).await;
        assert!(head.to_ascii_lowercase().contains("sec-websocket-protocol: kong.meta.v1"), "{head}");
        let answer = rpc.exchange(hello(NODE)).await;
        assert!(String::from_utf8_lossy(&answer).contains("x-snappy-framed"));
        let said = Event::Hello(NODE.to_owned(), "kong.meta.v1".to_owned());
        world.control_plane.wait_for(|scene| scene.events.contains(&said)).await;
        let large = vec![7; 3 << 20];
        assert!(rpc.exchange(large.clone()).await == large);

        // It ends with the control plane, and then there is none.
        world.control_plane.stop().await;
        assert_eq!(rpc.next().await, None);
        assert_eq!(refused(&world, &relay, "/v3/outlet").await, 503);
    });
}

#[test]
fn what_the_control_plane_does_not_serve_is_answered_as_it_answers() {
    play(async {
        let world = World::begin().await;
        let relay = relay(&world).await;
        assert_eq!(refused(&world, &relay, "/v2/outlet").await, 404);
        let asked = Event::Answered(hyper::StatusCode::NOT_FOUND, "/v2/outlet".to_owned());
        assert!(world.control_plane.state().events.contains(&asked));
        // wRPC is nobody's: the control plane is not even asked.
        assert_eq!(refused(&world, &relay, "/v1/wrpc").await, 404);
        let mut stream = connect_tls(relay.address, world.node_tls()).await.unwrap();
        stream.write_all(b"HEAD /v1/wrpc HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.starts_with(b"HTTP/1.1 404"), "{}", String::from_utf8_lossy(&answer));
        let events = world.control_plane.state().events;
        assert!(!events.iter().any(|event| matches!(event, Event::Answered(_, path) if path == "/v1/wrpc")));
    });
}

#[test]
fn a_node_that_takes_its_configuration_over_v2_only_is_named_with_the_cure_before_an_outage_and_in_one() {
    play(async {
        let world = World::begin_with(|options| options.rpc = Rpc::On).await;
        let relay = relay(&world).await;
        // One that asks for both is not.
        let both = world.node(relay.address);
        both.wait_for(|state| state.connected).await;
        let (mut of_both, _) = opened(&world, &relay).await;
        of_both.exchange(hello(both.node_id())).await;
        let (mut only, _) = opened(&world, &relay).await;
        only.exchange(hello_of(NODE, "3.10.0.1-enterprise-edition")).await;
        let line = world.log.wait_for(&["WARN", "asks for /v2/outlet only", "cluster_incremental_sync=off"]).await;
        assert!(line.contains(NODE) && line.contains("dp-of-rpc"), "{line}");
        let known = relay.view.only_incremental();
        assert_eq!(known.iter().map(|node| node.id.as_deref()).collect::<Vec<_>>(), [Some(NODE)]);
        assert_eq!(world.log.lines_with("asks for /v2/outlet only").len(), 1);
    });
    play(async {
        let world = World::begin().await;
        world.control_plane.stop().await;
        let relay = relay(&world).await;
        let (mut only, _) = opened(&world, &relay).await;
        // It is kept quiet, with nothing to ask for.
        let answer = only.exchange(hello_of(NODE, "3.10.0.1-enterprise-edition")).await;
        assert!(String::from_utf8_lossy(&answer).contains(r#""rpc_capabilities":[]"#));
        world.log.wait_for(&["WARN", "asks for /v2/outlet only", "address=127.0.0.1"]).await;
        // It was corrected, and comes the other way.
        world.keep(&recorded::first()).await;
        let options = NodeOptions { node_id: NODE.to_owned(), ..world.node_options(relay.address) };
        let node = Actor::start(options);
        node.wait_for(|state| state.applied == 1).await;
        assert_eq!(relay.view.only_incremental(), []);
    });
}

#[test]
fn two_relays_behind_each_other_are_refused() {
    play(async {
        let mut world = World::begin().await;
        world.set("LIFEBOAT_FEED_ON_REFUSAL", "off");
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let address = |address: std::net::SocketAddr| address.to_string().parse().unwrap();
        let first = world.relay_to(address(free), "127.0.0.1:0".parse().unwrap()).await;
        let second = world.relay_to(address(first.address), free).await;
        let node = world.node(second.address);
        world.log.wait_for(&["WARN", "leads back to itself"]).await;
        assert_eq!(node.state().received, 0);
    });
}
