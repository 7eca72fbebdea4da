//! What the keeper wants done at the store, done: one thing at a time. What was looked at or written last is remembered
//! here, since exactly that may be replaced.

use lifeboat_core::keep::Named;
use lifeboat_core::keep::keeper::{Action, Event};
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::Manifest;
use lifeboat_core::object_key::{ObjectKeys, SnapshotId};
use lifeboat_core::time::WallTime;
use tracing::{info, warn};

use super::probing;
use super::thinner::Thinner;
use crate::archive::{Archive, Author, Standing, Terms};
use crate::clock::Clock;
use crate::node_cache::Image;
use crate::storage::StorageError;

#[derive(Debug)]
pub(super) struct Clerk {
    archive: Archive,
    author: Author,
    clock: Clock,
    started: WallTime,
    is_probed: bool,
    standing: Standing,
    has_looked_for_plaintext: bool,
    refused: Option<String>,
}

impl Clerk {
    pub(super) fn new(archive: Archive, author: Author, clock: Clock) -> Self {
        Self {
            archive,
            author,
            clock,
            started: clock.wall(),
            is_probed: false,
            standing: Standing::Absent,
            has_looked_for_plaintext: false,
            refused: None,
        }
    }

    /// The store's name for people.
    pub(super) fn place(&self) -> &str {
        self.archive.place()
    }

    /// Who thins the history that it writes.
    pub(super) fn thinner(&self) -> Thinner {
        Thinner::start(self.archive.clone(), self.author.version, self.clock)
    }

    /// The version of Kong whose configurations it keeps.
    pub(super) fn version(&self) -> KongVersion {
        self.author.version
    }

    /// What is published without an image of a node's cache.
    pub(super) fn lacks_an_image(&self) -> Option<SnapshotId> {
        self.published().filter(|manifest| manifest.cache_image.is_none()).map(Manifest::id)
    }

    /// Keeps an image with what is published, if it is of that, and gives the manifest that names it.
    pub(super) async fn keep_image(&mut self, id: SnapshotId, image: Image) -> Result<Option<Manifest>, StorageError> {
        if self.lacks_an_image() != Some(id) {
            return Ok(None);
        }
        let Standing::Published(published) = &self.standing else { return Ok(None) };
        let published = self.archive.attach_image((**published).clone(), image).await?;
        if let Some(image) = &published.manifest.cache_image {
            let (bytes, expands_to) = (image.object.bytes, image.expands_to);
            info!(
                "kept an image of a node's cache with snapshot {}: {expands_to} bytes, {bytes} compressed",
                id.sequence
            );
        }
        let manifest = (*published.manifest).clone();
        self.standing = Standing::Published(Box::new(published));
        Ok(Some(manifest))
    }

    /// The manifest that was looked at or written last.
    pub(super) fn published(&self) -> Option<&Manifest> {
        match &self.standing {
            Standing::Published(published) => Some(&published.manifest),
            Standing::Absent | Standing::Unaccepted(_) => None,
        }
    }

    /// Whether the published manifest would be sealed and signed in another way now.
    pub(super) fn keys_have_changed(&self) -> bool {
        let keys = self.archive.policy(self.author.version).keys;
        self.published().is_some_and(|manifest| !manifest.is_as_written_with(&keys))
    }

    /// Does what an action asks for at the store, and gives the event that answers it.
    pub(super) async fn perform(&mut self, action: Action) -> Result<Event, StorageError> {
        let now = self.clock.wall();
        match action {
            Action::Glance => {
                self.standing = self.archive.standing(self.author.version).await?;
                Ok(Event::Glanced(self.named()))
            }
            Action::Look => self.look().await,
            Action::Publish { configuration, state, epoch } => {
                self.probe().await?;
                let terms = Terms { epoch, state, pin: None };
                let (author, over) = (&self.author, &self.standing);
                let published = self.archive.publish(author, &configuration, over, &terms, now).await?;
                self.standing = Standing::Published(Box::new(published));
                self.say_published();
                Ok(self.written())
            }
            Action::Rewrite(rewrite) => {
                self.probe().await?;
                let Standing::Published(published) = &self.standing else { return Ok(Event::Conflict) };
                let rewritten = self.archive.rewrite(&self.author, published, &rewrite, now).await?;
                self.standing = Standing::Published(Box::new(rewritten));
                Ok(self.written())
            }
            Action::Keep { configuration, why, epoch } => {
                self.probe().await?;
                let (author, over) = (&self.author, &self.standing);
                Ok(Event::Kept(self.archive.hold(author, &configuration, over, &why, epoch, now).await?))
            }
            Action::Reconnect | Action::Recheck { .. } | Action::Notify(_) | Action::Finish => {
                unreachable!("it isn't done at the store")
            }
        }
    }

    async fn look(&mut self) -> Result<Event, StorageError> {
        let version = self.author.version;
        self.standing = self.archive.standing(version).await?;
        match &self.standing {
            Standing::Absent => {}
            Standing::Published(published) => {
                if self.archive.repair_config_json(published).await? {
                    warn!("config.json was not the published configuration (a crash, or another exporter): repaired");
                }
            }
            Standing::Unaccepted(other) => {
                let reason = other.reason.to_string();
                if self.refused.as_ref() != Some(&reason) {
                    let key = ObjectKeys::new(version).manifest();
                    warn!("{key} in {} is not accepted and will be replaced: {reason}", self.archive.place());
                }
                self.refused = Some(reason);
            }
        }
        self.warn_of_plaintext().await?;
        let history = self.archive.past(version).await?.into_iter().collect();
        let seen = self.published().map(|manifest| manifest.times.last_seen);
        let last_seen_age = seen.map(|seen| self.clock.wall().since(seen)).unwrap_or_default();
        let published = self.named();
        if published.as_ref().is_some_and(|named| named.keys == lifeboat_core::keep::Keys::Others) {
            info!(
                "the published configuration is sealed or signed with other keys than are set now: it is published anew"
            );
        }
        Ok(Event::Looked { published, history, last_seen_age })
    }

    fn named(&self) -> Option<Named> {
        let keys = self.archive.policy(self.author.version).keys;
        self.published().map(|manifest| Named::of(manifest, &keys))
    }

    fn written(&self) -> Event {
        Event::Written(self.named().expect("it was just written"))
    }

    fn say_published(&self) {
        let Some(manifest) = self.published() else { return };
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
    }

    // Before the first write. A store that is away fails what is to be written, and is asked again with it.
    async fn probe(&mut self) -> Result<(), StorageError> {
        if self.is_probed {
            return Ok(());
        }
        match self.archive.probe(&self.author, self.started).await {
            Ok(conditions) => probing::say(self.archive.place(), conditions),
            // Rights may be given for the backups alone.
            Err(error @ StorageError::Denied { .. }) => {
                warn!("what this store's conditional writes are worth could not be found out: {error}");
            }
            Err(error) => return Err(error),
        }
        self.is_probed = true;
        Ok(())
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
