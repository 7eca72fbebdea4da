//! All the keys of one companion, and what follows from which of them are set: what a manifest must have to be accepted,
//! and with what its own are written.

use super::encryption::EncryptionKey;
use super::name::KeyName;
use super::signing::{SigningKey, TrustedKey};
use super::text::Key;

/// The keys that a companion has; by default none.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    encryption: Vec<EncryptionKey>,
    signing: Option<SigningKey>,
    trusted: Vec<TrustedKey>,
}

/// What a manifest must have to be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Nothing: there are no keys, and anyone who can write to the store decides what nodes run.
    Nothing,
    /// A signature by a trusted key.
    Signature,
    /// A proof that its writer holds one of the encryption keys.
    Authentication,
}

/// Two keys that can't be told apart by their name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("LIFEBOAT_SIGNING_KEY and a key of LIFEBOAT_TRUSTED_KEYS are both named {0:?} and are no pair: rename one")]
pub struct Clash(KeyName);

impl Keyring {
    /// These keys. An exporter believes its own signatures: its public key is trusted without being listed.
    ///
    /// # Errors
    /// When a trusted key has the signing key's name and isn't its public key.
    pub fn new(
        encryption: Vec<EncryptionKey>,
        signing: Option<SigningKey>,
        mut trusted: Vec<TrustedKey>,
    ) -> Result<Self, Clash> {
        if let Some(own) = signing.as_ref().map(SigningKey::trusted) {
            match trusted.iter().find(|key| key.name() == own.name()) {
                Some(same) if *same == own => {}
                Some(other) => return Err(Clash(other.name().clone())),
                None => trusted.push(own),
            }
        }
        Ok(Self { encryption, signing, trusted })
    }

    /// What a manifest must have. A signature is asked for wherever one can be checked: everybody who may read sealed
    /// snapshots holds the encryption keys, only exporters hold the signing key.
    pub fn demand(&self) -> Demand {
        match (self.trusted.is_empty(), self.encryption.is_empty()) {
            (false, _) => Demand::Signature,
            (true, false) => Demand::Authentication,
            (true, true) => Demand::Nothing,
        }
    }

    /// Whether what is written with these keys is accepted with them.
    pub fn accepts_its_own(&self) -> bool {
        self.demand() != Demand::Signature || self.signing.is_some()
    }

    /// The key that new payloads are sealed with: the first.
    pub fn sealing(&self) -> Option<&EncryptionKey> {
        self.encryption.first()
    }

    /// The key that new manifests are signed with.
    pub fn signing(&self) -> Option<&SigningKey> {
        self.signing.as_ref()
    }

    /// The encryption key of this name.
    pub fn encryption(&self, name: &KeyName) -> Option<&EncryptionKey> {
        self.encryption.iter().find(|key| key.name() == name)
    }

    /// The trusted key of this name.
    pub fn trusted(&self, name: &KeyName) -> Option<&TrustedKey> {
        self.trusted.iter().find(|key| key.name() == name)
    }

    /// The names of the encryption keys, for messages.
    pub fn encryption_names(&self) -> Vec<KeyName> {
        self.encryption.iter().map(|key| key.name().clone()).collect()
    }

    /// The names of the trusted keys, for messages.
    pub fn trusted_names(&self) -> Vec<KeyName> {
        self.trusted.iter().map(|key| key.name().clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signing(name: &str, seed: u8) -> SigningKey {
        SigningKey::from_seed(name.parse().unwrap(), [seed; 32])
    }

    fn encryption() -> Vec<EncryptionKey> {
        vec![EncryptionKey::from_secret("e".parse().unwrap(), [1; 32])]
    }

    #[test]
    fn what_is_asked_of_a_manifest_follows_from_the_keys() {
        let trusted = || vec![signing("a", 1).trusted()];
        for (keyring, demand, accepts_its_own) in [
            (Keyring::default(), Demand::Nothing, true),
            (Keyring::new(encryption(), None, Vec::new()).unwrap(), Demand::Authentication, true),
            (Keyring::new(Vec::new(), None, trusted()).unwrap(), Demand::Signature, false),
            (Keyring::new(encryption(), None, trusted()).unwrap(), Demand::Signature, false),
            (Keyring::new(Vec::new(), Some(signing("b", 2)), trusted()).unwrap(), Demand::Signature, true),
            (Keyring::new(encryption(), Some(signing("b", 2)), Vec::new()).unwrap(), Demand::Signature, true),
        ] {
            assert_eq!((keyring.demand(), keyring.accepts_its_own()), (demand, accepts_its_own), "{keyring:?}");
        }
    }

    #[test]
    fn an_exporter_trusts_itself_once() {
        let listed = Keyring::new(Vec::new(), Some(signing("a", 1)), vec![signing("a", 1).trusted()]).unwrap();
        assert_eq!(listed.trusted_names().len(), 1);
        let clash = Keyring::new(Vec::new(), Some(signing("a", 1)), vec![signing("a", 2).trusted()]).unwrap_err();
        assert!(clash.to_string().contains("both named \"a\""), "{clash}");
    }
}
