//! What can be seen of a relay: its nodes, what they run and where that came from.

use std::time::Duration;

use lifeboat::relay::{ConfigurationFrom, ControlPlaneLink, NodeStatus};
use lifeboat_fakes::control_plane::Behaviour;
use lifeboat_fakes::node::NodeOptions;
use lifeboat_fakes::recorded;
use lifeboat_tests::stage::{Actor, play};
use lifeboat_tests::world::{RunningRelay, World, configuration};

async fn shown(relay: &RunningRelay, node: &Actor, fits: impl Fn(&NodeStatus) -> bool) -> NodeStatus {
    loop {
        let nodes = relay.view.nodes();
        if let Some(status) = nodes.into_iter().find(|status| status.id == node.node_id() && fits(status)) {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn each_node_is_shown_with_what_it_runs_and_where_that_came_from() {
    play(async {
        let world = World::begin().await;
        world.keep(&recorded::first()).await;
        world.control_plane.push(recorded::after_change());
        let relay = world.relay().await;
        let options = NodeOptions { hostname: "dp-7".to_owned(), ..world.node_options(relay.address) };
        let from_control_plane = Actor::start(options);
        let status =
            shown(&relay, &from_control_plane, |status| status.config_from == ConfigurationFrom::ControlPlane).await;
        let after = configuration(&recorded::after_change()).hash;
        assert_eq!((status.hostname.as_str(), status.config_hash.unwrap().to_string()), ("dp-7", after));
        assert_eq!(status.control_plane, ControlPlaneLink::Linked);
        assert_eq!(status.version.unwrap().to_string(), "3.9.1");

        world.control_plane.stop().await;
        let restored = world.node(relay.address);
        let status = shown(&relay, &restored, |status| status.config_from == ConfigurationFrom::Store).await;
        assert_eq!(status.control_plane, ControlPlaneLink::Gone);
        assert_eq!(status.config_hash.unwrap().to_string(), configuration(&recorded::first()).hash);
        // The first one is still shown as it is, and one that leaves is shown no more.
        shown(&relay, &from_control_plane, |status| status.control_plane == ControlPlaneLink::Gone).await;
        drop(restored);
        while relay.view.nodes().len() > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // A control plane that refuses is shown as one, too. It closes the node's link, which comes again.
        world.control_plane.behave(Behaviour::Silent);
        assert!(serde_json::to_string(&relay.view.nodes()).unwrap().contains("\"config_from\":\"control_plane\""));
    });
}

#[test]
fn a_node_that_cannot_adopt_the_snapshot_is_shown_with_the_reason_and_sent_it_ever_more_seldom() {
    play(async {
        let world = World::begin().await;
        world.keep(&recorded::first()).await;
        world.control_plane.stop().await;
        let relay = world.relay().await;
        let options = world.node_options(relay.address);
        let node = Actor::start(NodeOptions { rejects: Some(std::sync::Arc::new(|_| true)), ..options });
        let status = shown(&relay, &node, |status| status.trouble.is_some()).await;
        assert!(status.trouble.unwrap().contains("its error.log tells why"));
        // It is said of the third time that it was sent, which the node may still be looking at.
        while node.state().rejected < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let state = node.state();
        assert!(state.received < 8, "{state:?}");
        // Somebody chose another one meanwhile, which it takes.
        assert_eq!(status.config_from, ConfigurationFrom::Nowhere);
    });
}

#[test]
fn a_node_is_near_its_own_limits_whatever_the_others_take() {
    play(async {
        let world = World::begin().await;
        world.keep(&recorded::first()).await;
        world.control_plane.push(recorded::first());
        let relay = world.relay().await;
        let needed = world.manifest().snapshot.bytes as usize;
        let small = Actor::start(NodeOptions { max_payload: needed * 10 / 9, ..world.node_options(relay.address) });
        let large = world.node(relay.address);
        for (node, is_near) in [(&small, true), (&large, false)] {
            let known = shown(&relay, node, |status| relay.view.limits_used(status).is_some()).await;
            let used = relay.view.limits_used(&known).unwrap();
            let (limit, share) = used[0];
            assert_eq!((limit.name(), share > 0.85 && share < 1.0), ("cluster_max_payload", is_near), "{used:?}");
        }
    });
}
