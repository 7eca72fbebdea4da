//! What a control plane answers, and what it means: one table, and each who asks a control plane does by it what he should.
//! Here the relay and the exporter; `program/answers.rs` has `import` and `exec`.

use http::StatusCode;
use lifeboat_core::frame::Frame;
use lifeboat_fakes::control_plane::{Answer, Behaviour, Event};
use lifeboat_fakes::recorded;
use lifeboat_tests::page::page_until;
use lifeboat_tests::raw_node::RawNode;
use lifeboat_tests::stage::play;
use lifeboat_tests::world::{World, configuration};
use serde_json::Value;

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Means {
    RefusesNode,
    RefusesCertificate,
    Outage,
}

/// An answer, what it means, and what is said of it.
pub(crate) type Row = (Behaviour, Means, &'static [&'static str]);

const fn status(code: u16) -> Behaviour {
    match StatusCode::from_u16(code) {
        Ok(status) => Behaviour::Answering(status),
        Err(_) => unreachable!(),
    }
}

const fn with(status: StatusCode, retry_after: Option<u32>, body: &'static str) -> Behaviour {
    Behaviour::AnsweringWith(Answer { status, retry_after, body })
}

const NGINX_WITHOUT_CERTIFICATE: &str =
    "<html>\r\n<head><title>400 No required SSL certificate was sent</title></head>";
const SLOW_DOWN: Behaviour = with(StatusCode::TOO_MANY_REQUESTS, Some(3_600), "");

pub(crate) const TABLE: [Row; 26] = [
    (status(400), Means::RefusesNode, &["HTTP 400", "what the node says of itself"]),
    (status(401), Means::RefusesNode, &["HTTP 401", "what the node says of itself"]),
    (status(403), Means::RefusesNode, &["HTTP 403", "something in between that forbids it"]),
    (Behaviour::Refusing, Means::RefusesNode, &["an empty close frame", "another major version"]),
    (Behaviour::Closing(1000), Means::RefusesNode, &["close code 1000", "another major version"]),
    (Behaviour::Closing(1008), Means::RefusesNode, &["close code 1008", "another major version"]),
    (Behaviour::HangingUp, Means::RefusesCertificate, &["ended the connection after TLS", "KONG_CLUSTER_CERT"]),
    (
        with(StatusCode::BAD_REQUEST, None, NGINX_WITHOUT_CERTIFICATE),
        Means::RefusesCertificate,
        &["HTTP 400", "SSL certificate", "KONG_CLUSTER_CERT"],
    ),
    (Behaviour::Dropping, Means::Outage, &["without a close frame"]),
    (Behaviour::Closing(1001), Means::Outage, &["close code 1001"]),
    (Behaviour::Closing(1011), Means::Outage, &["close code 1011"]),
    (Behaviour::Closing(1012), Means::Outage, &["close code 1012"]),
    (Behaviour::Closing(1013), Means::Outage, &["close code 1013"]),
    (Behaviour::PlainHttp, Means::Outage, &["does not speak TLS", "plain HTTP"]),
    (status(200), Means::Outage, &["HTTP 200", "something else answers there"]),
    (status(301), Means::Outage, &["HTTP 301", "something redirects"]),
    (status(404), Means::Outage, &["HTTP 404", "something else answers there"]),
    (status(405), Means::Outage, &["HTTP 405", "something else answers there"]),
    (status(408), Means::Outage, &["HTTP 408", "asked too much or too slowly"]),
    (status(421), Means::Outage, &["HTTP 421", "something else answers there"]),
    (status(429), Means::Outage, &["HTTP 429", "asked too much or too slowly"]),
    (SLOW_DOWN, Means::Outage, &["HTTP 429", "asked too much or too slowly"]),
    (status(500), Means::Outage, &["HTTP 500", "can't serve now"]),
    (status(502), Means::Outage, &["HTTP 502", "can't serve now"]),
    (status(503), Means::Outage, &["HTTP 503", "can't serve now"]),
    (with(StatusCode::SERVICE_UNAVAILABLE, Some(60), ""), Means::Outage, &["HTTP 503", "can't serve now"]),
];

/// A world whose store has a backup and whose control plane has another configuration, and answers like this.
async fn answering(behaviour: Behaviour) -> World {
    let world = World::begin().await;
    world.keep(&recorded::first()).await;
    world.control_plane.push(recorded::after_change());
    world.control_plane.behave(behaviour);
    world
}

/// The line at this level that says all of this.
async fn said(world: &World, level: &str, words: &[&str]) -> String {
    let words: Vec<&str> = [level].into_iter().chain(words.iter().copied()).collect();
    world.log.wait_for(&words).await
}

/// Only a control plane that looks at a node's version is a reason to look at that.
fn assert_no_wrong_cause(world: &World, means: Means) {
    if means != Means::RefusesNode {
        let wrong = world.log.lines_with("KONG_VERSION");
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}

#[test]
fn the_relay_feeds_in_an_outage_and_nobody_when_it_or_a_node_is_refused() {
    for (behaviour, means, words) in TABLE {
        play(async {
            let world = answering(behaviour).await;
            let relay = world.relay().await;
            let node = world.node(relay.address);
            match means {
                Means::Outage => {
                    let state = node.wait_for(|state| state.applied == 1).await;
                    assert_eq!(state.configuration, Some(configuration(&recorded::first())), "{behaviour:?}");
                    assert_eq!(state.connections, 1, "{behaviour:?}");
                    said(&world, "WARN", words).await;
                }
                Means::RefusesNode => {
                    let line = said(&world, "WARN", words).await;
                    assert!(line.contains("LIFEBOAT_FEED_ON_REFUSAL=on"), "{line}");
                    // As without a relay, its link is closed and it tries again.
                    let state = node.wait_for(|state| state.connections >= 3).await;
                    assert_eq!(state.received, 0, "{behaviour:?}: {:?}", state.log);
                }
                Means::RefusesCertificate => {
                    said(&world, "ERROR", words).await;
                    let state = node.wait_for(|state| state.connections >= 3).await;
                    assert_eq!(state.received, 0, "{behaviour:?}: {:?}", state.log);
                    assert_eq!(world.log.lines_with("ERROR").len(), 1, "it is said once");
                }
            }
            assert_no_wrong_cause(&world, means);
        });
    }
}

#[test]
fn a_refused_node_is_fed_where_the_operator_says_so_and_one_whose_relay_is_refused_never() {
    for (behaviour, means, words) in TABLE.into_iter().filter(|(_, means, _)| *means != Means::Outage) {
        play(async {
            let mut world = answering(behaviour).await;
            world.set("LIFEBOAT_FEED_ON_REFUSAL", "on");
            let relay = world.relay().await;
            let node = world.node(relay.address);
            if means == Means::RefusesNode {
                let state = node.wait_for(|state| state.applied == 1).await;
                assert_eq!(state.configuration, Some(configuration(&recorded::first())));
                assert_eq!(state.connections, 1, "{behaviour:?}");
                said(&world, "WARN", &["is restored from the store all the same"]).await;
            } else {
                said(&world, "ERROR", words).await;
                let state = node.wait_for(|state| state.connections >= 3).await;
                assert_eq!(state.received, 0, "{behaviour:?}: {:?}", state.log);
            }
        });
    }
}

#[test]
fn the_exporter_says_what_it_is_and_goes_on_asking() {
    for (behaviour, means, words) in TABLE {
        play(async {
            let world = World::begin().await;
            world.control_plane.push(recorded::first());
            world.control_plane.behave(behaviour);
            let _backup = world.backup();
            let level = if means == Means::Outage { "WARN" } else { "ERROR" };
            said(&world, level, words).await;
            assert_no_wrong_cause(&world, means);
            if means == Means::Outage {
                assert!(world.log.lines_with("ERROR").is_empty(), "{:?}", world.log.lines_with("ERROR"));
            }
            assert_eq!(world.kept(), Vec::<String>::new());
        });
    }
}

#[test]
fn an_exporter_publishes_as_soon_as_it_is_taken() {
    let soon = [Behaviour::Refusing, status(403), status(404), Behaviour::Closing(1012)];
    for (behaviour, _, words) in TABLE.into_iter().filter(|(behaviour, ..)| soon.contains(behaviour)) {
        play(async {
            let world = World::begin().await;
            world.control_plane.push(recorded::first());
            world.control_plane.behave(behaviour);
            let _backup = world.backup();
            world.log.wait_for(words).await;
            world.control_plane.behave(Behaviour::Serving);
            world.published(&configuration(&recorded::first())).await;
        });
    }
}

#[test]
fn retry_after_puts_off_the_next_dial_of_all_nodes_and_restores_none_of_them_later() {
    play(async {
        let world = answering(SLOW_DOWN).await;
        let relay = world.relay().await;
        let first = world.node(relay.address);
        first.wait_for(|state| state.applied == 1).await;
        let second = world.node(relay.address);
        second.wait_for(|state| state.applied == 1).await;
        // Many times as long as a dial waits here otherwise, seen by the pings that were answered meanwhile.
        let pongs = second.state().pongs;
        second.wait_for(|state| state.pongs >= pongs + 4).await;
        let asked = |event: &&Event| matches!(event, Event::Answered(StatusCode::TOO_MANY_REQUESTS, _));
        assert_eq!(world.control_plane.state().events.iter().filter(asked).count(), 1);
    });
}

#[test]
fn retry_after_puts_off_the_exporter_for_five_minutes_at_most() {
    play(async {
        let world = World::begin().await;
        world.control_plane.behave(SLOW_DOWN);
        let _backup = world.backup();
        let line = world.log.wait_for(&["attempt=1", "; trying again in "]).await;
        let seconds =
            line.rsplit_once("trying again in ").unwrap().1.split_once(" s").unwrap().0.parse::<u64>().unwrap();
        assert!((290..=300).contains(&seconds), "{line}");
    });
}

#[test]
fn a_relay_whose_certificate_is_refused_is_not_ready_and_names_it() {
    play(async {
        let world = answering(Behaviour::HangingUp).await;
        let companion = world.companion().await;
        let http = companion.http_address().unwrap();
        page_until(http, "/readyz", |page| page.status == 200).await;
        let node = world.node(companion.relay_address().unwrap());
        let unready = page_until(http, "/readyz", |page| page.status == 503).await;
        let status: Value = serde_json::from_str(&page_until(http, "/status", |_| true).await.body).unwrap();
        assert_eq!(status["relay"]["ready"], Value::Bool(false), "{status}");
        for text in [&unready.body, status["relay"]["reason"].as_str().unwrap()] {
            for part in ["KONG_CLUSTER_CERT", "CN kong_clustering", "SHA-256", "refuses this relay"] {
                assert!(text.contains(part), "{part} is not in {text}");
            }
        }
        assert_eq!(node.state().received, 0);
        // The exporter beside it has the same certificate, and says so, too.
        let export = page_until(http, "/readyz/export", |page| page.body.contains("refuses this exporter")).await;
        assert_eq!(export.status, 503, "{}", export.body);
        companion.stop().await;
    });
}

#[test]
fn a_refused_relay_feeds_nobody_in_an_outage_either_and_looks_by_itself_whether_it_is_accepted_again() {
    play(async {
        let world = answering(Behaviour::HangingUp).await;
        let relay = world.relay().await;
        let node = world.node(relay.address);
        world.log.wait_for(&["ERROR", "does not accept the certificate"]).await;
        world.control_plane.stop().await;
        let connections = node.state().connections;
        let state = node.wait_for(|state| state.connections >= connections + 3).await;
        assert_eq!(state.received, 0, "{:?}", state.log);
        drop(node);
        // No node comes, and it finds out all the same.
        world.control_plane.behave(Behaviour::Serving);
        world.control_plane_comes_back().await;
        world.log.wait_for(&["INFO", "accepts this relay's certificate"]).await;
        let node = world.node(relay.address);
        world.confirmed(node.node_id(), &configuration(&recorded::after_change())).await;
    });
}

#[test]
fn nothing_reaches_the_control_plane_before_a_nodes_first_message() {
    play(async {
        let world = World::begin().await;
        world.control_plane.push(recorded::first());
        let relay = world.relay().await;
        // It is linked, and pings before it has said who it is.
        let mut node = RawNode::open(relay.address, world.node_tls(), "hasty").await.unwrap();
        world.log.wait_for(&["hasty", "the node is linked to control plane"]).await;
        node.send(Frame::ping(&b"00000000000000000000000000000000"[..])).await.unwrap();
        node.introduce().await.unwrap();
        let scene = world.control_plane.wait_for(|scene| scene.node("hasty").is_some_and(|n| n.pings.len() >= 2)).await;
        let ended = |event: &Event| matches!(event, Event::Disconnected(id, _) if id == "hasty");
        assert!(!scene.events.iter().any(ended), "{:?}", scene.events);
    });
}
