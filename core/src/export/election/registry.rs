//! Election by registrations, for stores whose conditional writes don't hold. Of the live registrations, those whose
//! exporter reaches its control plane come first; among them the oldest leads. Ages are measured by the store's own
//! clock: each candidate writes its registration, and then compares its time with the times of the others. Two may lead
//! for a short time, for instance while a listing lags; both publish what the same control plane sent, so they come to
//! agree.

use super::link::OwnLink;
use super::record::{LinkHealth, Registered, Registration};
use super::times::{DEATH, RENEWAL, SAFE, SOON};
use super::{Action, Candidate, Event, Notice};
use crate::backoff::shortened;
use crate::export::publisher::Leadership;
use crate::time::{Moment, WallTime};

/// The machine. In each round it writes its registration and then reads all.
#[derive(Debug)]
pub struct Registry {
    me: Candidate,
    link: OwnLink,
    /// Since when it is registered without a gap, by the store's clock.
    since: Option<WallTime>,
    /// When the last successful round began.
    registered: Option<Moment>,
    highest: u64,
    leads: Option<u64>,
    flight: Option<Flight>,
    next: Moment,
    phase: Phase,
    said: Option<String>,
    now: Moment,
}

#[derive(Clone, Copy, Debug)]
enum Flight {
    Registering { sent: Moment },
    Reading { sent: Moment },
    Leaving,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Stopping,
    Left,
}

impl Registry {
    /// A machine that begins at its first tick.
    pub fn new(me: Candidate, now: Moment) -> Self {
        Self {
            me,
            link: OwnLink::Down { since: now },
            since: None,
            registered: None,
            highest: 0,
            leads: None,
            flight: None,
            next: now,
            phase: Phase::Running,
            said: None,
            now,
        }
    }

    /// Takes one event. `chance` in `0.0..1.0` spreads the rounds.
    pub fn handle<T>(&mut self, event: Event<T>, now: Moment, chance: f64) -> Vec<Action<T>> {
        self.now = now;
        let mut actions = Vec::new();

        match event {
            Event::LinkUp => self.link = OwnLink::Up,
            Event::LinkDown => self.link = self.link.down(now),
            Event::ManifestEpoch(epoch) => self.highest = self.highest.max(epoch),
            Event::Recheck { shown } => self.recheck(shown, &mut actions),
            Event::Registered => self.registered(&mut actions),
            Event::Registrations(all) => self.compare(&all, chance, &mut actions),
            Event::Failed => {
                self.flight = None;
                self.next = now + SOON;
            }
            Event::Stop => self.phase = Phase::Stopping,
            Event::Tick | Event::LeaseFound(_) | Event::LeaseWritten(_) | Event::LeaseConflict => {}
        }
        if self.flight.is_none() {
            self.begin(&mut actions);
        }
        actions
    }

    /// When the next tick is due; none while something is under way.
    pub fn wake_at(&self) -> Option<Moment> {
        if self.flight.is_some() { None } else { Some(self.next) }
    }

    fn begin<T>(&mut self, actions: &mut Vec<Action<T>>) {
        match self.phase {
            Phase::Running if self.next <= self.now => {
                // To the others, an exporter that was silent for so long is dead; it comes back as a new one.
                if self.registered.is_none_or(|registered| self.now - registered >= DEATH) {
                    self.since = None;
                }

                self.flight = Some(Flight::Registering { sent: self.now });
                actions.push(Action::Register(self.registration()));
            }
            Phase::Running => {}
            Phase::Stopping => {
                // In this order: first this exporter stops writing, then another may lead.
                self.follow(actions);
                self.phase = Phase::Left;
                self.flight = Some(Flight::Leaving);
                actions.push(Action::Register(Registration { left: true, ..self.registration() }));
            }
            Phase::Left => actions.push(Action::Finish),
        }
    }

    fn registered<T>(&mut self, actions: &mut Vec<Action<T>>) {
        self.flight = match self.flight {
            Some(Flight::Registering { sent }) => {
                actions.push(Action::ReadRegistrations);
                Some(Flight::Reading { sent })
            }
            _ => None,
        };
    }

    fn compare<T>(&mut self, all: &[Registered], chance: f64, actions: &mut Vec<Action<T>>) {
        let Some(Flight::Reading { sent }) = self.flight.take() else { return };
        let Some(mine) = all.iter().find(|other| other.registration.node_id == self.me.node_id) else {
            // If a listing lags, it doesn't show the others' present state either.
            self.next = self.now + SOON;
            return;
        };

        self.next = sent + shortened(RENEWAL, chance);
        self.registered = Some(sent);
        self.since.get_or_insert(mine.written);
        let is_live = |other: &&Registered| {
            other.registration.node_id != self.me.node_id
                && !other.registration.left
                && mine.written.since(other.written) < DEATH
        };
        let first = all.iter().filter(is_live).min_by_key(|other| rank(&other.registration, other.written));
        match first {
            Some(other) if rank(&other.registration, other.written) < rank(&self.registration(), mine.written) => {
                let (leader, id) = (other.registration.hostname.clone(), other.registration.node_id.clone());
                self.follow(actions);
                self.say(id, Notice::Follows { leader }, actions);
            }
            _ => self.lead(sent, actions),
        }
    }

    fn lead<T>(&mut self, sent: Moment, actions: &mut Vec<Action<T>>) {
        let epoch = *self.leads.get_or_insert(self.highest.saturating_add(1));
        self.highest = self.highest.max(epoch);
        self.say(format!("leads in epoch {epoch}"), Notice::Leads { epoch }, actions);
        actions.push(Action::Lead(Leadership::Leader { epoch, until: sent + SAFE }));
    }

    fn follow<T>(&mut self, actions: &mut Vec<Action<T>>) {
        if self.leads.take().is_some() && self.phase == Phase::Running {
            actions.push(Action::Notify(Notice::Deposed));
        }
        actions.push(Action::Lead(Leadership::Follower));
    }

    fn recheck<T>(&mut self, shown: u64, actions: &mut Vec<Action<T>>) {
        self.highest = self.highest.max(shown);
        if self.leads.is_some_and(|epoch| epoch <= shown) {
            self.leads = None;
        }
        // It follows until a round has shown which exporter is the oldest now.
        actions.push(Action::Lead(Leadership::Follower));
        self.next = self.now;
    }

    fn registration(&self) -> Registration {
        Registration { since: self.since, ..self.me.registration(self.link.health(self.now)) }
    }

    fn say<T>(&mut self, what: String, notice: Notice, actions: &mut Vec<Action<T>>) {
        if self.said.as_ref() != Some(&what) {
            self.said = Some(what);
            actions.push(Action::Notify(notice));
        }
    }
}

/// The order of candidates: first those that reach a control plane, and of these the oldest. A candidate that doesn't
/// know yet since when it is registered has written its registration only once.
fn rank(registration: &Registration, written: WallTime) -> (u8, WallTime, String) {
    let reach = match registration.link {
        LinkHealth::Alive => 0,
        LinkHealth::Dead => 1,
    };
    (reach, registration.since.unwrap_or(written), registration.node_id.clone())
}

#[cfg(test)]
mod tests;
