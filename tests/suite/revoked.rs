//! `cluster_ocsp`: whether a node's certificate was revoked is asked before anything of the configuration goes out.

use std::sync::Arc;

use lifeboat_fakes::certificate::Authority;
use lifeboat_fakes::recorded;
use lifeboat_tests::ocsp_responder::{OcspResponder, Says};
use lifeboat_tests::stage::play;
use lifeboat_tests::world::{RunningRelay, World};

/// An outage with a backup, in which nodes' certificates name a responder that says this.
async fn outage(mode: &str, says: Says) -> (World, RunningRelay, OcspResponder) {
    let authority = Arc::new(Authority::new("the cluster's authority"));
    let responder = OcspResponder::start(authority.clone(), says).await;
    let url = responder.url();
    let issue = |name: &str, valid| authority.issue_with_responder(name, &[name], valid, &url);
    let mut world = World::with_authority_and(&authority, issue).await;
    world.set("KONG_CLUSTER_OCSP", mode);
    world.keep(&recorded::first()).await;
    world.control_plane.stop().await;
    let relay = world.relay().await;
    (world, relay, responder)
}

#[test]
fn a_node_whose_certificate_was_not_revoked_is_served_and_the_responder_is_not_asked_each_time() {
    play(async {
        let (world, relay, responder) = outage("on", Says::Good).await;
        for _ in 0..3 {
            let node = world.node(relay.address);
            node.wait_for(|state| state.applied == 1).await;
        }
        assert_eq!(responder.asked(), 1);
    });
}

#[test]
fn a_node_whose_certificate_was_revoked_gets_not_one_byte() {
    for (mode, says, reason) in [
        ("on", Says::Revoked, "was revoked"),
        ("optional", Says::Revoked, "was revoked"),
        ("optional", Says::Forged, "not signed by the certificate's issuer"),
        ("optional", Says::Stale, "not valid now"),
        ("optional", Says::TryLater, "try later"),
    ] {
        play(async {
            let (world, relay, _responder) = outage(mode, says).await;
            let node = world.node(relay.address);
            world.log.wait_for(&["WARN", "a connection was refused", reason, "cluster_ocsp"]).await;
            node.wait_for(|state| state.last_error.is_some()).await;
            assert_eq!((node.state().connections, node.state().received), (0, 0));
        });
    }
}

#[test]
fn a_responder_that_does_not_answer_keeps_nodes_out_only_where_it_must() {
    play(async {
        let (world, relay, _responder) = outage("on", Says::Nothing).await;
        let node = world.node(relay.address);
        world.log.wait_for(&["WARN", "a connection was refused", "can't be asked", "HTTP 500"]).await;
        assert_eq!(node.state().connections, 0);
    });
    play(async {
        let (world, relay, responder) = outage("optional", Says::Nothing).await;
        let node = world.node(relay.address);
        node.wait_for(|state| state.applied == 1).await;
        world.log.wait_for(&["WARN", "a node is accepted though", "cluster_ocsp is optional"]).await;
        responder.say(Says::Revoked);
    });
}

#[test]
fn a_node_whose_certificate_names_no_responder_is_served_only_where_that_is_optional() {
    for (mode, served) in [("on", false), ("optional", true)] {
        play(async move {
            let mut world = World::with_authority(&Authority::new("the cluster's authority")).await;
            world.set("KONG_CLUSTER_OCSP", mode);
            world.keep(&recorded::first()).await;
            world.control_plane.stop().await;
            let relay = world.relay().await;
            let node = world.node(relay.address);
            world.log.wait_for(&["WARN", "names no OCSP responder"]).await;
            if served {
                node.wait_for(|state| state.applied == 1).await;
            } else {
                assert_eq!(node.state().connections, 0);
            }
        });
    }
}
