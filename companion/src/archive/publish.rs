//! Publishing: payload first, read back, manifest next, `config.json` last. Whoever sees a manifest finds its payload,
//! whatever moment a crash chooses.

use std::sync::Arc;

use bytes::Bytes;
use lifeboat_core::digest::{ConfigHash, Sha256Digest};
use lifeboat_core::keys::Keyring;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::kong::{Configuration, SectionHashes};
use lifeboat_core::manifest::{Document, Exporter, Manifest};
use lifeboat_core::object_key::{HIGHEST_SEQUENCE, ObjectKeys};
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::{Authentic, Place, Policy, Rejected, authenticate, verify};

use super::snapshot::Packed;
use super::{Archive, Published, Unaccepted};
use crate::background::computed;
use crate::storage::{StorageError, Write};

/// A configuration as the control plane sent it.
#[derive(Clone, Debug)]
pub struct Received {
    /// The configuration.
    pub configuration: Configuration,
    /// Kong's name for it.
    pub config_hash: ConfigHash,
    /// The hashes of its sections, if the control plane sent them.
    pub hashes: Option<SectionHashes>,
    /// When it came.
    pub at: WallTime,
}

/// Who publishes.
#[derive(Clone, Debug)]
pub struct Author {
    /// The id, host and program that the manifest names.
    pub exporter: Exporter,
    /// The version of Kong that the configurations are for.
    pub version: KongVersion,
}

/// What a manifest comes after.
struct Predecessor {
    sequence: u64,
    epoch: u64,
    write: Write,
}

/// How often a sequence number may be taken by somebody else before we give up.
const SEQUENCE_TRIES: u64 = 16;

impl Archive {
    /// Publishes a configuration after `previous`, the manifest that was the newest when the caller looked.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] when another manifest was published meanwhile: look again.
    /// [`StorageError::Misconfigured`] when what lies there is sealed and this would not be: to publish would lay open
    /// what somebody wanted sealed.
    pub async fn publish(
        &self,
        author: &Author,
        received: &Received,
        previous: Option<&Published>,
        now: WallTime,
    ) -> Result<Published, StorageError> {
        let predecessor = match previous {
            None => Predecessor { sequence: 0, epoch: 1, write: Write::Create },
            Some(Published { manifest, tag }) => {
                if self.keys.current().sealing().is_none()
                    && let Some(seal) = &manifest.snapshot.sealed
                {
                    return Err(self.unusable(format!(
                        "what is published there is sealed with encryption key {:?}, and this exporter would write in \
                         plain text: set LIFEBOAT_ENCRYPTION_KEYS, or export to another prefix",
                        seal.key
                    )));
                }
                Predecessor { sequence: manifest.sequence, epoch: manifest.epoch, write: Write::Update(tag.clone()) }
            }
        };
        self.publish_after(predecessor, author, received, now).await
    }

    /// Publishes a configuration in the place of something that our keys don't accept. Nothing that it says is believed:
    /// the number comes after the highest that is taken.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn publish_instead(
        &self,
        author: &Author,
        received: &Received,
        unaccepted: &Unaccepted,
        now: WallTime,
    ) -> Result<Published, StorageError> {
        let predecessor = Predecessor { sequence: 0, epoch: 1, write: Write::Update(unaccepted.tag.clone()) };
        self.publish_after(predecessor, author, received, now).await
    }

    async fn publish_after(
        &self,
        predecessor: Predecessor,
        author: &Author,
        received: &Received,
        now: WallTime,
    ) -> Result<Published, StorageError> {
        // Asked for once, so that the payload and its manifest are of the same keys.
        let (policy, stored) = (self.policy(author.version), ObjectKeys::new(author.version));
        let packed = self.write_payload(author, received, &policy.keys, predecessor.sequence).await?;
        let manifest = packed.manifest(received, author, predecessor.epoch, &policy.keys, now);
        let encoded = Bytes::from(manifest.encode());
        let manifest = self.accepted(&encoded, &manifest, &policy)?;
        let own_manifest = stored.snapshot_manifest(packed.id);
        self.storage.write(&own_manifest, encoded.clone(), Write::Create).await?;
        self.storage.read_back(&own_manifest, &encoded).await?;
        let tag = self.storage.write(&stored.manifest(), encoded, predecessor.write).await?;
        if policy.keys.sealing().is_none() {
            self.write_config_json(author.version, received.configuration.json().clone()).await?;
        }
        Ok(Published { manifest, tag })
    }

    // What is published was accepted by who wrote it: a mistake shows before an importer meets it in an outage.
    fn accepted(&self, encoded: &[u8], manifest: &Manifest, policy: &Policy) -> Result<Authentic, StorageError> {
        let document = Document::decode(encoded).map_err(Rejected::from);
        let accepted = document.and_then(|document| {
            let authentic = authenticate(&document, Place::Snapshot(manifest.id()), policy)?;
            policy.check_seal(&authentic).map(|()| authentic)
        });
        accepted
            .map_err(|error| self.unusable(format!("nothing was published, since it would not be accepted: {error}")))
    }

    /// Makes `config.json` what the manifest says that it is, if it isn't: a crash may have come between the two.
    /// Answers whether there was something to repair. With encryption there is to be none.
    pub async fn repair_config_json(&self, published: &Published) -> Result<bool, StorageError> {
        let manifest = &published.manifest;
        let policy = self.policy(manifest.kong_version);
        if policy.keys.sealing().is_some() {
            return Ok(false);
        }
        let snapshot = &manifest.snapshot.key;
        policy.check_seal(manifest).map_err(|error| self.unusable(format!("{snapshot}: {error}")))?;
        let key = ObjectKeys::new(manifest.kong_version).config_json();
        let found = self.storage.read_optional(&key, manifest.config.bytes).await?;
        if found.is_some_and(|(bytes, _)| Sha256Digest::of(&bytes) == manifest.config.sha256) {
            return Ok(false);
        }
        let (payload, _) = self.storage.read(snapshot, manifest.snapshot.bytes).await?;
        let expanded = computed({
            let manifest = manifest.clone();
            move || verify(manifest, payload, &policy).and_then(|verified| verified.config_json())
        });
        let json = expanded.await.map_err(|error| self.unusable(format!("{snapshot}: {error}")))?;
        self.write_config_json(manifest.kong_version, json.into()).await?;
        Ok(true)
    }

    /// The key of a `config.json` that lies there in plain text, though snapshots are sealed now.
    pub async fn plaintext(&self, version: KongVersion) -> Result<Option<String>, StorageError> {
        if self.keys.current().sealing().is_none() {
            return Ok(None);
        }
        let key = ObjectKeys::new(version).config_json();
        Ok(self.storage.read_optional(&key, 0).await?.map(|_| key))
    }

    async fn write_payload(
        &self,
        author: &Author,
        received: &Received,
        keys: &Arc<Keyring>,
        after: u64,
    ) -> Result<Packed, StorageError> {
        let stored = ObjectKeys::new(author.version);
        // What leaves no room for numbers after it, nobody has counted up to: somebody else wrote it.
        let below = HIGHEST_SEQUENCE - SEQUENCE_TRIES;
        let taken = self.highest_sequence_between(author.version, after, below).await?;
        let first = taken.unwrap_or(after) + 1;
        if first > below + 1 {
            return Err(self.unusable(format!(
                "the numbers of snapshots end at {HIGHEST_SEQUENCE} and {after} is published: somebody else has written \
                 there. Export to another prefix"
            )));
        }
        for sequence in first..first + SEQUENCE_TRIES {
            // Made anew for each number, since a sealed payload is bound to its own.
            let packed = computed({
                let (received, author, keys) = (received.clone(), author.clone(), keys.clone());
                move || Packed::new(&received, &author, sequence, &keys, rand::random())
            })
            .await;
            let key = stored.snapshot(packed.id);
            match self.storage.write(&key, packed.payload.clone(), Write::Create).await {
                Ok(_) => {
                    self.storage.read_back(&key, &packed.payload).await?;
                    return Ok(packed);
                }
                // Left by a crash, or taken by another exporter just now. Its number is skipped.
                Err(StorageError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StorageError::Conflict { place: self.place().to_owned(), key: stored.snapshots() })
    }

    async fn write_config_json(&self, version: KongVersion, json: Bytes) -> Result<(), StorageError> {
        let key = ObjectKeys::new(version).config_json();
        self.storage.write(&key, json.clone(), Write::Replace).await?;
        self.storage.read_back(&key, &json).await
    }
}
