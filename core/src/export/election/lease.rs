//! Election by a lease: `election/leader.json` is taken and renewed by compare-and-swap.
//!
//! A lease is dead when its tag hasn't changed for [`DEATH`] on the *watcher's* monotonic clock; no two clocks are ever
//! compared. Its owner stops writing [`SAFE`] after the beginning of its last successful renewal, on its own clock. The
//! watcher's 30 s begin later than the owner's 25 s, so the owner stops before another exporter begins. An owner never
//! concludes from time alone that it has lost the lease: the next renewal, a compare-and-swap, tells.

use super::link::OwnLink;
use super::record::{FORMAT, LeaseRecord, LinkHealth, Registered, Registration, Tenure};
use super::times::{COURTESY, DEATH, REGISTER, RENEWAL, RENEWAL_WITHOUT_LINK, SAFE, SOON, WATCH, WATCH_AT_LEAST};
use super::{Action, Candidate, Event, Found, Notice, Over};
use crate::backoff::{shortened, spread};
use crate::export::publisher::Leadership;
use crate::time::Moment;

/// The machine.
#[derive(Debug)]
pub struct Lease<T> {
    me: Candidate,
    state: State<T>,
    flight: Option<Flight>,
    link: OwnLink,
    /// The highest epoch that was seen anywhere.
    highest: u64,
    /// When the next thing is to be done.
    next: Moment,
    /// Until then a free lease is left to others.
    courtesy: Moment,
    /// The highest epoch when this exporter last left a free lease to others; it does so once for each epoch.
    yielded: Option<u64>,
    /// The epoch of the leader in whose place this exporter has offered to lead.
    offered: Option<u64>,
    register_at: Moment,
    phase: Phase,
    /// The leadership that was last reported to the operator.
    said: Option<String>,
    now: Moment,
}

#[derive(Debug)]
enum State<T> {
    /// Another exporter leads, or none.
    Watching { seen: Option<Seen<T>> },
    /// This one leads, as far as it knows. Without a tag, it is unknown whether its last write has succeeded.
    Leading { record: LeaseRecord, tag: Option<T>, recheck: Recheck },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Stopping,
}

/// A version of the lease, or its absence, and since when that is known to be unchanged.
#[derive(Debug)]
struct Seen<T> {
    tag: Option<T>,
    since: Moment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recheck {
    NotNeeded,
    /// Nothing may be written until a renewal with this epoch has succeeded. The renewal must begin after this was
    /// noted.
    Needed {
        epoch: u64,
    },
}

#[derive(Debug)]
enum Flight {
    Registering,
    Reading,
    Taking { record: LeaseRecord, sent: Moment },
    Renewing { record: LeaseRecord, sent: Moment, recheck: Recheck },
    ReadingOffers,
    Releasing,
}

impl<T: Clone + PartialEq> Lease<T> {
    /// A machine that begins at its first tick.
    pub fn new(me: Candidate, now: Moment) -> Self {
        Self {
            me,
            state: State::Watching { seen: None },
            flight: None,
            // Its link does not count as dead yet: it has some time to connect.
            link: OwnLink::Down { since: now },
            highest: 0,
            next: now,
            courtesy: now,
            yielded: None,
            offered: None,
            register_at: now,
            phase: Phase::Running,
            said: None,
            now,
        }
    }

    /// Takes one event. `chance` in `0.0..1.0` spreads what many would do at once.
    pub fn handle(&mut self, event: Event<T>, now: Moment, chance: f64) -> Vec<Action<T>> {
        self.now = now;
        let mut actions = Vec::new();

        match event {
            Event::Tick => {}
            Event::LinkUp => self.link = OwnLink::Up,
            Event::LinkDown => self.link = self.link.down(now),
            Event::ManifestEpoch(epoch) => self.highest = self.highest.max(epoch),
            Event::Recheck { shown } => self.recheck(shown, &mut actions),
            Event::LeaseFound(found) => {
                self.flight = None;
                self.found(found, chance, &mut actions);
            }
            Event::LeaseWritten(tag) => self.written(tag, chance, &mut actions),
            Event::LeaseConflict => self.conflict(&mut actions),
            Event::Registered => self.flight = None,
            Event::Registrations(others) => {
                self.flight = None;
                self.consider(&others, &mut actions);
            }
            Event::Failed => self.failed(),
            Event::Stop => self.phase = Phase::Stopping,
        }

        if self.flight.is_none() {
            self.next(&mut actions);
        }
        actions
    }

    /// When the next tick is due; none while something is under way.
    pub fn wake_at(&self) -> Option<Moment> {
        let dies_at = match self.state {
            State::Leading { .. } => self.link.dies_at(self.now),
            State::Watching { .. } => None,
        };
        let due = [Some(self.next), dies_at].into_iter().flatten().min();
        if self.flight.is_some() { None } else { due }
    }

    fn next(&mut self, actions: &mut Vec<Action<T>>) {
        let is_due = self.next <= self.now;

        match &self.state {
            State::Watching { .. } if self.phase == Phase::Stopping => actions.push(Action::Finish),
            State::Watching { .. } | State::Leading { tag: None, .. } if is_due => self.read(actions),
            State::Leading { record, tag: Some(tag), .. } if self.phase == Phase::Stopping => {
                let (record, tag) = (record.clone(), tag.clone());
                self.release(record, tag, actions);
            }
            State::Leading { record, tag: Some(tag), recheck }
                if is_due || *recheck != Recheck::NotNeeded || record.link != self.link.health(self.now) =>
            {
                let (record, tag, recheck) = (record.clone(), tag.clone(), *recheck);
                self.renew(record, tag, recheck, actions);
            }
            _ if self.register_at <= self.now => self.register(actions),
            _ => {}
        }
    }

    fn read(&mut self, actions: &mut Vec<Action<T>>) {
        self.flight = Some(Flight::Reading);
        actions.push(Action::ReadLease);
    }

    fn renew(&mut self, last: LeaseRecord, tag: T, recheck: Recheck, actions: &mut Vec<Action<T>>) {
        let epoch = match recheck {
            Recheck::NotNeeded => last.epoch,
            Recheck::Needed { epoch } => epoch,
        };
        let link = self.link.health(self.now);
        let record = LeaseRecord { epoch, renewal: last.renewal + 1, link, ..last };
        self.flight = Some(Flight::Renewing { record: record.clone(), sent: self.now, recheck });
        actions.push(Action::WriteLease { record, over: Over::Exactly(tag) });
    }

    fn found(&mut self, found: Option<Found<T>>, chance: f64, actions: &mut Vec<Action<T>>) {
        if let Some(record) = found.as_ref().and_then(|found| found.record.as_ref()) {
            self.highest = self.highest.max(record.epoch);
        }

        let mine = found.as_ref().and_then(|found| {
            let record = found.record.as_ref()?;
            let is_mine = record.owner == self.me.node_id && record.tenure == Tenure::Held;
            is_mine.then(|| (record.clone(), found.tag.clone()))
        });

        match (&mut self.state, mine) {
            // It is this exporter's own: a write whose answer was lost. Renewing it will tell whether it still is.
            (State::Leading { record, tag, .. }, Some((mine, found))) => {
                (*record, *tag) = (mine, Some(found));
                self.next = self.now;
            }
            (State::Watching { .. }, Some((record, tag))) => {
                self.state = State::Leading { record, tag: Some(tag), recheck: Recheck::NotNeeded };
                self.next = self.now;
            }
            (State::Leading { .. }, None) => {
                // `seen` is set, because it has seen a lease before: its own.
                self.state = State::Watching { seen: Some(Seen { tag: None, since: self.now }) };
                self.said = None;
                actions.extend([Action::Lead(Leadership::Follower), Action::Notify(Notice::Deposed)]);
                self.watch(found, chance, actions);
            }
            (State::Watching { .. }, None) => self.watch(found, chance, actions),
        }
    }

    // The lease is another's, or nobody's.
    fn watch(&mut self, found: Option<Found<T>>, chance: f64, actions: &mut Vec<Action<T>>) {
        self.next = self.now + spread(WATCH_AT_LEAST, WATCH, chance);
        let State::Watching { seen } = &mut self.state else { return };
        let (record, tag) = found.map_or((None, None), |Found { record, tag }| (record, Some(tag)));
        let over = tag.clone().map_or(Over::Nothing, Over::Exactly);
        // At the first look, finding no lease means that nobody leads. But if an exporter has seen a lease and then
        // finds none, somebody has deleted it, and its owner may still be writing.
        let is_free = record.as_ref().is_some_and(|record| record.tenure == Tenure::Released);

        if is_free || (tag.is_none() && seen.is_none()) {
            self.take(over, actions);
            return;
        }
        let since = match seen {
            Some(seen) if seen.tag == tag => seen.since,
            _ => self.now,
        };
        *seen = Some(Seen { tag, since });
        let leader = record.as_ref().map_or_else(|| "unknown".to_owned(), |record| record.owner.clone());
        let hostname = record.as_ref().map_or_else(|| leader.clone(), |record| record.hostname.clone());

        if self.now - since >= DEATH {
            self.say(leader + " is dead", Notice::LeaderIsDead { leader: hostname }, actions);
            self.take(over, actions);
            return;
        }
        self.say(leader, Notice::Follows { leader: hostname }, actions);
        self.next = self.next.min(since + DEATH);
        if let Some(record) = record
            && record.link == LinkHealth::Dead
        {
            self.offer(record.epoch, actions);
        }
    }

    fn say(&mut self, what: String, notice: Notice, actions: &mut Vec<Action<T>>) {
        if self.said.as_ref() != Some(&what) {
            self.said = Some(what);
            actions.push(Action::Notify(notice));
        }
    }

    // The leader reaches no control plane: says that this exporter does. The leader decides whether to step down.
    fn offer(&mut self, epoch: u64, actions: &mut Vec<Action<T>>) {
        if !matches!(self.link, OwnLink::Up) {
            return;
        }
        self.next = self.next.min(self.now + SOON);
        if self.offered != Some(epoch) {
            self.offered = Some(epoch);
            self.register(actions);
        }
    }

    fn take(&mut self, over: Over<T>, actions: &mut Vec<Action<T>>) {
        // Exporters that reach a control plane, and that have not just stepped down, go first.
        if self.link.health(self.now) == LinkHealth::Dead && self.yielded != Some(self.highest) {
            self.yielded = Some(self.highest);
            self.courtesy = self.now + COURTESY;
        }
        if self.now < self.courtesy || self.phase == Phase::Stopping {
            return;
        }
        let record = LeaseRecord {
            format: FORMAT,
            owner: self.me.node_id.clone(),
            hostname: self.me.hostname.clone(),
            epoch: self.highest.saturating_add(1),
            renewal: 0,
            link: self.link.health(self.now),
            tenure: Tenure::Held,
        };

        self.flight = Some(Flight::Taking { record: record.clone(), sent: self.now });
        actions.push(Action::WriteLease { record, over });
    }

    fn written(&mut self, tag: T, chance: f64, actions: &mut Vec<Action<T>>) {
        match self.flight.take() {
            Some(Flight::Taking { record, sent }) => {
                self.lead(Recheck::NotNeeded, sent, &record, chance, actions);
                self.state = State::Leading { record, tag: Some(tag), recheck: Recheck::NotNeeded };
            }
            Some(Flight::Renewing { record, sent, recheck: answered }) => {
                let recheck = match self.state {
                    // The recheck was requested while this renewal was under way.
                    State::Leading { recheck, .. } if recheck != answered => recheck,
                    _ => Recheck::NotNeeded,
                };

                self.lead(recheck, sent, &record, chance, actions);
                self.state = State::Leading { record, tag: Some(tag), recheck };
            }
            Some(Flight::Releasing) => {
                self.state = State::Watching { seen: Some(Seen { tag: Some(tag), since: self.now }) };
                self.courtesy = self.now + COURTESY;
                self.next = self.now + WATCH;
            }
            _ => {}
        }
    }

    fn lead(
        &mut self,
        recheck: Recheck,
        sent: Moment,
        record: &LeaseRecord,
        chance: f64,
        actions: &mut Vec<Action<T>>,
    ) {
        let epoch = record.epoch;
        self.highest = self.highest.max(epoch);
        self.say(format!("{} leads in epoch {epoch}", record.owner), Notice::Leads { epoch }, actions);
        let until = if recheck == Recheck::NotNeeded { sent + SAFE } else { Moment::default() };
        actions.push(Action::Lead(Leadership::Leader { epoch, until }));

        let pause = if record.link == LinkHealth::Dead { RENEWAL_WITHOUT_LINK } else { RENEWAL };
        self.next = sent + shortened(pause, chance);
        if record.link == LinkHealth::Dead && self.phase == Phase::Running {
            self.flight = Some(Flight::ReadingOffers);
            actions.push(Action::ReadRegistrations);
        }
    }

    // Another exporter has written the lease, or it was this one's own write whose answer was lost. The next read shows
    // which; until then nothing is written.
    fn conflict(&mut self, actions: &mut Vec<Action<T>>) {
        self.read(actions);
        if let State::Leading { record, tag, .. } = &mut self.state {
            *tag = None;
            actions.push(Action::Lead(Leadership::Leader { epoch: record.epoch, until: Moment::default() }));
        }
    }

    fn failed(&mut self) {
        self.next = self.now + SOON;
        match (&mut self.state, self.flight.take()) {
            (State::Leading { tag, .. }, Some(Flight::Renewing { .. } | Flight::Releasing)) => *tag = None,
            (_, Some(Flight::Registering)) => self.register_at = self.now + DEATH,
            _ => {}
        }
    }

    fn recheck(&mut self, shown: u64, actions: &mut Vec<Action<T>>) {
        self.highest = self.highest.max(shown);
        let State::Leading { record, recheck, .. } = &mut self.state else {
            actions.push(Action::Lead(Leadership::Follower));
            return;
        };
        let epoch = if shown < record.epoch { record.epoch } else { shown.saturating_add(1) };
        *recheck = Recheck::Needed { epoch };
        actions.push(Action::Lead(Leadership::Leader { epoch: record.epoch, until: Moment::default() }));
    }

    // Steps down if another exporter reaches a control plane and this leader doesn't.
    fn consider(&mut self, others: &[Registered], actions: &mut Vec<Action<T>>) {
        let State::Leading { record, tag: Some(tag), .. } = &self.state else { return };
        let offers = |other: &&Registered| {
            let Registration { node_id, instead_of, left, .. } = &other.registration;
            *instead_of == Some(record.epoch) && *node_id != self.me.node_id && !left
        };
        if let Some(other) = others.iter().find(offers)
            && self.link.health(self.now) == LinkHealth::Dead
        {
            let (record, tag) = (record.clone(), tag.clone());
            self.said = None;
            actions.push(Action::Notify(Notice::StepsDown { to: other.registration.hostname.clone() }));
            self.release(record, tag, actions);
        }
    }

    // In this order: first this exporter stops writing, then another may lead.
    fn release(&mut self, last: LeaseRecord, tag: T, actions: &mut Vec<Action<T>>) {
        self.flight = Some(Flight::Releasing);
        let record = LeaseRecord { renewal: last.renewal + 1, tenure: Tenure::Released, ..last };
        actions.push(Action::Lead(Leadership::Follower));
        actions.push(Action::WriteLease { record, over: Over::Exactly(tag) });
    }

    fn register(&mut self, actions: &mut Vec<Action<T>>) {
        self.flight = Some(Flight::Registering);
        self.register_at = self.now + REGISTER;
        let mine = self.me.registration(self.link.health(self.now));
        actions.push(Action::Register(Registration { instead_of: self.offered, ..mine }));
    }
}

#[cfg(test)]
mod tests;
