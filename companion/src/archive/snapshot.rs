//! A snapshot as it is going to be stored: the configuration compressed, sealed if there is a key for that, and described
//! by a manifest. Nothing is written here.

use bytes::Bytes;
use lifeboat_core::digest::Sha256Digest;
use lifeboat_core::export::Received;
use lifeboat_core::keys::EncryptionKey;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::{FORMAT, Manifest, PlainObject, Seal, StoredObject, Times};
use lifeboat_core::object_key::{ObjectKeys, SnapshotId};
use lifeboat_core::payload::Payload;
use lifeboat_core::seal::{Binding, Content, seal};
use lifeboat_core::sensitive::Sensitive;
use lifeboat_core::time::WallTime;
use lifeboat_runtime::rng;
use lifeboat_storage::Tag;

use super::payload_repair::KeptPayload;
use super::{Author, Terms};

/// The key with which a payload is sealed, and the plain object to which the seal binds it.
#[derive(Clone, Debug)]
pub(super) struct Sealing {
    pub(super) key: EncryptionKey,
    pub(super) config: PlainObject,
}

/// A payload in the form in which it is stored, under its number.
#[derive(Clone)]
pub(super) struct StoredPayload {
    pub(super) id: SnapshotId,
    pub(super) bytes: Sensitive<Bytes>,
    /// The store's name for this version of the object, once it is stored.
    pub(super) tag: Option<Tag>,
    sealed: Option<Seal>,
}

/// A payload that is stored, and what its manifest says of it.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    pub(super) id: SnapshotId,
    config: PlainObject,
    object: StoredObject,
    /// The bytes, for a caller that keeps them.
    pub(super) kept: Option<KeptPayload>,
}

/// What a manifest says of a configuration in plain text.
pub(super) fn plain_object(json: &[u8]) -> PlainObject {
    PlainObject { sha256: Sha256Digest::of(json), bytes: json.len() as u64 }
}

impl StoredPayload {
    /// A payload in the form in which this snapshot stores it. A sealed one can be opened as this snapshot only.
    pub(super) fn new(id: SnapshotId, payload: Payload, sealing: Option<Sealing>, kong_version: KongVersion) -> Self {
        let payload = payload.into_bytes();
        let Some(Sealing { key, config }) = sealing else {
            return Self { id, bytes: payload.into(), tag: None, sealed: None };
        };

        let (sequence, config_hash, content) = (id.sequence, id.config_hash, Content::Configuration(config));
        let binding = Binding { kong_version, sequence, config_hash, content };
        let (payload, sealed) = seal(payload, &key, rng::nonce(), &binding);
        Self { id, bytes: payload.into(), tag: None, sealed: Some(sealed) }
    }
}

impl Packed {
    /// What was stored for this version, with the digests of the configuration and of the stored bytes.
    pub(super) fn new(stored: StoredPayload, version: KongVersion, config: PlainObject, sha256: Sha256Digest) -> Self {
        let StoredPayload { id, bytes, tag, sealed } = stored;
        let key = ObjectKeys::new(version).snapshot(id);
        let object = StoredObject { key, sha256, bytes: bytes.len() as u64, sealed };
        let kept = tag.map(|tag| KeptPayload { sha256, bytes, tag });
        Self { id, config, object, kept }
    }

    /// The manifest that describes it on these terms. It proves nothing yet.
    pub(super) fn manifest(&self, received: &Received, author: &Author, terms: &Terms, now: WallTime) -> Manifest {
        Manifest {
            format: FORMAT,
            kong_version: author.version,
            sequence: self.id.sequence,
            epoch: terms.epoch,
            state: terms.state,
            pin: terms.pin,
            held: None,
            source: received.source.clone(),
            config_hash: received.config_hash,
            hashes: received.hashes.clone(),
            snapshot: self.object.clone(),
            config: self.config,
            cache_image: None,
            schemas: None,
            counts: received.configuration.counts().clone(),
            exporter: author.exporter.clone(),
            times: Times { received: received.at, exported: now, last_seen: terms.last_seen.unwrap_or(received.at) },
            proofs: Vec::new(),
        }
    }
}
