//! Logs an outage of the store that an exporter publishes to: while it lasts, and when it is over.

use std::time::Duration;

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::export::publisher::Action;
use lifeboat_core::outage::OutageLog;
use lifeboat_runtime::clock::Clock;
use lifeboat_storage::StorageError;
use tracing::{debug, error, info};

/// What the exporter does there, and whether it fails.
#[derive(Debug)]
pub(super) struct StoreOutage {
    log: OutageLog,
    clock: Clock,
    /// What is under way; nothing, if its end tells nothing.
    under_way: Option<Access>,
    /// What failed last.
    failed: Access,
    attempt: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Reading,
    Writing,
}

impl StoreOutage {
    pub(super) fn new(log: OutageLog, clock: Clock) -> Self {
        Self { log, clock, under_way: None, failed: Access::Reading, attempt: 0 }
    }

    /// This is begun.
    pub(super) fn attempts(&mut self, action: &Action) {
        let reads = matches!(action, Action::Glance | Action::Look | Action::ReadBack);
        self.under_way = Some(if reads { Access::Reading } else { Access::Writing });
    }

    /// What was under way has succeeded. If writing had failed, a successful read is not the end of the outage: a store
    /// that can be read but not written is read before each write.
    pub(super) fn succeeded(&mut self, place: &str) {
        let Some(done) = self.under_way.take() else { return };
        if done == Access::Reading && self.failed == Access::Writing {
            return;
        }
        (self.attempt, self.failed) = (0, Access::Reading);
        if let Some(lasted) = self.log.works(self.clock.now()) {
            info!(store = place, "{place} can be used again, after {lasted}");
        }
    }

    /// What was under way has failed, and is tried again. `waiting` is what is to be published.
    pub(super) fn failed(
        &mut self,
        place: &str,
        waiting: Option<ConfigHash>,
        error: &StorageError,
        retry_in: Duration,
    ) {
        if self.under_way.take() == Some(Access::Writing) {
            self.failed = Access::Writing;
        }
        self.attempt += 1;
        let (attempt, seconds) = (self.attempt, retry_in.as_secs_f64());

        // If a configuration begins to wait, that is logged, although the store fails as before.
        let cause = waiting.map_or_else(|| error.class().to_owned(), |hash| format!("{} {hash}", error.class()));
        let Some(lasted) = self.log.failed(&cause, self.clock.now()) else {
            debug!(attempt, store = place, "{error}. Trying again in {seconds:.0} s");
            return;
        };

        match waiting {
            Some(hash) => error!(
                %hash,
                attempt,
                store = place,
                "configuration {hash} is not published yet{lasted}: {error}. Trying again in {seconds:.0} s"
            ),
            None => error!(
                attempt,
                store = place,
                "could not read what is in {place} yet{lasted}: {error}. Trying again in {seconds:.0} s"
            ),
        }
    }
}
