//! Keys for scenarios, in the text form that the settings take: the same ones for the same name, secrets nowhere else.

use lifeboat_core::keys::{EncryptionKey, SigningKey};

/// A pair: what `LIFEBOAT_SIGNING_KEY` takes, and what `LIFEBOAT_TRUSTED_KEYS` takes.
///
/// # Panics
/// When this can't name a key.
pub fn signing(name: &str) -> (String, String) {
    let key = SigningKey::from_seed(name.parse().expect("a key's name"), bytes_of(name));
    (key.to_text().to_string(), key.trusted().to_text())
}

/// What `LIFEBOAT_ENCRYPTION_KEYS` takes.
///
/// # Panics
/// When this can't name a key.
pub fn encryption(name: &str) -> String {
    EncryptionKey::from_secret(name.parse().expect("a key's name"), bytes_of(name)).to_text().to_string()
}

fn bytes_of(name: &str) -> [u8; 32] {
    let mut letters = name.bytes().cycle();
    std::array::from_fn(|_| letters.next().unwrap_or_default())
}
