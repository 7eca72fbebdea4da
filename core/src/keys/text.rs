//! Keys as an operator writes them: `NAME:ek1_…`, `NAME:sk1_…` and `NAME:pk1_…`, 32 bytes in base64url. The prefix says
//! what the key is for, so that one in the wrong place is an error and never a key of another kind. No error repeats
//! what stands after the name.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::name::{InvalidName, KeyName};

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Seals payloads and opens them: secret, exporters and importers hold it.
    Encryption,
    /// Signs manifests: secret, exporters hold it.
    Signing,
    /// Checks signatures: public, importers hold it.
    Trusted,
}

/// Why a text isn't a list of keys of the kind that is needed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// Nothing but blanks and comments.
    #[error("there is no key in it (valid: prod-2026:{}…)", .0.prefix())]
    Empty(KeyKind),
    /// No `NAME:`.
    #[error("entry {position} has no name (valid: prod-2026:{}…)", .kind.prefix())]
    NoName {
        /// Counted from 1.
        position: usize,
        /// What is needed.
        kind: KeyKind,
    },
    /// Something else than a name before the colon.
    #[error("entry {position}: {InvalidName}")]
    BadName {
        /// Counted from 1.
        position: usize,
    },
    /// A key for something else.
    #[error("key {name:?} is {}: only {} belong there", .actual.singular(), .expected.plural())]
    WrongKind {
        /// Its name.
        name: KeyName,
        /// What is needed.
        expected: KeyKind,
        /// What it is.
        actual: KeyKind,
    },
    /// No prefix that says what it is.
    #[error("key {name:?} must go on with {} after its name: lifeboat keygen makes keys of that form", .kind.prefix())]
    NoPrefix {
        /// Its name.
        name: KeyName,
        /// What is needed.
        kind: KeyKind,
    },
    /// Too short, too long, or not base64url.
    #[error("key {name:?} is not 32 bytes in base64url: it was cut off or changed")]
    NotAKey {
        /// Its name.
        name: KeyName,
    },
    /// 32 bytes that no private key has as its public one.
    #[error("key {name:?} is not an Ed25519 public key: it was changed")]
    NotAPoint {
        /// Its name.
        name: KeyName,
    },
    /// Two of one name.
    #[error("there are two keys named {name:?}: give each its own name")]
    Twice {
        /// The name.
        name: KeyName,
    },
    /// More than one where one is needed.
    #[error("there are {count} keys in it: an exporter signs with one")]
    Several {
        /// How many.
        count: usize,
    },
}

/// A key that has a text form.
pub trait Key: Sized {
    /// What it is for.
    const KIND: KeyKind;

    /// The key that these bytes are.
    ///
    /// # Errors
    /// [`InvalidKey::NotAPoint`], for public keys.
    fn from_bytes(name: KeyName, bytes: &[u8; 32]) -> Result<Self, InvalidKey>;

    /// Its name.
    fn name(&self) -> &KeyName;
}

impl KeyKind {
    const ALL: [Self; 3] = [Self::Encryption, Self::Signing, Self::Trusted];

    /// What its text begins with, after the name.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Encryption => "ek1_",
            Self::Signing => "sk1_",
            Self::Trusted => "pk1_",
        }
    }

    fn singular(self) -> &'static str {
        match self {
            Self::Encryption => "an encryption key (ek1_…)",
            Self::Signing => "a private signing key (sk1_…)",
            Self::Trusted => "a public key (pk1_…)",
        }
    }

    fn plural(self) -> &'static str {
        match self {
            Self::Encryption => "encryption keys (ek1_…)",
            Self::Signing => "private signing keys (sk1_…)",
            Self::Trusted => "public keys (pk1_…)",
        }
    }
}

/// Reads keys that are separated by commas, blanks or line ends. What stands after `#` in a line is a comment.
pub fn read_keys<K: Key>(text: &str) -> Result<Vec<K>, InvalidKey> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let entries = lines.flat_map(|line| line.split(|c: char| c == ',' || c.is_whitespace()));
    let mut keys: Vec<K> = Vec::new();
    for (index, entry) in entries.filter(|entry| !entry.is_empty()).enumerate() {
        let key: K = read_entry(entry, index + 1)?;
        if keys.iter().any(|other| other.name() == key.name()) {
            return Err(InvalidKey::Twice { name: key.name().clone() });
        }
        keys.push(key);
    }
    if keys.is_empty() { Err(InvalidKey::Empty(K::KIND)) } else { Ok(keys) }
}

/// Reads exactly one key, with the same separators and comments.
pub fn read_key<K: Key>(text: &str) -> Result<K, InvalidKey> {
    let mut keys = read_keys(text)?;
    match (keys.len(), keys.pop()) {
        (1, Some(key)) => Ok(key),
        (count, _) => Err(InvalidKey::Several { count }),
    }
}

fn read_entry<K: Key>(entry: &str, position: usize) -> Result<K, InvalidKey> {
    let (name, rest) = entry.split_once(':').ok_or(InvalidKey::NoName { position, kind: K::KIND })?;
    let name: KeyName = name.parse().map_err(|InvalidName| InvalidKey::BadName { position })?;
    let Some(text) = rest.strip_prefix(K::KIND.prefix()) else {
        let other = KeyKind::ALL.into_iter().find(|kind| rest.starts_with(kind.prefix()));
        return Err(match other {
            Some(actual) => InvalidKey::WrongKind { name, expected: K::KIND, actual },
            None => InvalidKey::NoPrefix { name, kind: K::KIND },
        });
    };
    let decoded = URL_SAFE_NO_PAD.decode(text).map(Zeroizing::new);
    match decoded.as_deref().map(|bytes| <&[u8; 32]>::try_from(bytes.as_slice())) {
        Ok(Ok(bytes)) => K::from_bytes(name, bytes),
        _ => Err(InvalidKey::NotAKey { name }),
    }
}

/// A key's text form.
pub(super) fn write<K: Key>(name: &KeyName, bytes: &[u8; 32]) -> Zeroizing<String> {
    let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes));
    Zeroizing::new(format!("{name}:{}{}", K::KIND.prefix(), *encoded))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{EncryptionKey, SigningKey, TrustedKey};
    use super::*;

    fn signing(name: &str, seed: u8) -> SigningKey {
        SigningKey::from_seed(name.parse().unwrap(), [seed; 32])
    }

    fn encryption(name: &str, byte: u8) -> String {
        EncryptionKey::from_secret(name.parse().unwrap(), [byte; 32]).to_text().to_string()
    }

    #[test]
    fn a_list_may_have_commas_lines_blanks_and_comments() {
        let (a, b, c) = (encryption("a", 1), encryption("b", 2), encryption("c", 3));
        let text = format!("# the new one first\n{a}, {b}  # until June\n\n\t{c}\n");
        let keys: Vec<EncryptionKey> = read_keys(&text).unwrap();
        assert_eq!(keys.iter().map(|key| key.name().to_string()).collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(name in "[A-Za-z0-9._-]{1,64}", bytes: [u8; 32]) {
            let name: KeyName = name.parse().unwrap();
            let key = SigningKey::from_seed(name.clone(), bytes);
            let read: SigningKey = read_key(&key.to_text()).unwrap();
            prop_assert_eq!(read.trusted(), key.trusted());
            let public: TrustedKey = read_key(&key.trusted().to_text()).unwrap();
            prop_assert_eq!(public, key.trusted());
            let secret = EncryptionKey::from_secret(name, bytes);
            let read: EncryptionKey = read_key(&secret.to_text()).unwrap();
            prop_assert_eq!(read.to_text(), secret.to_text());
        }
    }

    #[test]
    fn each_mistake_has_a_message_of_its_own_that_repeats_no_key() {
        let (private, public) = (signing("prod", 7).to_text(), signing("prod", 7).trusted().to_text());
        let material = private.split("sk1_").nth(1).unwrap();
        let cut = &private[..private.len() - 1];
        for (text, part) in [
            (String::new(), "there is no key in it (valid: prod-2026:pk1_…)"),
            ("# only a comment".to_owned(), "there is no key in it"),
            (private.to_string(), "\"prod\" is a private signing key (sk1_…): only public keys (pk1_…) belong there"),
            (encryption("e", 1), "\"e\" is an encryption key (ek1_…): only public keys (pk1_…) belong there"),
            (material.to_owned(), "entry 1 has no name"),
            (format!("{},{material}", public), "entry 2 has no name"),
            (format!("{material}{material}:x"), "entry 1: a key's name must be"),
            (format!("prod:{material}"), "\"prod\" must go on with pk1_"),
            (cut.replace("sk1_", "pk1_"), "\"prod\" is not 32 bytes"),
            (format!("{}A", public), "\"prod\" is not 32 bytes"),
            (format!("{}, {}", public, public), "two keys named \"prod\""),
        ] {
            let error = read_keys::<TrustedKey>(&text).unwrap_err().to_string();
            assert!(error.contains(part), "{part}: {error}");
            assert!(!error.contains(&material[..8]), "{error}");
        }
        let two = format!("{} {}", *private, *signing("next", 8).to_text());
        assert!(read_key::<SigningKey>(&two).unwrap_err().to_string().contains("there are 2 keys"));
    }

    #[test]
    fn a_public_key_that_would_accept_forged_signatures_is_refused() {
        // A point of the order 1, one of the order 4, and none: with the first two, one signature fits many messages.
        for first in [1, 0, 2] {
            let mut bytes = [0; 32];
            bytes[0] = first;
            let text = write::<TrustedKey>(&"weak".parse().unwrap(), &bytes);
            let error = read_key::<TrustedKey>(&text).unwrap_err().to_string();
            assert!(error.contains("not an Ed25519 public key"), "{error}");
        }
    }
}
