//! How an object is sealed, as the manifest says it.

use serde::{Deserialize, Serialize};

use crate::keys::KeyName;

/// How a payload is sealed; stands in its manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// [`ALGORITHM`](crate::seal::ALGORITHM).
    pub algorithm: String,
    /// The name of the key.
    pub key: KeyName,
    /// What made this sealing different from all others under the key.
    pub nonce: Nonce,
}

/// 96 bits that are drawn anew for each sealing and never used for another.
///
/// They are random, since several exporters share a key and none of them knows what the others have used. By NIST
/// SP 800-38D section 8.3 a key is good for 2^32 sealings then: one a second for 136 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Nonce([u8; 12]);

impl Nonce {
    /// The nonce of these random bytes.
    pub const fn from_random(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn bytes(self) -> [u8; 12] {
        self.0
    }
}

impl TryFrom<String> for Nonce {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let mut bytes = [0; 12];
        let is_lower_case = !text.bytes().any(|b| b.is_ascii_uppercase());
        match hex::decode_to_slice(&text, &mut bytes) {
            Ok(()) if is_lower_case => Ok(Self(bytes)),
            _ => Err("a nonce must be 24 lower-case hexadecimal digits"),
        }
    }
}

impl From<Nonce> for String {
    fn from(nonce: Nonce) -> Self {
        hex::encode(nonce.0)
    }
}
