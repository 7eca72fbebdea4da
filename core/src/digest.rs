//! The two digests that Lifeboat handles, as types that can't be mixed up: Kong's [`ConfigHash`] names a
//! configuration and proves nothing about bytes; [`Sha256Digest`] proves bytes and names nothing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What is wrong with a text that should be a digest in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {digits} lower-case hexadecimal digits, not {got:?}")]
pub struct InvalidDigest {
    what: &'static str,
    digits: usize,
    got: String,
}

/// Kong's name for a configuration: an MD5 in 32 hexadecimal digits, as in `reconfigure` messages, in a node's pings
/// and in `configuration_hash` of the Status API.
///
/// To an older node the control plane sends an adapted configuration under the *same* hash, so only a Kong version
/// and a hash together name a content (KONG.md section 1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConfigHash([u8; 16]);

impl ConfigHash {
    /// What a node reports that has no configuration: 32 zeros.
    pub const EMPTY: Self = Self([0; 16]);

    /// The hash whose 16 bytes these are (an MD5).
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Whether this is the hash of a node that has no configuration at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }
}

/// The SHA-256 of an object's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256Digest([u8; 32]);

impl Sha256Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest whose 32 bytes these are.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

macro_rules! hexadecimal {
    ($type:ident, $bytes:literal, $what:literal) => {
        impl FromStr for $type {
            type Err = InvalidDigest;

            fn from_str(text: &str) -> Result<Self, InvalidDigest> {
                let mut bytes = [0; $bytes];
                let lower_case = !text.bytes().any(|b| b.is_ascii_uppercase());
                match hex::decode_to_slice(text, &mut bytes) {
                    Ok(()) if lower_case => Ok(Self(bytes)),
                    _ => Err(InvalidDigest { what: $what, digits: 2 * $bytes, got: text.chars().take(80).collect() }),
                }
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidDigest;

            fn try_from(text: String) -> Result<Self, InvalidDigest> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(digest: $type) -> Self {
                digest.to_string()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self)
            }
        }
    };
}

hexadecimal!(ConfigHash, 16, "a configuration hash");
hexadecimal!(Sha256Digest, 32, "a SHA-256 digest");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_written_as_it_was_read() {
        let text = "3ff47162e7a7ce1344f336316b66484e";
        assert_eq!(text.parse::<ConfigHash>().unwrap().to_string(), text);
        assert!("0".repeat(32).parse::<ConfigHash>().unwrap().is_empty());
    }

    #[test]
    fn what_is_not_a_hash_is_refused_with_what_it_must_be() {
        for wrong in ["", "3ff4", "3FF47162E7A7CE1344F336316B66484E", "zff47162e7a7ce1344f336316b66484e"] {
            let error = wrong.parse::<ConfigHash>().unwrap_err().to_string();
            assert!(error.contains("32 lower-case hexadecimal digits"), "{error}");
        }
    }

    #[test]
    fn the_digest_of_nothing_is_the_published_one() {
        // FIPS 180-4, the empty message.
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Sha256Digest::of(b"").to_string(), empty);
    }
}
