//! The manifest, format 1: what a snapshot is, where it lies and why it was published. Field names are the store's
//! format; readers ignore fields that they don't know. Who wrote one is proven in `proof` and believed in `verify`.

mod document;
mod held;
mod proof;
mod sealing;

use serde::{Deserialize, Serialize};

pub use document::Document;
pub use held::{Held, Loss, Shrunk};
pub use proof::{AUTHENTICATION, DOMAIN, Proof, SIGNATURE};
pub use sealing::{Nonce, Seal};

use crate::digest::{ConfigHash, Sha256Digest};
use crate::keys::{Key, Keyring, SigningKey};
use crate::kong::version::KongVersion;
use crate::kong::{EntityCounts, SectionHashes};
use crate::object_key::SnapshotId;
use crate::time::WallTime;

/// The format that this code writes.
pub const FORMAT: u32 = 1;

/// Which snapshot is published, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The version of Kong that this configuration was made for.
    pub kong_version: KongVersion,
    /// The snapshot's place in the history.
    pub sequence: u64,
    /// Which leadership published it: grows with each new leader.
    pub epoch: u64,
    /// Why it was published.
    pub state: State,
    /// The operator's word on how long it stays the published one, if it was an operator who chose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,
    /// Why it was not published, if it is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// Where the configuration came from, if no control plane sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Kong's name for the configuration.
    pub config_hash: ConfigHash,
    /// The hashes of its sections, as the control plane sent them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hashes: Option<SectionHashes>,
    /// The payload: gzip of the configuration.
    pub snapshot: StoredObject,
    /// The configuration itself: what the payload expands to, and what `config.json` holds.
    pub config: PlainObject,
    /// An image of the cache of a node that runs it, if one was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_image: Option<CacheImage>,
    /// The control plane's own schemas, if it was asked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schemas: Option<StoredSchemas>,
    /// How many entities of each kind it has.
    #[serde(default)]
    pub counts: EntityCounts,
    /// Who published it.
    pub exporter: Exporter,
    /// When it was received, published, and last seen unchanged.
    pub times: Times,
    /// Who wrote it: signatures and authentication codes of all the rest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proofs: Vec<Proof>,
}

/// An object in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredObject {
    /// Its key, relative to the prefix.
    pub key: String,
    /// The digest of its bytes.
    pub sha256: Sha256Digest,
    /// Its size in bytes.
    pub bytes: u64,
    /// How it is sealed; none if it is plain. Digest and size are those of the sealed bytes, so that damage can be told
    /// from a wrong key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Seal>,
}

/// Bytes that are kept under another form or in a place of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainObject {
    /// The digest of the bytes.
    pub sha256: Sha256Digest,
    /// How many there are.
    pub bytes: u64,
}

/// An image of a node's LMDB cache: gzip of a `data.mdb`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheImage {
    /// Where it lies.
    #[serde(flatten)]
    pub object: StoredObject,
    /// The size of the `data.mdb` in bytes.
    pub expands_to: u64,
}

/// Kong's own description of its entities and plugins, as a control plane has it: gzip of JSON. It is no part of a
/// snapshot, and snapshots share it; whoever doesn't find it goes on without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSchemas {
    /// Where it lies.
    #[serde(flatten)]
    pub object: StoredObject,
    /// What it expands to.
    pub json: PlainObject,
}

/// Why a snapshot is the published one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A node of the same version runs it.
    Confirmed,
    /// The control plane sent it; no node has told yet that it runs it.
    Received,
    /// An operator chose it.
    Pinned,
    /// It isn't the published one: it waits for an operator's `release`.
    Held,
}

/// An operator chose what is published (`lifeboat rollback`, `lifeboat pin`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "until")]
pub enum Pin {
    /// It stays until the control plane's configuration is another one than this.
    Change {
        /// What the control plane had when the operator chose.
        instead_of: ConfigHash,
    },
    /// It stays until `lifeboat unpin`.
    Unpin,
}

/// Where a configuration came from that no control plane sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// What was read.
    pub from: SourceKind,
    /// The operator's reason for publishing what Kong's schemas, or a check of Lifeboat's, refuse: so it counts as not
    /// checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
}

/// What a configuration was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// A file that a person or a program has written.
    File,
    /// The Admin API of a node without a database.
    DblessNode,
    /// Something that a later Lifeboat reads.
    #[serde(other)]
    Other,
}

/// Who published a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exporter {
    /// The id under which the control plane knows this backup node.
    pub node_id: String,
    /// Its host's name.
    pub hostname: String,
    /// Its version of Lifeboat.
    pub lifeboat: String,
}

/// When things happened to a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// The control plane sent it.
    pub received: WallTime,
    /// It was published.
    pub exported: WallTime,
    /// The control plane was last known to have it.
    pub last_seen: WallTime,
}

/// Why a text isn't a manifest that this version can read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Not JSON, or not of the manifest's form: half-written, or something else altogether.
    #[error("it is not a lifeboat manifest: {0}")]
    Malformed(serde_json::Error),
    /// JSON of something else.
    #[error("it is not a lifeboat manifest: it has no format")]
    NoFormat,
    /// Written by a later Lifeboat.
    #[error("it has format {0}, and this lifeboat reads format 1 only: update lifeboat")]
    UnknownFormat(u64),
    /// No exporter writes so many.
    #[error("it is not a lifeboat manifest: it has {0} proofs")]
    TooManyProofs(usize),
}

impl Manifest {
    /// Which snapshot this manifest names.
    pub fn id(&self) -> SnapshotId {
        SnapshotId { sequence: self.sequence, config_hash: self.config_hash }
    }

    /// When the control plane was last known to have the configuration; none if it never was.
    pub fn last_seen_at_the_control_plane(&self) -> Option<WallTime> {
        self.source.is_none().then_some(self.times.last_seen)
    }

    /// The manifest's bytes, as they are stored: JSON for people too.
    pub fn encode(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("a manifest always has a JSON form");
        json.push(b'\n');
        json
    }

    /// Reads what a manifest of any format that was ever written says, whoever wrote it. To act on one, see
    /// [`authenticate`](crate::verify::authenticate).
    pub fn decode(json: &[u8]) -> Result<Self, Unreadable> {
        Document::decode(json)?.claims()
    }

    /// The same manifest with the proofs of an exporter that has these keys, and with no others.
    pub fn proven_with(self, keys: &Keyring) -> Self {
        let proofs = Proof::all(keys, &Document::of(&self).proven_text());
        Self { proofs, ..self }
    }

    /// Whether an exporter with these keys would write it in the same way: sealed and signed with the same keys.
    pub fn is_as_written_with(&self, keys: &Keyring) -> bool {
        let is_signed =
            |key: &SigningKey| self.proofs.iter().any(|proof| proof.algorithm == SIGNATURE && proof.key == *key.name());
        let sealed_with = self.snapshot.sealed.as_ref().map(|seal| &seal.key);
        sealed_with == keys.sealing().map(Key::name) && keys.signing().is_none_or(is_signed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &[u8] = include_bytes!("../../../tests/data/manifest-format-1.json");

    #[test]
    fn the_golden_manifest_of_format_1_stays_readable() {
        let manifest = Manifest::decode(GOLDEN).unwrap();
        assert_eq!(manifest.sequence, 7);
        assert_eq!(manifest.state, State::Received);
        assert_eq!(manifest.counts.get("routes"), 5);
        assert_eq!(manifest.kong_version, KongVersion::new(3, 9, 1));
    }

    #[test]
    fn what_is_written_is_the_golden_form() {
        let manifest = Manifest::decode(GOLDEN).unwrap();
        assert_eq!(String::from_utf8(manifest.encode()).unwrap(), String::from_utf8(GOLDEN.to_vec()).unwrap());
    }

    #[test]
    fn an_image_is_described_as_an_object_with_the_size_that_it_expands_to() {
        let mut json: serde_json::Value = serde_json::from_slice(GOLDEN).unwrap();
        let image = serde_json::json!({
            "key": "3.9.1/lifeboat/cache/x.mdb.gz", "sha256": "e".repeat(64), "bytes": 6301, "expands_to": 69632,
        });
        json["cache_image"] = image.clone();
        let manifest = Manifest::decode(json.to_string().as_bytes()).unwrap();
        assert_eq!(manifest.cache_image.as_ref().unwrap().object.bytes, 6301);
        let written: serde_json::Value = serde_json::from_slice(&manifest.encode()).unwrap();
        assert_eq!(written["cache_image"], image);
    }

    #[test]
    fn schemas_are_described_as_an_object_with_what_it_expands_to() {
        let mut json: serde_json::Value = serde_json::from_slice(GOLDEN).unwrap();
        let schemas = serde_json::json!({
            "key": "3.9.1/lifeboat/schemas-x.json.gz", "sha256": "e".repeat(64), "bytes": 9,
            "json": {"sha256": "f".repeat(64), "bytes": 90},
        });
        json["schemas"] = schemas.clone();
        let manifest = Manifest::decode(json.to_string().as_bytes()).unwrap();
        assert_eq!(manifest.schemas.as_ref().unwrap().json.bytes, 90);
        let written: serde_json::Value = serde_json::from_slice(&manifest.encode()).unwrap();
        assert_eq!(written["schemas"], schemas);
    }

    #[test]
    fn what_no_control_plane_sent_says_where_it_came_from() {
        let mut manifest = Manifest::decode(GOLDEN).unwrap();
        assert_eq!(manifest.last_seen_at_the_control_plane(), Some(manifest.times.last_seen));
        manifest.source = Some(Source { from: SourceKind::File, accepted: Some("tried on staging".to_owned()) });
        assert_eq!(manifest.last_seen_at_the_control_plane(), None);
        let written: serde_json::Value = serde_json::from_slice(&manifest.encode()).unwrap();
        assert_eq!(written["source"], serde_json::json!({ "from": "file", "accepted": "tried on staging" }));
        assert_eq!(Manifest::decode(&manifest.encode()).unwrap(), manifest);
        let later = String::from_utf8(manifest.encode()).unwrap().replace("\"file\"", "\"a letter\"");
        assert_eq!(Manifest::decode(later.as_bytes()).unwrap().source.unwrap().from, SourceKind::Other);
    }

    #[test]
    fn fields_of_later_versions_are_ignored() {
        let mut json: serde_json::Value = serde_json::from_slice(GOLDEN).unwrap();
        json["signature"] = "of a later version".into();
        json["times"]["thought_about"] = 1.into();
        assert_eq!(Manifest::decode(json.to_string().as_bytes()).unwrap(), Manifest::decode(GOLDEN).unwrap());
    }

    #[test]
    fn a_format_of_the_future_is_named() {
        let error = Manifest::decode(br#"{"format":2}"#).unwrap_err().to_string();
        assert!(error.contains("format 2") && error.contains("update lifeboat"), "{error}");
    }

    #[test]
    fn what_is_json_of_something_else_is_not_a_manifest() {
        for (other, part) in [
            ("{}", "no format"),
            ("[]", "not a lifeboat manifest"),
            (r#"{"format":"1"}"#, "no format"),
            (r#"{"format":1,"proofs":{}}"#, "not a lifeboat manifest"),
        ] {
            let error = Manifest::decode(other.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(part), "{other}: {error}");
        }
        let many = vec![serde_json::json!({ "algorithm": "x", "key": "k", "value": "" }); 17];
        let error = Manifest::decode(serde_json::json!({ "format": 1, "proofs": many }).to_string().as_bytes());
        assert!(error.unwrap_err().to_string().contains("17 proofs"));
    }

    #[test]
    fn half_a_manifest_is_not_one() {
        for length in 0..GOLDEN.len() - 2 {
            assert!(Manifest::decode(&GOLDEN[..length]).is_err(), "{length} bytes");
        }
    }
}
