//! Does what the publisher asks for at the store, one action at a time. It remembers what it read or wrote last,
//! because exactly that may be replaced.

use lifeboat_core::digest::Sha256Digest;
use lifeboat_core::export::history::{History, Past};
use lifeboat_core::export::publisher::{Action, Event, PayloadState};
use lifeboat_core::export::{Keys, Named};
use lifeboat_core::keys::Key;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::{Manifest, StoredSchemas};
use lifeboat_core::object_key::{HistoryState, ObjectKeys, SnapshotId};
use lifeboat_node_cache::Image;
use lifeboat_runtime::clock::Clock;
use lifeboat_storage::{Fence, StorageError, Tag};
use tracing::{error, info, warn};

use super::published_payload::PublishedPayload;
use super::{payload_messages, probing};
use crate::archive::{Archive, ArchiveReader, Author, Beside, CurrentManifest, PayloadLook, Published, PutBack, Terms};
use crate::observation::{ExportRecorder, Trace};
use crate::settings::StoreSettings;

#[derive(Debug)]
pub(super) struct SnapshotWriter {
    archive: Archive,
    author: Author,
    clock: Clock,
    current: CurrentManifest,
    /// Which version of `config.json` was looked at last.
    config_json: Option<Tag>,
    /// Which version of `config.json` this process wrote last.
    own_config_json: Option<Tag>,
    payload: PublishedPayload,
    /// Other stores, which have the same payloads.
    others: Vec<StoreSettings>,
    has_looked_for_plaintext: bool,
    refused: Option<String>,
    recorder: ExportRecorder,
}

impl SnapshotWriter {
    pub(super) fn new(archive: Archive, author: Author, clock: Clock) -> Self {
        let recorder = ExportRecorder::new(author.version, clock);
        Self {
            archive,
            author,
            clock,
            current: CurrentManifest::Absent,
            config_json: None,
            own_config_json: None,
            payload: PublishedPayload::default(),
            others: Vec::new(),
            has_looked_for_plaintext: false,
            refused: None,
            recorder,
        }
    }

    /// The archive that it writes into, and in whose name.
    pub(super) fn archive_and_author(&self) -> (Archive, Author) {
        (self.archive.clone(), self.author.clone())
    }

    /// The same writer, which writes only while the fence is open.
    pub(super) fn fenced(self, fence: Fence) -> Self {
        Self { archive: self.archive.fenced(fence), ..self }
    }

    /// The same writer, which records there what it notices.
    pub(super) fn observed_by(self, recorder: ExportRecorder) -> Self {
        Self { recorder, ..self }
    }

    /// The same writer, but it also looks for lost payloads in these stores.
    pub(super) fn mirrored_in(self, others: Vec<StoreSettings>) -> Self {
        Self { others, ..self }
    }

    /// The store's name for people.
    pub(super) fn place(&self) -> &str {
        self.archive.place()
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
        let CurrentManifest::Published(published) = &self.current else { return Ok(None) };

        let published = self.archive.attach_image((**published).clone(), image).await?;
        if let Some(image) = &published.manifest.cache_image {
            let (bytes, expands_to) = (image.object.bytes, image.expands_to);
            info!(
                sequence = id.sequence,
                "kept an image of a node's cache with snapshot {}: {expands_to} bytes, {bytes} compressed", id.sequence
            );
        }

        let manifest = (*published.manifest).clone();
        self.current = CurrentManifest::Published(Box::new(published));
        Ok(Some(manifest))
    }

    /// Keeps a control plane's schemas with what is published. Gives whether there is something published to keep them
    /// with.
    pub(super) async fn keep_schemas(&mut self, json: Vec<u8>) -> Result<bool, StorageError> {
        let CurrentManifest::Published(published) = &self.current else { return Ok(false) };

        let keys = self.archive.policy(self.author.version).keys;
        let named = published.manifest.schemas.as_ref();
        let is_kept = |schemas: &StoredSchemas| {
            schemas.json.sha256 == Sha256Digest::of(&json)
                && schemas.object.sealed.as_ref().map(|seal| &seal.key) == keys.sealing().map(Key::name)
        };
        if named.is_some_and(is_kept) {
            return Ok(true);
        }

        let published = self.archive.attach_schemas((**published).clone(), json).await?;
        let sequence = published.manifest.sequence;
        info!(
            sequence,
            "kept the control plane's schemas with snapshot {sequence}: what is written by hand in an outage is checked \
             against them"
        );
        self.current = CurrentManifest::Published(Box::new(published));
        Ok(true)
    }

    /// The manifest that was read or written last, as it lies in the store.
    pub(super) fn current(&self) -> Option<&Published> {
        match &self.current {
            CurrentManifest::Published(published) => Some(published),
            CurrentManifest::Absent | CurrentManifest::Unaccepted(_) => None,
        }
    }

    /// The manifest that was looked at or written last.
    pub(super) fn published(&self) -> Option<&Manifest> {
        self.current().map(|published| &*published.manifest)
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
            Action::Glance => self.glance().await,
            Action::Look => self.look().await,
            Action::ReadBack => {
                let CurrentManifest::Published(published) = &self.current else { return Ok(Event::Conflict) };
                let look = self.archive.read_payload(published).await?;
                Ok(Event::ReadBack(self.note_payload(look)))
            }
            Action::PutBack { epoch } => self.put_back(epoch).await,
            Action::Publish { configuration, state, pin, epoch } => {
                let terms = Terms { epoch, state, pin, last_seen: None };
                let (author, over) = (&self.author, &self.current);
                let published = self.archive.publish(author, &configuration, over, &terms, now).await?;
                self.now_published(published);
                self.say_published();
                Ok(self.written())
            }
            Action::Rewrite(rewrite) => {
                let CurrentManifest::Published(published) = &self.current else { return Ok(Event::Conflict) };
                let rewritten = self.archive.rewrite(&self.author, published, &rewrite, now).await?;
                self.current = CurrentManifest::Published(Box::new(rewritten));
                Ok(self.written())
            }
            Action::Hold { configuration, why, epoch } => {
                let (author, over) = (&self.author, &self.current);
                Ok(Event::HeldWritten(self.archive.hold(author, &configuration, over, &why, epoch, now).await?))
            }
            Action::Reconnect | Action::Recheck { .. } | Action::Notify(_) | Action::Finish => {
                unreachable!("it isn't done at the store")
            }
        }
    }

    /// Tests the store's conditional writes, for an exporter that takes part in no election.
    pub(super) async fn probe(&self) -> Result<(), StorageError> {
        match self.archive.probe(&self.author).await {
            Ok(conditions) => probing::say(self.archive.place(), &conditions),
            // Rights may be given for the backups alone.
            Err(error @ StorageError::Denied { .. }) => {
                warn!("could not determine whether this store honours conditional writes: {error}");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn glance(&mut self) -> Result<Event, StorageError> {
        let before = self.published().map(Manifest::id);
        self.current = self.archive.current_manifest(self.author.version).await?;
        if self.published().map(Manifest::id) != before {
            // What lay there was compared with what was published before.
            self.config_json = None;
        }

        let mut payload = self.look_at_payload().await?;
        if payload == PayloadState::Whole {
            payload = self.watch_config_json().await?;
        }
        Ok(Event::Glanced { published: self.named(), payload })
    }

    async fn look(&mut self) -> Result<Event, StorageError> {
        let version = self.author.version;
        self.current = self.archive.current_manifest(version).await?;
        let mut payload = PayloadState::Whole;
        let mut history: History = self.archive.past(version).await?.into_iter().collect();

        match &self.current {
            CurrentManifest::Absent => {}
            CurrentManifest::Published(published) => {
                let id = published.manifest.id();
                self.archive.complete(published).await?;
                payload = self.look_at_payload().await?;
                if history.of(id.config_hash).is_none_or(|past| past.id == id && past.state == HistoryState::Leftover) {
                    history.add(Past { id, state: HistoryState::Published });
                }
                if payload == PayloadState::Whole {
                    payload = self.settle_config_json().await?;
                }
            }
            CurrentManifest::Unaccepted(other) => {
                let reason = other.reason.to_string();
                if self.refused.as_ref() != Some(&reason) {
                    let key = ObjectKeys::new(version).manifest();
                    warn!("{key} in {} is not accepted and will be replaced: {reason}", self.archive.place());
                }
                self.refused = Some(reason);
            }
        }

        self.warn_of_plaintext().await?;
        let seen = self.published().map(|manifest| manifest.times.last_seen);
        let last_seen_age = seen.map(|seen| self.clock.wall().since(seen)).unwrap_or_default();
        let published = self.named();

        if published.as_ref().is_some_and(|named| named.keys == Keys::Others) {
            info!(
                "the published configuration is sealed or signed with other keys than are set now: it is published anew"
            );
        }
        Ok(Event::Looked { published, payload, history, last_seen_age })
    }

    // Costs a request or two. config.json is read again only if its version has changed.
    async fn watch_config_json(&mut self) -> Result<PayloadState, StorageError> {
        if self.published().is_some_and(|manifest| manifest.snapshot.sealed.is_none()) {
            let tag = self.archive.config_json_tag(self.author.version).await?;
            if tag != self.config_json {
                match self.settle_config_json().await {
                    // An exporter that doesn't lead has only looked.
                    Err(StorageError::NotLeading { .. } | StorageError::Conflict { .. }) => {}
                    settled => return settled,
                }
            }
        }
        Ok(PayloadState::Whole)
    }

    // Also checks the payload: a look at its size alone may miss damage, which shows when config.json is made from it.
    async fn settle_config_json(&mut self) -> Result<PayloadState, StorageError> {
        let CurrentManifest::Published(published) = &self.current else { return Ok(PayloadState::Whole) };
        let place = self.archive.place();

        self.config_json = match self.archive.settle_config_json(published, self.own_config_json.as_ref()).await? {
            Beside::NotKept => None,
            Beside::AsPublished(tag) => Some(tag),
            Beside::Repaired(tag) => {
                warn!(
                    "config.json was not the published configuration in {place} (after a crash, or because someone \
                     changed it): repaired"
                );
                self.own_config_json = Some(tag.clone());
                Some(tag)
            }
            Beside::WithoutPayload(state) => {
                return Ok(self.note_payload(PayloadLook { state, reason: None, kept: None }));
            }
            Beside::Another(tag) => {
                if self.config_json.as_ref() != Some(&tag) {
                    self.recorder.noticed_another_exporter(Trace::ConfigJson);
                    error!(
                        "another exporter, perhaps Kong's own, writes config.json in {place}: what is there is newer \
                         than what this one has published. Let one of them alone export there, or give them different \
                         prefixes"
                    );
                }
                Some(tag)
            }
        };
        Ok(PayloadState::Whole)
    }

    async fn look_at_payload(&mut self) -> Result<PayloadState, StorageError> {
        let CurrentManifest::Published(published) = &self.current else { return Ok(PayloadState::Whole) };
        let kept = self.payload.kept().filter(|kept| kept.is_of(&published.manifest));
        let mut look = self.archive.look_at_payload(published, kept).await?;
        // What was put back may have been stored damaged, with the right size.
        if look.state == PayloadState::Whole && look.kept.is_none() && self.payload.is_in_doubt() {
            look = self.archive.read_payload(published).await?;
        }
        Ok(self.note_payload(look))
    }

    fn note_payload(&mut self, look: PayloadLook) -> PayloadState {
        match &self.current {
            CurrentManifest::Published(published) => self.payload.note(look, &published.manifest, self.archive.place()),
            CurrentManifest::Absent | CurrentManifest::Unaccepted(_) => look.state,
        }
    }

    async fn put_back(&mut self, epoch: u64) -> Result<Event, StorageError> {
        let CurrentManifest::Published(published) = &self.current else { return Ok(Event::Conflict) };
        let mut others = Vec::new();
        for settings in &self.others {
            // A store that can't be opened has nothing to give; its mirror logs that.
            others.extend(ArchiveReader::open_awaited(settings).ok());
        }

        let (kept, now) = (self.payload.kept(), self.clock.wall());
        let put_back = self.archive.put_back_payload(&self.author, published, kept, &others, epoch, now).await?;
        let (place, sequence) = (self.archive.place().to_owned(), published.manifest.sequence);

        match put_back {
            PutBack::Same { kept, from } => {
                payload_messages::log_put_back(&place, sequence, &from);
                self.payload = PublishedPayload::stored(Some(kept));
                // What could not be made of it before.
                self.settle_config_json().await?;
                Ok(Event::PutBack)
            }
            PutBack::Anew { published, from } => {
                payload_messages::log_published_anew(&place, sequence, published.manifest.sequence, &from);
                self.now_published(*published);
                Ok(self.written())
            }
            PutBack::Nowhere { reasons } => {
                self.payload.was_not_put_back(&reasons, sequence, &place);
                Ok(Event::NotPutBack)
            }
        }
    }

    fn now_published(&mut self, mut published: Published) {
        self.config_json = published.config_json.clone();
        self.own_config_json = published.config_json.clone();
        self.payload = PublishedPayload::stored(published.payload.take());
        self.current = CurrentManifest::Published(Box::new(published));
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
        let (hash, sequence, place) = (manifest.config_hash, manifest.sequence, self.archive.place());
        info!(
            %hash,
            sequence,
            store = place,
            "published configuration {hash} as snapshot {sequence} in {place}: {} bytes, {} compressed, {}, {}",
            manifest.config.bytes,
            manifest.snapshot.bytes,
            manifest.counts.services(),
            manifest.counts.routes(),
        );
    }

    // Once: nothing here may delete it, and it stays until somebody does.
    async fn warn_of_plaintext(&mut self) -> Result<(), StorageError> {
        if self.has_looked_for_plaintext {
            return Ok(());
        }
        if let Some(key) = self.archive.plaintext(self.author.version).await? {
            let place = self.archive.place();
            warn!(
                store = place,
                "{key} in {place} still holds a configuration in plain text, from before encryption: delete it, and the \
                 snapshots of that time"
            );
        }
        self.has_looked_for_plaintext = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::tests::{CHANGED, FIRST, author, in_memory, publish};

    async fn seen(writer: &mut SnapshotWriter) -> PayloadState {
        match writer.perform(Action::Glance).await.unwrap() {
            Event::Glanced { payload, .. } => payload,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_config_json_that_is_older_than_a_manifest_of_another_author_is_repaired() {
        let archive = in_memory();
        let (first, second) = (publish(&archive, FIRST).await, publish(&archive, CHANGED).await);
        let mut writer = SnapshotWriter::new(archive.clone(), author(), Clock::start());
        archive.put_back(&first).await;
        seen(&mut writer).await;
        assert!(matches!(archive.settle_config_json(&first, None).await, Ok(Beside::AsPublished(_))));
        // As when an operator has published while this exporter stood still, before its last write.
        archive.put_back(&second).await;
        seen(&mut writer).await;
        assert!(matches!(archive.settle_config_json(&second, None).await, Ok(Beside::AsPublished(_))));
    }

    #[tokio::test]
    async fn a_payload_that_was_missing_is_read_before_it_counts_as_whole() {
        let archive = in_memory();
        let published = publish(&archive, FIRST).await;
        let mut writer = SnapshotWriter::new(archive.clone(), author(), Clock::start());
        assert_eq!(seen(&mut writer).await, PayloadState::Whole);
        archive.lose_payload(&published).await;
        assert_eq!(seen(&mut writer).await, PayloadState::Missing);
        // As when what was put back is stored damaged: only its bytes tell.
        archive.damage_payload(&published).await;
        assert_eq!(seen(&mut writer).await, PayloadState::Altered);
    }
}
