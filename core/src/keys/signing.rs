//! The two halves of a signature: an exporter's private key and the public one that importers hold. Ed25519, RFC 8032.

use std::fmt;

use ed25519_dalek::{Signature, Signer, VerifyingKey};
use zeroize::Zeroizing;

use super::name::KeyName;
use super::text::{InvalidKey, Key, KeyKind, write};
use crate::digest::Sha256Digest;

/// A named private key.
#[derive(Clone)]
pub struct SigningKey {
    name: KeyName,
    key: ed25519_dalek::SigningKey,
}

/// A named public key.
#[derive(Clone, PartialEq, Eq)]
pub struct TrustedKey {
    name: KeyName,
    key: VerifyingKey,
}

impl SigningKey {
    /// The key whose 32 random bytes these are.
    pub fn from_seed(name: KeyName, seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        Self { name, key: ed25519_dalek::SigningKey::from_bytes(&seed) }
    }

    /// Its text form, which is secret.
    pub fn to_text(&self) -> Zeroizing<String> {
        write::<Self>(&self.name, self.key.as_bytes())
    }

    /// The public key that checks its signatures, under the same name.
    pub fn trusted(&self) -> TrustedKey {
        TrustedKey { name: self.name.clone(), key: self.key.verifying_key() }
    }

    /// Eight digits by which the pair of this seed can be told from others.
    pub fn fingerprint(seed: &[u8; 32]) -> String {
        let public = ed25519_dalek::SigningKey::from_bytes(seed).verifying_key();
        Sha256Digest::of(public.as_bytes()).to_string()[..8].to_owned()
    }

    /// The signature of a message.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

impl TrustedKey {
    /// Its text form, which anybody may know.
    pub fn to_text(&self) -> String {
        write::<Self>(&self.name, self.key.as_bytes()).to_string()
    }

    /// Whether this is the key's signature of this message. Strict: one message has one signature only, so that a
    /// changed byte of a signature is never accepted.
    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.key.verify_strict(message, &signature).is_ok())
    }
}

impl Key for SigningKey {
    const KIND: KeyKind = KeyKind::Signing;

    fn from_bytes(name: KeyName, bytes: &[u8; 32]) -> Result<Self, InvalidKey> {
        Ok(Self::from_seed(name, *bytes))
    }

    fn name(&self) -> &KeyName {
        &self.name
    }
}

impl Key for TrustedKey {
    const KIND: KeyKind = KeyKind::Trusted;

    fn from_bytes(name: KeyName, bytes: &[u8; 32]) -> Result<Self, InvalidKey> {
        match VerifyingKey::from_bytes(bytes) {
            Ok(key) if !key.is_weak() => Ok(Self { name, key }),
            _ => Err(InvalidKey::NotAPoint { name }),
        }
    }

    fn name(&self) -> &KeyName {
        &self.name
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?}, ..)", self.name)
    }
}

impl fmt::Debug for TrustedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustedKey({:?})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_rfc_8032() {
        // Section 7.1, test 2.
        let seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
        let signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
        let key = SigningKey::from_seed("rfc".parse().unwrap(), hex::decode(seed).unwrap().try_into().unwrap());
        assert_eq!(hex::encode(key.sign(&[0x72])), signature);
        assert!(key.trusted().has_signed(&[0x72], &hex::decode(signature).unwrap()));
        assert!(!key.trusted().has_signed(&[0x73], &hex::decode(signature).unwrap()));
        assert!(!key.trusted().has_signed(&[0x72], b"too short"));
    }

    #[test]
    fn a_private_key_does_not_print() {
        let key = SigningKey::from_seed("prod".parse().unwrap(), [7; 32]);
        assert_eq!(format!("{key:?} {:?}", key.trusted()), "SigningKey(\"prod\", ..) TrustedKey(\"prod\")");
    }
}
