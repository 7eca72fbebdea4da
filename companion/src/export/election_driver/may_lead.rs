//! Whether an elected exporter may lead. The store of the backups has the last word, because the election may be held
//! in another store than this exporter's.

use lifeboat_core::export::election::{DEATH, Event, PROBE_RETRY};
use lifeboat_core::export::publisher::Leadership;
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_storage::{Open, StorageError};
use tracing::{error, info, warn};

use super::{ElectionDriver, ElectionOutput, Stage};
use crate::export::clearance::Found;

impl ElectionDriver {
    pub(super) fn is_elsewhere(&self) -> bool {
        self.home.place() != self.archive.place()
    }

    // The leadership that this exporter really has: until the store of the backups has cleared it, it follows. A
    // leadership that follows another without a gap needs no new clearance: nobody else can have begun to lead
    // meanwhile.
    pub(super) fn cleared(&mut self, leadership: Leadership) -> Leadership {
        let is_cleared = match self.cleared {
            Open::Never => false,
            Open::Until(moment) => self.clock.now() < moment,
            Open::Always => true,
        };
        match leadership {
            Leadership::Follower => {
                (self.cleared, self.held) = (Open::Never, None);
                self.clearance.end();
                leadership
            }
            _ if self.barred.is_some() => Leadership::Follower,
            _ if is_cleared => {
                self.cleared = Open::from(&leadership);
                leadership
            }
            _ => {
                (self.cleared, self.held) = (Open::Never, Some(leadership));
                self.clearance.ask();
                Leadership::Follower
            }
        }
    }

    pub(super) fn found(&mut self, found: Found) -> Vec<ElectionOutput> {
        match found {
            Found::MayLead => self.may_lead(),
            Found::Elsewhere(place) => self.bar(place),
            Found::OthersBesideTheBackups => {
                warn!(
                    "this exporter does not lead yet: in {} others elect a leader beside the backups, and this one elects in {}. It \
                     leads once they have been silent for {} s: set LIFEBOAT_ELECTION_STORAGE for all exporters, or for none",
                    self.archive.place(),
                    self.home.place(),
                    DEATH.as_secs()
                );
                Vec::new()
            }
            // The store forbids the question, and this exporter has been the only one all along.
            Found::Failed(StorageError::Denied { .. })
                if self.held == Some(Leadership::Alone) && !self.is_elsewhere() =>
            {
                self.clearance.end();
                self.may_lead()
            }
            Found::Failed(error) => {
                self.failed(&error);
                Vec::new()
            }
        }
    }

    fn may_lead(&mut self) -> Vec<ElectionOutput> {
        let (was_barred, held) = (self.barred.take().is_some(), self.held.take());
        self.goes_on();

        if was_barred {
            info!(
                "the election for {} is no longer held in another store: this exporter takes part again",
                self.archive.place()
            );
            self.stage = Stage::Probing { backoff: PROBE_RETRY, next: self.clock.now() };
            return Vec::new();
        }
        // Somebody may delete its mark while it leads.
        if self.is_elsewhere() {
            self.clearance.ask_for_the_mark_later();
        }

        let now = self.clock.now();
        let is_over = |leadership: &Leadership| matches!(leadership, Leadership::Leader { until, .. } if *until <= now);
        let Some(leadership) = held.filter(|leadership| !is_over(leadership)) else { return Vec::new() };
        self.cleared = Open::from(&leadership);
        self.fence.set(Open::from(&leadership));
        self.recorder.leadership(&leadership);
        if let Some(notice) = self.unsaid.take() {
            self.say(&notice);
        }
        vec![ElectionOutput::Lead(leadership)]
    }

    // Leaves its own election, so that nobody waits for it there, and looks at the mark again now and then.
    fn bar(&mut self, place: String) -> Vec<ElectionOutput> {
        (self.cleared, self.held, self.unsaid) = (Open::Never, None, None);
        self.fence.set(Open::Never);
        self.recorder.leadership(&Leadership::Follower);
        let has_left = self.barred.replace(place).is_some();
        self.say_why_it_is_barred();

        if has_left {
            self.wait_for_the_mark_to_go();
            return Vec::new();
        }
        let mut outputs = vec![ElectionOutput::Lead(Leadership::Follower)];
        outputs.extend(self.handle(Event::Stop));
        outputs
    }

    /// Takes part in no election until the mark is gone.
    pub(super) fn wait_for_the_mark_to_go(&mut self) {
        self.stage = Stage::Barred;
        self.clearance.ask_for_the_mark_later();
    }

    fn say_why_it_is_barred(&self) {
        let Some(place) = &self.barred else { return };
        let (own, key) = (self.home.place(), ObjectKeys::new(self.author.version).election_mark());
        let reason = format!(
            "the election is held in {place}, as {key} says, and this exporter elects in {own}: it does not lead. Set \
             LIFEBOAT_ELECTION_STORAGE to the same for all exporters; or, if no exporter elects in {place} any more, delete {key}"
        );
        let error = StorageError::Misconfigured { place: self.archive.place().to_owned(), reason };
        self.recorder.election_failed(&error);
        if let Some(lasted) = self.outage.failed(error.class(), self.clock.now()) {
            error!("this exporter exports nothing{lasted}: {error}");
        }
    }
}
