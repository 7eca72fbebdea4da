//! The key that reports are signed with. It stands in Kong's configuration, where everybody sees it who may read that:
//! it is weak, and what is signed with it informs and confirms but decides nothing. Not here: keys of snapshots.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::sensitive::Sensitive;

/// The header in which a report is signed.
pub const SIGNATURE_HEADER: &str = "lifeboat-signature";

/// What precedes the body in what is signed, so that nothing else that is signed with the same key passes for a report.
const PURPOSE: &[u8] = b"lifeboat report 1\n";
const SCHEME: &str = "hmac-sha256=";

/// A key of 16 to 256 printable ASCII characters without blanks, commas and `#`, which separate keys in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportKey(Sensitive<Zeroizing<String>>);

/// Why a text is no list of keys. No part of it is repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReportKeys {
    /// Nothing but blanks and comments.
    #[error("there is no key in it (valid: what openssl rand -hex 32 prints)")]
    Empty,
    /// One of them can't be a key.
    #[error("key {0} is not 16 to 256 printable characters (valid: what openssl rand -hex 32 prints)")]
    NotAKey(usize),
    /// More than are tried for each report.
    #[error("there are {0} keys in it, at most {max} can be used at once", max = ReportKey::MOST)]
    TooMany(usize),
}

impl ReportKey {
    /// How many keys a companion has at most: each is tried for a report.
    pub const MOST: usize = 16;

    /// The key that this text is, if it can be one.
    pub fn new(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b',' | b'#');
        let valid = (16..=256).contains(&text.len()) && text.bytes().all(allowed);
        valid.then(|| Self(Zeroizing::new(text.to_owned()).into()))
    }

    /// The keys of a list: separated by commas or blanks, or one on each line; what follows a `#` is a comment.
    ///
    /// # Errors
    /// Says which of them is wrong, counted from 1.
    pub fn list(text: &str) -> Result<Vec<Self>, InvalidReportKeys> {
        let without_comments = text.lines().map(|line| line.split('#').next().unwrap_or_default());
        let words =
            without_comments.flat_map(|line| line.split([',', ' ', '\t', '\r'])).filter(|word| !word.is_empty());
        let keys: Result<Vec<_>, _> = words
            .enumerate()
            .map(|(index, word)| Self::new(word).ok_or(InvalidReportKeys::NotAKey(index.saturating_add(1))))
            .collect();
        match keys? {
            keys if keys.is_empty() => Err(InvalidReportKeys::Empty),
            keys if keys.len() > Self::MOST => Err(InvalidReportKeys::TooMany(keys.len())),
            keys => Ok(keys),
        }
    }

    /// What stands in [`SIGNATURE_HEADER`] of a report with this body.
    pub fn signature(&self, body: &[u8]) -> String {
        let code = self.code(body).map(|code| hex::encode(code.finalize().into_bytes()));
        format!("{SCHEME}{}", code.unwrap_or_default())
    }

    /// Whether a signature is this key's for this body. Takes as long for each wrong one.
    pub fn has_signed(&self, body: &[u8], signature: &[u8]) -> bool {
        let mut code = [0; 32];
        let digits = signature.strip_prefix(SCHEME.as_bytes());
        let readable = digits.is_some_and(|digits| hex::decode_to_slice(digits, &mut code).is_ok());
        readable && self.code(body).is_some_and(|own| own.verify_slice(&code).is_ok())
    }

    /// HMAC takes keys of any length (RFC 2104 section 2), so there always is one.
    fn code(&self, body: &[u8]) -> Option<Hmac<Sha256>> {
        let mut code = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).ok()?;
        code.update(PURPOSE);
        code.update(body);
        Some(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> ReportKey {
        ReportKey::new(text).unwrap()
    }

    /// Made with `printf 'lifeboat report 1\n{}' | openssl dgst -sha256 -hmac 0123456789abcdef`.
    const GOLDEN: &str = "hmac-sha256=2427610bd5b9cc5a155ba1efbf60eafe9bfb7779a6617b01196e436f582c96a7";

    #[test]
    fn a_signature_is_what_openssl_makes() {
        assert_eq!(key("0123456789abcdef").signature(b"{}"), GOLDEN);
    }

    #[test]
    fn only_the_key_that_signed_exactly_this_has_signed_it() {
        let signature = key("0123456789abcdef").signature(b"{}");
        assert!(key("0123456789abcdef").has_signed(b"{}", signature.as_bytes()));
        assert!(!key("0123456789abcdeg").has_signed(b"{}", signature.as_bytes()));
        assert!(!key("0123456789abcdef").has_signed(b"{} ", signature.as_bytes()));
        for wrong in ["", "hmac-sha256=", "hmac-sha256=00", &signature[12..], &format!("{signature}00")] {
            assert!(!key("0123456789abcdef").has_signed(b"{}", wrong.as_bytes()), "{wrong}");
        }
        assert!(!key("0123456789abcdef").has_signed(b"{}", b"hmac-sha256=\xff"));
    }

    #[test]
    fn a_list_is_read_from_a_variable_and_from_a_file() {
        let (old, new) = ("0123456789abcdef", "fedcba9876543210");
        for list in
            [format!("{new},{old}"), format!("# 2026\n{new}\n\n{old} # until June\n"), format!(" {new} , {old}")]
        {
            assert_eq!(ReportKey::list(&list), Ok(vec![key(new), key(old)]), "{list}");
        }
        assert_eq!(ReportKey::list(" \n# none\n"), Err(InvalidReportKeys::Empty));
        assert_eq!(ReportKey::list("0123456789abcdef,short"), Err(InvalidReportKeys::NotAKey(2)));
        let many = vec!["0123456789abcdef"; 17].join(",");
        assert_eq!(ReportKey::list(&many), Err(InvalidReportKeys::TooMany(17)));
    }

    #[test]
    fn a_key_does_not_print() {
        assert_eq!(format!("{:?}", key("a wonderful key".replace(' ', "-").repeat(2).as_str())), "ReportKey(..)");
    }
}
