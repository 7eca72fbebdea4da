//! A relay that is replaced by another one at the same address, as in an upgrade: what its nodes notice of it.

use std::time::Duration;

use lifeboat_fakes::node::{Node, NodeOptions};
use lifeboat_fakes::recorded;
use lifeboat_link::tls::client_config_shared;
use rustix::process::Signal;
use tokio::time::timeout;

use super::{Cluster, Store, configuration, relay_address};

const NODES: usize = 25;
const LIMIT: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
async fn nodes_come_back_to_an_upgraded_relay_in_an_outage_with_what_they_had_and_new_ones_are_restored() {
    upgrade(Signal::TERM, Some(0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_come_back_to_a_relay_that_was_killed_in_an_outage_with_what_they_had() {
    upgrade(Signal::KILL, None).await;
}

async fn upgrade(signal: Signal, code: Option<i32>) {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    cluster.control_plane.push(recorded::first());
    let kept = store.given_to(cluster.lifeboat(["export"])).finish().await;
    assert_eq!(kept.code, Some(0), "{kept}");
    cluster.control_plane.stop().await;
    let first = configuration(&recorded::first());

    let relay = store.given_to(cluster.lifeboat(["run", "--import", "on"])).start();
    let address = relay_address(&relay).await;
    let node = || {
        let options = NodeOptions::new(address, client_config_shared(&cluster.identity));
        let ms = Duration::from_millis;
        let reconnect = ms(50)..ms(500);
        Node::start(NodeOptions { reconnect, ping_interval: ms(500), poll_interval: ms(10), ..options })
    };
    let nodes: Vec<Node> = (0..NODES).map(|_| node()).collect();
    for node in &nodes {
        let fed = timeout(LIMIT, node.wait_for(|state| state.configuration.as_ref() == Some(&first))).await;
        assert!(fed.is_ok(), "{:?}", node.state().log);
    }

    // Who has not confirmed in time is sent it again, and this machine may be slow.
    let received: Vec<u64> = nodes.iter().map(|node| node.state().received).collect();
    relay.signal(signal);
    let ended = relay.ends().await;
    assert_eq!(ended.code, code, "{ended}");
    let again = store.given_to(cluster.lifeboat(["run", "--import", "on"]));
    let again = again.with("LIFEBOAT_RELAY_LISTEN", address.to_string()).start();
    assert_eq!(relay_address(&again).await, address);
    for (node, received) in nodes.iter().zip(received) {
        // It has been told something by the new one: a pong.
        let pongs = node.state().pongs;
        let is_back = |state: &lifeboat_fakes::node::NodeState| {
            state.connected && state.connections > 1 && state.pongs > pongs + 1
        };
        let back = timeout(LIMIT, node.wait_for(is_back)).await;
        let state = node.state();
        assert!(back.is_ok(), "{:?}", state.log);
        assert_eq!((state.received, state.configuration), (received, Some(first.clone())), "{:?}", state.log);
    }
    let fresh = node();
    let fed = timeout(LIMIT, fresh.wait_for(|state| state.configuration.as_ref() == Some(&first))).await;
    assert!(fed.is_ok(), "{:?}", fresh.state().log);
    assert_eq!(
        again.log().matches("for new nodes of Kong 3.9.1").count(),
        1,
        "the store is asked for empty nodes only"
    );
}
