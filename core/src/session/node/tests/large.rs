//! A configuration that takes a node long to load is sent once, unless something says that the node does not have it.

use super::*;

/// 50,000 services and routes, as a node is told their size.
const BYTES: u64 = 58_000_000;
pub(super) const NODE_ERROR: &[u8] = br#"{"type":"error","error":{"name":"configuration reload failed"}}"#;

pub(super) fn snapshot() -> Arc<ReadySnapshot> {
    Arc::new(ReadySnapshot { config_bytes: BYTES, ..clone_of(&super::snapshot(0)) })
}

/// An empty node in an outage that was sent a large configuration, and has all of it.
fn loading() -> Table {
    let mut table = Table::empty_node();
    table.unreachable();
    assert_eq!(table.on(Event::Fetched(snapshot())), Vec::<String>::new());
    let actions = table.after(FIRST_REPEAT);
    assert_eq!(table.deliver(actions), ["feed"]);
    table
}

/// What is sent within this time, by second, while the control plane stays away and the node pings every 30 s.
fn sent_within(table: &mut Table, seconds: u64, ping_every: Option<u64>) -> Vec<u64> {
    let mut sent = Vec::new();
    for second in 1..=seconds {
        let mut actions = table.after_seconds(1);
        if actions.contains(&"connect".to_owned()) {
            actions.extend(table.unreachable());
        }
        if ping_every.is_some_and(|every| second % every == 0) {
            actions.extend(table.ping(ConfigHash::EMPTY));
        }
        if actions.contains(&"feed".to_owned()) {
            table.deliver(actions);
            sent.push(second);
        }
    }
    sent
}

#[test]
fn it_is_first_sent_when_the_node_has_had_time_to_make_its_database() {
    let mut table = Table::empty_node();
    table.unreachable();
    assert_eq!(table.on(Event::Fetched(snapshot())), Vec::<String>::new());
    assert_eq!(table.session.wake_at(), Moment::default() + FIRST_REPEAT);
    assert_eq!(table.after(FIRST_REPEAT - Duration::from_millis(1)), Vec::<String>::new());
    assert_eq!(table.after(Duration::from_millis(1)), ["feed"]);
    // One that has been connected for longer gets it at once, and a small one is always sent at once.
    let mut later = Table::empty_node();
    later.after(FIRST_REPEAT);
    later.unreachable();
    assert_eq!(later.on(Event::Fetched(snapshot())), ["feed"]);
}

#[test]
fn a_control_plane_that_comes_meanwhile_has_its_turn() {
    let mut table = Table::empty_node();
    table.unreachable();
    table.on(Event::Fetched(snapshot()));
    table.on(Event::ControlPlaneConnected);
    table.on(Event::FromControlPlane(Frame::empty_pong()));
    assert_eq!(table.after(FIRST_REPEAT), Vec::<String>::new());
    assert!(table.session.wake_at() > table.now);
}

#[test]
fn a_node_that_loads_it_is_not_sent_it_again() {
    let mut table = loading();
    assert_eq!(sent_within(&mut table, 12, Some(5)), Vec::<u64>::new());
    assert!(table.ping(hash('a')).contains(&"notify Adopted".to_owned()));
    assert_eq!(sent_within(&mut table, 40, None), Vec::<u64>::new());
}

#[test]
fn without_any_sign_it_is_sent_again_after_twice_the_time_that_it_loads() {
    let loads_in = loading_time(BYTES);
    let sent = sent_within(&mut loading(), 40, None);
    assert_eq!(sent, [(2 * loads_in).as_secs_f64().ceil() as u64]);
}

#[test]
fn a_ping_with_the_old_hash_after_the_time_that_it_loads_repeats_it_at_once() {
    let loads_in = loading_time(BYTES).as_secs();
    let mut table = loading();
    // Before that time such a ping means that it is still loading.
    assert_eq!(sent_within(&mut table, loads_in, Some(loads_in - 1)), Vec::<u64>::new());
    table.after_seconds(1);
    assert!(table.ping(ConfigHash::EMPTY).contains(&"feed".to_owned()));
}

#[test]
fn an_error_of_the_node_repeats_it_at_once_and_only_so_often() {
    let mut table = loading();
    let error = || Event::FromNode(Frame::binary(NODE_ERROR));
    for _ in 1..ATTEMPTS_BEFORE_NOTICE {
        table.after_seconds(1);
        let actions = table.on(error());
        assert_eq!(table.deliver(actions), ["feed"]);
    }
    table.after_seconds(1);
    assert_eq!(table.on(error()), Vec::<String>::new());
}

#[test]
fn an_error_of_the_node_goes_on_to_a_control_plane_that_is_there() {
    let mut table = Table::empty_node();
    table.on(Event::ControlPlaneConnected);
    assert_eq!(table.on(Event::FromNode(Frame::binary(NODE_ERROR))), ["to cp: Binary"]);
}

#[test]
fn a_control_plane_that_comes_back_and_stays_silent_does_not_have_it_sent_twice() {
    let mut table = loading();
    table.after_seconds(3);
    table.on(Event::ControlPlaneConnected);
    for _ in 0..12 {
        table.on(Event::FromControlPlane(Frame::empty_pong()));
        let actions = table.after_seconds(1);
        assert!(!actions.contains(&"feed".to_owned()), "{actions:?}");
    }
    assert!(table.ping(hash('a')).contains(&"notify Adopted".to_owned()));
}
