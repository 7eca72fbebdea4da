//! Sealing a payload or the image of a node's cache with AES-256-GCM and opening it again, in the buffer in which it lies.
//! Who may be believed is in `verify`; what a key is, in `keys`.
//!
//! What is sealed is the ciphertext with the tag of 16 bytes after it. The associated data binds it to what the manifest
//! says of it and what never changes, so that it opens as this snapshot of this version of Kong and as no other, and an
//! image never as a payload.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Tag};
use bytes::{Bytes, BytesMut};

use crate::digest::ConfigHash;
use crate::keys::{EncryptionKey, Key};
use crate::kong::version::KongVersion;
use crate::manifest::{Manifest, Nonce, PlainObject, Seal};
use crate::payload::TAG_BYTES;

/// The one algorithm that is written.
pub const ALGORITHM: &str = "AES-256-GCM";

const PAYLOAD: &str = "lifeboat payload 1\n";
const CACHE_IMAGE: &str = "lifeboat cache image 1\n";
const SCHEMAS: &str = "lifeboat schemas 1\n";

/// What sealed bytes are bound to: of which snapshot they are and what they hold. Nothing that may differ when the same
/// snapshot is published again by another exporter or at another time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The version of Kong.
    pub kong_version: KongVersion,
    /// The snapshot's number.
    pub sequence: u64,
    /// Kong's name for the configuration.
    pub config_hash: ConfigHash,
    /// What it is.
    pub content: Content,
}

/// What is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The payload, which expands to this configuration.
    Configuration(PlainObject),
    /// The image of a node's cache.
    CacheImage {
        /// The bytes that it expands to.
        expands_to: u64,
    },
    /// A control plane's schemas, which expand to this JSON.
    Schemas(PlainObject),
}

/// The key doesn't open it: it is another key of this name, or the payload or what it is bound to was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoesNotOpen;

/// Seals a payload in its own buffer, which grows by [`TAG_BYTES`]. It is copied only if somebody else still uses it.
///
/// The nonce must be random and must never have been used with this key.
pub fn seal(payload: Bytes, key: &EncryptionKey, nonce: Nonce, binding: &Binding) -> (Bytes, Seal) {
    let mut buffer = own(payload, TAG_BYTES);
    let sealed =
        cipher(key).encrypt_inout_detached(&nonce.bytes().into(), &binding.associated_data(), (&mut buffer[..]).into());
    let tag = sealed.expect("a payload is far shorter than the 64 GiB of AES-GCM");
    buffer.extend_from_slice(&tag);
    (buffer.freeze(), Seal { algorithm: ALGORITHM.to_owned(), key: key.name().clone(), nonce })
}

/// Opens a sealed payload in its own buffer; it is copied only if somebody else still uses it. Nothing is decrypted
/// before the tag has been checked.
///
/// # Errors
/// When it isn't what was sealed with this key, nonce and binding.
pub fn open(sealed: Bytes, key: &EncryptionKey, nonce: Nonce, binding: &Binding) -> Result<Bytes, DoesNotOpen> {
    let length = sealed.len().checked_sub(TAG_BYTES).ok_or(DoesNotOpen)?;
    let mut buffer = own(sealed, 0);
    let tag = Tag::try_from(&buffer[length..]).map_err(|_| DoesNotOpen)?;
    buffer.truncate(length);
    let cipher = cipher(key);
    let opened = cipher.decrypt_inout_detached(
        &nonce.bytes().into(),
        &binding.associated_data(),
        (&mut buffer[..]).into(),
        &tag,
    );
    opened.map_err(|_| DoesNotOpen)?;
    Ok(buffer.freeze())
}

// The bytes for us alone, with room for more.
fn own(bytes: Bytes, room: usize) -> BytesMut {
    match bytes.try_into_mut() {
        Ok(mut own) => {
            own.reserve(room);
            own
        }
        Err(shared) => {
            let mut copy = BytesMut::with_capacity(shared.len() + room);
            copy.extend_from_slice(&shared);
            copy
        }
    }
}

fn cipher(key: &EncryptionKey) -> Aes256Gcm {
    Aes256Gcm::new((&*key.for_payloads()).into())
}

impl Binding {
    /// What the manifest says of its payload.
    pub fn of(manifest: &Manifest) -> Self {
        Self::with(manifest, Content::Configuration(manifest.config))
    }

    /// The same snapshot with this content.
    pub fn with(manifest: &Manifest, content: Content) -> Self {
        let Manifest { kong_version, sequence, config_hash, .. } = manifest;
        Self { kong_version: *kong_version, sequence: *sequence, config_hash: *config_hash, content }
    }

    /// Of a version's schemas, which are no single snapshot's.
    pub fn of_schemas(kong_version: KongVersion, json: PlainObject) -> Self {
        Self { kong_version, sequence: 0, config_hash: ConfigHash::EMPTY, content: Content::Schemas(json) }
    }

    // Canonical JSON: the members sorted by name, no blanks.
    fn associated_data(&self) -> Vec<u8> {
        let Self { kong_version, sequence, config_hash, content } = self;
        let snapshot =
            format!(r#""config_hash":"{config_hash}","kong_version":"{kong_version}","sequence":{sequence}"#);
        let (domain, content) = match content {
            Content::Configuration(PlainObject { sha256, bytes }) => {
                (PAYLOAD, format!(r#""config":{{"bytes":{bytes},"sha256":"{sha256}"}}"#))
            }
            Content::Schemas(PlainObject { sha256, bytes }) => {
                (SCHEMAS, format!(r#""json":{{"bytes":{bytes},"sha256":"{sha256}"}}"#))
            }
            Content::CacheImage { expands_to } => (CACHE_IMAGE, format!(r#""bytes":{expands_to}"#)),
        };
        format!("{domain}{{{content},{snapshot}}}").into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::digest::Sha256Digest;

    const NONCE: Nonce = Nonce::from_random([5; 12]);

    fn key(byte: u8) -> EncryptionKey {
        EncryptionKey::from_secret("prod".parse().unwrap(), [byte; 32])
    }

    fn config() -> PlainObject {
        PlainObject { sha256: Sha256Digest::of(b"{}"), bytes: 2 }
    }

    fn binding() -> Binding {
        Binding {
            kong_version: KongVersion::new(3, 9, 1),
            sequence: 7,
            config_hash: ConfigHash::from_bytes([0xab; 16]),
            content: Content::Configuration(config()),
        }
    }

    fn sealed(payload: &[u8]) -> Bytes {
        seal(Bytes::copy_from_slice(payload), &key(1), NONCE, &binding()).0
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens_and_hides_its_content(payload in prop::collection::vec(any::<u8>(), 0..5000)) {
            let sealed = sealed(&payload);
            prop_assert_eq!(sealed.len(), payload.len() + TAG_BYTES);
            prop_assert!(payload.len() < 8 || sealed[..payload.len()] != payload[..]);
            prop_assert_eq!(open(sealed, &key(1), NONCE, &binding()), Ok(Bytes::from(payload)));
        }

        #[test]
        fn any_changed_byte_and_any_lost_one_is_noticed(at: prop::sample::Index, change in 1u8..=255) {
            let mut changed = sealed(b"a configuration").to_vec();
            let at = at.index(changed.len());
            prop_assert_eq!(open(changed[..at].to_vec().into(), &key(1), NONCE, &binding()), Err(DoesNotOpen));
            changed[at] ^= change;
            prop_assert_eq!(open(changed.into(), &key(1), NONCE, &binding()), Err(DoesNotOpen));
        }
    }

    #[test]
    fn a_payload_opens_only_as_the_snapshot_that_it_is() {
        let (hash, sha256) = (ConfigHash::from_bytes([1; 16]), Sha256Digest::of(b"x"));
        for other in [
            Binding { kong_version: KongVersion::new(3, 9, 0), ..binding() },
            Binding { sequence: 8, ..binding() },
            Binding { config_hash: hash, ..binding() },
            Binding { content: Content::Configuration(PlainObject { sha256, bytes: 2 }), ..binding() },
            Binding { content: Content::Configuration(PlainObject { bytes: 3, ..config() }), ..binding() },
            Binding { content: Content::CacheImage { expands_to: 2 }, ..binding() },
            Binding { content: Content::Schemas(PlainObject { sha256: Sha256Digest::of(b""), bytes: 2 }), ..binding() },
        ] {
            assert_eq!(open(sealed(b"x"), &key(1), NONCE, &other), Err(DoesNotOpen), "{other:?}");
        }
        assert_eq!(open(sealed(b"x"), &key(2), NONCE, &binding()), Err(DoesNotOpen));
        assert_eq!(open(sealed(b"x"), &key(1), Nonce::from_random([6; 12]), &binding()), Err(DoesNotOpen));
    }

    #[test]
    fn nothing_is_copied_that_nobody_else_uses() {
        let mut payload = Vec::with_capacity(1000 + TAG_BYTES);
        payload.resize(1000, 7);
        let place = payload.as_ptr();
        let (sealed, seal) = seal(payload.into(), &key(1), NONCE, &binding());
        assert_eq!(sealed.as_ptr(), place);
        let opened = open(sealed.clone(), &key(1), seal.nonce, &binding()).unwrap();
        assert!(opened.as_ptr() != place && sealed.as_ptr() == place, "somebody else still uses it");
        drop(sealed);
        assert_eq!(opened, vec![7; 1000]);
    }

    #[test]
    fn a_nonce_is_written_as_it_was_read() {
        let json = r#""000102030405060708090a0b""#;
        let nonce: Nonce = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&nonce).unwrap(), json);
        for wrong in [r#""00""#, r#""000102030405060708090A0B""#, "1"] {
            assert!(serde_json::from_str::<Nonce>(wrong).is_err(), "{wrong}");
        }
    }
}
