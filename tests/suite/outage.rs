//! The restore flow: the control plane is gone, and only a node that has no configuration gets the one that was kept.

use std::time::{Duration, Instant};

use lifeboat_fakes::control_plane::{Behaviour, ControlPlaneState, Event};
use lifeboat_fakes::node::NodeOptions;
use lifeboat_fakes::recorded;
use lifeboat_fakes::store::RequestCounts;
use lifeboat_tests::stage::{Actor, play};
use lifeboat_tests::world::{SNAPSHOTS, World, configuration};
use lifeboat_tests::{generator, tls};

/// A world whose control plane is gone, with the first recorded configuration in the store.
async fn outage() -> World {
    let world = World::begin().await;
    world.keep(&recorded::first()).await;
    world.control_plane.stop().await;
    world
}

#[test]
fn a_fresh_node_is_restored_with_exactly_the_bytes_that_were_kept() {
    play(async {
        // The whole way: what the control plane sent to the backup node reaches a node that it has never seen.
        let world = World::begin().await;
        world.control_plane.push(recorded::first());
        let _backup = world.backup();
        let sent = configuration(&recorded::first());
        world.published(&sent).await;
        world.control_plane.stop().await;
        let relay = world.relay().await;
        let node = world.node(relay.address);
        world.log.wait_for(&["the node runs configuration", &sent.hash, "from the store"]).await;
        assert_eq!(node.state().configuration, Some(sent));
        assert_eq!((node.state().received, node.state().connections), (1, 1));
        // Its pings go on being answered.
        let pongs = node.state().pongs;
        node.wait_for(|state| state.pongs >= pongs + 3).await;
    });
}

#[test]
fn one_program_keeps_and_restores_and_stops_when_it_is_told_to() {
    play(async {
        let world = World::begin().await;
        world.control_plane.push(recorded::first());
        let companion = world.companion().await;
        world.published(&configuration(&recorded::first())).await;
        world.control_plane.stop().await;
        let node = world.node(companion.relay_address().unwrap());
        let state = node.wait_for(|state| state.applied == 1).await;
        assert_eq!(state.configuration, Some(configuration(&recorded::first())));
        companion.stop().await;
        let state = node.wait_for(|state| !state.connected).await;
        // It goes on with what it runs.
        assert_eq!(state.configuration, Some(configuration(&recorded::first())));
    });
}

#[test]
fn the_newest_of_several_snapshots_is_given() {
    play(async {
        let world = outage().await;
        world.keep(&recorded::after_change()).await;
        let relay = world.relay().await;
        let node = world.node(relay.address);
        let state = node.wait_for(|state| state.applied == 1).await;
        assert_eq!(state.configuration, Some(configuration(&recorded::after_change())));
    });
}

#[test]
fn a_node_whose_database_was_not_ready_is_sent_the_snapshot_again() {
    play(async {
        let world = outage().await;
        let relay = world.relay().await;
        let options = world.node_options(relay.address);
        // KONG.md "A race to survive": what comes before the database is there is dropped, without a word.
        let node = Actor::start(NodeOptions { database_ready_after: Duration::from_millis(1400), ..options });
        let state = node.wait_for(|state| state.applied == 1).await;
        assert!(state.dropped >= 1, "nothing was dropped, so nothing is shown: {:?}", state.log);
        assert_eq!(state.configuration, Some(configuration(&recorded::first())));
        assert_eq!(state.connections, 1);
    });
}

#[test]
fn a_node_that_runs_its_snapshot_is_not_sent_it_again() {
    play(async {
        let world = outage().await;
        let relay = world.relay().await;
        let node = world.node(relay.address);
        world.log.wait_for(&["the node runs configuration"]).await;
        let counts = world.store.counts();
        // Longer than the first pause before a repeat.
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(node.state().received, 1);
        let now = world.store.counts();
        // The relay looks at the manifest once, whether the node's version has a backup. The payload is another GET.
        assert!(
            now.get <= counts.get + 1,
            "the store is read for a node that has a configuration: {counts:?}, {now:?}"
        );
        assert_eq!(RequestCounts { get: counts.get, ..now }, counts);
    });
}

#[test]
fn nodes_that_speak_only_tls_1_2_or_only_1_3_are_restored() {
    play(async {
        let world = outage().await;
        let relay = world.relay().await;
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let tls = tls::client(version, Some(&world.certificate), &world.certificate);
            let node = Actor::start(NodeOptions { tls, ..world.node_options(relay.address) });
            let state = node.wait_for(|state| state.applied == 1).await;
            assert_eq!(state.configuration, Some(configuration(&recorded::first())));
        }
    });
}

#[test]
fn a_node_that_has_a_configuration_is_not_fed_and_keeps_its_link_when_the_control_plane_dies() {
    play(async {
        let world = World::begin().await;
        // The store holds another one, so that feeding would show.
        world.keep(&recorded::after_change()).await;
        world.control_plane.push(recorded::first());
        let relay = world.relay().await;
        let node = world.node(relay.address);
        world.confirmed(node.node_id(), &configuration(&recorded::first())).await;
        world.control_plane.stop().await;
        world.log.wait_for(&["WARN", "control plane", "Nodes that have a configuration go on with it"]).await;
        let pongs = node.state().pongs;
        let state = node.wait_for(|state| state.pongs >= pongs + 5).await;
        assert_eq!((state.connections, state.received), (1, 1), "{:?}", state.log);
        assert_eq!(state.configuration, Some(configuration(&recorded::first())));
    });
}

#[test]
fn a_node_that_comes_with_a_configuration_of_its_own_is_not_fed() {
    play(async {
        let world = World::begin().await;
        world.keep(&recorded::after_change()).await;
        world.control_plane.push(recorded::first());
        let first_relay = world.relay().await;
        let node = world.node(first_relay.address);
        world.confirmed(node.node_id(), &configuration(&recorded::first())).await;
        world.control_plane.stop().await;
        // The relay restarts: a new session meets a node that runs something.
        let address = first_relay.address;
        drop(first_relay);
        let node_is_back = async {
            let _relay = loop {
                match std::net::TcpListener::bind(address) {
                    Ok(listener) => {
                        drop(listener);
                        break world.relay_with(|settings| settings.listen = address).await;
                    }
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            };
            let state = node.wait_for(|state| state.connections == 2).await;
            node.wait_for(|now| now.pongs >= state.pongs + 5).await;
            node.state()
        };
        let state = node_is_back.await;
        assert_eq!(state.received, 1, "{:?}", state.log);
        assert_eq!(state.configuration, Some(configuration(&recorded::first())));
    });
}

#[test]
fn a_hanging_control_plane_is_given_up_after_ten_seconds_and_the_node_hears_its_pong() {
    play(async {
        let world = World::begin().await;
        world.control_plane.push(recorded::first());
        let relay = world.relay_with(|_| {}).await;
        let options = world.node_options(relay.address);
        let node = Actor::start(NodeOptions { ping_interval: Duration::from_secs(1), ..options });
        world.confirmed(node.node_id(), &configuration(&recorded::first())).await;
        node.wait_for(|state| state.pongs == state.pings).await;

        world.control_plane.behave(Behaviour::Hanging);
        let (before, since) = (node.state(), Instant::now());
        let state = node.wait_for(|state| state.pongs > before.pongs + 1).await;
        // Kong's own times: one ping may have been answered just before; then a second's pause, then ten of patience.
        assert!(since.elapsed() > Duration::from_secs(9), "{:?}", since.elapsed());
        assert_eq!((state.connections, state.received), (1, 1), "{:?}", state.log);
    });
}

#[test]
fn a_control_plane_that_hangs_in_the_handshake_costs_a_fresh_node_five_seconds() {
    play(async {
        let world = World::begin().await;
        world.keep(&recorded::first()).await;
        world.control_plane.behave(Behaviour::Hanging);
        let relay = world.relay_with(|_| {}).await;
        let since = Instant::now();
        let node = world.node(relay.address);
        let state = node.wait_for(|state| state.applied == 1).await;
        assert!(since.elapsed() > Duration::from_secs(5), "{:?}", since.elapsed());
        assert_eq!(state.connections, 1);
        world.log.wait_for(&["WARN", "it did not answer within 5 s"]).await;
    });
}

#[test]
fn a_control_plane_that_stays_silent_for_the_config_timeout_is_made_up_for() {
    play(async {
        let mut world = World::begin().await;
        world.set("LIFEBOAT_CP_CONFIG_TIMEOUT", "2s");
        world.keep(&recorded::first()).await;
        world.control_plane.behave(Behaviour::Silent);
        let relay = world.relay().await;
        let since = Instant::now();
        let node = world.node(relay.address);
        world.confirmed(node.node_id(), &configuration(&recorded::first())).await;
        assert!(since.elapsed() > Duration::from_secs(2), "fed after {:?}", since.elapsed());
        let line = world.log.wait_for(&["WARN", "has sent this empty node nothing for 2 s"]).await;
        assert!(line.contains("plugin") && line.contains("sync_status"), "{line}");
        // The control plane still has the last word.
        world.control_plane.push(recorded::after_change());
        world.control_plane.behave(Behaviour::Serving);
        world.confirmed(node.node_id(), &configuration(&recorded::after_change())).await;
        assert_eq!(node.state().connections, 1);
    });
}

#[test]
fn a_control_plane_that_gives_within_the_config_timeout_is_not_overruled() {
    play(async {
        let mut world = World::begin().await;
        world.set("LIFEBOAT_CP_CONFIG_TIMEOUT", "3s");
        world.keep(&recorded::first()).await;
        world.control_plane.behave(Behaviour::Silent);
        world.control_plane.push(recorded::after_change());
        let relay = world.relay().await;
        let node = world.node(relay.address);
        // The snapshot has been fetched in advance by now, and lies ready.
        world.log.wait_for(&["for new nodes of Kong 3.9.1: snapshot 1"]).await;
        world.control_plane.behave(Behaviour::Serving);
        world.confirmed(node.node_id(), &configuration(&recorded::after_change())).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(node.state().received, 1, "{:?}", node.state().log);
    });
}

#[test]
fn a_5xx_of_whatever_stands_before_the_control_plane_counts_as_gone() {
    play(async {
        let world = World::begin().await;
        world.keep(&recorded::first()).await;
        world.control_plane.behave(Behaviour::Answering(http::StatusCode::SERVICE_UNAVAILABLE));
        let relay = world.relay().await;
        let node = world.node(relay.address);
        let state = node.wait_for(|state| state.applied == 1).await;
        assert_eq!((state.connections, state.configuration), (1, Some(configuration(&recorded::first()))));
        world.log.wait_for(&["WARN", "it answered HTTP 503"]).await;
    });
}

#[test]
fn fifty_empty_nodes_at_once_cost_one_fetch() {
    play(async {
        let world = outage().await;
        let relay = world.relay().await;
        let (before, since) = (world.store.reads_of(SNAPSHOTS), Instant::now());
        let nodes: Vec<Actor> = (0..50).map(|_| world.node(relay.address)).collect();
        for node in &nodes {
            let state = node.wait_for(|state| state.applied == 1).await;
            assert_eq!(state.configuration, Some(configuration(&recorded::first())));
        }
        // What was fetched is given for five seconds; a slow machine may need longer.
        let fetches = 1 + since.elapsed().as_secs() / 5;
        let gets = (world.store.reads_of(SNAPSHOTS) - before) as u64;
        assert!((1..=fetches).contains(&gets), "{gets} reads in {:?}", since.elapsed());
    });
}

#[test]
fn a_node_of_a_version_without_a_backup_is_not_fed_and_the_log_says_which_there_are() {
    play(async {
        let world = outage().await;
        let relay = world.relay().await;
        let options = world.node_options(relay.address);
        let node = Actor::start(NodeOptions { version: "3.8.0".to_owned(), ..options });
        let line = world.log.wait_for(&["WARN", "there is no backup for Kong 3.8.0"]).await;
        assert!(line.contains("3.9.1"), "{line}");
        // It is tried again, and stays so.
        world.log.wait_for_count("there is no backup for Kong 3.8.0", 2).await;
        let state = node.state();
        assert_eq!((state.received, state.connections), (0, 1), "{:?}", state.log);
    });
}

#[test]
fn six_megabytes_pass_as_one_frame_forwarded_as_fed() {
    play(async {
        let message: bytes::Bytes = generator::reconfigure_message(&generator::configuration(50_000)).into();
        let sent = configuration(&message);
        let world = World::begin().await;
        world.control_plane.push(message);
        let relay = world.relay().await;
        let (forwarded, backup) = (world.node(relay.address), world.backup());
        world.confirmed(forwarded.node_id(), &sent).await;
        world.published(&sent).await;
        drop(backup);
        world.control_plane.stop().await;
        let fed = world.node(relay.address);
        fed.wait_for(|state| state.applied == 1).await;
        // A node drops its link on a fragment.
        for node in [&forwarded, &fed] {
            let state = node.state();
            assert_eq!(state.connections, 1, "{:?}", state.log);
            // Who has not confirmed in time is sent it again, and this machine may be slow.
            assert!(state.received >= 1, "{:?}", state.log);
            assert!(node.configuration().as_ref() == Some(&sent.table), "other bytes");
        }
    });
}

#[test]
fn a_configuration_that_takes_long_to_load_is_sent_once() {
    play(async {
        let world = World::begin().await;
        world.keep(&generator::reconfigure_message(&generator::configuration(30_000))).await;
        world.control_plane.stop().await;
        let relay = world.relay().await;
        // Its pings carry zeros while it loads, as those of a node that has dropped what it was sent.
        let (database_ready_after, loading_time) = (Duration::from_millis(1400), Duration::from_secs(3));
        let options = world.node_options(relay.address);
        let node = Actor::start(NodeOptions { database_ready_after, loading_time, ..options });
        let state = node.wait_for(|state| state.applied == 1).await;
        assert_eq!((state.received, state.dropped), (1, 0), "{:?}", state.log);
        world.log.wait_for(&["the node runs configuration"]).await;
    });
}

#[test]
fn a_snapshot_above_the_nodes_own_limit_is_not_sent_and_the_setting_is_named() {
    play(async {
        let world = outage().await;
        let relay = world.relay().await;
        let options = world.node_options(relay.address);
        let node = Actor::start(NodeOptions { max_payload: 2000, ..options });
        world.log.wait_for(&["ERROR", "raise cluster_max_payload on the node"]).await;
        let state = node.wait_for(|state| state.pongs >= 5).await;
        assert_eq!((state.received, state.connections), (0, 1), "{:?}", state.log);
    });
}

#[test]
fn a_node_that_cannot_apply_the_snapshot_is_reported() {
    play(async {
        let world = outage().await;
        let relay = world.relay().await;
        let rejects: lifeboat_fakes::node::Rejects = std::sync::Arc::new(|_| true);
        let node = Actor::start(NodeOptions { rejects: Some(rejects), ..world.node_options(relay.address) });
        let line = world.log.wait_for(&["ERROR", "the node was sent the snapshot 3 times"]).await;
        assert!(line.contains("it serves no traffic") && line.contains("error.log"), "{line}");
        assert_eq!(node.state().connections, 1);
    });
}

#[test]
fn a_node_that_the_dying_control_plane_left_empty_is_fed_on_the_same_link() {
    play(async {
        let world = World::begin().await;
        world.keep(&recorded::first()).await;
        // Connected, still without an answer, when the control plane dies: later than a refusal would come.
        world.control_plane.behave(Behaviour::Silent);
        let relay = world.relay().await;
        let node = world.node(relay.address);
        let linked = |scene: &ControlPlaneState| scene.node(node.node_id()).is_some();
        world.control_plane.wait_for(linked).await;
        tokio::time::sleep(lifeboat_core::session::answer::REFUSAL_WINDOW).await;
        world.control_plane.stop().await;
        let state = node.wait_for(|state| state.applied == 1).await;
        assert_eq!((state.connections, state.configuration), (1, Some(configuration(&recorded::first()))));
        let events = world.control_plane.state().events;
        assert!(!events.iter().any(|event| matches!(event, Event::Sent(..))), "{events:?}");
    });
}
