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
/// and in `configuration_hash` of the Status API. A node with incremental sync puts a version there, with as many digits:
/// of a restored one it is negative, `-0000000000000000000000999999990` (KONG.md section 7).
///
/// To an older node the control plane sends an adapted configuration under the *same* hash, so only a Kong version
/// and a hash together name a content (KONG.md section 1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConfigHash {
    bytes: [u8; 16],
    /// It is a version below 0, of which the bytes are the decimal digits.
    is_negative: bool,
}

impl ConfigHash {
    /// What a node reports that has no configuration: 32 zeros.
    pub const EMPTY: Self = Self::from_bytes([0; 16]);

    /// The hash whose 16 bytes these are (an MD5).
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self { bytes, is_negative: false }
    }

    /// How a node shows this version of incremental sync.
    pub fn of_sync_version(version: i64) -> Self {
        format!("{version:032}").parse().expect("it has 32 digits with its sign")
    }

    /// Which version of incremental sync this shows, if it shows one below 0, as restored nodes have it.
    pub fn negative_sync_version(&self) -> Option<i64> {
        self.to_string().parse().ok().filter(|_| self.is_negative)
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

impl FromStr for ConfigHash {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let Some(digits) = text.strip_prefix('-').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit())) else {
            return Ok(Self::from_bytes(bytes_of(text, "a configuration hash", text)?));
        };
        let bytes = bytes_of(&format!("0{digits}"), "a configuration hash", text)?;
        Ok(Self { bytes, is_negative: true })
    }
}

impl fmt::Display for ConfigHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = hex::encode(self.bytes);
        if self.is_negative { write!(f, "-{}", &digits[1..]) } else { f.write_str(&digits) }
    }
}

impl FromStr for Sha256Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        bytes_of(text, "a SHA-256 digest", text).map(Self)
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

fn bytes_of<const N: usize>(hexadecimal: &str, what: &'static str, got: &str) -> Result<[u8; N], InvalidDigest> {
    let mut bytes = [0; N];
    let lower_case = !hexadecimal.bytes().any(|b| b.is_ascii_uppercase());
    match hex::decode_to_slice(hexadecimal, &mut bytes) {
        Ok(()) if lower_case => Ok(bytes),
        _ => Err(InvalidDigest { what, digits: 2 * N, got: got.chars().take(80).collect() }),
    }
}

macro_rules! written_as_text {
    ($type:ident) => {
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

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self)
            }
        }
    };
}

written_as_text!(ConfigHash);
written_as_text!(Sha256Digest);

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
    fn a_restored_nodes_version_is_a_hash_with_a_sign() {
        let text = "-0000000000000000000000999999990";
        let hash: ConfigHash = text.parse().unwrap();
        assert_eq!((hash.to_string().as_str(), hash.negative_sync_version()), (text, Some(-999_999_990)));
        assert_eq!(ConfigHash::of_sync_version(-999_999_990), hash);
        assert_eq!(ConfigHash::of_sync_version(16).to_string(), format!("{}16", "0".repeat(30)));
        assert_ne!(hash, ConfigHash::of_sync_version(999_999_990));
        for wrong in ["-", "-f", "-000000000000000000000099999999", "-00000000000000000000009999999990"] {
            assert!(wrong.parse::<ConfigHash>().is_err(), "{wrong}");
        }
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
