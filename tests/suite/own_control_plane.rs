//! A relay that would be its own control plane. What a control plane's answers mean is in `answers`.

use std::net::SocketAddr;

use lifeboat_link::Address;
use lifeboat_tests::stage::play;
use lifeboat_tests::world::World;
use tokio::net::{TcpListener, TcpStream};

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
