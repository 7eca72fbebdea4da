//! The keys that an operator gives: what seals payloads, what signs manifests, and whose signatures are believed. Where
//! they come from is the companion's; what is done with them is in `seal` and `verify`.

mod encryption;
mod name;
mod ring;
mod signing;
mod text;

pub use encryption::EncryptionKey;
pub use name::{InvalidName, KeyName, quoted};
pub use ring::{Clash, Demand, Keyring};
pub use signing::{SigningKey, TrustedKey};
pub use text::{InvalidKey, Key, KeyKind, read_key, read_keys};
