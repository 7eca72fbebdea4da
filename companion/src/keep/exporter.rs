//! The exporter: publishes the newest received configuration, not more often than Kong's export delay allows, and gives
//! up on nothing that is still the newest.

use std::time::Duration;

use lifeboat_core::backoff::Backoff;
use lifeboat_core::manifest::{self, Manifest};
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_core::time::{Moment, WallTime};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{BackupNode, Newest, probing};
use crate::archive::{Archive, Author, Received, Standing};
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
    /// What was the newest when we last looked or published; none if that isn't known.
    standing: Option<Standing>,
    has_looked_for_plaintext: bool,
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
        let exporter = manifest::Exporter {
            node_id: node.id.clone(),
            hostname: node.hostname.clone(),
            lifeboat: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let author = Author { exporter, version: node.version };
        Self {
            archive,
            author,
            delay,
            clock,
            started: clock.wall(),
            is_probed: false,
            standing: None,
            has_looked_for_plaintext: false,
        }
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

    /// Publishes one configuration, unless it is the published one already, sealed and signed as it would be now.
    pub async fn export(&mut self, received: &Received) -> Result<Exported, StorageError> {
        if let Some(manifest) = self.if_published(received).await? {
            info!(hash = %received.config_hash, "this configuration is the published one already: nothing to write");
            return Ok(Exported::Already(manifest));
        }
        self.probe().await?;
        let (archive, author, now) = (&self.archive, &self.author, self.clock.wall());
        // Whatever happens, what was in the store before has to be read anew.
        let result = match self.standing.take() {
            None | Some(Standing::Absent) => archive.publish(author, received, None, now).await,
            Some(Standing::Published(previous)) => archive.publish(author, received, Some(&previous), now).await,
            Some(Standing::Unaccepted(other)) => archive.publish_instead(author, received, &other, now).await,
        };
        match result {
            Ok(published) => {
                let manifest = (*published.manifest).clone();
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
                self.standing = Some(Standing::Published(Box::new(published)));
                Ok(Exported::New(manifest))
            }
            Err(error) => {
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

    async fn if_published(&mut self, received: &Received) -> Result<Option<Manifest>, StorageError> {
        let standing = match self.standing.take() {
            Some(standing) => standing,
            None => self.look().await?,
        };
        let Standing::Published(published) = self.standing.insert(standing) else { return Ok(None) };
        let manifest = &published.manifest;
        if manifest.config_hash != received.config_hash {
            return Ok(None);
        }
        if manifest.is_as_written_with(&self.archive.policy(self.author.version).keys) {
            return Ok(Some((**manifest).clone()));
        }
        info!("the published configuration is sealed or signed with other keys than are set now: it is published anew");
        Ok(None)
    }

    async fn look(&mut self) -> Result<Standing, StorageError> {
        let version = self.author.version;
        let standing = self.archive.standing(version).await?;
        match &standing {
            Standing::Absent => {}
            Standing::Published(published) => {
                if self.archive.repair_config_json(published).await? {
                    warn!("config.json was not the published configuration (a crash, or another exporter): repaired");
                }
            }
            Standing::Unaccepted(other) => {
                let key = ObjectKeys::new(version).manifest();
                warn!("{key} in {} is not accepted and will be replaced: {}", self.archive.place(), other.reason);
            }
        }
        self.warn_of_plaintext().await?;
        Ok(standing)
    }

    // Once: nothing here may delete it, and it stays until somebody does.
    async fn warn_of_plaintext(&mut self) -> Result<(), StorageError> {
        if self.has_looked_for_plaintext {
            return Ok(());
        }
        if let Some(key) = self.archive.plaintext(self.author.version).await? {
            warn!(
                "{key} in {} still holds a configuration in plain text, from before encryption: delete it, and the \
                 snapshots of that time",
                self.archive.place()
            );
        }
        self.has_looked_for_plaintext = true;
        Ok(())
    }
}
