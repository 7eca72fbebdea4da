//! A snapshot as it is going to be stored: the configuration compressed, sealed if there is a key for that, and described
//! by a manifest with all its proofs. Nothing is written here.

use bytes::Bytes;
use lifeboat_core::digest::Sha256Digest;
use lifeboat_core::keep::Received;
use lifeboat_core::keep::keeper::Held;
use lifeboat_core::keys::Keyring;
use lifeboat_core::manifest::{FORMAT, Manifest, PlainObject, State, StoredObject, Times};
use lifeboat_core::object_key::{ObjectKeys, SnapshotId};
use lifeboat_core::payload::Payload;
use lifeboat_core::seal::{Binding, Content, Nonce, Seal, seal};
use lifeboat_core::time::WallTime;

use super::{Author, Terms};

/// What becomes of a snapshot.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lot<'a> {
    /// It is published on these terms.
    Published(&'a Terms),
    /// It is held for this reason, under this leadership.
    Held(&'a Held, u64),
}

/// A payload and what its manifest says of it.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    pub(super) id: SnapshotId,
    pub(super) payload: Bytes,
    config: PlainObject,
    sha256: Sha256Digest,
    sealed: Option<Seal>,
}

impl Packed {
    /// Compresses a configuration and seals it as the snapshot of this number: it opens as no other. There is one copy of
    /// the payload, sealed in the buffer into which it was compressed. `random` must never have been used before.
    pub(super) fn new(received: &Received, author: &Author, sequence: u64, keys: &Keyring, random: [u8; 12]) -> Self {
        let json = received.configuration.json();
        let id = SnapshotId { sequence, config_hash: received.config_hash };
        let config = PlainObject { sha256: Sha256Digest::of(json), bytes: json.len() as u64 };
        let plain = Payload::compress(json).into_bytes();
        let (payload, sealed) = match keys.sealing() {
            None => (plain, None),
            Some(key) => {
                let kong_version = author.version;
                let content = Content::Configuration(config);
                let binding = Binding { kong_version, sequence, config_hash: id.config_hash, content };
                let (payload, sealed) = seal(plain, key, Nonce::from_random(random), &binding);
                (payload, Some(sealed))
            }
        };
        Self { id, sha256: Sha256Digest::of(&payload), payload, config, sealed }
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
            sha256: self.sha256,
            bytes: self.payload.len() as u64,
            sealed: self.sealed.clone(),
        };
        let (epoch, state, pin, held) = match lot {
            Lot::Published(terms) => (terms.epoch, terms.state, terms.pin, None),
            Lot::Held(why, epoch) => (epoch, State::Held, None, Some(why.clone())),
        };
        let manifest = Manifest {
            format: FORMAT,
            kong_version: author.version,
            sequence: self.id.sequence,
            epoch,
            state,
            pin,
            held,
            config_hash: received.config_hash,
            hashes: received.hashes.clone(),
            snapshot,
            config: self.config,
            cache_image: None,
            counts: received.configuration.counts().clone(),
            exporter: author.exporter.clone(),
            times: Times { received: received.at, exported: now, last_seen: received.at },
            proofs: Vec::new(),
        };
        manifest.proven_with(keys)
    }
}
