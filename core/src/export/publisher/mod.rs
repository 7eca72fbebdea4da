//! The one state machine that decides what is published. It answers one question: which snapshot must the manifest name, and
//! why? Then it makes the manifest say so.
//!
//! It is level-triggered: it collects facts, [`NewestState`] says what follows from them, and after each event the machine
//! does the next thing that is missing, one at a time. So a crash, a lost answer or a change of leader needs no code of its
//! own: the machine reads the store and asks the same question again.

mod event;
mod facts;
mod payload_repair;
mod publish_or_hold;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use event::{Action, Event, LastSeen, Leadership, Notice, PayloadLoss, PayloadState, Rewrite};
pub use facts::{Doubt, Rules};
pub use payload_repair::{GLANCE_INTERVAL, READ_BACK_INTERVAL};
pub use publish_or_hold::NewestState;

use self::facts::{Facts, Grasp, Link, Phase};
use super::Named;
use super::history::{History, Past};
use crate::backoff::{Backoff, shortened};
use crate::digest::ConfigHash;
use crate::manifest::{Pin, State};
use crate::object_key::{HistoryState, SnapshotId};
use crate::time::Moment;

/// The signed "last seen" is refreshed at most this often.
pub const REFRESH_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// How often writing is tried again while the program is being stopped.
const LAST_TRIES: Duration = Duration::from_millis(500);

/// The machine.
#[derive(Debug)]
pub struct Publisher {
    facts: Facts,
    leadership: Leadership,
    /// The epoch under which this exporter has written the manifest.
    claimed: Option<u64>,
    flight: Option<Flight>,
    backoff: Backoff,
    try_at: Moment,
    glance_at: Moment,
    refresh_at: Moment,
    read_back_at: Moment,
    /// The link that a new one was asked for instead of.
    asked: Option<u64>,
    said: Option<NewestState>,
    said_loss: Option<PayloadLoss>,
    now: Moment,
}

/// What is being done at the store.
#[derive(Clone, Debug)]
enum Flight {
    Looking,
    ReadingBack,
    PuttingBack,
    Publishing { received: Moment },
    Rewriting { last_seen: LastSeen },
    Holding { state: HistoryState },
}

impl Publisher {
    /// A machine that has received nothing, knows nothing of the store and does not lead.
    pub fn new(rules: Rules, now: Moment) -> Self {
        Self {
            facts: Facts::new(rules, now),
            leadership: Leadership::Follower,
            claimed: None,
            flight: None,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
            try_at: now,
            glance_at: now,
            refresh_at: now,
            read_back_at: now,
            asked: None,
            said: None,
            said_loss: None,
            now,
        }
    }

    /// Takes one event. `chance` in `0.0..1.0` spreads what many exporters would do at once.
    pub fn handle(&mut self, event: Event, now: Moment, chance: f64) -> Vec<Action> {
        let mut actions = Vec::new();
        self.now = now;
        match event {
            Event::Tick => {}
            Event::LinkUp => self.facts.link_up(now),
            Event::LinkDown => self.facts.link = Link::Down,
            Event::Received(received) => {
                let hash = received.config_hash;
                self.facts.received(received, now);
                if self.facts.is_published(hash) && self.facts.store.payload.is_whole() {
                    actions.push(Action::Notify(Notice::Already(hash)));
                }
            }
            Event::KeysChanged => {
                // What follows is done with the next event, which is the control plane's if it has just sent the bytes.
                self.facts.keys_changed();
                return actions;
            }
            Event::Guard(guard) => self.facts.guard_by(guard, now),
            Event::Node(link, news) => self.facts.nodes.note(link, news, now),
            Event::Leadership(leadership) => self.lead(leadership),
            Event::Glanced { published, payload } => self.glanced(published, payload, now, chance),
            Event::Looked { published, payload, history, last_seen_age } => {
                self.glanced(published, payload, now, chance);
                self.looked(history, last_seen_age, now, chance, &mut actions);
            }
            Event::Written(named) => self.written(named, now, chance),
            Event::ReadBack(payload) => self.read_back(payload, now, chance),
            Event::PutBack => {
                self.backoff.reset();
                self.read_back(PayloadState::Whole, now, chance);
            }
            Event::NotPutBack => {
                self.flight = None;
                self.facts.store.payload.not_put_back();
            }
            Event::HeldWritten(id) => self.held_written(id, now),
            Event::Conflict => self.conflict(now, chance, &mut actions),
            Event::Failed => self.failed(now, chance, &mut actions),
            Event::Stop => self.stop(now),
        }

        self.facts.note_refusal();
        self.settle(now, &mut actions);
        actions
    }

    /// When the next tick is due.
    pub fn wake_at(&self) -> Option<Moment> {
        let mut due = vec![self.glance_at, self.try_at];
        if self.leadership != Leadership::Follower {
            match self.facts.newest_state(self.now) {
                NewestState::Doubted { until } | NewestState::Confirming { until } | NewestState::Delayed { until } => {
                    due.push(until);
                }
                NewestState::Published => due.push(self.refresh_at),
                _ => {}
            }
            if self.facts.store.published.is_some() {
                due.push(self.read_back_at);
            }
        }

        // What is due and not done yet waits for an event, not for the clock.
        due.into_iter().filter(|moment| *moment > self.now).min()
    }

    /// What is to be said of the newest configuration now.
    pub fn newest_state(&self) -> NewestState {
        self.facts.newest_state(self.now)
    }

    /// How many connected nodes of the exported version say that they run another configuration than the published one;
    /// none, where nothing is known to be published.
    pub fn nodes_that_differ(&self) -> usize {
        let published = self.facts.store.published.as_ref();
        published.map_or(0, |named| self.facts.nodes.running_another(named.config_hash))
    }

    /// What the control plane sent last.
    pub fn newest(&self) -> Option<ConfigHash> {
        self.facts.newest.as_ref().map(|newest| newest.hash)
    }

    /// What the control plane sent last, if it waits to be written.
    pub fn waiting(&self) -> Option<ConfigHash> {
        self.facts.newest.as_ref().filter(|newest| newest.configuration.is_some()).map(|newest| newest.hash)
    }

    /// Why new nodes can't be given what is published, as far as that is the payload's fault.
    pub fn payload_loss(&self) -> Option<PayloadLoss> {
        let payload = self.facts.store.payload;
        if self.leadership == Leadership::Follower {
            return payload.is_neglected().then_some(PayloadLoss::LeftByTheLeader(payload.state()));
        }
        payload.is_lost().then(|| PayloadLoss::Unavailable(payload.state(), self.facts.newest_state(self.now)))
    }

    fn lead(&mut self, leadership: Leadership) {
        if std::mem::discriminant(&leadership) != std::mem::discriminant(&self.leadership) {
            self.said = None;
        }
        if leadership.epoch() != self.leadership.epoch() {
            // A new leader has to know everything anew.
            self.facts.store.grasp = Grasp::Nothing;
            self.try_at = self.now;
            self.read_back_at = self.now;
        }
        self.leadership = leadership;
    }

    fn read_back(&mut self, payload: PayloadState, now: Moment, chance: f64) {
        self.flight = None;
        self.facts.store.payload.found(payload);
        self.was_read_back(now, chance);
    }

    fn was_read_back(&mut self, now: Moment, chance: f64) {
        self.read_back_at = now + shortened(READ_BACK_INTERVAL, chance);
    }

    fn glanced(&mut self, published: Option<Named>, payload: PayloadState, now: Moment, chance: f64) {
        self.flight = None;
        self.glance_at = now + shortened(GLANCE_INTERVAL, chance);
        let known = self.facts.store.grasp != Grasp::Nothing && self.facts.store.published == published;
        if !known {
            self.facts.store.grasp = Grasp::Manifest;
        }
        self.facts.found(published, now);
        self.facts.store.payload.found(payload);
    }

    fn looked(
        &mut self,
        history: History,
        last_seen_age: Duration,
        now: Moment,
        chance: f64,
        actions: &mut Vec<Action>,
    ) {
        self.facts.store.grasp = Grasp::Everything;
        self.facts.store.history = history;
        self.facts.store.history_known = now;
        self.refresh_at = now + REFRESH_INTERVAL.saturating_sub(last_seen_age);
        if let (Leadership::Leader { epoch, .. }, Some(named)) = (&self.leadership, &self.facts.store.published) {
            let outranked = named.epoch > *epoch || (named.epoch == *epoch && self.claimed != Some(*epoch));
            if outranked {
                let shown = named.epoch;
                self.try_at = now + self.wait(chance);
                self.recheck(shown, actions);
            }
        }
    }

    fn written(&mut self, named: Named, now: Moment, chance: f64) {
        self.backoff.reset();
        self.claimed = Some(named.epoch);
        let past = Past { id: named.id(), state: HistoryState::Published };

        match self.flight.take() {
            Some(Flight::Publishing { received }) => {
                self.refresh_at = now + REFRESH_INTERVAL;
                self.was_read_back(now, chance);
                self.facts.store.history.add(past);
                self.facts.published(named, received, now);
            }
            Some(Flight::PuttingBack) => {
                self.was_read_back(now, chance);
                self.facts.store.history.add(past);
                self.facts.found(Some(named), now);
            }
            flight => {
                if let Some(Flight::Rewriting { last_seen: LastSeen::Now }) = flight {
                    self.refresh_at = now + REFRESH_INTERVAL;
                }
                self.facts.found(Some(named), now);
            }
        }
    }

    fn held_written(&mut self, id: SnapshotId, now: Moment) {
        self.backoff.reset();
        if let Some(Flight::Holding { state }) = self.flight.take() {
            self.facts.store.history.add(Past { id, state });
            self.facts.store.history_known = now;
        }
    }

    // Somebody else has written: an operator's rollback, or a new leader's first write. Only an exporter that has made sure
    // that it still leads may adopt what it finds and go on.
    fn conflict(&mut self, now: Moment, chance: f64, actions: &mut Vec<Action>) {
        self.flight = None;
        self.facts.store.grasp = Grasp::Nothing;
        self.try_at = now + self.wait(chance);
        self.recheck(0, actions);
    }

    fn recheck(&mut self, shown: u64, actions: &mut Vec<Action>) {
        if let Leadership::Leader { until, .. } = &mut self.leadership {
            self.facts.store.grasp = Grasp::Nothing;
            *until = Moment::default();
            actions.push(Action::Recheck { shown });
        }
    }

    fn failed(&mut self, now: Moment, chance: f64, actions: &mut Vec<Action>) {
        self.flight = None;
        // Whatever happened, what is in the store now has to be read anew.
        self.facts.store.grasp = Grasp::Nothing;
        let wait = self.wait(chance);
        self.try_at = now + wait;
        actions.push(Action::Notify(Notice::TryingAgain { retry_in: wait }));
    }

    fn wait(&mut self, chance: f64) -> Duration {
        match self.facts.phase {
            Phase::Running => self.backoff.next_wait(chance),
            Phase::Stopping => LAST_TRIES,
        }
    }

    fn stop(&mut self, now: Moment) {
        self.facts.phase = Phase::Stopping;
        self.try_at = now;
    }

    fn settle(&mut self, now: Moment, actions: &mut Vec<Action>) {
        self.facts.forget_what_is_published();
        if self.facts.phase == Phase::Stopping && self.is_finished(now) {
            actions.push(Action::Finish);
            return;
        }

        if self.leadership != Leadership::Follower {
            self.say(now, actions);
            self.ask_again(now, actions);
        }
        self.say_loss(actions);
        if self.flight.is_none()
            && let Some((flight, action)) = self.next(now)
        {
            self.flight = Some(flight);
            actions.push(action);
        }
    }

    fn say(&mut self, now: Moment, actions: &mut Vec<Action>) {
        // Before the store was looked at, nothing that could be said is known to be true.
        if self.facts.store.grasp != Grasp::Everything {
            return;
        }
        let state = self.facts.newest_state(now);
        if self.said.as_ref() != Some(&state) {
            self.said = Some(state.clone());
            actions.push(Action::Notify(Notice::NewestState(state)));
        }
    }

    fn say_loss(&mut self, actions: &mut Vec<Action>) {
        let loss = self.payload_loss();
        if loss == self.said_loss {
            return;
        }
        // While it is tried again nothing is known to be better.
        let notice = match &loss {
            Some(loss) => Some(Notice::PayloadLost(loss.clone())),
            None => self.facts.store.payload.is_whole().then_some(Notice::PayloadIsBack),
        };
        if let Some(notice) = notice {
            self.said_loss = loss;
            actions.push(Action::Notify(notice));
        }
    }

    // A new connection may lead to a control plane that knows more.
    fn ask_again(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let Link::Up { number, .. } = self.facts.link else { return };
        if self.facts.store.grasp == Grasp::Everything && self.facts.must_ask_again(now) && self.asked != Some(number) {
            self.asked = Some(number);
            actions.push(Action::Reconnect);
        }
    }

    fn next(&self, now: Moment) -> Option<(Flight, Action)> {
        if now < self.try_at {
            return None;
        }
        let glance = || (self.glance_at <= now).then_some((Flight::Looking, Action::Glance));
        if !self.leadership.may_write(now) {
            return glance();
        }
        if self.facts.store.grasp != Grasp::Everything || self.facts.may_be_held_no_more(now) {
            return Some((Flight::Looking, Action::Look));
        }

        // Nothing is said anew of a snapshot that no node can be given.
        if self.facts.store.payload.must_be_put_back() {
            return Some((Flight::PuttingBack, Action::PutBack { epoch: self.epoch() }));
        }
        if let Some(rewrite) = self.rewrite(now) {
            return Some((Flight::Rewriting { last_seen: rewrite.last_seen }, Action::Rewrite(rewrite)));
        }
        let must_read_back = self.read_back_at <= now && self.facts.store.published.is_some();
        let read_back = || must_read_back.then_some((Flight::ReadingBack, Action::ReadBack));
        self.write(now).or_else(read_back).or_else(glance)
    }

    /// What of the published manifest has to be written anew although it names the right snapshot.
    fn rewrite(&self, now: Moment) -> Option<Rewrite> {
        let named = self.facts.store.published.as_ref()?;
        let unchanged =
            Rewrite { epoch: self.epoch(), state: named.state, pin: named.pin, last_seen: LastSeen::Unchanged };
        let mut rewrite = unchanged.clone();

        if self.facts.newest_state(now) == NewestState::Published {
            if matches!(named.pin, Some(Pin::Change { .. })) {
                // The control plane now has what the operator chose.
                rewrite.pin = None;
                rewrite.state = State::Received;
            }
            if rewrite.state == State::Received && self.facts.is_confirmed() {
                rewrite.state = State::Confirmed;
            }
            if self.refresh_at <= now && self.facts.is_current() && self.facts.store.payload.is_whole() {
                rewrite.last_seen = LastSeen::Now;
            }
        }
        let is_anothers = named.epoch != rewrite.epoch;
        (rewrite != unchanged || is_anothers).then_some(rewrite)
    }

    /// What has to be written because the newest configuration isn't the published one.
    fn write(&self, now: Moment) -> Option<(Flight, Action)> {
        let newest = self.facts.newest.as_ref()?;
        let configuration = newest.configuration.clone()?;
        match self.facts.newest_state(now) {
            NewestState::Held(why) if !self.facts.is_held(newest.hash) => {
                let state = why.history_state();
                Some((Flight::Holding { state }, Action::Hold { configuration, why, epoch: self.epoch() }))
            }
            NewestState::Ready(state) => {
                let flight = Flight::Publishing { received: newest.first_received };
                let pin = self.facts.lost_as(newest.hash).and_then(|named| named.pin);
                Some((flight, Action::Publish { configuration, state, pin, epoch: self.epoch() }))
            }
            _ => None,
        }
    }

    // A follower's newest configuration is the leader's business. A leader's is its own until it is written.
    fn is_finished(&self, now: Moment) -> bool {
        let nothing_waits = self.facts.newest.as_ref().is_none_or(|newest| newest.configuration.is_none());
        let is_writing = matches!(self.flight, Some(Flight::Publishing { .. } | Flight::Holding { .. }));
        match self.leadership {
            Leadership::Follower => true,
            _ if is_writing => false,
            _ if self.facts.store.grasp == Grasp::Everything && !self.facts.may_be_held_no_more(now) => {
                !self.facts.store.payload.must_be_put_back() && self.write(now).is_none()
            }
            _ => nothing_waits,
        }
    }

    fn epoch(&self) -> u64 {
        let shown = self.facts.store.published.as_ref().map(|named| named.epoch);
        self.leadership.epoch().or(shown).unwrap_or(1)
    }
}

impl Leadership {
    fn may_write(&self, now: Moment) -> bool {
        match self {
            Self::Follower => false,
            Self::Leader { until, .. } => now < *until,
            Self::Alone => true,
        }
    }

    fn epoch(&self) -> Option<u64> {
        match self {
            Self::Leader { epoch, .. } => Some(*epoch),
            Self::Follower | Self::Alone => None,
        }
    }
}
