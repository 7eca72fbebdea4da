//! Tags in the place of secrets: two secrets have the same tag only if they are the same, and without the key nobody can
//! find out of which secret one is.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::MASK;
use crate::sensitive::Sensitive;

/// How many bytes of the authentication code a tag has: enough for millions of secrets without two that look the same.
const TAG_BYTES: usize = 10;
const BEGIN: &str = "(masked ";
const END: &str = ")";

/// The key that tags are made with. Whoever has it could try secrets until one has the tag: it never leaves the process.
#[derive(Clone, Debug)]
pub struct TagKey(Sensitive<Zeroizing<[u8; 32]>>);

impl TagKey {
    /// From 32 random bytes.
    pub fn new(random: [u8; 32]) -> Self {
        Self(Zeroizing::new(random).into())
    }

    /// What stands for this secret.
    pub(super) fn tag(&self, secret: &Value) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_slice()).expect("an HMAC takes keys of any length");
        mac.update(secret.to_string().as_bytes());
        let code = mac.finalize().into_bytes();
        format!("{BEGIN}{}{END}", hex::encode(&code[..TAG_BYTES]))
    }
}

/// Whether this text stands for a secret, with a tag or without.
pub(crate) fn is_masked(text: &str) -> bool {
    let tag = text.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
    let is_hex = |tag: &str| tag.len() == 2 * TAG_BYTES && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
    text == MASK || tag.is_some_and(is_hex)
}

/// The same value without tags: all that is masked looks the same.
pub(crate) fn without_tags(value: &Value) -> Value {
    match value {
        Value::String(text) if is_masked(text) => Value::from(MASK),
        Value::Array(elements) => elements.iter().map(without_tags).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), without_tags(value))).collect(),
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_secrets_have_equal_tags_under_one_key_and_others_under_another() {
        let (key, other) = (TagKey::new([1; 32]), TagKey::new([2; 32]));
        let tag = key.tag(&"alice-secret-key".into());
        assert_eq!(tag, key.tag(&"alice-secret-key".into()));
        for different in [key.tag(&"alice-secret-kez".into()), other.tag(&"alice-secret-key".into())] {
            assert!(tag != different && is_masked(&different), "{different}");
        }
        assert!(tag.len() < 32 && !tag.contains("alice"), "{tag}");
    }

    #[test]
    fn the_key_is_not_printed() {
        assert_eq!(format!("{:?}", TagKey::new([7; 32])), "TagKey(..)");
    }

    #[test]
    fn what_only_looks_like_a_tag_is_none() {
        assert!(is_masked(MASK));
        for text in ["", "masked", "(masked )", "(masked 0011)", "(masked zz112233445566778899)"] {
            assert!(!is_masked(text), "{text}");
        }
    }
}
