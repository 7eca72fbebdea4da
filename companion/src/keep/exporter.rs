//! The exporter: publishes the newest received configuration, not more often than Kong's export delay allows, and gives
//! up on nothing that is still the newest.

use std::time::Duration;

use lifeboat_core::backoff::Backoff;
use lifeboat_core::manifest;
use lifeboat_core::time::Moment;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{BackupNode, Newest};
use crate::archive::{Archive, ArchiveError, Author, Published, Received};
use crate::clock::Clock;

/// Publishes what is received.
#[derive(Debug)]
pub struct Exporter {
    archive: Archive,
    author: Author,
    delay: Duration,
    clock: Clock,
    published: Option<Published>,
}

/// Why a configuration was not published.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Nothing came from the control plane in time.
    #[error("the control plane sent no configuration within {} s", .0.as_secs())]
    Nothing(Duration),
}

impl Exporter {
    /// An exporter of what `node` receives.
    pub fn new(archive: Archive, node: &BackupNode, delay: Duration, clock: Clock) -> Self {
        let exporter = manifest::Exporter {
            node_id: node.id.clone(),
            hostname: node.hostname.clone(),
            lifeboat: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let author = Author { exporter, version: node.version };
        Self { archive, author, delay, clock, published: None }
    }

    /// Publishes until it is told to stop; what is waiting then is still written.
    pub async fn run(mut self, mut newest: Newest, stop: CancellationToken) {
        let mut next = Moment::default();
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        loop {
            let stopping = tokio::select! {
                biased;
                () = stop.cancelled() => true,
                changed = newest.changed() => changed.is_err(),
            };
            if !stopping {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = self.clock.reach(next) => {}
                }
            }
            let Some(received) = newest.borrow_and_update().clone() else { if stopping { return } else { continue } };
            match self.export(&received).await {
                Ok(()) => {
                    backoff.reset();
                    next = self.clock.now() + self.delay;
                }
                Err(error) => {
                    let wait = backoff.next_wait(rand::random());
                    let hash = received.config_hash;
                    error!(
                        "configuration {hash} is not published yet: {error}. Trying again in {:.0} s",
                        wait.as_secs_f64()
                    );
                    next = self.clock.now() + wait;
                    newest.mark_changed();
                }
            }
            if stopping || stop.is_cancelled() {
                return;
            }
        }
    }

    /// Publishes one configuration, unless it is the published one already.
    pub async fn export(&mut self, received: &Received) -> Result<(), ArchiveError> {
        if self.published.is_none() {
            self.look().await?;
        }
        if self.is_published(received) {
            info!(hash = %received.config_hash, "this configuration is the published one already: nothing to write");
            return Ok(());
        }
        let result = self.archive.publish(&self.author, received, self.published.as_ref(), self.clock.wall()).await;
        match result {
            Ok(published) => {
                let manifest = &published.manifest;
                info!(
                    "published configuration {} as snapshot {} in {}: {} bytes, {} compressed, {} services, {} routes",
                    manifest.config_hash,
                    manifest.sequence,
                    self.archive.place(),
                    manifest.config.bytes,
                    manifest.snapshot.bytes,
                    manifest.counts.get("services"),
                    manifest.counts.get("routes"),
                );
                self.published = Some(published);
                Ok(())
            }
            Err(error) => {
                // Whatever happened, what is in the store now has to be read anew.
                self.published = None;
                if matches!(error, ArchiveError::Conflict { .. }) {
                    warn!("another exporter publishes to the same place: {error}");
                }
                Err(error)
            }
        }
    }

    fn is_published(&self, received: &Received) -> bool {
        self.published.as_ref().is_some_and(|published| published.manifest.config_hash == received.config_hash)
    }

    async fn look(&mut self) -> Result<(), ArchiveError> {
        let published = self.archive.published(self.author.version).await?;
        if let Some(published) = &published
            && self.archive.repair_config_json(published).await?
        {
            warn!("config.json was not the published configuration (a crash, or another exporter): repaired");
        }
        self.published = published;
        Ok(())
    }
}
