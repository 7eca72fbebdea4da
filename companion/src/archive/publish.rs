//! Publishing: payload first, read back, manifest next, `config.json` last. Whoever sees a manifest finds its payload,
//! whatever moment a crash chooses.

use bytes::Bytes;
use lifeboat_core::digest::{ConfigHash, Sha256Digest};
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::kong::{Configuration, SectionHashes};
use lifeboat_core::manifest::{Exporter, FORMAT, Manifest, PlainObject, State, StoredObject, Times};
use lifeboat_core::object_key::{ObjectKeys, SnapshotId};
use lifeboat_core::payload::Payload;
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::verify;

use super::{Archive, Published};
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

/// How often a sequence number may be taken by somebody else before we give up.
const SEQUENCE_TRIES: u64 = 16;

impl Archive {
    /// Publishes a configuration after `previous`, the manifest that was the newest when the caller looked.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] when another manifest was published meanwhile: look again.
    pub async fn publish(
        &self,
        author: &Author,
        received: &Received,
        previous: Option<&Published>,
        now: WallTime,
    ) -> Result<Published, StorageError> {
        let keys = ObjectKeys::new(author.version);
        let json = received.configuration.json().clone();
        let (payload, payload_sha256, config) = computed({
            let json = json.clone();
            move || {
                let payload = Payload::compress(&json);
                let payload_sha256 = Sha256Digest::of(payload.bytes());
                (payload, payload_sha256, PlainObject { sha256: Sha256Digest::of(&json), bytes: json.len() as u64 })
            }
        })
        .await;
        let id = self.write_payload(author.version, received.config_hash, &payload, previous).await?;
        let manifest = Manifest {
            format: FORMAT,
            kong_version: author.version,
            sequence: id.sequence,
            epoch: previous.map_or(1, |published| published.manifest.epoch),
            state: State::Received,
            config_hash: received.config_hash,
            hashes: received.hashes.clone(),
            snapshot: StoredObject {
                key: keys.snapshot(id),
                sha256: payload_sha256,
                bytes: payload.bytes().len() as u64,
            },
            config,
            counts: received.configuration.counts().clone(),
            exporter: author.exporter.clone(),
            times: Times { received: received.at, exported: now, last_seen: received.at },
        };
        let encoded = Bytes::from(manifest.encode());
        let own_manifest = keys.snapshot_manifest(id);
        self.storage.write(&own_manifest, encoded.clone(), Write::Create).await?;
        self.storage.read_back(&own_manifest, &encoded).await?;
        let write = previous.map_or(Write::Create, |published| Write::Update(published.tag.clone()));
        let tag = self.storage.write(&keys.manifest(), encoded, write).await?;
        self.write_config_json(author.version, json).await?;
        Ok(Published { manifest, tag })
    }

    /// Makes `config.json` what the manifest says that it is, if it isn't: a crash may have come between the two.
    /// Answers whether there was something to repair.
    pub async fn repair_config_json(&self, published: &Published) -> Result<bool, StorageError> {
        let manifest = &published.manifest;
        let key = ObjectKeys::new(manifest.kong_version).config_json();
        let found = self.storage.read_optional(&key, manifest.config.bytes).await?;
        if found.is_some_and(|(bytes, _)| Sha256Digest::of(&bytes) == manifest.config.sha256) {
            return Ok(false);
        }
        let (payload, _) = self.storage.read(&manifest.snapshot.key, manifest.snapshot.bytes).await?;
        let policy = self.policy(manifest.kong_version);
        let unusable = |reason: String| StorageError::Misconfigured { place: self.place().to_owned(), reason };
        let expanded = computed({
            let manifest = manifest.clone();
            move || verify(manifest, payload, &policy).and_then(|verified| verified.config_json())
        });
        let json = expanded.await.map_err(|error| unusable(format!("{}: {error}", manifest.snapshot.key)))?;
        self.write_config_json(manifest.kong_version, json.into()).await?;
        Ok(true)
    }

    async fn write_payload(
        &self,
        version: KongVersion,
        config_hash: ConfigHash,
        payload: &Payload,
        previous: Option<&Published>,
    ) -> Result<SnapshotId, StorageError> {
        let keys = ObjectKeys::new(version);
        let after = previous.map_or(0, |published| published.manifest.sequence);
        let first = 1 + self.highest_sequence_after(version, after).await?.unwrap_or(after);
        for sequence in first..first + SEQUENCE_TRIES {
            let id = SnapshotId { sequence, config_hash };
            let key = keys.snapshot(id);
            match self.storage.write(&key, payload.bytes().clone(), Write::Create).await {
                Ok(_) => {
                    self.storage.read_back(&key, payload.bytes()).await?;
                    return Ok(id);
                }
                // Left by a crash, or taken by another exporter just now. Its number is skipped.
                Err(StorageError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StorageError::Conflict { place: self.place().to_owned(), key: keys.snapshots() })
    }

    async fn write_config_json(&self, version: KongVersion, json: Bytes) -> Result<(), StorageError> {
        let key = ObjectKeys::new(version).config_json();
        self.storage.write(&key, json.clone(), Write::Replace).await?;
        self.storage.read_back(&key, &json).await
    }
}
