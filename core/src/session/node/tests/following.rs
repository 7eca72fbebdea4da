//! Following what is published, as tables.

use super::*;
use crate::session::follow::{Choice, Publication, StoreView};

fn publication(sequence: u64, digit: char, choice: Choice) -> Publication {
    Publication { epoch: 1, sequence, config_hash: hash(digit), choice }
}

fn emergency(sequence: u64, digit: char) -> Publication {
    publication(sequence, digit, Choice::Operators)
}

fn published(sequence: u64, digit: char) -> Publication {
    publication(sequence, digit, Choice::ControlPlanes)
}

fn offer_of(publication: Publication) -> Arc<ReadySnapshot> {
    let payload = Payload::compress(b"{}");
    let at = WallTime::from_system(SystemTime::UNIX_EPOCH);
    let message = ReconfigureMessage::around(&payload, publication.config_hash, None, at);
    Arc::new(ReadySnapshot { message, config_bytes: 2, publication: Some(publication) })
}

impl Table {
    /// A node that came with a configuration of its own, and whose control plane is gone.
    fn with_its_own(digit: char) -> Self {
        let mut table = Self::begin(RULES);
        table.introduce(hash(digit));
        table.unreachable();
        assert!(table.session.is_in_fallback());
        table
    }

    /// A node that was restored from the store.
    fn restored(from: Publication) -> Self {
        let mut table = Self::empty_node();
        table.unreachable();
        table.fetched(offer_of(from));
        assert!(table.ping(from.config_hash).contains(&"notify Adopted".to_owned()));
        table
    }

    fn sees(&mut self, newest: Publication, at_first: Publication) -> Vec<String> {
        self.on(Event::Published(StoreView { newest, at_first, is_since_loss: false }))
    }

    /// A node that has lost the control plane, which gave it its configuration.
    fn given(digit: char) -> Self {
        let mut table = Self::begin(RULES);
        table.introduce(hash('a'));
        table.on(Event::ControlPlaneConnected);
        table.on(Event::FromControlPlane(Frame::binary(&b"a configuration"[..])));
        table.ping(hash(digit));
        table.on(Event::ControlPlaneClosed);
        assert!(table.session.is_in_fallback());
        table
    }
}

#[test]
fn a_restored_node_is_given_what_is_published_later_until_it_runs_it() {
    let (old, new) = (published(1, 'a'), published(2, 'b'));
    let mut table = Table::restored(old);
    assert_eq!(table.sees(old, old), [""; 0]);
    assert_eq!(table.sees(new, old), ["fetch published 2"]);
    assert_eq!(table.fetched(offer_of(new)), ["feed"]);
    // It is loading.
    assert_eq!(table.ping(hash('a')), ["to node: Pong"]);
    assert_eq!(table.sees(new, old), [""; 0]);
    assert_eq!(table.after(FIRST_REPEAT), ["feed"]);
    assert_eq!(table.on(Event::Delivered), ["notify Fed"]);
    assert_eq!(table.ping(hash('b')), ["notify Adopted", "to node: Pong"]);
    assert_eq!(table.sees(new, old), [""; 0]);
    // A manifest that somebody has put back.
    assert_eq!(table.sees(old, old), [""; 0]);
    assert_eq!(table.sees(published(3, 'c'), old), ["fetch published 3"]);
}

#[test]
fn a_node_with_a_configuration_of_its_own_is_given_an_operators_choice_of_this_outage_alone() {
    let before = emergency(4, 'd');
    let mut table = Table::with_its_own('a');
    // It was chosen while the control plane fed this node something else.
    assert_eq!(table.sees(before, before), [""; 0]);
    assert_eq!(table.sees(published(5, 'b'), before), [""; 0]);
    assert_eq!(table.sees(emergency(6, 'c'), before), ["fetch published 6"]);
    assert_eq!(table.fetched(offer_of(emergency(6, 'c'))), ["feed"]);
    assert!(table.ping(hash('c')).contains(&"notify Adopted".to_owned()));
    assert_eq!(table.session.source(), Source::Store);
    // From now on the store's count says what is newer.
    assert_eq!(table.sees(published(7, 'e'), before), ["fetch published 7"]);
}

#[test]
fn a_node_that_comes_after_the_choice_was_made_in_this_outage_is_given_it() {
    let mut table = Table::with_its_own('a');
    assert_eq!(table.sees(emergency(2, 'b'), published(1, 'a')), ["fetch published 2"]);
}

#[test]
fn what_the_control_plane_gave_last_is_not_replaced_by_what_was_published_before_it_was_lost() {
    let mut table = Table::begin(RULES);
    table.introduce(hash('a'));
    table.on(Event::ControlPlaneConnected);
    table.on(Event::FromControlPlane(Frame::binary(&b"a configuration"[..])));
    table.ping(hash('b'));
    assert!(!table.session.is_in_fallback());
    // While it is there, nothing is even looked at.
    assert_eq!(table.sees(emergency(2, 'c'), published(1, 'a')), [""; 0]);
    table.on(Event::ControlPlaneClosed);
    assert!(table.session.is_in_fallback());
    // Other nodes of this relay have lost it long ago.
    assert_eq!(table.sees(emergency(2, 'c'), published(1, 'a')), [""; 0]);
    assert_eq!(table.sees(emergency(3, 'd'), published(1, 'a')), ["fetch published 3"]);
}

#[test]
fn a_choice_that_was_made_before_the_first_look_and_after_the_loss_is_given() {
    let chosen = emergency(2, 'c');
    // The relay knows no other publication of this outage, or an older one.
    for at_first in [Publication::NOTHING, published(1, 'a')] {
        let mut table = Table::given('b');
        let view = StoreView { newest: chosen, at_first, is_since_loss: true };
        assert_eq!(table.on(Event::Published(view)), ["fetch published 2"], "{at_first:?}");
    }
    // An exporter's own choice of that time may be older than what the node has.
    let mut table = Table::given('b');
    let view = StoreView { newest: published(2, 'c'), at_first: Publication::NOTHING, is_since_loss: true };
    assert_eq!(table.on(Event::Published(view)), [""; 0]);
}

#[test]
fn the_control_plane_takes_over_whatever_was_on_its_way() {
    let mut table = Table::restored(published(1, 'a'));
    table.sees(emergency(2, 'b'), published(1, 'a'));
    let actions = table.on(Event::Fetched(offer_of(emergency(2, 'b'))));
    assert_eq!(actions, ["feed"]);
    table.on(Event::ControlPlaneConnected);
    // Its turn had not come: it is not sent any more.
    assert!(!table.session.awaits_delivery() && !table.session.is_in_fallback());
    assert_eq!(table.after_seconds(1), [""; 0]);
    assert_eq!(table.sees(emergency(3, 'c'), published(1, 'a')), [""; 0]);
}

#[test]
fn what_is_on_its_way_is_not_sent_once_following_has_stopped_and_is_when_it_goes_on() {
    let (old, new) = (published(1, 'a'), published(2, 'b'));
    let mut table = Table::restored(old);
    table.sees(new, old);
    assert_eq!(table.on(Event::Fetched(offer_of(new))), ["feed"]);
    table.session.stop_following();
    assert!(!table.session.awaits_delivery());
    assert_eq!(table.after_seconds(1), [""; 0]);
    assert_eq!(table.sees(new, new), ["fetch published 2"], "what it has is still known");
}

#[test]
fn what_was_fetched_and_is_no_newer_is_not_sent() {
    let old = published(1, 'a');
    let mut table = Table::restored(published(2, 'b'));
    assert_eq!(table.sees(emergency(3, 'c'), old), ["fetch published 3"]);
    assert_eq!(table.fetched(offer_of(old)), [""; 0]);
    assert_eq!(table.fetched(snapshot(0)), [""; 0], "nothing was asked for");
    // It is asked for again when the store is looked at again.
    assert_eq!(table.sees(emergency(3, 'c'), old), ["fetch published 3"]);
    assert_eq!(table.fetched(offer_of(emergency(3, 'c'))), ["feed"]);
}

#[test]
fn a_node_that_runs_what_is_published_already_is_not_sent_it() {
    let mut table = Table::with_its_own('a');
    assert_eq!(table.sees(emergency(2, 'a'), published(1, 'b')), [""; 0]);
    // And follows from there.
    assert_eq!(table.sees(published(3, 'c'), published(1, 'b')), ["fetch published 3"]);
}

#[test]
fn who_does_not_take_it_is_reported_and_sent_it_again_with_growing_pauses() {
    let mut table = Table::with_its_own('a');
    let new = emergency(2, 'b');
    table.sees(new, published(1, 'a'));
    table.fetched(offer_of(new));
    let mut said = Vec::new();
    // The control plane is tried again meanwhile, and a node pings.
    for _ in 0..30 {
        table.ping(hash('a'));
        table.now = table.session.wake_at().max(table.now);
        let actions = table.on(Event::Tick);
        if actions.contains(&"connect".to_owned()) {
            table.unreachable();
        }
        said.extend(table.deliver(actions));
    }
    let count = |text| said.iter().filter(|action| *action == text).count();
    assert_eq!(count("notify NotFollowing"), 1, "{said:?}");
    assert!(count("feed") > 3, "{said:?}");
    assert!(matches!(table.session.trouble(), Some(Trouble::NotAdopted { .. })));
    assert_eq!(table.session.runs(), Some(hash('a')));
}

#[test]
fn what_is_larger_than_the_node_takes_is_said_once() {
    let mut table = Table::with_its_own('a');
    let new = emergency(2, 'b');
    let large = snapshot(20_000);
    assert!(large.message.len() > 4096);
    let large = Arc::new(ReadySnapshot { publication: Some(new), ..clone_of(&large) });
    table.sees(new, published(1, 'c'));
    assert_eq!(table.fetched(large), ["notify TooLarge"]);
    assert!(matches!(table.session.trouble(), Some(Trouble::TooLarge { .. })));
    assert_eq!(table.sees(new, published(1, 'c')), [""; 0]);
}
