//! Publishing: first the payload, which is read back; then the manifest; then the manifest's copy beside the payload;
//! last `config.json`. So every manifest has its payload, even if a crash comes at any moment.

use std::sync::Arc;

use bytes::Bytes;
use futures::{FutureExt, try_join};
use lifeboat_core::digest::{ConfigHash, Sha256Digest};
use lifeboat_core::export::Received;
use lifeboat_core::keys::Keyring;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::{Exporter, Manifest, Pin, State};
use lifeboat_core::object_key::{HIGHEST_SEQUENCE, ObjectKeys, SnapshotId};
use lifeboat_core::payload::Payload;
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::{Authentic, Place, Policy};
use lifeboat_runtime::background::computed;
use lifeboat_storage::{StorageError, Write};
use tracing::debug;

use super::snapshot::{Packed, Sealing, StoredPayload, plain_object};
use super::{Archive, ArchiveReader, CurrentManifest, MANIFEST_LIMIT, Published, authentic};
use crate::metrics::Step;

/// The publisher.
#[derive(Clone, Debug)]
pub struct Author {
    /// The id, host and program that the manifest names.
    pub exporter: Exporter,
    /// The version of Kong that the configurations are for.
    pub version: KongVersion,
}

/// On which terms a configuration is published.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The leadership that publishes it.
    pub epoch: u64,
    /// Why it is published.
    pub state: State,
    /// How long it stays, if an operator has decided that.
    pub pin: Option<Pin>,
    /// When the control plane was last known to have it, if that is not when it was received.
    pub last_seen: Option<WallTime>,
}

/// How often a sequence number may be taken by somebody else before we give up.
const SEQUENCE_TRIES: u64 = 16;

impl ArchiveReader {
    pub(super) fn refuse_to_lay_open(&self, over: &CurrentManifest, policy: &Policy) -> Result<(), StorageError> {
        if let CurrentManifest::Published(published) = over
            && policy.keys.sealing().is_none()
            && let Some(seal) = &published.manifest.snapshot.sealed
        {
            return Err(self.misconfigured(format!(
                "what is published there is sealed with encryption key {:?}, and this exporter would write in plain text: \
                 set LIFEBOAT_ENCRYPTION_KEYS, or export to another prefix",
                seal.key
            )));
        }
        Ok(())
    }

    /// The key of a `config.json` that lies there in plain text, though snapshots are sealed now.
    pub async fn plaintext(&self, version: KongVersion) -> Result<Option<String>, StorageError> {
        if self.keys.current().sealing().is_none() {
            return Ok(None);
        }
        let key = ObjectKeys::new(version).config_json();
        Ok(self.storage.read_optional(&key, 0).await?.map(|_| key))
    }
}

impl Archive {
    /// Publishes a configuration. It replaces exactly the manifest that the caller has read, `over`. Nothing in an
    /// unaccepted manifest is believed: the new number comes after the highest that is taken.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] when another manifest was published meanwhile: look again.
    /// [`StorageError::Misconfigured`] when the published snapshot is sealed and this one would not be: that would
    /// reveal what somebody wanted sealed.
    pub async fn publish(
        &self,
        author: &Author,
        received: &Received,
        over: &CurrentManifest,
        terms: &Terms,
        now: WallTime,
    ) -> Result<Published, StorageError> {
        // The keys are read once, so that the payload and its manifest are made with the same ones.
        let (policy, version) = (self.policy(author.version), author.version);
        self.refuse_to_lay_open(over, &policy)?;

        // Noted before the manifest is written: afterwards only this version of config.json is replaced.
        let (mut packed, place) = try_join!(
            self.write_payload(author, received, &policy.keys, over.sequence()),
            self.config_json_place(version)
        )?;

        let step = self.steps.begin(version, Step::Manifest);
        let schemas = Self::schemas_of(over, &policy.keys);
        let manifest = Manifest { schemas, ..packed.manifest(received, author, terms, now) };
        let mut published = self.write_newest(manifest, over.replaced(), &policy).await?;
        debug!("wrote the manifest");
        published.payload = packed.kept.take();
        let copy = ObjectKeys::new(version).snapshot_manifest(packed.id);
        match self.write_manifest(&copy, published.document.clone(), Write::Create).await {
            // Another exporter has completed the snapshot in between; or this is our own copy, damaged, from an attempt
            // whose answer was lost.
            Err(StorageError::Conflict { .. }) => self.complete(&published).await?,
            written => written?,
        }
        step.done();

        // Sealed snapshots have no plain text beside them.
        if policy.keys.sealing().is_none() {
            let (json, step) = (received.configuration.json().clone(), self.steps.begin(version, Step::ConfigJson));
            published.config_json = Some(self.write_config_json(version, json, place).await?);
            step.done();
        }
        Ok(published)
    }

    /// Proves a manifest and publishes it, in the place of exactly what was found there.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] when something else is there by now.
    pub(super) async fn write_newest(
        &self,
        manifest: Manifest,
        over: Write,
        policy: &Policy,
    ) -> Result<Published, StorageError> {
        let document = Bytes::from(manifest.proven_with(&policy.keys).encode());
        let manifest = self.accepted(&document, Place::Newest, policy)?;
        let key = ObjectKeys::new(policy.version).manifest();
        let tag = self.storage.write(&key, document.clone(), over).await?;
        Ok(Published { manifest, tag, document, config_json: None, payload: None })
    }

    /// Copies a published snapshot's manifest next to its payload. The history is read from these copies. The copy is
    /// written after `manifest.json`, so that only published snapshots have one; a crash may come between the two. A
    /// copy that is there already stays, unless it is damaged.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] when somebody else wrote it meanwhile: look again.
    pub async fn complete(&self, published: &Published) -> Result<(), StorageError> {
        let (id, policy) = (published.manifest.id(), self.policy(published.manifest.kong_version));
        let key = ObjectKeys::new(policy.version).snapshot_manifest(id);
        let over = match self.storage.read_optional(&key, MANIFEST_LIMIT).await? {
            Some((bytes, _)) if self.accepted(&bytes, Place::Snapshot(id), &policy).is_ok() => return Ok(()),
            Some((_, tag)) => Write::Update(tag),
            None => Write::Create,
        };
        self.write_manifest(&key, published.document.clone(), over).await
    }

    /// Writes the manifest of one snapshot. It is replaced only if it reads back damaged: the history goes by its name
    /// alone, and would take the damaged one for a good one.
    pub(super) async fn write_manifest(&self, key: &str, encoded: Bytes, over: Write) -> Result<(), StorageError> {
        let tag = self.storage.write(key, encoded.clone(), over).await?;
        match self.storage.read_back(key, &encoded).await {
            Err(StorageError::ReadBackDiffers { .. }) => {
                self.storage.write(key, encoded.clone(), Write::Update(tag)).await?;
                self.storage.read_back(key, &encoded).await
            }
            read_back => read_back,
        }
    }

    // An exporter checks that it would accept its own manifest: a mistake shows now, and not in an outage.
    pub(super) fn accepted(&self, encoded: &[u8], place: Place, policy: &Policy) -> Result<Authentic, StorageError> {
        authentic(encoded, place, policy).and_then(|manifest| policy.check_seal(&manifest).map(|()| manifest)).map_err(
            |error| self.misconfigured(format!("nothing was published, since it would not be accepted: {error}")),
        )
    }

    /// Writes a configuration's payload under the next free number, and reads it back. Computing and waiting for the
    /// store happen at the same time.
    pub(super) async fn write_payload(
        &self,
        author: &Author,
        received: &Received,
        keys: &Arc<Keyring>,
        after: u64,
    ) -> Result<Packed, StorageError> {
        let configuration = received.configuration.clone();
        let json = configuration.json().clone();
        let compressed = async {
            let step = self.steps.begin(author.version, Step::Compress);
            let payload = computed(move || configuration.payload()).await;
            step.done();
            Ok::<_, StorageError>(payload)
        };

        let (first, payload) = try_join!(self.first_free(author.version, after), compressed)?;
        debug!("compressed a configuration, and know the numbers that are taken");
        let version = author.version;
        let Some(key) = keys.sealing() else {
            // The digests are for the manifest alone, so they are computed while the payload is written.
            let bytes = payload.bytes().clone();
            let digests = computed(move || (plain_object(&json), Sha256Digest::of(&bytes))).map(Ok);
            let stored = self.store_first_free(author, received.config_hash, first, payload, None);
            let ((config, sha256), stored) = try_join!(digests, stored)?;
            debug!("know the digests");
            return Ok(Packed::new(stored, version, config, sha256));
        };

        let config = computed(move || plain_object(&json)).await;
        let sealing = Some(Sealing { key: key.clone(), config });
        let stored = self.store_first_free(author, received.config_hash, first, payload, sealing).await?;
        let bytes = stored.bytes.clone().into_inner();
        let sha256 = computed(move || Sha256Digest::of(&bytes)).await;
        Ok(Packed::new(stored, version, config, sha256))
    }

    /// The number after the highest that is taken.
    async fn first_free(&self, version: KongVersion, after: u64) -> Result<u64, StorageError> {
        // A number so high that there is no room after it was not reached by counting: somebody else wrote it.
        let below = HIGHEST_SEQUENCE - SEQUENCE_TRIES;
        let taken = self.highest_sequence_between(version, after, below).await?;
        let first = taken.unwrap_or(after) + 1;
        if first > below + 1 {
            return Err(self.misconfigured(format!(
                "the numbers of snapshots end at {HIGHEST_SEQUENCE} and {after} is published: someone else has \
                 written there. Export to another prefix"
            )));
        }
        Ok(first)
    }

    /// Stores a payload under the first number from `first` on that nobody has taken.
    async fn store_first_free(
        &self,
        author: &Author,
        config_hash: ConfigHash,
        first: u64,
        payload: Payload,
        sealing: Option<Sealing>,
    ) -> Result<StoredPayload, StorageError> {
        let (keys, version) = (ObjectKeys::new(author.version), author.version);
        for sequence in first..first + SEQUENCE_TRIES {
            let id = SnapshotId { sequence, config_hash };
            // Made anew for each number, because a sealed payload is bound to its number.
            let (payload, sealing) = (payload.clone(), sealing.clone());
            let mut stored = computed(move || StoredPayload::new(id, payload, sealing, version)).await;

            let (key, step) = (keys.snapshot(id), self.steps.begin(version, Step::WritePayload));
            match self.storage.write(&key, stored.bytes.clone().into_inner(), Write::Create).await {
                Ok(tag) => stored.tag = Some(tag),
                // The number was left by a crash, or just taken by another exporter: skip it.
                Err(StorageError::Conflict { .. }) => continue,
                Err(error) => return Err(error),
            }
            step.done();
            debug!("wrote a payload");

            let step = self.steps.begin(version, Step::ReadBack);
            self.storage.read_back(&key, &stored.bytes).await?;
            step.done();
            debug!("read a payload back");
            return Ok(stored);
        }
        Err(StorageError::Conflict { place: self.place().to_owned(), key: keys.snapshots() })
    }
}
