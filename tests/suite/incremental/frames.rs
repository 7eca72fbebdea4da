//! The same frame by frame: what the relay says to such a node, and what it keeps from the control plane.

use std::time::Duration;

use lifeboat::relay::ConfigurationFrom;
use lifeboat_fakes::control_plane::{Event, Rpc};
use lifeboat_fakes::recorded;
use lifeboat_tests::raw_rpc::{Asked, RawRpc, ask};
use lifeboat_tests::stage::play;
use lifeboat_tests::world::{RunningRelay, World};
use serde_json::{Value, json};

const NODE: &str = "0707cde5-c018-4bb3-88d5-f4c8e60823ad";
/// What the first snapshot of a history is given under.
const FIRST: i64 = -999_999_999;

async fn opened(world: &World, relay: &RunningRelay) -> RawRpc {
    match ask(relay.address, world.node_tls(), "/v2/outlet").await.unwrap() {
        Asked::Opened(rpc, head) => {
            assert!(head.to_ascii_lowercase().contains("sec-websocket-protocol: kong.meta.v1\r\n"), "{head}");
            rpc
        }
        Asked::Refused(status) => panic!("refused with {status}"),
    }
}

fn no_deltas(id: u64) -> Value {
    json!({ "id": id, "jsonrpc": "2.0", "result": { "default": { "wipe": false, "deltas": {} } } })
}

/// A world whose control plane is gone, with one snapshot in the store.
async fn outage() -> (World, RunningRelay) {
    let world = World::begin().await;
    world.keep(&recorded::first()).await;
    world.control_plane.stop().await;
    let relay = world.relay().await;
    (world, relay)
}

/// Asks until there is an answer with deltas: the snapshot may be on its way.
async fn restored(rpc: &mut RawRpc) -> Value {
    for id in 0.. {
        let answer = rpc.get_delta(id, 0).await;
        if answer["result"]["default"]["wipe"] == true {
            assert_eq!(answer["id"], id);
            return answer["result"]["default"]["deltas"].clone();
        }
        assert_eq!(answer, no_deltas(id));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    unreachable!()
}

#[test]
fn an_empty_node_is_restored_by_incremental_sync_and_says_so() {
    play(async {
        let (world, relay) = outage().await;
        let mut rpc = opened(&world, &relay).await;
        let answer = rpc.hello(NODE).await;
        assert_eq!(answer["result"]["rpc_capabilities"], json!(["kong.sync.v2"]));

        let deltas = restored(&mut rpc).await;
        let versions = deltas.as_array().unwrap().iter().map(|delta| delta["version"].as_i64());
        assert!(versions.into_iter().all(|version| version == Some(FIRST)));
        assert_eq!(rpc.get_delta(7, FIRST).await, no_deltas(7));
        world.log.wait_for(&["INFO", "the node runs snapshot 1 from the store, by incremental sync"]).await;

        let nodes = relay.view.nodes();
        assert_eq!(nodes.len(), 1);
        assert_eq!((nodes[0].id.as_str(), nodes[0].incremental_sync), (NODE, true));
        assert_eq!(nodes[0].config_from, ConfigurationFrom::Store);
        assert_eq!(nodes[0].config_hash.unwrap().to_string(), "-0000000000000000000000999999999");
    });
}

#[test]
fn the_connections_of_a_node_are_one_node() {
    play(async {
        let (world, relay) = outage().await;
        let (mut first, mut second) = (opened(&world, &relay).await, opened(&world, &relay).await);
        first.hello(NODE).await;
        second.hello(NODE).await;
        restored(&mut second).await;
        assert_eq!(first.get_delta(0, FIRST).await, no_deltas(0));
        assert_eq!(relay.view.nodes().len(), 1);
        drop(second);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(relay.view.nodes().len(), 1);
        drop(first);
        world.log.wait_for(&["the last connection of the node is closed"]).await;
        assert_eq!(relay.view.nodes().len(), 0);
    });
}

#[test]
fn a_node_that_was_seen_with_a_configuration_is_not_given_another() {
    play(async {
        let (world, relay) = outage().await;
        let node = world.node(relay.address);
        node.wait_for(|state| state.applied == 1).await;
        let mut rpc = opened(&world, &relay).await;
        rpc.hello(node.node_id()).await;
        let refused = async {
            for id in 0.. {
                assert_eq!(rpc.get_delta(id, 0).await, no_deltas(id));
                if !world.log.lines_with("came by /v1/outlet").is_empty() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        refused.await;
    });
}

#[test]
fn a_first_message_that_could_harm_the_control_plane_does_not_reach_it() {
    play(async {
        let world = World::begin_with(|options| options.rpc = Rpc::On).await;
        let relay = world.relay().await;
        for wrong in ["7c5d", "0707cde5-c018-4bb3-88d5-f4c8e60823ad'"] {
            let mut rpc = opened(&world, &relay).await;
            rpc.call_plain(&lifeboat_tests::raw_rpc::hello(wrong)).await;
            assert_eq!(rpc.next().await, None);
        }
        world.log.wait_for(&["WARN", "before the control plane could see it", "its kong_node_id is no UUID"]).await;
        let mut rpc = opened(&world, &relay).await;
        rpc.hello(NODE).await;
        let hellos: Vec<Event> =
            world.control_plane.state().events.into_iter().filter(|event| matches!(event, Event::Hello(..))).collect();
        assert_eq!(hellos, [Event::Hello(NODE.to_owned(), "kong.meta.v1".to_owned())]);
    });
}
