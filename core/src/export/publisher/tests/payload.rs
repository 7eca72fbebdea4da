//! The published payload vanishes: what comes back, as what, and what never does.

use super::table::{DELAY, Spare, Table, configuration, hash};
use super::*;
use crate::export::Keys;

/// Something has happened to the payload, and the next look is over.
fn after_a_look(table: &mut Table, state: PayloadState) -> Vec<Action> {
    table.payload = state;
    table.after(GLANCE_INTERVAL)
}

fn losses(table: &Table) -> Vec<&PayloadLoss> {
    let loss = |notice: &'_ Notice| matches!(notice, Notice::PayloadLost(_));
    let lost = table.notices.iter().filter(|notice| loss(notice));
    lost.map(|notice| if let Notice::PayloadLost(loss) = notice { loss } else { unreachable!() }).collect()
}

fn published_anew(actions: &[Action]) -> usize {
    actions.iter().filter(|action| matches!(action, Action::Publish { .. })).count()
}

#[test]
fn a_missing_payload_is_put_back_with_the_next_look_and_the_manifest_stays_what_it_is() {
    for state in [PayloadState::Missing, PayloadState::Altered, PayloadState::Unreadable] {
        let mut table = Table::with_one_published();
        table.spare = Spare::SameBytes;
        let (named, writes) = (table.named.clone(), table.writes);
        after_a_look(&mut table, state);
        assert_eq!((table.payload, &table.named, table.writes), (PayloadState::Whole, &named, writes), "{state:?}");
        assert_eq!((table.publisher.payload_loss(), losses(&table).len()), (None, 0));
    }
}

#[test]
fn at_the_start_and_when_a_leader_takes_over_the_first_look_puts_it_back() {
    for is_new_leader in [false, true] {
        let mut table = Table::follower();
        table.name(&configuration(1, 10), State::Received, 1);
        (table.payload, table.spare) = (PayloadState::Missing, Spare::SameBytes);
        table.on(Event::Tick);
        assert_eq!(table.payload, PayloadState::Missing, "who follows writes nothing");
        let actions = if is_new_leader { table.lead(2) } else { table.on(Event::Leadership(Leadership::Alone)) };
        assert_eq!(table.payload, PayloadState::Whole);
        let put_back = actions.iter().position(|action| matches!(action, Action::PutBack { .. })).unwrap();
        let rewritten = actions.iter().position(|action| matches!(action, Action::Rewrite(_)));
        assert!(rewritten.is_none_or(|rewritten| put_back < rewritten), "{actions:?}");
    }
}

#[test]
fn what_only_the_control_plane_has_is_asked_for_and_published_anew_with_the_same_state_and_pin() {
    let mut table = Table::with_one_published();
    let actions = after_a_look(&mut table, PayloadState::Missing);
    assert_eq!((reconnects(&actions), published_anew(&actions)), (1, 0), "its bytes were given up");
    assert!(matches!(losses(&table)[..], [PayloadLoss::Unavailable(PayloadState::Missing, NewestState::Ready(_))]));
    table.on(Event::LinkDown);
    assert_eq!(reconnects(&table.on(Event::LinkUp)), 0, "the new link brings them");
    let before = table.named.clone().unwrap();
    table.receive(1);
    let named = table.named.clone().unwrap();
    assert_eq!((named.state, named.pin, named.config_hash), (before.state, None, hash(1)));
    assert!(named.sequence > before.sequence);
    assert_eq!((table.payload, table.publisher.payload_loss()), (PayloadState::Whole, None));
    let last = [Notice::NewestState(NewestState::Published), Notice::PayloadIsBack];
    assert!(table.notices.ends_with(&last), "{:?}", table.notices);
    assert!(!table.notices.contains(&Notice::Already(hash(1))), "it was still to be written");
    // Once is enough.
    table.receive(1);
    assert_eq!(published_anew(&table.after(DELAY * 5)), 0);
}

#[test]
fn a_pinned_one_comes_back_pinned_from_a_control_plane_that_has_it() {
    for pin in [Pin::Unpin, Pin::Change { instead_of: hash(7) }] {
        let mut table = Table::with_one_published();
        let named = table.named.as_mut().unwrap();
        (named.state, named.pin) = (State::Pinned, Some(pin));
        table.payload = PayloadState::Missing;
        // A restart: nothing is in memory, and the control plane sends the same configuration.
        table.lead(2);
        let actions = table.receive(1);
        let published = actions.iter().find_map(|action| match action {
            Action::Publish { state, pin, .. } => Some((*state, *pin)),
            _ => None,
        });
        assert_eq!(published, Some((State::Pinned, Some(pin))), "{actions:?}");
    }
}

#[test]
fn other_keys_and_a_lost_payload_at_once_end_well_even_under_a_pin() {
    let mut table = Table::with_one_published();
    let named = table.named.as_mut().unwrap();
    (named.state, named.pin, named.keys) = (State::Pinned, Some(Pin::Unpin), Keys::Others);
    table.payload = PayloadState::Missing;
    table.lead(2);
    table.receive(1);
    assert_eq!(table.named.as_ref().unwrap().pin, Some(Pin::Unpin));
    assert_eq!((table.state(), table.payload), (State::Pinned, PayloadState::Whole));
}

#[test]
fn what_is_held_is_not_published_for_want_of_a_payload() {
    let mut table = Table::with_one_published();
    table.on(Event::Received(configuration(2, 0)));
    let actions = after_a_look(&mut table, PayloadState::Missing);
    assert_eq!((published_anew(&actions), table.published()), (0, Some(1)));
    let loss = table.publisher.payload_loss();
    assert!(
        matches!(loss, Some(PayloadLoss::Unavailable(PayloadState::Missing, NewestState::Held(Held::Shrunk(_))))),
        "{loss:?}"
    );
    assert_eq!(losses(&table).len(), 1);
    table.after(GLANCE_INTERVAL * 30);
    assert_eq!((losses(&table).len(), table.published()), (1, Some(1)), "it is said once");
    // Another store is there again.
    table.spare = Spare::SameBytes;
    table.after(GLANCE_INTERVAL);
    assert_eq!((table.payload, table.published()), (PayloadState::Whole, Some(1)));
    assert!(table.notices.contains(&Notice::PayloadIsBack));
    assert_eq!(table.publisher.payload_loss(), None);
}

#[test]
fn what_differs_from_what_is_pinned_is_not_published_for_want_of_a_payload() {
    for pin in [Pin::Unpin, Pin::Change { instead_of: hash(2) }] {
        let mut table = Table::with_one_published();
        table.receive(2);
        table.after(DELAY);
        table.roll_back(1, pin);
        table.after(GLANCE_INTERVAL);
        after_a_look(&mut table, PayloadState::Altered);
        table.reconnect();
        table.receive(2);
        table.after(DELAY * 10);
        assert_eq!((table.published(), table.payload), (Some(1), PayloadState::Altered));
        let expected = PayloadLoss::Unavailable(PayloadState::Altered, NewestState::Pinned(pin));
        assert_eq!(table.publisher.payload_loss(), Some(expected));
    }
}

#[test]
fn another_exporters_is_left_to_it_and_said_if_it_has_not_done_it_at_the_next_look() {
    let mut table = Table::follower();
    table.name(&configuration(1, 10), State::Received, 1);
    (table.payload, table.spare) = (PayloadState::Missing, Spare::SameBytes);
    table.on(Event::LinkUp);
    table.receive(1);
    assert_eq!((table.publisher.payload_loss(), table.payload), (None, PayloadState::Missing));
    table.after(GLANCE_INTERVAL);
    assert_eq!(table.publisher.payload_loss(), Some(PayloadLoss::LeftByTheLeader(PayloadState::Missing)));
    table.after(GLANCE_INTERVAL * 9);
    assert_eq!((losses(&table).len(), table.writes), (1, 1));
    // What it had received it still has, once it leads.
    table.spare = Spare::Nowhere;
    let actions = table.lead(2);
    assert_eq!((published_anew(&actions), reconnects(&actions)), (1, 0));
    assert_eq!((table.published(), table.payload), (Some(1), PayloadState::Whole));
}

#[test]
fn a_config_json_with_the_digest_comes_back_as_another_snapshot_without_the_control_plane() {
    let mut table = Table::with_one_published();
    table.on(Event::LinkDown);
    table.spare = Spare::ConfigJson;
    let before = table.named.clone().unwrap();
    after_a_look(&mut table, PayloadState::Missing);
    let named = table.named.clone().unwrap();
    assert_eq!((named.sequence, named.config_hash), (before.sequence + 1, before.config_hash));
    assert_eq!((table.publisher.payload_loss(), losses(&table).len()), (None, 0));
    let past = *table.publisher.facts.store.history.of(hash(1)).unwrap();
    assert_eq!(past, Past { id: named.id(), state: HistoryState::Published });
}

#[test]
fn what_is_due_anyway_is_published_and_the_lost_one_is_history() {
    let mut table = Table::with_one_published();
    table.on(Event::LinkDown);
    after_a_look(&mut table, PayloadState::Missing);
    assert!(table.publisher.payload_loss().is_some());
    table.on(Event::LinkUp);
    table.receive(2);
    assert_eq!((table.published(), table.payload), (Some(2), PayloadState::Whole));
    assert_eq!((table.state(), table.publisher.payload_loss()), (State::Received, None));
}

#[test]
fn a_manifest_is_not_refreshed_whose_payload_is_lost() {
    let mut table = Table::with_one_published();
    table.on(Event::Received(configuration(2, 0)));
    let writes = table.writes;
    after_a_look(&mut table, PayloadState::Missing);
    table.after(REFRESH_INTERVAL * 3);
    assert_eq!(table.writes, writes);
}

#[test]
fn it_is_read_whole_when_a_leader_takes_over_and_once_a_day() {
    let reads = |actions: &[Action]| actions.iter().filter(|action| matches!(action, Action::ReadBack)).count();
    let mut table = Table::follower();
    table.name(&configuration(1, 10), State::Received, 1);
    assert_eq!(reads(&table.after(READ_BACK_INTERVAL)), 0);
    assert_eq!(reads(&table.lead(2)), 1);
    assert_eq!(reads(&table.after(READ_BACK_INTERVAL / 2)), 0);
    assert_eq!(reads(&table.after(READ_BACK_INTERVAL * 3)), 3);
    // Its size is right, and its bytes are not.
    table.spare = Spare::SameBytes;
    table.only(Event::ReadBack(PayloadState::Altered));
    let actions = table.on(Event::Tick);
    assert!(actions.is_empty(), "it is under way: {actions:?}");
    table.on(Event::PutBack);
    assert_eq!((table.publisher.payload_loss(), reads(&table.after(READ_BACK_INTERVAL / 2))), (None, 0));
}

#[test]
fn a_store_that_fails_meanwhile_is_looked_at_again() {
    let mut table = Table::with_one_published();
    (table.payload, table.spare) = (PayloadState::Missing, Spare::SameBytes);
    table.now = table.now + GLANCE_INTERVAL;
    let actions = table.only(Event::Tick);
    assert!(matches!(actions[..], [Action::Glance]), "{actions:?}");
    let answer = table.answer(&Action::Glance).unwrap();
    let actions = table.only(answer);
    assert!(matches!(actions[..], [Action::PutBack { epoch: 1 }]), "{actions:?}");
    table.only(Event::Failed);
    table.after(GLANCE_INTERVAL);
    assert_eq!(table.payload, PayloadState::Whole);
}

#[test]
fn an_export_once_and_an_end_put_it_back_first() {
    for spare in [Spare::SameBytes, Spare::Nowhere] {
        let mut table = Table::follower();
        table.name(&configuration(1, 10), State::Received, 1);
        (table.payload, table.spare) = (PayloadState::Missing, spare);
        table.only(Event::Leadership(Leadership::Alone));
        table.only(Event::LinkUp);
        table.only(Event::Received(configuration(1, 10)));
        table.only(Event::Stop);
        let answer = table.answer(&Action::Look).unwrap();
        let actions = table.on(answer);
        assert!(matches!(actions[..], [.., Action::Finish]), "{actions:?}");
        assert_eq!((table.published(), table.payload), (Some(1), PayloadState::Whole), "{spare:?}");
        assert_eq!(published_anew(&actions), usize::from(spare == Spare::Nowhere));
    }
}
