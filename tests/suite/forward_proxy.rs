//! `cluster_use_proxy` and `proxy_server`: the control plane is reached through a forward proxy only.

use lifeboat_fakes::recorded;
use lifeboat_tests::forward_proxy::ForwardProxy;
use lifeboat_tests::stage::play;
use lifeboat_tests::world::{World, configuration};

/// `kong:p@ss` in RFC 7617's form.
const AUTHORIZATION: &str = "Basic a29uZzpwQHNz";

async fn world(authorization: Option<&'static str>, credentials: &str) -> (World, ForwardProxy) {
    let (mut world, proxy) = (World::begin().await, ForwardProxy::start(authorization).await);
    world.set("KONG_CLUSTER_USE_PROXY", "on");
    world.set("KONG_PROXY_SERVER", format!("http://{credentials}{}", proxy.address));
    world.control_plane.push(recorded::first());
    (world, proxy)
}

#[test]
fn backup_node_and_nodes_reach_the_control_plane_through_a_proxy_with_credentials() {
    play(async {
        let (world, proxy) = world(Some(AUTHORIZATION), "kong:p%40ss@").await;
        let backup = world.backup();
        world.published(&configuration(&recorded::first())).await;
        world.confirmed(&backup.id, &configuration(&recorded::first())).await;
        let relay = world.relay().await;
        let node = world.node(relay.address);
        world.confirmed(node.node_id(), &configuration(&recorded::first())).await;
        let asked = proxy.asked();
        assert_eq!(asked.len(), 2, "{asked:?}");
        assert!(asked.iter().all(|target| *target == world.control_plane.address().to_string()), "{asked:?}");
        assert!(!world.log.text().contains("p%40ss") && !world.log.text().contains("a29uZzpwQHNz"));
    });
}

#[test]
fn a_proxy_that_wants_other_credentials_is_named_and_nodes_are_restored_meanwhile() {
    play(async {
        let (world, _proxy) = world(Some(AUTHORIZATION), "").await;
        world.keep(&recorded::first()).await;
        let relay = world.relay().await;
        let node = world.node(relay.address);
        node.wait_for(|state| state.applied == 1).await;
        world.log.wait_for(&["WARN", "wants other credentials", "KONG_PROXY_SERVER"]).await;
    });
}

#[test]
fn a_control_plane_that_the_proxy_does_not_reach_is_gone() {
    play(async {
        let (world, _proxy) = world(None, "").await;
        world.keep(&recorded::first()).await;
        world.control_plane.stop().await;
        let relay = world.relay().await;
        let node = world.node(relay.address);
        node.wait_for(|state| state.applied == 1).await;
        world.log.wait_for(&["WARN", "the proxy", "answered HTTP 502"]).await;
        world.control_plane_comes_back().await;
        world.confirmed(node.node_id(), &configuration(&recorded::first())).await;
        assert_eq!(node.state().connections, 1);
    });
}
