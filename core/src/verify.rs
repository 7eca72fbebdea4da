//! The one way from bytes in a store to bytes that a node may be given. Only this module makes a [`Verified`], and only
//! a `Verified` is ever delivered.

use std::io::Read;

use bytes::Bytes;
use flate2::read::GzDecoder;

use crate::digest::{ConfigHash, Sha256Digest};
use crate::kong::message::ReconfigureMessage;
use crate::kong::version::KongVersion;
use crate::kong::{Configuration, ConfigurationError, SectionHashes};
use crate::manifest::Manifest;
use crate::payload::Payload;
use crate::time::WallTime;

/// What a snapshot must be to be accepted.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The version of Kong that the configuration must have been made for.
    pub version: KongVersion,
    /// The largest configuration in bytes, decompressed (`LIFEBOAT_MAX_CONFIG`).
    pub max_config: usize,
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
    Manifest(Box<Manifest>),
    /// A plain `config.json` without a manifest, as Kong's own exporter writes it: whole and of a configuration's form,
    /// and nothing more is known of it.
    BareConfigJson,
}

/// Why a snapshot is not accepted.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Rejected {
    /// Fewer bytes than the manifest says: half-written, or cut off on the way.
    #[error("the payload has {actual} bytes instead of {expected}: it is incomplete")]
    Truncated {
        /// What the manifest says.
        expected: u64,
        /// What there is.
        actual: u64,
    },
    /// Other bytes than the exporter wrote.
    #[error("the payload's SHA-256 is {actual}, and the manifest says {expected}: it was changed or damaged")]
    DigestMismatch {
        /// What the manifest says.
        expected: Sha256Digest,
        /// What the bytes have.
        actual: Sha256Digest,
    },
    /// Made for another Kong.
    #[error("the manifest is for Kong {actual}, and this path is for Kong {expected}")]
    WrongVersion {
        /// The version that was asked for.
        expected: KongVersion,
        /// The manifest's.
        actual: KongVersion,
    },
    /// Larger than the operator allows.
    #[error("the configuration has {actual} bytes, and LIFEBOAT_MAX_CONFIG allows {limit}")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
        /// The configuration's size in bytes.
        actual: u64,
    },
    /// The payload is what the manifest describes, but doesn't expand to what it promises.
    #[error("the payload does not expand to the configuration that the manifest describes: {0}")]
    NotTheConfiguration(String),
    /// A bare `config.json` that isn't a configuration.
    #[error("config.json is not a configuration: {0}")]
    NotAConfiguration(#[from] ConfigurationError),
}

/// Checks a payload against its manifest and the manifest against the policy.
pub fn verify(manifest: Manifest, payload: Bytes, policy: &Policy) -> Result<Verified, Rejected> {
    if manifest.kong_version != policy.version {
        return Err(Rejected::WrongVersion { expected: policy.version, actual: manifest.kong_version });
    }
    let limit = policy.max_config as u64;
    if manifest.config.bytes > limit {
        return Err(Rejected::TooLarge { limit, actual: manifest.config.bytes });
    }
    let (expected, actual) = (manifest.snapshot.bytes, payload.len() as u64);
    if actual < expected {
        return Err(Rejected::Truncated { expected, actual });
    }
    let (expected, actual) = (manifest.snapshot.sha256, Sha256Digest::of(&payload));
    if actual != expected {
        return Err(Rejected::DigestMismatch { expected, actual });
    }
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

/// Checks a bare `config.json`: all that can be checked is that it is whole and has a configuration's form.
pub fn verify_bare(json: Bytes, policy: &Policy) -> Result<Verified, Rejected> {
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

    /// The message that gives it to a node.
    pub fn message(&self, now: WallTime) -> ReconfigureMessage {
        ReconfigureMessage::around(&self.payload, self.config_hash, self.hashes.as_ref(), now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOLDEN: &[u8] = include_bytes!("../../tests/data/manifest-format-1.json");
    const JSON: &[u8] = br#"{"_format_version":"3.0","services":[],"routes":[]}"#;
    const POLICY: Policy = Policy { version: KongVersion::new(3, 9, 1), max_config: 1 << 20 };

    fn manifest_of(payload: &[u8], json: &[u8]) -> Manifest {
        let mut manifest = Manifest::decode(GOLDEN).unwrap();
        manifest.snapshot.sha256 = Sha256Digest::of(payload);
        manifest.snapshot.bytes = payload.len() as u64;
        manifest.config.sha256 = Sha256Digest::of(json);
        manifest.config.bytes = json.len() as u64;
        manifest
    }

    #[test]
    fn what_was_written_is_accepted() {
        let payload = Payload::compress(JSON);
        let verified = verify(manifest_of(payload.bytes(), JSON), payload.bytes().clone(), &POLICY).unwrap();
        assert_eq!(verified.payload(), &payload);
        assert_eq!(verified.config_bytes(), JSON.len() as u64);
    }

    #[test]
    fn half_a_payload_is_incomplete_at_every_length() {
        let payload = Payload::compress(JSON);
        for length in 0..payload.bytes().len() {
            let rejected = verify(manifest_of(payload.bytes(), JSON), payload.bytes().slice(..length), &POLICY);
            assert!(matches!(rejected, Err(Rejected::Truncated { .. })), "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_rejected(at: prop::sample::Index, change in 1u8..=255) {
            let payload = Payload::compress(JSON);
            let mut changed = payload.bytes().to_vec();
            changed[at.index(payload.bytes().len())] ^= change;
            let rejected = verify(manifest_of(payload.bytes(), JSON), changed.into(), &POLICY);
            let is_digest_mismatch = matches!(rejected, Err(Rejected::DigestMismatch { .. }));
            prop_assert!(is_digest_mismatch);
        }
    }

    #[test]
    fn a_manifest_of_another_version_is_rejected() {
        let payload = Payload::compress(JSON);
        let other = Policy { version: KongVersion::new(3, 8, 1), ..POLICY };
        let rejected = verify(manifest_of(payload.bytes(), JSON), payload.bytes().clone(), &other);
        assert!(matches!(rejected, Err(Rejected::WrongVersion { .. })));
    }

    #[test]
    fn what_is_larger_than_allowed_is_rejected_before_it_is_expanded() {
        let payload = Payload::compress(JSON);
        let small = Policy { max_config: 10, ..POLICY };
        let rejected = verify(manifest_of(payload.bytes(), JSON), payload.bytes().clone(), &small).unwrap_err();
        assert!(rejected.to_string().contains("LIFEBOAT_MAX_CONFIG"), "{rejected}");
        assert!(verify_bare(Bytes::from_static(JSON), &small).unwrap_err().to_string().contains("LIFEBOAT_MAX_CONFIG"));
    }

    fn gzip(json: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut encoder, json).unwrap();
        encoder.finish().unwrap().into()
    }

    #[test]
    fn gzip_of_another_program_is_accepted_if_it_expands_to_what_the_manifest_promises() {
        let foreign = gzip(JSON);
        let verified = verify(manifest_of(&foreign, JSON), foreign.clone(), &POLICY).unwrap();
        assert_eq!(verified.payload(), &Payload::compress(JSON));
        for promised in [&JSON[1..], &[JSON, b" "].concat()[..]] {
            let rejected = verify(manifest_of(&foreign, promised), foreign.clone(), &POLICY);
            assert!(matches!(rejected, Err(Rejected::NotTheConfiguration(_))));
        }
    }

    #[test]
    fn a_bare_config_json_must_be_whole() {
        assert!(verify_bare(Bytes::from_static(JSON), &POLICY).is_ok());
        for length in 0..JSON.len() {
            assert!(verify_bare(Bytes::from_static(&JSON[..length]), &POLICY).is_err(), "{length} bytes");
        }
    }
}
