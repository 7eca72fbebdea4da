//! The exporter: publishes the newest received configuration, not more often than Kong's export delay allows, and gives
//! up on nothing that is still the newest.

use std::time::Duration;

use lifeboat_core::backoff::Backoff;
use lifeboat_core::manifest::Manifest;
use lifeboat_core::time::{Moment, WallTime};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{BackupNode, Newest, probing};
use crate::archive::{Archive, Author, Published, Received};
use crate::clock::Clock;
use crate::storage::StorageError;

/// Publishes what is received.
#[derive(Debug)]
pub struct Exporter {
    archive: Archive,
    author: Author,
    delay: Duration,
    clock: Clock,
    started: WallTime,
    is_probed: bool,
    published: Option<Published>,
}

/// What became of a configuration.
#[derive(Clone, Debug)]
pub enum Exported {
    /// It was published now.
    New(Manifest),
    /// It was the published one already; nothing was written.
    Already(Manifest),
}

impl Exported {
    /// The manifest that names it.
    pub fn manifest(&self) -> &Manifest {
        let (Self::New(manifest) | Self::Already(manifest)) = self;
        manifest
    }

    /// Whether it was published now.
    pub fn is_new(&self) -> bool {
        matches!(self, Self::New(_))
    }
}

impl Exporter {
    /// An exporter of what `node` receives.
    pub fn new(archive: Archive, node: &BackupNode, delay: Duration, clock: Clock) -> Self {
        let started = clock.wall();
        Self { archive, author: node.author(), delay, clock, started, is_probed: false, published: None }
    }

    /// Publishes until it is told to stop; what is waiting then is still written.
    pub async fn run(mut self, newest: Newest, stop: CancellationToken) {
        let mut next = Moment::default();
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        loop {
            tokio::select! {
                () = stop.cancelled() => {}
                () = async { newest.wait().await; self.clock.reach(next).await } => {}
            }
            // Not before now: while Kong's export delay runs, a newer one takes the place of this.
            if let Some(received) = newest.take() {
                next = match self.export(&received).await {
                    Ok(_) => {
                        backoff.reset();
                        self.clock.now() + self.delay
                    }
                    Err(error) if stop.is_cancelled() => {
                        let hash = received.config_hash;
                        error!("configuration {hash} could not be published before the end: {error}");
                        return;
                    }
                    Err(error) => {
                        let wait = backoff.next_wait(rand::random());
                        let (hash, seconds) = (received.config_hash, wait.as_secs_f64());
                        error!("configuration {hash} is not published yet: {error}. Trying again in {seconds:.0} s");
                        newest.put_back(received);
                        self.clock.now() + wait
                    }
                };
            }
            // Another may have come while the last one was written.
            if stop.is_cancelled() && newest.is_empty() {
                return;
            }
        }
    }

    /// Publishes one configuration, unless it is the published one already.
    pub async fn export(&mut self, received: &Received) -> Result<Exported, StorageError> {
        if self.published.is_none() {
            self.look().await?;
        }
        if let Some(manifest) = self.if_published(received) {
            info!(hash = %received.config_hash, "this configuration is the published one already: nothing to write");
            return Ok(Exported::Already(manifest));
        }
        self.probe().await?;
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
                let exported = Exported::New(published.manifest.clone());
                self.published = Some(published);
                Ok(exported)
            }
            Err(error) => {
                // Whatever happened, what is in the store now has to be read anew.
                self.published = None;
                if matches!(error, StorageError::Conflict { .. }) {
                    warn!("another exporter publishes to the same place: {error}");
                }
                Err(error)
            }
        }
    }

    // Before the first write. A store that is away fails the export, and is asked again with it.
    async fn probe(&mut self) -> Result<(), StorageError> {
        if self.is_probed {
            return Ok(());
        }
        match self.archive.probe(&self.author, self.started).await {
            Ok(conditions) => {
                probing::say(self.archive.place(), conditions);
                self.is_probed = true;
                Ok(())
            }
            // Rights may be given for the backups alone.
            Err(error @ StorageError::Denied { .. }) => {
                warn!("what this store's conditional writes are worth could not be found out: {error}");
                self.is_probed = true;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn if_published(&self, received: &Received) -> Option<Manifest> {
        let published = self.published.as_ref()?;
        (published.manifest.config_hash == received.config_hash).then(|| published.manifest.clone())
    }

    async fn look(&mut self) -> Result<(), StorageError> {
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
