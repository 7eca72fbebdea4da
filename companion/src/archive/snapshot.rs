//! A snapshot as it is going to be stored: the configuration compressed, sealed if there is a key for that, and described
//! by a manifest with all its proofs. Nothing is written here.

use bytes::Bytes;
use lifeboat_core::digest::Sha256Digest;
use lifeboat_core::export::Received;
use lifeboat_core::keys::{EncryptionKey, Keyring};
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::{FORMAT, Held, Manifest, PlainObject, Seal, State, StoredObject, Times};
use lifeboat_core::object_key::{ObjectKeys, SnapshotId};
use lifeboat_core::payload::Payload;
use lifeboat_core::seal::{Binding, Content, seal};
use lifeboat_core::sensitive::Sensitive;
use lifeboat_core::time::WallTime;
use lifeboat_runtime::rng;
use lifeboat_storage::Tag;

use super::payload::KeptPayload;
use super::{Author, Terms};

/// What becomes of a snapshot.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lot<'a> {
    /// It is published on these terms.
    Published(&'a Terms),
    /// It is held for this reason, under this leadership.
    Held(&'a Held, u64),
}

/// How a payload is to be stored.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// As it is.
    Plain(Payload),
    /// Sealed with this key, which also proves what it expands to.
    Sealed(Payload, EncryptionKey, PlainObject),
}

/// A payload as it is stored, under its number.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) id: SnapshotId,
    pub(super) payload: Sensitive<Bytes>,
    /// As which version it lies in the store, once it does.
    pub(super) tag: Option<Tag>,
    sealed: Option<Seal>,
}

/// What a manifest says of bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digests {
    config: PlainObject,
    payload: Sha256Digest,
}

/// A payload and what its manifest says of it.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    pub(super) id: SnapshotId,
    payload_bytes: u64,
    /// The bytes, for a caller that keeps them.
    pub(super) kept: Option<KeptPayload>,
    sealed: Option<Seal>,
    digests: Digests,
}

/// What a manifest says of a configuration in plain text.
pub(super) fn plain_object(json: &[u8]) -> PlainObject {
    PlainObject { sha256: Sha256Digest::of(json), bytes: json.len() as u64 }
}

impl Stored {
    /// A payload in the form in which it is stored as this snapshot: a sealed one opens as no other.
    pub(super) fn new(id: SnapshotId, form: Form, kong_version: KongVersion) -> Self {
        match form {
            Form::Plain(payload) => Self { id, payload: payload.into_bytes().into(), tag: None, sealed: None },
            Form::Sealed(payload, key, config) => {
                let (sequence, config_hash, content) = (id.sequence, id.config_hash, Content::Configuration(config));
                let binding = Binding { kong_version, sequence, config_hash, content };
                let (payload, sealed) = seal(payload.into_bytes(), &key, rng::nonce(), &binding);
                Self { id, payload: payload.into(), tag: None, sealed: Some(sealed) }
            }
        }
    }
}

impl Digests {
    /// Of a configuration, and of its payload as it is stored.
    pub(super) fn of(config: PlainObject, payload: &[u8]) -> Self {
        Self { config, payload: Sha256Digest::of(payload) }
    }
}

impl Packed {
    /// What was stored, with its digests.
    pub(super) fn new(stored: Stored, digests: Digests) -> Self {
        let Stored { id, payload, tag, sealed } = stored;
        let payload_bytes = payload.len() as u64;
        let kept = tag.map(|tag| KeptPayload { sha256: digests.payload, bytes: payload, tag });
        Self { id, payload_bytes, kept, sealed, digests }
    }

    /// The manifest with which it is published or held.
    pub(super) fn manifest(
        &self,
        received: &Received,
        author: &Author,
        lot: Lot<'_>,
        keys: &Keyring,
        now: WallTime,
    ) -> Manifest {
        let snapshot = StoredObject {
            key: ObjectKeys::new(author.version).snapshot(self.id),
            sha256: self.digests.payload,
            bytes: self.payload_bytes,
            sealed: self.sealed.clone(),
        };

        let (epoch, state, pin, held) = match lot {
            Lot::Published(terms) => (terms.epoch, terms.state, terms.pin, None),
            Lot::Held(why, epoch) => (epoch, State::Held, None, Some(why.clone())),
        };
        let last_seen = match lot {
            Lot::Published(terms) => terms.last_seen.unwrap_or(received.at),
            Lot::Held(..) => received.at,
        };

        let manifest = Manifest {
            format: FORMAT,
            kong_version: author.version,
            sequence: self.id.sequence,
            epoch,
            state,
            pin,
            held,
            source: received.source.clone(),
            config_hash: received.config_hash,
            hashes: received.hashes.clone(),
            snapshot,
            config: self.digests.config,
            cache_image: None,
            schemas: None,
            counts: received.configuration.counts().clone(),
            exporter: author.exporter.clone(),
            times: Times { received: received.at, exported: now, last_seen },
            proofs: Vec::new(),
        };
        manifest.proven_with(keys)
    }
}
