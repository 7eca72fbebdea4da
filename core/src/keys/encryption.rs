//! A key that seals. It is never used itself: each purpose has a key of its own, derived from it.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::name::KeyName;
use super::text::{InvalidKey, Key, KeyKind, write};

// HKDF's `info` (RFC 5869 section 3.2). A key that is used for two purposes may be weaker than both.
const PAYLOAD: &[u8] = b"lifeboat payload 1";
const MANIFEST: &[u8] = b"lifeboat manifest 1";
const FINGERPRINT: &[u8] = b"lifeboat key name 1";

/// A named key of 256 bits, from which the keys for payloads and for manifests are derived with HKDF-SHA256.
#[derive(Clone)]
pub struct EncryptionKey {
    name: KeyName,
    secret: Zeroizing<[u8; 32]>,
}

impl EncryptionKey {
    /// A key of these random bytes.
    pub fn from_secret(name: KeyName, secret: [u8; 32]) -> Self {
        Self { name, secret: Zeroizing::new(secret) }
    }

    /// Its text form, which is secret.
    pub fn to_text(&self) -> Zeroizing<String> {
        write::<Self>(&self.name, &self.secret)
    }

    /// Eight digits by which these bytes can be told from others and which say nothing about them.
    pub fn fingerprint(secret: &[u8; 32]) -> String {
        hex::encode(&derived(secret, FINGERPRINT)[..4])
    }

    /// The key of AES-256-GCM for payloads.
    pub(crate) fn for_payloads(&self) -> Zeroizing<[u8; 32]> {
        derived(&self.secret, PAYLOAD)
    }

    /// The key of HMAC-SHA256 for manifests.
    pub(crate) fn for_manifests(&self) -> Zeroizing<[u8; 32]> {
        derived(&self.secret, MANIFEST)
    }
}

fn derived(secret: &[u8; 32], purpose: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    let expanded = Hkdf::<Sha256>::new(None, secret).expand(purpose, &mut *key);
    expanded.expect("32 bytes are fewer than HKDF's 8160");
    key
}

impl Key for EncryptionKey {
    const KIND: KeyKind = KeyKind::Encryption;

    fn from_bytes(name: KeyName, bytes: &[u8; 32]) -> Result<Self, InvalidKey> {
        Ok(Self::from_secret(name, *bytes))
    }

    fn name(&self) -> &KeyName {
        &self.name
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptionKey({:?}, ..)", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_has_a_key_of_its_own() {
        let key = EncryptionKey::from_secret("prod".parse().unwrap(), [7; 32]);
        let keys = [*key.for_payloads(), *key.for_manifests(), [7; 32]];
        assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
        assert_ne!(EncryptionKey::fingerprint(&[7; 32]), EncryptionKey::fingerprint(&[8; 32]));
    }

    #[test]
    fn a_key_does_not_print() {
        let key = EncryptionKey::from_secret("prod".parse().unwrap(), *b"a wonderful secret of 32 letters");
        assert_eq!(format!("{key:?}"), "EncryptionKey(\"prod\", ..)");
    }
}
