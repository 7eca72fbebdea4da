//! The one way from bytes in a store to bytes that a node may be given: a document is authenticated, its payload compared
//! with it, opened and expanded. Only this module makes a [`Verified`], and only a `Verified` is ever delivered.

mod age;
mod authentic;
mod image;
mod rejected;
mod schemas;

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use flate2::read::GzDecoder;

pub use age::AgeLimit;
pub use authentic::{Authentic, Place, Writer, authenticate};
pub use image::{VerifiedImage, verify_image};
pub use rejected::Rejected;
pub use schemas::verify_schemas;

use crate::deltas::{Deltas, Unsyncable};
use crate::digest::{ConfigHash, Sha256Digest};
use crate::keys::{Demand, EncryptionKey, Keyring};
use crate::kong::message::ReconfigureMessage;
use crate::kong::rpc::SyncVersion;
use crate::kong::version::KongVersion;
use crate::kong::{Configuration, SectionHashes};
use crate::manifest::{Manifest, Seal, StoredObject};
use crate::payload::Payload;
use crate::schema::SchemaSet;
use crate::seal::{self, Binding};
use crate::time::WallTime;

/// What a snapshot must be to be accepted.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The version of Kong that the configuration must have been made for.
    pub version: KongVersion,
    /// The largest configuration in bytes, decompressed (`LIFEBOAT_MAX_CONFIG`).
    pub max_config: usize,
    /// Whose manifests are accepted and what opens sealed payloads.
    pub keys: Arc<Keyring>,
}

/// A configuration that may be given to a node.
#[derive(Clone, Debug)]
pub struct Verified {
    payload: Payload,
    config_hash: ConfigHash,
    hashes: Option<SectionHashes>,
    provenance: Provenance,
}

/// What is known of where a [`Verified`] came from.
#[derive(Clone, Debug)]
pub enum Provenance {
    /// Its bytes are the ones that this manifest describes.
    Manifest(Box<Authentic>),
    /// A plain `config.json` without a manifest, as Kong's own exporter writes it: whole and of a configuration's form,
    /// and nothing more is known of it.
    BareConfigJson,
}

impl Policy {
    /// Whether a manifest's payload is sealed, or not, as the keys have it: what can be said before it is fetched.
    ///
    /// # Errors
    /// [`Rejected::SealedWithoutKeys`], [`Rejected::UnknownSeal`], [`Rejected::UnknownSealing`] or
    /// [`Rejected::NotSealed`].
    pub fn check_seal(&self, manifest: &Authentic) -> Result<(), Rejected> {
        self.opening(&manifest.snapshot).map(|_| ())
    }

    // With what an object is to be opened; nothing, if it is plain and may be.
    fn opening<'a>(&self, object: &'a StoredObject) -> Result<Option<(&'a Seal, &EncryptionKey)>, Rejected> {
        let Some(sealed) = &object.sealed else {
            // With signatures, what was signed before there was encryption stays good.
            return if self.keys.demand() == Demand::Authentication { Err(Rejected::NotSealed) } else { Ok(None) };
        };
        let (key, known) = (sealed.key.clone(), self.keys.encryption_names());
        match self.keys.encryption(&sealed.key) {
            None if known.is_empty() => Err(Rejected::SealedWithoutKeys { key }),
            None => Err(Rejected::UnknownSeal { key, known }),
            Some(_) if sealed.algorithm != seal::ALGORITHM => {
                Err(Rejected::UnknownSealing(sealed.algorithm.chars().take(40).collect()))
            }
            Some(key) => Ok(Some((sealed, key))),
        }
    }

    // An object's bytes as its exporter had them before it sealed them, if they are what the manifest describes.
    fn opened(&self, object: &StoredObject, bytes: Bytes, binding: &Binding) -> Result<Bytes, Rejected> {
        let opening = self.opening(object)?;
        let (expected, actual) = (object.bytes, bytes.len() as u64);
        if actual < expected {
            return Err(Rejected::Truncated { expected, actual });
        }
        let (expected, actual) = (object.sha256, Sha256Digest::of(&bytes));
        if actual != expected {
            return Err(Rejected::DigestMismatch { expected, actual });
        }
        match opening {
            None => Ok(bytes),
            Some((sealed, key)) => seal::open(bytes, key, sealed.nonce, binding)
                .map_err(|seal::DoesNotOpen| Rejected::BrokenSeal { key: sealed.key.clone() }),
        }
    }
}

/// Checks a payload against its manifest and opens it. What is sealed is opened in its own buffer, unless somebody else
/// still uses it.
pub fn verify(manifest: Authentic, payload: Bytes, policy: &Policy) -> Result<Verified, Rejected> {
    // The receipt may be of another policy's making.
    if manifest.kong_version != policy.version {
        return Err(Rejected::WrongVersion { expected: policy.version, actual: manifest.kong_version });
    }
    let limit = policy.max_config as u64;
    if manifest.config.bytes > limit {
        return Err(Rejected::TooLarge { limit, actual: manifest.config.bytes });
    }
    let payload = policy.opened(&manifest.snapshot, payload, &Binding::of(&manifest))?;
    let payload = match Payload::from_gzip(payload.clone()) {
        Some(payload) => payload,
        None => Payload::compress(&expand(&payload, &manifest)?),
    };

    Ok(Verified {
        payload,
        config_hash: manifest.config_hash,
        hashes: manifest.hashes.clone(),
        provenance: Provenance::Manifest(Box::new(manifest)),
    })
}

/// Checks a bare `config.json`: all that can be checked is that it is whole and has a configuration's form. With
/// keys none is accepted.
pub fn verify_bare(json: Bytes, policy: &Policy) -> Result<Verified, Rejected> {
    if policy.keys.demand() != Demand::Nothing {
        return Err(Rejected::BareConfigJson);
    }
    let (limit, actual) = (policy.max_config as u64, json.len() as u64);
    if actual > limit {
        return Err(Rejected::TooLarge { limit, actual });
    }
    let (configuration, hashes) = Configuration::from_json_with_hashes(json)?;
    Ok(Verified {
        payload: Payload::compress(configuration.json()),
        config_hash: hashes.config,
        hashes: Some(hashes),
        provenance: Provenance::BareConfigJson,
    })
}

// Everything that the manifest promises about the expanded bytes, checked; reads no further than it promises.
fn expand(payload: &[u8], manifest: &Manifest) -> Result<Vec<u8>, Rejected> {
    let promised = manifest.config.bytes;
    let mut json = Vec::with_capacity(promised as usize);
    let read = GzDecoder::new(payload).take(promised + 1).read_to_end(&mut json);
    let problem = match read {
        Err(error) => error.to_string(),
        Ok(_) if json.len() as u64 != promised => {
            format!("it has another size than {promised} bytes")
        }
        Ok(_) if Sha256Digest::of(&json) != manifest.config.sha256 => "its SHA-256 is another".to_owned(),
        Ok(_) => return Ok(json),
    };
    Err(Rejected::NotTheConfiguration(problem))
}

impl Verified {
    /// Where it came from.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// Kong's name for the configuration: what a node's ping carries once it runs it.
    pub fn config_hash(&self) -> ConfigHash {
        self.config_hash
    }

    /// The compressed bytes.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The size of the configuration's JSON in bytes.
    pub fn config_bytes(&self) -> u64 {
        match &self.provenance {
            Provenance::Manifest(manifest) => manifest.config.bytes,
            Provenance::BareConfigJson => u64::from(self.payload.blocks().length),
        }
    }

    /// The configuration's JSON, expanded; with a manifest, compared with what it promises.
    pub fn config_json(&self) -> Result<Vec<u8>, Rejected> {
        match &self.provenance {
            Provenance::Manifest(manifest) => expand(self.payload.bytes(), manifest),
            Provenance::BareConfigJson => {
                let mut json = Vec::with_capacity(self.config_bytes() as usize);
                let read = GzDecoder::new(&self.payload.bytes()[..]).read_to_end(&mut json);
                read.map_err(|error| Rejected::NotTheConfiguration(error.to_string()))?;
                Ok(json)
            }
        }
    }

    /// The message that gives it to a node.
    pub fn message(&self, now: WallTime) -> ReconfigureMessage {
        ReconfigureMessage::around(&self.payload, self.config_hash, self.hashes.as_ref(), now)
    }

    /// The deltas that give it to nodes with incremental sync. Reads all of the configuration.
    ///
    /// # Errors
    /// What is not known to be complete, which such a node would apply all the same.
    pub fn deltas(&self, schemas: &SchemaSet) -> Result<Deltas, Unsyncable> {
        let (sequence, was_accepted) = match &self.provenance {
            Provenance::Manifest(manifest) => {
                (manifest.sequence, manifest.source.as_ref().is_some_and(|source| source.accepted.is_some()))
            }
            Provenance::BareConfigJson => (0, false),
        };
        if was_accepted {
            return Err(Unsyncable::Accepted);
        }

        let unreadable = |error: &dyn std::fmt::Display| Unsyncable::Unreadable(error.to_string());
        let json = self.config_json().map_err(|error| unreadable(&error))?;
        let configuration = Configuration::from_json(json.into()).map_err(|error| unreadable(&error))?;
        Deltas::of(&configuration, SyncVersion::of_sequence(sequence), schemas)
    }
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
