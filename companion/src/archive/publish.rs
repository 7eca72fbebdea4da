//! Publishing: payload first, read back, manifest next, `config.json` last. Whoever sees a manifest finds its payload,
//! whatever moment a crash chooses.

use std::sync::Arc;

use bytes::Bytes;
use lifeboat_core::digest::Sha256Digest;
use lifeboat_core::keep::{Pin, Received};
use lifeboat_core::keys::Keyring;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::{Document, Exporter, State};
use lifeboat_core::object_key::{HIGHEST_SEQUENCE, ObjectKeys};
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::{Authentic, Place, Policy, Rejected, authenticate, verify};

use super::snapshot::{Lot, Packed};
use super::{Archive, Published, Standing};
use crate::background::computed;
use crate::storage::{StorageError, Write};

/// Who publishes.
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
    /// The operator's word on how long it stays.
    pub pin: Option<Pin>,
}

/// How often a sequence number may be taken by somebody else before we give up.
const SEQUENCE_TRIES: u64 = 16;

impl Archive {
    /// Publishes a configuration in the place of what the caller found there when it looked. Nothing that an unaccepted
    /// manifest says is believed: the number comes after the highest that is taken.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] when another manifest was published meanwhile: look again.
    /// [`StorageError::Misconfigured`] when what lies there is sealed and this would not be: to publish would lay open
    /// what somebody wanted sealed.
    pub async fn publish(
        &self,
        author: &Author,
        received: &Received,
        over: &Standing,
        terms: &Terms,
        now: WallTime,
    ) -> Result<Published, StorageError> {
        // Asked for once, so that the payload and its manifest are of the same keys.
        let (policy, stored) = (self.policy(author.version), ObjectKeys::new(author.version));
        self.refuse_to_lay_open(over, &policy)?;
        let packed = self.write_payload(author, received, &policy.keys, over.sequence()).await?;
        let manifest = packed.manifest(received, author, Lot::Published(terms), &policy.keys, now);
        let encoded = Bytes::from(manifest.encode());
        let manifest = self.accepted(&encoded, Place::Snapshot(manifest.id()), &policy)?;
        self.write_manifest(&stored.snapshot_manifest(packed.id), encoded.clone()).await?;
        let tag = self.storage.write(&stored.manifest(), encoded, over.replaced()).await?;
        if policy.keys.sealing().is_none() {
            self.write_config_json(author.version, received.configuration.json().clone()).await?;
        }
        Ok(Published { manifest, tag })
    }

    pub(super) fn refuse_to_lay_open(&self, over: &Standing, policy: &Policy) -> Result<(), StorageError> {
        if let Standing::Published(published) = over
            && policy.keys.sealing().is_none()
            && let Some(seal) = &published.manifest.snapshot.sealed
        {
            return Err(self.unusable(format!(
                "what is published there is sealed with encryption key {:?}, and this exporter would write in plain text: \
                 set LIFEBOAT_ENCRYPTION_KEYS, or export to another prefix",
                seal.key
            )));
        }
        Ok(())
    }

    /// Writes the manifest of one snapshot, which is never replaced.
    pub(super) async fn write_manifest(&self, key: &str, encoded: Bytes) -> Result<(), StorageError> {
        self.storage.write(key, encoded.clone(), Write::Create).await?;
        self.storage.read_back(key, &encoded).await
    }

    // What is published was accepted by who wrote it: a mistake shows before an importer meets it in an outage.
    pub(super) fn accepted(&self, encoded: &[u8], place: Place, policy: &Policy) -> Result<Authentic, StorageError> {
        let document = Document::decode(encoded).map_err(Rejected::from);
        let accepted = document.and_then(|document| {
            let authentic = authenticate(&document, place, policy)?;
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

    pub(super) async fn write_payload(
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
