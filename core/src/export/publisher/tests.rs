//! The publisher as a table: what happened in the order of time, and what it wants done after each.

mod payload;
mod table;

use proptest::prelude::*;

use self::table::{DELAY, Table, configuration, hash};
use super::publish_or_hold::DOUBT;
use super::*;
use crate::export::Received;
use crate::export::adoption::{CONFIRMATION_WAIT, NodeNews};
use crate::export::guard::ShrinkGuard;
use crate::kong::{Configuration, Unrunnable};
use crate::manifest::Held;

fn reconnects(actions: &[Action]) -> usize {
    actions.iter().filter(|action| matches!(action, Action::Reconnect)).count()
}

#[test]
fn the_first_configuration_goes_out_at_once_and_of_those_that_follow_the_newest_after_the_delay() {
    let mut table = Table::leader();
    table.receive(1);
    assert_eq!(table.published(), Some(1));
    table.receive(2);
    table.after(DELAY / 2);
    table.receive(3);
    table.after(DELAY / 2 - Duration::from_secs(1));
    assert_eq!(table.published(), Some(1));
    table.after(Duration::from_secs(1));
    assert_eq!((table.published(), table.writes), (Some(3), 2));
    // A quiet time.
    table.after(DELAY);
    table.receive(4);
    assert_eq!(table.published(), Some(4));
}

#[test]
fn the_same_configuration_again_writes_nothing_but_its_last_seen_once_an_hour() {
    let mut table = Table::with_one_published();
    for _ in 0..50 {
        table.receive(1);
        table.after(Duration::from_secs(60));
    }
    assert_eq!(table.writes, 1);
    table.after(Duration::from_secs(600));
    assert_eq!(table.writes, 2);
    table.after(REFRESH_INTERVAL * 5);
    assert_eq!(table.writes, 7);
    table.on(Event::LinkDown);
    table.after(REFRESH_INTERVAL * 5);
    assert_eq!(table.writes, 7, "nobody has seen it");
}

#[test]
fn other_keys_are_a_reason_to_publish_the_same_configuration_anew() {
    let mut table = Table::with_one_published();
    table.on(Event::KeysChanged);
    let actions = table.on(Event::Tick);
    assert_eq!(reconnects(&actions), 1, "its bytes were given up: the control plane is asked for them");
    assert_eq!(table.writes, 1);
    table.on(Event::LinkDown);
    table.on(Event::LinkUp);
    table.receive(1);
    assert_eq!((table.published(), table.writes), (Some(1), 2));
    table.receive(1);
    assert_eq!(table.writes, 2);
}

#[test]
fn a_configuration_that_is_taken_back_before_it_goes_out_is_never_written() {
    let mut table = Table::leader();
    table.receive(1);
    table.receive(2);
    table.receive(1);
    table.after(DELAY * 10);
    assert_eq!((table.published(), table.writes), (Some(1), 1));
}

#[test]
fn a_node_that_runs_it_confirms_it() {
    let mut table = Table::leader();
    table.node(NodeNews::Joined);
    table.receive(1);
    assert_eq!(table.published(), None);
    table.node(NodeNews::Given);
    table.after(Duration::from_secs(5));
    table.node(NodeNews::Runs(hash(1)));
    assert_eq!((table.published(), table.state()), (Some(1), State::Confirmed));
}

#[test]
fn a_node_differs_that_runs_another_one_than_the_published() {
    let mut table = Table::with_one_published();
    table.node(NodeNews::Joined);
    assert_eq!(table.publisher.nodes_that_differ(), 0, "it hasn't said what it runs");
    table.node(NodeNews::Runs(hash(1)));
    assert_eq!(table.publisher.nodes_that_differ(), 0);
    table.node(NodeNews::Runs(hash(2)));
    assert_eq!(table.publisher.nodes_that_differ(), 1);
    table.node(NodeNews::Left);
    assert_eq!(table.publisher.nodes_that_differ(), 0);
}

#[test]
fn what_no_node_confirms_is_published_after_five_minutes_as_received() {
    let mut table = Table::leader();
    table.node(NodeNews::Joined);
    table.receive(1);
    table.after(CONFIRMATION_WAIT - Duration::from_secs(1));
    assert_eq!(table.published(), None);
    table.after(Duration::from_secs(1));
    assert_eq!((table.published(), table.state()), (Some(1), State::Received));
    table.node(NodeNews::Runs(hash(1)));
    assert_eq!(table.state(), State::Confirmed);
}

#[test]
fn new_ones_all_the_time_do_not_starve_the_manifest() {
    let mut table = Table::leader();
    table.node(NodeNews::Joined);
    for digit in 1..=10 {
        table.receive(digit);
        table.after(Duration::from_secs(60));
    }
    assert_eq!((table.published(), table.writes), (Some(10), 2));
}

#[test]
fn what_every_node_refuses_is_held_and_kept_until_a_node_runs_it() {
    let mut table = Table::with_one_published();
    table.node(NodeNews::Runs(hash(1)));
    table.receive(2);
    table.node(NodeNews::Given);
    table.after(Duration::from_secs(30));
    table.node(NodeNews::Runs(hash(1)));
    assert_eq!(table.publisher.newest_state(), NewestState::Held(Held::Refused));
    assert!(table.notices.contains(&Notice::NewestState(NewestState::Held(Held::Refused))));
    assert_eq!(table.history.of(hash(2)).unwrap().state, HistoryState::HeldAsRefused);
    // That the node goes away makes it no better.
    table.node(NodeNews::Left);
    table.after(CONFIRMATION_WAIT * 2);
    assert_eq!(table.published(), Some(1));
    table.node(NodeNews::Runs(hash(2)));
    assert_eq!((table.published(), table.state()), (Some(2), State::Confirmed));
}

#[test]
fn what_loses_too_much_is_held_although_nodes_confirm_it_and_once_released_is_adopted() {
    let mut table = Table::with_one_published();
    table.node(NodeNews::Runs(hash(2)));
    table.on(Event::Received(configuration(2, 0)));
    let NewestState::Held(Held::Shrunk(shrunk)) = table.publisher.newest_state() else {
        panic!("{:?}", table.publisher)
    };
    assert_eq!(shrunk.to_string(), "routes 10 -> 0, services 10 -> 0");
    let (writes, kept) = (table.writes, table.history.of(hash(2)).unwrap().state);
    assert_eq!(kept, HistoryState::HeldAsShrunk);
    table.after(CONFIRMATION_WAIT * 3);
    table.on(Event::Received(configuration(2, 0)));
    assert_eq!((table.published(), table.writes), (Some(1), writes), "it is kept once");
    // `lifeboat release`, then.
    table.name(&configuration(2, 0), State::Received, 1);
    let writes = table.writes;
    table.after(GLANCE_INTERVAL);
    assert_eq!(table.publisher.newest_state(), NewestState::Published);
    assert_eq!(table.writes, writes + 1, "the nodes' confirmation");
}

#[test]
fn what_was_held_before_and_pruned_since_is_held_again_when_it_comes_again() {
    let mut table = Table::with_one_published();
    table.on(Event::Received(configuration(2, 0)));
    assert_eq!(table.history.of(hash(2)).unwrap().state, HistoryState::HeldAsShrunk);
    table.on(Event::Received(configuration(3, 10)));
    table.after(DELAY);
    // The exporter's own pruning, or an operator's.
    table.history = std::iter::once(*table.history.of(hash(3)).unwrap()).collect();
    let writes = table.writes;
    table.on(Event::Received(configuration(2, 0)));
    // It was there before, so it is asked for again.
    table.after(DOUBT);
    table.reconnect();
    table.on(Event::Received(configuration(2, 0)));
    assert_eq!(table.history.of(hash(2)).unwrap().state, HistoryState::HeldAsShrunk);
    // The history is read anew whenever it comes, and it is kept once.
    table.after(Duration::from_secs(1));
    table.on(Event::Received(configuration(2, 0)));
    assert_eq!((table.published(), table.writes), (Some(3), writes + 1));
}

#[test]
fn a_guard_that_allows_more_releases_nothing_and_decides_about_what_comes_next() {
    let allows_more = || Event::Guard(ShrinkGuard::new(90));
    let mut table = Table::with_one_published();
    table.on(Event::Received(configuration(2, 3)));
    assert!(matches!(table.publisher.newest_state(), NewestState::Held(Held::Shrunk(_))));
    table.on(allows_more());
    table.on(Event::Received(configuration(2, 3)));
    table.after(CONFIRMATION_WAIT * 2);
    assert_eq!((table.publisher.newest_state(), table.published()), (NewestState::Held(Held::Unreleased), Some(1)));
    table.on(Event::Received(configuration(3, 3)));
    assert_eq!(table.published(), Some(3));
    // One that allows less is asked about the next one, too.
    table.on(Event::Guard(ShrinkGuard::new(0)));
    table.on(Event::Received(configuration(4, 2)));
    table.after(DELAY * 2);
    assert_eq!(table.published(), Some(3));
}

#[test]
fn what_was_held_while_the_store_was_away_stays_held_under_another_guard() {
    let mut table = Table::with_one_published();
    table.only(Event::Received(configuration(2, 3)));
    table.only(Event::Failed);
    table.on(Event::Guard(ShrinkGuard::new(90)));
    table.after(CONFIRMATION_WAIT * 2);
    assert_eq!((table.publisher.newest_state(), table.published()), (NewestState::Held(Held::Unreleased), Some(1)));
    assert_eq!(table.history.of(hash(2)).unwrap().state, HistoryState::HeldAsShrunk);
    // `lifeboat release`, then.
    table.name(&configuration(2, 3), State::Received, 1);
    table.after(GLANCE_INTERVAL);
    assert_eq!(table.publisher.newest_state(), NewestState::Published);
}

#[test]
fn what_no_node_can_run_is_held_whoever_confirms_it_and_the_next_one_is_published() {
    let with = |digit, json: &str| {
        let read = Configuration::from_json(json.to_owned().into()).unwrap();
        Received { configuration: read, ..configuration(digit, 10) }
    };
    let no_version = with(2, r#"{"services":[1,1,1,1,1,1,1,1,1,1],"routes":[1,1,1,1,1,1,1,1,1,1]}"#);
    let null =
        with(3, r#"{"_format_version":"3.0","services":[1,2,3,4,5,6,7],"routes":[1,2,3,4,5,6,7],"upstreams":null}"#);
    let zeros = configuration(0, 10);
    for (received, why) in [
        (no_version, Unrunnable::NoFormatVersion),
        (null, Unrunnable::NullEntities { kind: "upstreams".to_owned() }),
        (zeros, Unrunnable::EmptyHash),
    ] {
        let mut table = Table::with_one_published();
        let hash = received.config_hash;
        // An empty node says that it runs what has a hash of zeros.
        table.node(NodeNews::Runs(hash));
        table.on(Event::Received(received.clone()));
        table.after(CONFIRMATION_WAIT * 2);
        assert_eq!(table.publisher.newest_state(), NewestState::Held(Held::Unrunnable(why.clone())));
        assert_eq!((table.published(), table.writes), (Some(1), 2), "{why}");
        assert_eq!(table.history.of(hash).unwrap().state, HistoryState::HeldAsUnrunnable);
        // Also where nothing was published before, and after a restart.
        let mut table = Table::follower();
        table.add(&received, HistoryState::HeldAsUnrunnable);
        table.on(Event::LinkUp);
        table.lead(1);
        table.on(Event::Received(received));
        assert_eq!((table.published(), table.writes), (None, 1), "{why}");
        table.receive(4);
        table.after(CONFIRMATION_WAIT);
        assert_eq!(table.published(), Some(4));
    }
}

#[test]
fn what_another_exporter_has_held_stays_held() {
    let mut table = Table::with_one_published();
    table.add(&configuration(2, 10), HistoryState::HeldAsShrunk);
    table.lead(2);
    table.receive(2);
    table.after(CONFIRMATION_WAIT);
    assert_eq!(table.publisher.newest_state(), NewestState::Held(Held::Unreleased));
    assert_eq!(table.published(), Some(1));
}

#[test]
fn an_old_configuration_is_doubted_for_two_minutes_and_fetched_again_over_a_new_connection() {
    let mut table = Table::with_one_published();
    table.receive(2);
    table.after(DELAY);
    assert_eq!(table.published(), Some(2));
    table.receive(1);
    assert_eq!(reconnects(&table.after(DOUBT - Duration::from_secs(1))), 0);
    assert_eq!(reconnects(&table.after(Duration::from_secs(1))), 1);
    assert_eq!(reconnects(&table.after(DOUBT)), 0, "once for each link");
    table.reconnect();
    assert_eq!(table.published(), Some(2));
    table.receive(1);
    assert_eq!(table.published(), Some(1));
}

#[test]
fn an_old_configuration_that_the_next_connection_does_not_repeat_is_forgotten() {
    let mut table = Table::with_one_published();
    table.receive(2);
    table.after(DELAY);
    table.receive(1);
    // A connection that was made before the two minutes are over proves nothing.
    table.reconnect();
    table.receive(1);
    assert_eq!(table.published(), Some(2));
    table.after(DOUBT);
    table.reconnect();
    table.receive(2);
    table.after(DOUBT * 2);
    assert_eq!((table.published(), table.writes), (Some(2), 2));
}

#[test]
fn a_rollback_stays_until_the_control_planes_configuration_changes() {
    let mut table = Table::with_one_published();
    table.receive(2);
    table.roll_back(1, Pin::Change { instead_of: hash(2) });
    table.after(GLANCE_INTERVAL);
    table.reconnect();
    table.receive(2);
    table.after(DELAY * 10);
    assert_eq!((table.published(), table.state()), (Some(1), State::Pinned));
    table.receive(3);
    assert_eq!((table.published(), table.state()), (Some(3), State::Received));
}

#[test]
fn what_was_waiting_when_the_operator_rolled_back_waits_too() {
    let mut table = Table::with_one_published();
    table.receive(2);
    table.on(Event::Received(configuration(3, 2)));
    // The manifest is seen without a pin while configuration 3 is held; then the operator, who sees 2, goes back to 1.
    table.after(GLANCE_INTERVAL);
    table.roll_back(1, Pin::Change { instead_of: hash(2) });
    table.after(DELAY * 5);
    assert_eq!((table.published(), table.state()), (Some(1), State::Pinned));
}

#[test]
fn a_control_plane_that_takes_over_what_was_rolled_back_to_ends_the_pin() {
    let mut table = Table::with_one_published();
    table.receive(2);
    table.roll_back(1, Pin::Change { instead_of: hash(2) });
    table.after(GLANCE_INTERVAL);
    table.receive(1);
    assert_eq!((table.published(), table.state(), table.named.as_ref().unwrap().pin), (Some(1), State::Received, None));
}

#[test]
fn a_hard_pin_stays_until_it_is_taken_away() {
    let mut table = Table::with_one_published();
    table.receive(2);
    table.roll_back(1, Pin::Unpin);
    table.after(GLANCE_INTERVAL);
    for digit in [3, 1, 4] {
        table.receive(digit);
        table.after(DELAY * 3);
        assert_eq!((table.published(), table.state()), (Some(1), State::Pinned));
    }
    table.named.as_mut().unwrap().pin = None;
    table.after(GLANCE_INTERVAL);
    assert_eq!(table.published(), Some(4));
}

#[test]
fn a_conflict_is_adopted_only_after_the_leadership_was_checked() {
    let mut table = Table::with_one_published();
    let actions = table.only(Event::Received(configuration(2, 10)));
    assert!(matches!(actions[..], [Action::Notify(_), Action::Publish { .. }]), "{actions:?}");
    table.roll_back(1, Pin::Change { instead_of: hash(1) });
    let actions = table.only(Event::Conflict);
    assert!(matches!(actions[..], [Action::Recheck { shown: 0 }]), "{actions:?}");
    table.now = table.now + Duration::from_secs(60);
    assert!(table.only(Event::Tick).iter().all(|action| matches!(action, Action::Glance)));
}

#[test]
fn a_new_leader_first_writes_its_epoch_and_only_then_what_it_has_received() {
    let mut table = Table::with_one_published();
    table.only(Event::Leadership(Leadership::Follower));
    table.receive(2);
    table.after(DELAY * 2);
    assert_eq!(table.published(), Some(1));
    let actions = table.lead(2);
    let writes: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Rewrite(Rewrite { epoch, .. }) => Some(("rewrite", *epoch)),
            Action::Publish { epoch, .. } => Some(("publish", *epoch)),
            _ => None,
        })
        .collect();
    assert_eq!(writes, [("rewrite", 2), ("publish", 2)]);
    assert_eq!(table.published(), Some(2));
}

#[test]
fn an_epoch_that_somebody_else_has_written_is_not_taken_for_ones_own() {
    for shown in [2, 3] {
        let mut table = Table::with_one_published();
        table.named.as_mut().unwrap().epoch = shown;
        let until = table.now + Duration::from_secs(100);
        let looks = table.only(Event::Leadership(Leadership::Leader { epoch: 2, until }));
        assert!(matches!(looks[..], [Action::Look]), "{looks:?}");
        let answer = table.answer(&Action::Look).unwrap();
        let actions = table.only(answer);
        assert!(matches!(actions[..], [Action::Recheck { shown: found }] if found == shown), "{actions:?}");
    }
}

#[test]
fn nothing_is_written_once_the_leadership_may_have_ended() {
    let mut table = Table::with_one_published();
    let until = table.now + Duration::from_secs(20);
    table.on(Event::Leadership(Leadership::Leader { epoch: 1, until }));
    table.now = until;
    table.receive(2);
    table.after(DELAY * 5);
    assert_eq!(table.published(), Some(1));
    table.lead(1);
    assert_eq!(table.published(), Some(2));
}

#[test]
fn a_new_leader_without_a_control_plane_publishes_only_what_is_surely_newer_than_the_manifest() {
    for (received_after, is_published) in [(true, true), (false, false)] {
        let mut table = Table::follower();
        table.name(&configuration(1, 10), State::Received, 1);
        table.on(Event::LinkUp);
        if !received_after {
            table.receive(2);
        }
        table.after(GLANCE_INTERVAL);
        table.name(&configuration(3, 10), State::Received, 1);
        table.after(GLANCE_INTERVAL);
        if received_after {
            table.receive(2);
        }
        table.on(Event::LinkDown);
        table.lead(2);
        table.after(DELAY * 2);
        assert_eq!(table.published(), Some(if is_published { 2 } else { 3 }));
        if !is_published {
            assert_eq!(table.publisher.newest_state(), NewestState::Outdated);
            // Once the control plane says so, it is the newest.
            table.on(Event::LinkUp);
            table.receive(2);
            assert_eq!(table.published(), Some(2));
        }
    }
}

#[test]
fn what_is_waiting_goes_out_when_the_program_is_stopped() {
    let mut table = Table::leader();
    table.receive(1);
    table.node(NodeNews::Joined);
    table.receive(2);
    let actions = table.on(Event::Stop);
    assert_eq!(table.published(), Some(2));
    assert!(matches!(actions[..], [.., Action::Finish]), "{actions:?}");
}

#[test]
fn a_store_that_fails_is_tried_again_until_it_takes_the_newest_also_at_the_end() {
    let mut table = Table::with_one_published();
    table.only(Event::Received(configuration(2, 10)));
    let actions = table.only(Event::Failed);
    assert!(matches!(actions[..], [Action::Notify(Notice::TryingAgain { .. })]), "{actions:?}");
    table.only(Event::Stop);
    table.only(Event::Failed);
    table.now = table.now + LAST_TRIES;
    let actions = table.on(Event::Tick);
    assert_eq!(table.published(), Some(2));
    assert!(matches!(actions[..], [.., Action::Finish]), "{actions:?}");
}

#[test]
fn a_follower_and_a_leader_with_nothing_waiting_end_at_once() {
    let mut table = Table::follower();
    table.on(Event::LinkUp);
    table.receive(1);
    assert!(matches!(table.on(Event::Stop)[..], [Action::Finish]));
    let mut table = Table::with_one_published();
    assert!(matches!(table.on(Event::Stop)[..], [Action::Finish]));
}

#[test]
fn alone_it_neither_waits_for_a_leadership_nor_counts_epochs() {
    let mut table = Table::follower();
    table.name(&configuration(1, 10), State::Received, 7);
    table.on(Event::LinkUp);
    table.on(Event::Leadership(Leadership::Alone));
    assert_eq!(table.writes, 1);
    table.receive(2);
    assert_eq!((table.published(), table.named.as_ref().unwrap().epoch), (Some(2), 7));
}

#[derive(Clone, Debug)]
enum Step {
    Receive(u8),
    Wait(u16),
    Reconnect,
    Node(NodeNews),
    Fail,
    Lead,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1u8..9).prop_map(Step::Receive),
        (0u16..400).prop_map(Step::Wait),
        Just(Step::Reconnect),
        Just(Step::Node(NodeNews::Joined)),
        Just(Step::Node(NodeNews::Given)),
        Just(Step::Node(NodeNews::Left)),
        (1u8..9).prop_map(|digit| Step::Node(NodeNews::Runs(hash(digit)))),
        Just(Step::Fail),
        Just(Step::Lead),
    ]
}

proptest! {
    /// Whatever happens: no tick leads to another at once, no held configuration is published, and when all is quiet
    /// the newest configuration is published or there is a reason.
    #[test]
    fn in_the_end_the_newest_is_published_or_held(steps in prop::collection::vec(step(), 1..60)) {
        let mut table = Table::with_one_published();
        let mut newest = 1;
        for step in steps {
            match step {
                // Digits above 5 have lost all routes.
                Step::Receive(digit) => {
                    newest = digit;
                    table.on(Event::Received(configuration(digit, if digit > 5 { 0 } else { 10 })));
                }
                Step::Wait(seconds) => {
                    table.after(Duration::from_secs(seconds.into()));
                }
                Step::Reconnect => {
                    table.reconnect();
                    table.on(Event::Received(configuration(newest, if newest > 5 { 0 } else { 10 })));
                }
                Step::Node(news) => {
                    table.node(news);
                }
                Step::Fail => {
                    table.only(Event::Failed);
                }
                Step::Lead => {
                    table.lead(table.epoch + 1);
                }
            }
            prop_assert!(table.published() <= Some(5), "{:?}", table.named);
        }
        for _ in 0..4 {
            table.after(CONFIRMATION_WAIT);
            table.reconnect();
            table.on(Event::Received(configuration(newest, if newest > 5 { 0 } else { 10 })));
        }
        let state = table.publisher.newest_state();
        let held = matches!(state, NewestState::Held(_));
        prop_assert!(held || table.published() == Some(newest), "{state:?}, newest {newest}, {:?}", table.named);
    }
}
