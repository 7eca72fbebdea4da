//! The key that messages are signed with, so that a receiver can tell ours from others', and old ones from new: the time
//! stands in what is signed.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::sensitive::Sensitive;

/// The header with the time at which a message was signed, in whole seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "lifeboat-timestamp";
/// The header in which a message is signed.
pub const SIGNATURE_HEADER: &str = "lifeboat-signature";

/// What precedes time and body in what is signed, so that nothing else that is signed with the same key passes for it.
const PURPOSE: &[u8] = b"lifeboat notification 1\n";
const SCHEME: &str = "hmac-sha256=";

/// A key of 16 to 256 printable ASCII characters without blanks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookKey(Sensitive<Zeroizing<String>>);

/// A text that can't be a key. No part of it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not 16 to 256 printable characters without blanks (valid: what openssl rand -hex 32 prints)")]
pub struct InvalidWebhookKey;

impl WebhookKey {
    /// The key that this text is.
    ///
    /// # Errors
    /// When it can't be one.
    pub fn new(text: &str) -> Result<Self, InvalidWebhookKey> {
        let valid = (16..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        valid.then(|| Self(Zeroizing::new(text.to_owned()).into())).ok_or(InvalidWebhookKey)
    }

    /// What stands in [`SIGNATURE_HEADER`] of a message with this body, if this stands in [`TIMESTAMP_HEADER`].
    pub fn signature(&self, timestamp: &str, body: &[u8]) -> String {
        // HMAC takes keys of any length (RFC 2104 section 2), so there always is a code.
        let code = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).map(|mut code| {
            code.update(PURPOSE);
            code.update(timestamp.as_bytes());
            code.update(b"\n");
            code.update(body);
            hex::encode(code.finalize().into_bytes())
        });
        format!("{SCHEME}{}", code.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `printf 'lifeboat notification 1\n1795169515\n{}' | openssl dgst -sha256 -hmac 0123456789abcdef`.
    const GOLDEN: &str = "hmac-sha256=707d988cdb5e92423689302eba0f6c5e218c7874ec0b3154727682878760891b";

    #[test]
    fn a_signature_is_what_openssl_makes() {
        assert_eq!(WebhookKey::new("0123456789abcdef").unwrap().signature("1795169515", b"{}"), GOLDEN);
    }

    #[test]
    fn another_key_time_or_body_has_another_signature() {
        let key = |text: &str| WebhookKey::new(text).unwrap();
        for other in [
            key("0123456789abcdeg").signature("1795169515", b"{}"),
            key("0123456789abcdef").signature("1795169516", b"{}"),
            key("0123456789abcdef").signature("1795169515", b"{} "),
        ] {
            assert_ne!(other, GOLDEN);
        }
    }

    #[test]
    fn what_can_be_no_key_is_refused_and_a_key_does_not_print() {
        for wrong in ["", "short", "0123456789 abcdef", "0123456789abcdé", &"x".repeat(257)] {
            assert_eq!(WebhookKey::new(wrong), Err(InvalidWebhookKey), "{wrong}");
        }
        assert_eq!(format!("{:?}", WebhookKey::new("a-wonderful-key-of-mine").unwrap()), "WebhookKey(..)");
    }
}
