//! Who else may come to the relay's port: without the cluster's certificate nobody gets a byte, and whoever misbehaves
//! with it doesn't disturb the others.

use std::sync::Arc;

use lifeboat_core::frame::{Frame, Opcode};
use lifeboat_fakes::certificate::ClusterCertificate;
use lifeboat_fakes::control_plane::ControlPlaneState;
use lifeboat_fakes::node::NodeOptions;
use lifeboat_fakes::recorded;
use lifeboat_tests::raw_node::{RawNode, connect_tls};
use lifeboat_tests::stage::{Actor, play};
use lifeboat_tests::world::{RunningRelay, World, configuration};
use lifeboat_tests::{generator, tls};
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const VERSIONS: [&rustls::SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

/// An outage with a backup: whoever is let in and says that it is empty is given everything.
async fn outage() -> (World, RunningRelay) {
    let world = World::begin().await;
    world.keep(&recorded::first()).await;
    world.control_plane.stop().await;
    let relay = world.relay().await;
    (world, relay)
}

/// What comes back after TLS, if that succeeds at all, to somebody who asks at once and waits for the end.
async fn bytes_given(relay: &RunningRelay, tls: Arc<ClientConfig>) -> Vec<u8> {
    let mut given = Vec::new();
    if let Ok(mut stream) = connect_tls(relay.address, tls).await {
        let request = "GET /v1/outlet?node_id=x&node_hostname=x&node_version=3.9.1 HTTP/1.1\r\nhost: x\r\n\
                       connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let _ = stream.write_all(request.as_bytes()).await;
        let _ = stream.read_to_end(&mut given).await;
    }
    given
}

#[test]
fn who_has_another_certificate_or_none_or_a_stolen_one_gets_not_one_byte() {
    play(async {
        let (world, relay) = outage().await;
        let other = ClusterCertificate::version_1(std::time::SystemTime::now());
        let stolen = tls::thief(&world.certificate, &other);
        for version in VERSIONS {
            // Each says each reason once a minute.
            let relay = world.relay().await;
            for shown in [Some(&other), Some(&stolen), None] {
                let tls = tls::client(version, shown, &world.certificate);
                assert_eq!(bytes_given(&relay, tls).await, b"");
            }
        }
        let reasons = ["presented another certificate", "does not hold its private key", "presented no certificate"];
        for reason in reasons {
            // Who is turned away may know it before it is logged.
            world.log.wait_for_count(reason, 2).await;
            assert_eq!(world.log.lines_with(reason).len(), 2, "{reason}: {:?}", world.log.lines_with("was refused"));
        }
        assert!(world.log.lines_with("a node connected").is_empty());
        // The same request with the right one is answered.
        let mut right = RawNode::open(relay.address, world.node_tls(), "right").await.unwrap();
        right.introduce().await.unwrap();
        assert!(right.next().await.is_some());
    });
}

#[test]
fn a_node_with_another_clusters_certificate_stays_outside() {
    play(async {
        let (world, relay) = outage().await;
        let (other, _) = outage().await;
        let node = Actor::start(other.node_options(relay.address));
        // The node looks at the relay's certificate first, and does not go on.
        world.log.wait_for(&["a connection was refused: the node refused our certificate"]).await;
        let state = node.state();
        assert_eq!((state.connections, state.received), (0, 0), "{:?}", state.log);
    });
}

#[test]
fn garbage_in_every_layer_disturbs_no_other_node() {
    play(async {
        let (world, relay) = outage().await;
        let node = world.node(relay.address);
        node.wait_for(|state| state.applied == 1).await;

        let mut not_tls = TcpStream::connect(relay.address).await.unwrap();
        not_tls.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let nothing = TcpStream::connect(relay.address).await.unwrap();
        let mut not_http = connect_tls(relay.address, world.node_tls()).await.unwrap();
        not_http.write_all(&[0xff; 10_000]).await.unwrap();
        let nothing_in_tls = connect_tls(relay.address, world.node_tls()).await.unwrap();
        let mut elsewhere = connect_tls(relay.address, world.node_tls()).await.unwrap();
        elsewhere.write_all(b"GET /config HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let _ = elsewhere.read_to_end(&mut answer).await;
        assert!(answer.starts_with(b"HTTP/1.1 404"), "{}", String::from_utf8_lossy(&answer));

        let mut not_basic_info = RawNode::open(relay.address, world.node_tls(), "not-json").await.unwrap();
        not_basic_info.send(Frame::binary(&b"\0\x01\x02 hello"[..])).await.unwrap();
        let last = not_basic_info.next().await;
        assert!(last.is_some_and(|frame| frame.opcode == Opcode::Close));
        world.log.wait_for(&["WARN", "not-json", "the node's first message is not a basic_info"]).await;
        let mut too_long = RawNode::open(relay.address, world.node_tls(), "too-long").await.unwrap();
        // The relay hangs up before it has read all of it.
        let _ = too_long.send(Frame::binary(vec![b' '; 2 << 20])).await;
        while too_long.next().await.is_some() {}

        // All that is still open stays so while a new node is served, and the first one is still there.
        let fresh = world.node(relay.address);
        fresh.wait_for(|state| state.applied == 1).await;
        let pongs = node.state().pongs;
        let state = node.wait_for(|state| state.pongs >= pongs + 3).await;
        assert_eq!(state.connections, 1);
        drop((nothing, nothing_in_tls));
    });
}

#[test]
fn a_node_that_stops_reading_holds_up_nobody_else() {
    play(async {
        let world = World::begin().await;
        // More than the system's buffers for a socket hold.
        let large: bytes::Bytes = generator::reconfigure_message(&generator::configuration(50_000)).into();
        let sent = configuration(&large);
        world.control_plane.push(large);
        let relay = world.relay().await;
        let mut stuck = RawNode::open(relay.address, world.node_tls(), "stuck").await.unwrap();
        stuck.introduce().await.unwrap();
        let was_sent = |scene: &ControlPlaneState| scene.node("stuck").is_some_and(|node| node.sent > 0);
        world.control_plane.wait_for(was_sent).await;
        world.log.wait_for(&["stuck", "the control plane sent the node a configuration"]).await;
        let others: Vec<Actor> = (0..3).map(|_| world.node(relay.address)).collect();
        for node in &others {
            world.confirmed(node.node_id(), &sent).await;
            assert_eq!(node.state().connections, 1);
        }
        // The stuck one gets all of it when it reads at last.
        let whole = loop {
            match stuck.next().await.expect("its link stands") {
                frame if frame.is_whole_message() => break frame,
                frame => assert_eq!(frame, Frame::empty_pong()),
            }
        };
        assert!(whole.payload == world.control_plane.state().messages[0]);
    });
}

#[test]
fn a_node_that_names_no_version_of_kong_is_linked_but_not_restored() {
    play(async {
        let world = World::begin().await;
        world.keep(&recorded::first()).await;
        world.control_plane.stop().await;
        let relay = world.relay().await;
        let options = NodeOptions { version: "nightly".to_owned(), ..world.node_options(relay.address) };
        let node = Actor::start(options);
        world.log.wait_for(&["ERROR", "the node says no version that lifeboat knows"]).await;
        let state = node.wait_for(|state| state.pongs >= 5).await;
        assert_eq!((state.received, state.connections), (0, 1), "{:?}", state.log);
        let errors = world.log.lines_with("the node says no version that lifeboat knows").len();
        assert_eq!(errors, 1, "it is said once");
    });
}
