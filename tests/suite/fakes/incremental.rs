//! A node with incremental sync and a control plane that has it, at real sockets, many times as fast as Kong.

use lifeboat_fakes::control_plane::{ControlPlane, ControlPlaneOptions, Event, Rpc};
use lifeboat_fakes::incremental::{IncrementalNode, IncrementalOptions, Times};
use lifeboat_fakes::recorded;
use lifeboat_link::tls::client_config_shared;

use super::{first, identity, options_of, soon};

/// The credential that is in what was recorded.
const KEY: &str = "alice-secret-key";

async fn cluster_with(
    change: impl FnOnce(&mut ControlPlaneOptions),
    of_node: impl FnOnce(&mut IncrementalOptions),
) -> (ControlPlane, IncrementalNode) {
    let identity = identity();
    let mut options = ControlPlaneOptions { rpc: Rpc::IncrementalSync, ..options_of(&identity) };
    change(&mut options);
    let control_plane = ControlPlane::start(options).await.unwrap();
    control_plane.push(recorded::first());
    let mut options = IncrementalOptions::new(control_plane.address(), client_config_shared(&identity));
    options.times = Times::faster(20);
    of_node(&mut options);
    (control_plane, IncrementalNode::start(options))
}

async fn cluster() -> (ControlPlane, IncrementalNode) {
    cluster_with(|_| {}, |_| {}).await
}

#[tokio::test]
async fn an_empty_node_gets_all_at_once_and_confirms_it() {
    let (control_plane, node) = cluster().await;
    let state = soon(node.wait_for(|state| state.asked().len() >= 2)).await;
    assert_eq!(&state.asked()[..2], [0.0, 16.0]);
    assert_eq!((state.hash(), state.ready()), ("00000000000000000000000000000016", true));
    assert_eq!((state.answer("echo"), state.key_auth(KEY), state.key_auth("another")), (200, 200, 401));

    let scene = soon(control_plane.wait_for(|scene| scene.versions.get(node.node_id()) == Some(&16))).await;
    let table: serde_json::Value = serde_json::from_slice(&first().table).unwrap();
    assert_eq!(state.serves("routes").len(), table["routes"].as_array().unwrap().len());
    let all = |event: &Event| matches!(event, Event::Deltas { wipe: true, .. });
    assert_eq!(scene.events.iter().filter(|event| all(event)).count(), 1);
}

#[tokio::test]
async fn a_change_is_told_to_a_node_which_asks_for_it_on_the_same_link() {
    let (control_plane, node) = cluster().await;
    soon(node.wait_for(|state| state.version() == 16 && state.links_up() == 2)).await;
    soon(control_plane.write(recorded::after_change())).await;
    let state = soon(node.wait_for(|state| state.version() == 17 && state.serves("routes").len() == 5)).await;
    assert_eq!(state.applied, 2);
    let told = Event::Notified(17, vec![(node.node_id().to_owned(), true)]);
    assert!(control_plane.state().events.contains(&told));
}
