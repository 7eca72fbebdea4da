//! A publisher over a store that does at once what it is asked for, and replaces only what it has shown.

use bytes::Bytes;

use super::super::*;
use crate::digest::ConfigHash;
use crate::export::adoption::{NodeLink, NodeNews};
use crate::export::guard::ShrinkGuard;
use crate::export::{Keys, Received};
use crate::kong::Configuration;
use crate::time::WallTime;

pub(super) const DELAY: Duration = Duration::from_secs(60);
pub(super) const NODE: NodeLink = NodeLink(1);

pub(super) fn hash(digit: u8) -> ConfigHash {
    ConfigHash::from_bytes([digit; 16])
}

pub(super) fn configuration(digit: u8, routes: usize) -> Received {
    let json = serde_json::json!({ "_format_version": "3.0", "services": vec![1; routes], "routes": vec![1; routes] })
        .to_string();
    let at = WallTime::from_system(std::time::SystemTime::UNIX_EPOCH);
    let configuration = Configuration::from_json(Bytes::from(json)).unwrap();
    Received { configuration, config_hash: hash(digit), hashes: None, at, source: None }
}

/// A publisher and the store that it writes to, which does at once what it is asked for.
pub(super) struct Table {
    pub(super) publisher: Publisher,
    pub(super) now: Moment,
    pub(super) epoch: u64,
    pub(super) named: Option<Named>,
    /// What it was shown, or has written itself, last: the only thing that it can replace.
    shown: Option<Named>,
    /// What lies where the manifest says that its payload is.
    pub(super) payload: PayloadState,
    /// Where else what the manifest names can be had.
    pub(super) spare: Spare,
    pub(super) history: History,
    pub(super) writes: u64,
    pub(super) notices: Vec<Notice>,
}

/// Where what a manifest names can be had, if its payload is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spare {
    Nowhere,
    /// In memory, or in another store.
    SameBytes,
    /// In a `config.json`, which makes another payload.
    ConfigJson,
}

impl Table {
    pub(super) fn follower() -> Self {
        let now = Moment::after_start(Duration::from_secs(1000));
        let rules = Rules { export_delay: DELAY, guard: ShrinkGuard::new(50), doubt: Doubt::AskAgain };
        let publisher = Publisher::new(rules, now);
        let (named, shown, history, notices) = (None, None, History::default(), Vec::new());
        let (payload, spare) = (PayloadState::Whole, Spare::Nowhere);
        Self { publisher, now, epoch: 1, named, shown, payload, spare, history, writes: 0, notices }
    }

    pub(super) fn leader() -> Self {
        let mut table = Self::follower();
        table.on(Event::LinkUp);
        table.lead(1);
        table
    }

    /// A leader that has published configuration 1, of ten routes; the export delay is over.
    pub(super) fn with_one_published() -> Self {
        let mut table = Self::leader();
        table.on(Event::Received(configuration(1, 10)));
        assert_eq!(table.published(), Some(1));
        table.after(DELAY);
        table
    }

    pub(super) fn lead(&mut self, epoch: u64) -> Vec<Action> {
        self.epoch = epoch;
        let until = self.now + Duration::from_secs(1_000_000);
        self.on(Event::Leadership(Leadership::Leader { epoch, until }))
    }

    pub(super) fn receive(&mut self, digit: u8) -> Vec<Action> {
        self.on(Event::Received(configuration(digit, 10)))
    }

    pub(super) fn node(&mut self, news: NodeNews) -> Vec<Action> {
        self.on(Event::Node(NODE, news))
    }

    pub(super) fn after(&mut self, wait: Duration) -> Vec<Action> {
        let until = self.now + wait;
        let mut actions = Vec::new();
        while let Some(wake_at) = self.publisher.wake_at().filter(|wake_at| *wake_at <= until) {
            self.now = wake_at;
            actions.extend(self.on(Event::Tick));
        }
        self.now = until;
        actions.extend(self.on(Event::Tick));
        actions
    }

    pub(super) fn reconnect(&mut self) {
        self.on(Event::LinkDown);
        self.on(Event::LinkUp);
    }

    /// Gives it an event and does what it asks the store for.
    pub(super) fn on(&mut self, event: Event) -> Vec<Action> {
        let mut actions = self.only(event);
        let mut done = 0;
        while done < actions.len() {
            let answer = self.answer(&actions[done]);
            if let Some(answer) = answer {
                actions.extend(self.only(answer));
            }
            done += 1;
        }
        actions
    }

    /// Gives it an event and does nothing.
    pub(super) fn only(&mut self, event: Event) -> Vec<Action> {
        let actions = self.publisher.handle(event, self.now, 0.5);
        let notices = actions.iter().filter_map(|action| match action {
            Action::Notify(notice) => Some(notice.clone()),
            _ => None,
        });
        self.notices.extend(notices);
        actions
    }

    pub(super) fn answer(&mut self, action: &Action) -> Option<Event> {
        let is_write = matches!(action, Action::Publish { .. } | Action::Rewrite(_));
        if is_write && self.shown != self.named {
            return Some(Event::Conflict);
        }
        let answer = self.done(action);
        if is_write || matches!(action, Action::Glance | Action::Look) {
            self.shown = self.named.clone();
        }
        answer
    }

    fn done(&mut self, action: &Action) -> Option<Event> {
        match action {
            Action::Glance => Some(Event::Glanced { published: self.named.clone(), payload: self.payload }),
            Action::ReadBack => Some(Event::ReadBack(self.payload)),
            Action::PutBack { epoch } => Some(self.put_back(*epoch)),
            Action::Look => Some(Event::Looked {
                published: self.named.clone(),
                payload: self.payload,
                history: self.history.clone(),
                last_seen_age: Duration::ZERO,
            }),
            Action::Publish { configuration, state, pin, epoch } => {
                self.name(configuration, *state, *epoch);
                let named = self.named.as_mut().unwrap();
                named.pin = *pin;
                Some(Event::Written(named.clone()))
            }
            Action::Rewrite(rewrite) => {
                self.writes += 1;
                let named = self.named.as_mut().unwrap();
                (named.epoch, named.state, named.pin) = (rewrite.epoch, rewrite.state, rewrite.pin);
                Some(Event::Written(named.clone()))
            }
            Action::Hold { configuration, why, .. } => {
                Some(Event::HeldWritten(self.add(configuration, why.history_state())))
            }
            Action::Recheck { .. } => {
                let until = self.now + Duration::from_secs(1_000_000);
                Some(Event::Leadership(Leadership::Leader { epoch: self.epoch, until }))
            }
            Action::Reconnect | Action::Notify(_) | Action::Finish => None,
        }
    }

    pub(super) fn name(&mut self, received: &Received, state: State, epoch: u64) -> Named {
        let id = self.add(received, HistoryState::Published);
        let counts = received.configuration.counts().clone();
        let named = Named {
            sequence: id.sequence,
            epoch,
            config_hash: id.config_hash,
            state,
            pin: None,
            counts,
            keys: Keys::Current,
        };
        self.named = Some(named.clone());
        self.payload = PayloadState::Whole;
        named
    }

    fn put_back(&mut self, epoch: u64) -> Event {
        match self.spare {
            Spare::Nowhere => Event::NotPutBack,
            Spare::SameBytes => {
                self.payload = PayloadState::Whole;
                Event::PutBack
            }
            Spare::ConfigJson => {
                let named = self.named.as_mut().unwrap();
                (named.sequence, named.epoch) = (named.sequence + 1, epoch);
                self.payload = PayloadState::Whole;
                Event::Written(named.clone())
            }
        }
    }

    pub(super) fn add(&mut self, received: &Received, state: HistoryState) -> SnapshotId {
        self.writes += 1;
        let id = SnapshotId { sequence: self.writes, config_hash: received.config_hash };
        self.history.add(Past { id, state });
        id
    }

    /// What an operator does from the command line, under the leader's epoch.
    pub(super) fn roll_back(&mut self, digit: u8, pin: Pin) {
        let epoch = self.named.as_ref().unwrap().epoch;
        self.name(&configuration(digit, 10), State::Pinned, epoch);
        self.named.as_mut().unwrap().pin = Some(pin);
    }

    pub(super) fn published(&self) -> Option<u8> {
        let named = self.named.as_ref()?;
        (0..=255).find(|digit| named.config_hash == hash(*digit))
    }

    pub(super) fn state(&self) -> State {
        self.named.as_ref().unwrap().state
    }
}
