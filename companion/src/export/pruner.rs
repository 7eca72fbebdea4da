//! When the history is pruned: after the manifest was written, at most hourly, beside everything else. What may go is
//! decided in `core` (`export::retention`), and `archive::retention` deletes it.

use std::future::pending;

use futures::FutureExt;
use futures::future::BoxFuture;
use lifeboat_core::digest::ConfigHash;
use lifeboat_core::export::retention::record::Observed;
use lifeboat_core::export::retention::{BETWEEN_TURNS, PRUNE_INTERVAL};
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::time::Moment;
use lifeboat_runtime::clock::Clock;
use lifeboat_storage::StorageError;
use tracing::{info, warn};

use super::log_lines::said;
use crate::archive::{Archive, Pruned, Remainder, Timekeeper};

/// Prunes a version's history. Dropping it stops that at any point.
pub(super) struct Pruner {
    archive: Archive,
    version: KongVersion,
    clock: Clock,
    /// Something was written since the last turn, or is left of it.
    is_wanted: bool,
    /// What the control plane has.
    newest: Option<ConfigHash>,
    due: Moment,
    witnessed: Observed,
    left: Option<Remainder>,
    under_way: Option<BoxFuture<'static, (Timekeeper, Result<Pruned, StorageError>)>>,
    has_said_that_it_may_not: bool,
}

impl Pruner {
    pub(super) fn new(archive: Archive, version: KongVersion, clock: Clock) -> Self {
        Self {
            archive,
            version,
            clock,
            is_wanted: false,
            newest: None,
            due: clock.now(),
            witnessed: Observed::default(),
            left: None,
            under_way: None,
            has_said_that_it_may_not: false,
        }
    }

    /// Says that the manifest was written, because something was published or is still published an hour later. An
    /// exporter that may write the manifest may also prune.
    pub(super) fn written(&mut self) {
        self.is_wanted = true;
    }

    /// Says what the control plane has now.
    pub(super) fn received(&mut self, newest: Option<ConfigHash>) {
        self.newest = newest;
    }

    /// Prunes once, when there is a reason and it is time. Loses nothing when dropped before it is ready: the work
    /// under way stays in `self`.
    pub(super) async fn turn(&mut self) {
        if self.under_way.is_none() {
            if !self.is_wanted {
                return pending().await;
            }
            self.clock.reach(self.due).await;
            self.is_wanted = false;
        }

        let (archive, version, newest) = (&self.archive, self.version, self.newest);
        let (witnessed, wall, moment) = (self.witnessed, self.clock.wall(), self.clock.now());
        let turn = self.under_way.get_or_insert_with(|| {
            let (archive, mut time) = (archive.clone(), Timekeeper { witnessed, wall, moment, left: self.left.take() });
            async move {
                let pruned = archive.prune_expired(version, newest, &mut time).await;
                (time, pruned)
            }
            .boxed()
        });

        let (Timekeeper { witnessed, left, .. }, result) = turn.await;
        (self.witnessed, self.left, self.under_way) = (witnessed, left, None);
        let left = self.say(result);
        self.due = self.clock.now() + if left > 0 { BETWEEN_TURNS } else { PRUNE_INTERVAL };
        self.is_wanted |= left > 0;
    }

    // Answers how many snapshots are left for another turn. What fails now is tried an hour later.
    fn say(&mut self, result: Result<Pruned, StorageError>) -> usize {
        match result {
            Ok(Pruned { gone, left }) => {
                if let (Some(oldest), Some(newest)) = (gone.first(), gone.last()) {
                    let place = self.archive.place();
                    info!(
                        store = place,
                        "old snapshots of Kong {} were deleted in {place}: {} of them, numbers {} to {} (LIFEBOAT_HISTORY)",
                        self.version,
                        gone.len(),
                        oldest.sequence,
                        newest.sequence
                    );
                }
                return left;
            }
            // Another exporter leads now, and prunes.
            Err(StorageError::NotLeading { .. }) => {}
            Err(error @ (StorageError::Denied { .. } | StorageError::Misconfigured { .. })) => {
                self.object(&error);
            }
            Err(error) => info!("old snapshots stay for now: {error}"),
        }

        0
    }

    // Logged once, because the right to delete may be missing for ever, and nothing else needs it.
    fn object(&mut self, error: &StorageError) -> Option<String> {
        if std::mem::replace(&mut self.has_said_that_it_may_not, true) {
            return None;
        }
        Some(said!(
            warn,
            "old snapshots stay: {error}. Nothing else depends on it, and LIFEBOAT_HISTORY=all keeps all of them without \
             asking. This is said once"
        ))
    }
}

/// Prunes once, for a command that publishes once.
pub(crate) async fn prune_once(archive: &Archive, version: KongVersion, clock: Clock) {
    let mut pruner = Pruner::new(archive.clone(), version, clock);
    pruner.written();
    pruner.turn().await;
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::archive::tests::{CHANGED, FIRST, in_memory, publish, version};
    use crate::settings::HistoryLimit;

    async fn snapshots(archive: &Archive) -> usize {
        archive.past(version()).await.unwrap().len()
    }

    #[tokio::test(start_paused = true)]
    async fn a_history_is_pruned_after_something_was_written_and_then_not_for_an_hour() {
        let archive = in_memory().with_history(HistoryLimit::AtMost(2));
        let mut pruner = Pruner::new(archive.clone(), version(), Clock::start());
        for message in [FIRST, CHANGED, FIRST] {
            publish(&archive, message).await;
        }
        assert!(
            timeout(10 * PRUNE_INTERVAL, pruner.turn()).await.is_err(),
            "nobody has said that anything was written"
        );
        pruner.written();
        pruner.turn().await;
        assert_eq!(snapshots(&archive).await, 2);

        publish(&archive, CHANGED).await;
        pruner.written();
        assert!(timeout(PRUNE_INTERVAL - BETWEEN_TURNS, pruner.turn()).await.is_err());
        timeout(2 * BETWEEN_TURNS, pruner.turn()).await.unwrap();
        assert_eq!(snapshots(&archive).await, 3, "one went today");
        tokio::time::advance(24 * PRUNE_INTERVAL).await;
        pruner.written();
        pruner.turn().await;
        assert_eq!(snapshots(&archive).await, 2);
    }

    #[test]
    fn a_right_that_is_missing_is_asked_for_once() {
        let mut pruner = Pruner::new(in_memory(), version(), Clock::start());
        let key = "3.9.1/lifeboat/snapshots/1".to_owned();
        let (place, cure, reason) = ("s3://kong".to_owned(), "grant it".to_owned(), "AccessDenied".to_owned());
        let denied = StorageError::Denied {
            place,
            key,
            what: lifeboat_storage::Operation::Delete,
            concerns: lifeboat_storage::Concerns::Object,
            cure,
            reason,
        };
        let sentence = pruner.object(&denied).unwrap();
        assert!(sentence.contains("grant it") && sentence.contains("LIFEBOAT_HISTORY=all"), "{sentence}");
        assert_eq!(pruner.object(&denied), None);
    }
}
