//! The actors play with each other, at real sockets. What takes seconds with Kong's times takes milliseconds here; no
//! test waits for a time to pass, all wait for something to be seen.

mod incremental;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::StatusCode;
use lifeboat_fakes::certificate::ClusterCertificate;
use lifeboat_fakes::control_plane::{Behaviour, ControlPlane, ControlPlaneOptions, ControlPlaneState, Event};
use lifeboat_fakes::message::Configuration;
use lifeboat_fakes::node::{EMPTY_HASH, Node, NodeOptions, Wrpc};
use lifeboat_fakes::recorded;
use lifeboat_link::tls::{Identity, client_config_shared, server_config_shared};

/// Ends a test that would hang.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("it does not come")
}

fn identity() -> Identity {
    let credentials = ClusterCertificate::version_1(SystemTime::UNIX_EPOCH);
    Identity::from_pem(credentials.certificate_pem.as_bytes(), credentials.key_pem.as_bytes()).unwrap()
}

fn options_of(identity: &Identity) -> ControlPlaneOptions {
    ControlPlaneOptions::new(server_config_shared(&[identity.leaf().der().clone()], identity).unwrap())
}

/// A control plane that serves the first recorded message, and a node's options to connect to it.
async fn cluster() -> (ControlPlane, NodeOptions) {
    cluster_with(|_| {}).await
}

async fn cluster_with(change: impl FnOnce(&mut ControlPlaneOptions)) -> (ControlPlane, NodeOptions) {
    let identity = identity();
    let mut options = options_of(&identity);
    change(&mut options);
    let control_plane = ControlPlane::start(options).await.unwrap();
    control_plane.push(recorded::first());
    let node = quick(NodeOptions::new(control_plane.address(), client_config_shared(&identity)));
    (control_plane, node)
}

/// Kong's behaviour, a hundred times as fast.
fn quick(options: NodeOptions) -> NodeOptions {
    let ms = Duration::from_millis;
    NodeOptions { reconnect: ms(50)..ms(100), ping_interval: ms(300), poll_interval: ms(10), ..options }
}

fn first() -> Configuration {
    Configuration::from_message(&recorded::first()).unwrap()
}

fn after_change() -> Configuration {
    Configuration::from_message(&recorded::after_change()).unwrap()
}

fn confirmed(scene: &ControlPlaneState, configuration: &Configuration) -> bool {
    scene.nodes.iter().any(|node| node.hash() == Some(&configuration.hash))
}

#[tokio::test]
async fn a_node_comes_up_with_exactly_the_bytes_that_were_sent_and_confirms_them() {
    let (control_plane, options) = cluster().await;
    let node = Node::start(options.with_labels(serde_json::json!({ "zone": "a" })));
    let scene = soon(control_plane.wait_for(|scene| confirmed(scene, &first()))).await;
    assert_eq!(node.configuration(), Some(first().table));

    let seen = scene.node(node.node_id()).unwrap();
    assert_eq!((seen.hostname.as_str(), seen.version.as_str()), ("rehearsal", "3.9.1"));
    assert_eq!(seen.labels()["zone"], "a");
    assert_eq!(seen.basic_info["process_conf"]["cluster_max_payload"], 16 << 20);
    assert_eq!(seen.pings.first().map(String::as_str), Some(EMPTY_HASH));
    assert_eq!(scene.events.first(), Some(&Event::Connected(node.node_id().to_owned())));
    soon(node.wait_for(|state| state.pongs == state.pings)).await;
}

#[tokio::test]
async fn a_change_reaches_all_nodes() {
    let (control_plane, options) = cluster().await;
    let other = NodeOptions { node_id: "another".to_owned(), ..options.clone() };
    let nodes = [Node::start(options), Node::start(other)];
    for node in &nodes {
        soon(node.wait_for(|state| state.applied == 1)).await;
    }
    control_plane.push(recorded::after_change());
    for node in &nodes {
        soon(node.wait_for(|state| state.hash() == after_change().hash)).await;
        assert_eq!(node.configuration(), Some(after_change().table));
    }
}

#[tokio::test]
async fn a_message_of_megabytes_arrives_whole() {
    let (control_plane, options) = cluster().await;
    // Random digits, so that compression leaves half of them.
    let digits: String = (0..1_000_000).map(|_| format!("{:08x}", rand::random::<u32>())).collect();
    let table = format!(r#"{{"_format_version":"3.0","consumers":[{{"custom_id":"{digits}"}}]}}"#).into();
    let large = Configuration { hash: "c".repeat(32), table };
    let message = large.to_message().unwrap();
    assert!(message.len() > 4 << 20);
    control_plane.push(message);
    let node = Node::start(options);
    soon(control_plane.wait_for(|scene| confirmed(scene, &large))).await;
    assert!(node.configuration() == Some(large.table), "other bytes");
}

#[tokio::test]
async fn a_configuration_that_comes_before_the_database_is_dropped() {
    let (control_plane, options) = cluster().await;
    // On a busy machine the first one may come later than that.
    let mut database_ready_after = Duration::from_millis(300);
    let node = loop {
        let node = Node::start(NodeOptions { database_ready_after, ..options.clone() });
        let state = soon(node.wait_for(|state| state.dropped + state.applied > 0)).await;
        if state.dropped == 1 {
            assert_eq!((state.received, state.applied, state.hash()), (1, 0, EMPTY_HASH));
            break node;
        }
        database_ready_after *= 2;
    };

    let sending_again = async {
        loop {
            control_plane.push(recorded::first());
            let applied = node.wait_for(|state| state.applied == 1);
            if tokio::time::timeout(Duration::from_millis(50), applied).await.is_ok() {
                return;
            }
        }
    };
    soon(sending_again).await;
    assert_eq!(node.configuration(), Some(first().table));
}

#[tokio::test]
async fn pings_carry_the_old_hash_while_a_configuration_is_loaded() {
    let (control_plane, options) = cluster().await;
    let times = (Duration::from_millis(500), Duration::from_millis(10));
    let node = Node::start(NodeOptions { loading_time: times.0, ping_interval: times.1, ..options });
    let before = soon(node.wait_for(|state| state.loading)).await;
    let scene = soon(control_plane.wait_for(|scene| confirmed(scene, &first()))).await;
    let pings = &scene.node(node.node_id()).unwrap().pings;
    let empty = pings.iter().take_while(|hash| *hash == EMPTY_HASH).count();
    assert!(empty as u64 > before.pings + 2, "{pings:?}");
    assert!(pings[empty..].iter().all(|hash| *hash == first().hash), "{pings:?}");
}

#[tokio::test]
async fn of_configurations_that_come_while_one_is_loaded_only_the_newest_is_loaded() {
    let (control_plane, options) = cluster().await;
    let node = Node::start(NodeOptions { loading_time: Duration::from_millis(500), ..options });
    soon(node.wait_for(|state| state.loading)).await;
    control_plane.push(recorded::after_change());
    control_plane.push(recorded::lost_database());
    let lost = Configuration::from_message(&recorded::lost_database()).unwrap();
    let state = soon(node.wait_for(|state| state.hash() == lost.hash)).await;
    assert_eq!((state.received, state.applied), (3, 2));
}

#[tokio::test]
async fn a_fragmented_message_costs_the_link_and_is_not_applied() {
    let (control_plane, options) = cluster().await;
    control_plane.behave(Behaviour::Fragmenting);
    let node = Node::start(options);
    let state = soon(node.wait_for(|state| state.connections == 2)).await;
    assert_eq!(state.last_error.as_deref(), Some("again: the message is fragmented"));
    assert_eq!((state.received, state.applied), (0, 0));

    control_plane.behave(Behaviour::Serving);
    soon(node.wait_for(|state| state.applied == 1)).await;
}

#[tokio::test]
async fn a_silent_control_plane_answers_pings_and_sends_nothing() {
    let (control_plane, options) = cluster().await;
    control_plane.behave(Behaviour::Silent);
    let node = Node::start(NodeOptions { ping_interval: Duration::from_millis(20), ..options });
    let state = soon(node.wait_for(|state| state.pongs >= 3)).await;
    assert_eq!((state.received, state.connections), (0, 1));
    assert_eq!(state.confirmed.as_deref(), Some(EMPTY_HASH));

    control_plane.behave(Behaviour::Serving);
    let state = soon(node.wait_for(|state| state.applied == 1)).await;
    assert_eq!(state.connections, 1);
}

// Whoever asks late, after that ping and its pong, still sees it.
#[tokio::test]
async fn a_node_shows_which_hash_was_confirmed() {
    let (_control_plane, options) = cluster().await;
    let node = Node::start(NodeOptions { poll_interval: Duration::from_millis(20), ..options });
    let state = soon(node.wait_for(|state| state.applied == 1 && state.pongs >= 2)).await;
    assert_eq!(state.confirmed.as_deref(), Some(state.hash()));
    assert_eq!(node.state().confirmed, state.confirmed);
}

#[tokio::test]
async fn a_control_plane_without_a_configuration_sends_the_first_that_it_gets() {
    let identity = identity();
    let control_plane = ControlPlane::start(options_of(&identity)).await.unwrap();
    let node = Node::start(quick(NodeOptions::new(control_plane.address(), client_config_shared(&identity))));
    soon(node.wait_for(|state| state.pongs == 1)).await;
    assert_eq!(node.state().received, 0);
    control_plane.push(recorded::first());
    soon(node.wait_for(|state| state.applied == 1)).await;
}

#[tokio::test]
async fn a_refusing_control_plane_closes_each_link_after_basic_info() {
    let (control_plane, options) = cluster().await;
    control_plane.behave(Behaviour::Refusing);
    let node = Node::start(options);
    let refused =
        |scene: &ControlPlaneState| scene.events.iter().filter(|event| matches!(event, Event::Refused(..))).count();
    let scene = soon(control_plane.wait_for(|scene| refused(scene) == 2)).await;
    assert!(scene.nodes.is_empty());
    assert_eq!(node.state().received, 0);
}

#[tokio::test]
async fn an_upgrade_can_be_answered_with_a_status() {
    let (control_plane, options) = cluster().await;
    control_plane.behave(Behaviour::Answering(StatusCode::SERVICE_UNAVAILABLE));
    let node = Node::start(options);
    let state = soon(node.wait_for(|state| state.last_error.is_some())).await;
    assert_eq!(state.last_error.as_deref(), Some("the upgrade was answered with 503 Service Unavailable"));
    assert_eq!(state.connections, 0);
    let answered = Event::Answered(StatusCode::SERVICE_UNAVAILABLE, "/v1/outlet".to_owned());
    assert!(control_plane.state().events.contains(&answered));
}

#[tokio::test]
async fn plain_http_at_the_port_for_tls_is_answered_with_400() {
    let (control_plane, _) = cluster().await;
    let url = format!("http://{}/", control_plane.address());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(soon(client.get(url).send()).await.unwrap().status().as_u16(), 400);
    let answered = Event::Answered(StatusCode::BAD_REQUEST, "/".to_owned());
    assert!(control_plane.state().events.contains(&answered));
}

#[tokio::test]
async fn from_a_hanging_control_plane_a_node_parts_and_comes_back() {
    let (control_plane, options) = cluster().await;
    let ms = Duration::from_millis;
    let node = Node::start(NodeOptions { silence: ms(400), handshake: ms(200), ..options });
    soon(node.wait_for(|state| state.applied == 1)).await;

    control_plane.behave(Behaviour::Hanging);
    let state = soon(node.wait_for(|state| !state.connected)).await;
    assert_eq!(state.last_error.as_deref(), Some("silence on the link"));
    let handshake = |error: &str| error == "the TLS handshake took too long";
    soon(node.wait_for(|state| state.last_error.as_deref().is_some_and(handshake))).await;

    control_plane.behave(Behaviour::Serving);
    let state = soon(node.wait_for(|state| state.connected && state.received == 2)).await;
    assert_eq!(state.hash(), first().hash);
}

#[tokio::test]
async fn a_hanging_control_plane_takes_nothing_and_closes_nothing() {
    let (control_plane, options) = cluster().await;
    let node = Node::start(NodeOptions { ping_interval: Duration::from_millis(10), ..options });
    soon(node.wait_for(|state| state.applied == 1)).await;
    control_plane.behave(Behaviour::Hanging);
    let pings =
        |scene: &ControlPlaneState| scene.events.iter().filter(|event| matches!(event, Event::Ping(..))).count();
    let (before, sent) = (pings(&control_plane.state()), node.state().pings);
    let state = soon(node.wait_for(|state| state.pings >= sent + 5)).await;
    assert!(state.connected);
    assert!(pings(&control_plane.state()) <= before + 1, "it went on reading");
    control_plane.behave(Behaviour::Serving);
    soon(node.wait_for(|state| state.pongs >= sent + 5)).await;
    assert_eq!(node.state().connections, 1);
}

#[tokio::test]
async fn a_control_plane_that_dies_comes_back_at_its_address_and_nothing_is_loaded_twice() {
    let (control_plane, options) = cluster().await;
    let node = Node::start(options);
    soon(node.wait_for(|state| state.applied == 1)).await;

    control_plane.stop().await;
    assert!(control_plane.state().nodes.is_empty());
    let state = soon(node.wait_for(|state| !state.connected)).await;
    assert_eq!(state.hash(), first().hash);
    let refused = |error: &str| error.contains("refused");
    soon(node.wait_for(|state| state.last_error.as_deref().is_some_and(refused))).await;

    control_plane.come_back().await.unwrap();
    let state = soon(node.wait_for(|state| state.received == 2 && !state.loading)).await;
    assert_eq!(state.applied, 1);
    let scene = soon(control_plane.wait_for(|scene| confirmed(scene, &first()))).await;
    assert_eq!(scene.node(node.node_id()).unwrap().pings.first(), Some(&first().hash));
}

#[tokio::test]
async fn a_configuration_that_can_not_be_applied_leaves_the_old_hash_in_the_pings() {
    let (control_plane, options) = cluster().await;
    let wrong = after_change().hash;
    let node = Node::start(NodeOptions { rejects: Some(Arc::new(move |got| got.hash == wrong)), ..options });
    soon(control_plane.wait_for(|scene| confirmed(scene, &first()))).await;

    control_plane.push(recorded::after_change());
    let state = soon(node.wait_for(|state| state.rejected == 1)).await;
    let next = soon(node.wait_for(|now| now.pings > state.pings)).await;
    assert_eq!(next.hash(), first().hash);
    let scene = control_plane.state();
    assert!(!confirmed(&scene, &after_change()));
}

#[tokio::test]
async fn a_message_that_is_not_a_configuration_changes_nothing() {
    let (control_plane, options) = cluster().await;
    let node = Node::start(options);
    soon(node.wait_for(|state| state.applied == 1)).await;
    control_plane.push(recorded::first().slice(..100));
    let state = soon(node.wait_for(|state| state.rejected == 1)).await;
    assert!(state.connected);
    assert_eq!(state.hash(), first().hash);
}

#[tokio::test]
async fn a_node_that_lacks_a_plugin_is_left_in_silence() {
    let required = |options: &mut ControlPlaneOptions| options.required_plugins = vec!["key-auth".to_owned()];
    let (control_plane, options) = cluster_with(required).await;
    let lacking = Node::start(options.clone().with_plugins(&["cors"]));
    let missing = Event::PluginMissing(lacking.node_id().to_owned(), "key-auth".to_owned());
    soon(control_plane.wait_for(|scene| scene.events.contains(&missing))).await;
    let complete = NodeOptions { node_id: "complete".to_owned(), ..options }.with_plugins(&["cors", "key-auth"]);
    let complete = Node::start(complete);
    soon(complete.wait_for(|state| state.applied == 1)).await;
    let state = soon(lacking.wait_for(|state| state.pongs >= 2)).await;
    assert_eq!((state.received, state.connections), (0, 1));
}

#[tokio::test]
async fn nodes_of_another_major_or_a_newer_minor_version_are_refused() {
    let (control_plane, options) = cluster().await;
    for (version, served) in [("3.10.0", false), ("2.8.5", false), ("3.4.0", true), ("3.9.1.2", true)] {
        let (node_id, version) = (format!("node-{version}"), version.to_owned());
        let node = Node::start(NodeOptions { node_id: node_id.clone(), version, ..options.clone() });
        let refused = |event: &Event| matches!(event, Event::Refused(id, _) if *id == node_id);
        if served {
            soon(node.wait_for(|state| state.applied == 1)).await;
        } else {
            soon(control_plane.wait_for(|scene| scene.events.iter().any(refused))).await;
            assert_eq!(node.state().received, 0);
        }
    }
}

#[tokio::test]
async fn a_3_0_node_asks_for_wrpc_first_and_takes_404_for_an_answer() {
    let (control_plane, options) = cluster().await;
    let node = Node::start(NodeOptions { version: "3.0.2".to_owned(), wrpc: Wrpc::AskedFirst, ..options });
    soon(node.wait_for(|state| state.applied == 1)).await;
    let asked = Event::Answered(StatusCode::NOT_FOUND, "/v1/wrpc".to_owned());
    assert_eq!(control_plane.state().events.first(), Some(&asked));
}

#[tokio::test]
async fn a_message_above_cluster_max_payload_costs_the_link() {
    let (_control_plane, options) = cluster().await;
    let size = recorded::first().len();
    let node = Node::start(NodeOptions { max_payload: size - 1, ..options.clone() });
    let state = soon(node.wait_for(|state| state.connections == 2)).await;
    assert_eq!(state.received, 0);
    let node = Node::start(NodeOptions { max_payload: size, node_id: "larger".to_owned(), ..options });
    soon(node.wait_for(|state| state.applied == 1)).await;
}

#[tokio::test]
async fn who_holds_another_certificate_never_gets_as_far_as_http() {
    let (control_plane, options) = cluster().await;
    let node = Node::start(NodeOptions { tls: client_config_shared(&identity()), ..options });
    soon(node.wait_for(|state| state.last_error.is_some())).await;
    let failed =
        |scene: &ControlPlaneState| scene.events.iter().any(|event| matches!(event, Event::HandshakeFailed(_)));
    let scene = soon(control_plane.wait_for(failed)).await;
    assert!(scene.nodes.is_empty());
    assert_eq!(node.state().connections, 0);
}

#[tokio::test]
async fn a_node_that_falls_silent_is_given_up() {
    let (control_plane, options) = cluster_with(|options| options.silence = Duration::from_millis(100)).await;
    let node = Node::start(NodeOptions { ping_interval: Duration::from_secs(60 * 60), ..options });
    let given_up = Event::Disconnected(node.node_id().to_owned(), "silence on the link".to_owned());
    soon(control_plane.wait_for(|scene| scene.events.contains(&given_up))).await;
}

#[tokio::test]
async fn a_node_that_is_stopped_leaves_the_scene() {
    let (control_plane, options) = cluster().await;
    let node = Node::start(options);
    soon(control_plane.wait_for(|scene| confirmed(scene, &first()))).await;
    node.stop().await;
    soon(control_plane.wait_for(|scene| scene.nodes.is_empty())).await;
}

#[tokio::test]
async fn a_control_plane_that_is_dropped_is_gone() {
    let (control_plane, options) = cluster().await;
    let node = Node::start(options);
    soon(node.wait_for(|state| state.applied == 1)).await;
    drop(control_plane);
    soon(node.wait_for(|state| !state.connected)).await;
}
