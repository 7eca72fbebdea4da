//! When the history is thinned: after the manifest was written, at most hourly, beside everything else. What goes is the
//! archive's to find out.

use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::kong::version::KongVersion;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::archive::{Archive, Thinned};
use crate::clock::Clock;
use crate::storage::StorageError;

/// How long there is peace after the history was thinned.
const INTERVAL: Duration = Duration::from_secs(60 * 60);
/// And when more was due than goes in one turn.
const BETWEEN_TURNS: Duration = Duration::from_secs(60);

/// Thins a version's history. Dropping it ends that, whatever it is doing.
#[derive(Debug)]
pub(super) struct Thinner {
    written: Arc<Notify>,
    task: JoinHandle<()>,
}

/// What thins, and what it has said.
struct Turns {
    archive: Archive,
    version: KongVersion,
    clock: Clock,
    has_said_that_it_may_not: bool,
}

impl Thinner {
    /// Begins to wait until something is written.
    pub(super) fn start(archive: Archive, version: KongVersion, clock: Clock) -> Self {
        let written = Arc::new(Notify::new());
        let turns = Turns { archive, version, clock, has_said_that_it_may_not: false };
        Self { task: tokio::spawn(turns.take(written.clone())), written }
    }

    /// Says that something was published, or is still the published one an hour later: who may write so is who thins.
    pub(super) fn written(&self) {
        self.written.notify_one();
    }
}

impl Drop for Thinner {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Thins once, for who publishes once.
pub(crate) async fn thin_once(archive: &Archive, version: KongVersion, clock: Clock) {
    let mut turns = Turns { archive: archive.clone(), version, clock, has_said_that_it_may_not: false };
    turns.one().await;
}

impl Turns {
    async fn take(mut self, written: Arc<Notify>) {
        loop {
            written.notified().await;
            while self.one().await > 0 {
                tokio::time::sleep(BETWEEN_TURNS).await;
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    // How many snapshots are left for another turn. What fails now is tried an hour later.
    async fn one(&mut self) -> usize {
        let place = self.archive.place();
        match self.archive.thin(self.version, self.clock.wall()).await {
            Ok(Thinned { gone, left }) => {
                if let (Some(oldest), Some(newest)) = (gone.first(), gone.last()) {
                    info!(
                        "{} old snapshots of Kong {} were deleted in {place}, numbers {} to {} (LIFEBOAT_HISTORY)",
                        gone.len(),
                        self.version,
                        oldest.sequence,
                        newest.sequence
                    );
                }
                left
            }
            Err(error @ (StorageError::Denied { .. } | StorageError::Misconfigured { .. })) => {
                if !std::mem::replace(&mut self.has_said_that_it_may_not, true) {
                    warn!(
                        "old snapshots stay: {error}. Nothing else depends on it, and LIFEBOAT_HISTORY=all keeps all of them \
                         without asking. This is said once"
                    );
                }
                0
            }
            Err(error) => {
                info!("old snapshots stay for now: {error}");
                0
            }
        }
    }
}
