//! Why something in a store is not accepted: each case with a message of its own.

use std::time::Duration;

use crate::digest::Sha256Digest;
use crate::keys::{KeyName, quoted};
use crate::kong::ConfigurationError;
use crate::kong::version::KongVersion;
use crate::manifest::Unreadable;
use crate::object_key::SnapshotId;
use crate::time::WallTime;

/// Why a manifest, a payload or a `config.json` is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    /// Not a manifest that this version can read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Signatures are asked for, and there is none.
    #[error("the manifest is not signed: LIFEBOAT_TRUSTED_KEYS accepts only what {} has signed", quoted(.trusted))]
    Unsigned {
        /// Whose signature would do.
        trusted: Vec<KeyName>,
    },
    /// Signed, but by nobody who is trusted.
    #[error(
        "the manifest is signed by {}, and LIFEBOAT_TRUSTED_KEYS accepts only {}: add the public key if you trust it",
        quoted(.claimed), quoted(.trusted)
    )]
    UnknownSigner {
        /// Whose signatures it claims to have.
        claimed: Vec<KeyName>,
        /// Whose signature would do.
        trusted: Vec<KeyName>,
    },
    /// The signature of a trusted name is wrong.
    #[error("the manifest's signature by {key:?} is wrong: it was changed, or signed with another key of this name")]
    BadSignature {
        /// Whose signature it claims to be.
        key: KeyName,
    },
    /// Encryption keys are set, and nothing proves that the writer held one.
    #[error(
        "the manifest is not authenticated: LIFEBOAT_ENCRYPTION_KEYS accepts only what was written with {}",
        quoted(.known)
    )]
    Unauthenticated {
        /// Which key would do.
        known: Vec<KeyName>,
    },
    /// Written with an encryption key that isn't set.
    #[error(
        "the manifest is authenticated with encryption key {}, and LIFEBOAT_ENCRYPTION_KEYS has only {}: add the key",
        quoted(.claimed), quoted(.known)
    )]
    UnknownAuthentication {
        /// The keys that it names.
        claimed: Vec<KeyName>,
        /// Which key would do.
        known: Vec<KeyName>,
    },
    /// The authentication code under a known name is wrong.
    #[error(
        "the manifest's authentication with encryption key {key:?} is wrong: it was changed, or written with another key \
         of this name"
    )]
    BadAuthentication {
        /// The key that it names.
        key: KeyName,
    },
    /// Made for another Kong: the manifest of another path.
    #[error("the manifest is for Kong {actual}, and this path is for Kong {expected}")]
    WrongVersion {
        /// The version that was asked for.
        expected: KongVersion,
        /// The manifest's.
        actual: KongVersion,
    },
    /// The manifest of another snapshot.
    #[error(
        "the manifest is that of snapshot {} ({}), and this path is for snapshot {} ({}): manifests were swapped",
        .actual.sequence, .actual.config_hash, .expected.sequence, .expected.config_hash
    )]
    WrongSnapshot {
        /// Whose path it is.
        expected: SnapshotId,
        /// The manifest's.
        actual: SnapshotId,
    },
    /// It says that it is held, where only published ones are.
    #[error(
        "the manifest says that snapshot {} is held, but lies where a published one belongs: someone has moved it", .0.sequence
    )]
    Held(SnapshotId),
    /// Nobody has released it.
    #[error("snapshot {0} is held: lifeboat release {0} publishes it, and then a node may have it")]
    NotReleased(u64),
    /// It doesn't say that it is held, where only held ones are.
    #[error("the manifest does not say that snapshot {} is held, and lies where a held one's is", .0.sequence)]
    NotHeld(SnapshotId),
    /// A number that no exporter can have given.
    #[error("the manifest is for snapshot {0}, and numbers end at 9999999999: lifeboat didn't write it")]
    WrongSequence(u64),
    /// It points to an object that isn't its own.
    #[error("the manifest names the payload {actual:?}, and its own is {expected}")]
    WrongPayloadKey {
        /// The key that belongs to it.
        expected: String,
        /// The key that it names.
        actual: String,
    },
    /// Its control plane had it too long ago.
    #[error(
        "its control plane last had it at {last_seen}, {} ago, and LIFEBOAT_MAX_AGE allows {}: unset it, or set it to more, \
         to restore it all the same",
        humantime::format_duration(*.age), humantime::format_duration(*.limit)
    )]
    TooOld {
        /// When.
        last_seen: WallTime,
        /// How long ago.
        age: Duration,
        /// How long ago it may be.
        limit: Duration,
    },
    /// Nothing tells how old it is, and that is asked for.
    #[error(
        "a bare config.json does not tell how old it is, and LIFEBOAT_MAX_AGE asks for that: unset it to restore it all the \
         same"
    )]
    OfUnknownAge,
    /// Fewer bytes than the manifest says: half-written, cut off on the way, or another's.
    #[error(
        "the payload has {actual} bytes instead of {expected}: it is incomplete, or not the one that was published"
    )]
    Truncated {
        /// What the manifest says.
        expected: u64,
        /// What there is.
        actual: u64,
    },
    /// Other bytes than the exporter wrote.
    #[error("the payload's SHA-256 is {actual}, and the manifest says {expected}: it was changed or damaged")]
    DigestMismatch {
        /// What the manifest says.
        expected: Sha256Digest,
        /// What the bytes have.
        actual: Sha256Digest,
    },
    /// Sealed, and no key is set.
    #[error("the payload is sealed with encryption key {key:?}: set LIFEBOAT_ENCRYPTION_KEYS")]
    SealedWithoutKeys {
        /// The key that it needs.
        key: KeyName,
    },
    /// Sealed with a key that isn't set.
    #[error(
        "the payload is sealed with encryption key {key:?}, and LIFEBOAT_ENCRYPTION_KEYS has only {}: add the key",
        quoted(.known)
    )]
    UnknownSeal {
        /// The key that it needs.
        key: KeyName,
        /// The keys that are set.
        known: Vec<KeyName>,
    },
    /// Sealed in a way of later versions.
    #[error("the payload is sealed with {0:?}, which this lifeboat doesn't know: update lifeboat")]
    UnknownSealing(String),
    /// The seal doesn't open.
    #[error(
        "the payload does not open with encryption key {key:?}: it belongs to another manifest, or another key of this \
         name has sealed it"
    )]
    BrokenSeal {
        /// The key that was tried.
        key: KeyName,
    },
    /// Only encryption keys are set, and it is plain.
    #[error(
        "the payload is not sealed: LIFEBOAT_ENCRYPTION_KEYS without LIFEBOAT_TRUSTED_KEYS accepts only sealed ones"
    )]
    NotSealed,
    /// Larger than the operator allows.
    #[error("the configuration has {actual} bytes, and LIFEBOAT_MAX_CONFIG allows {limit}")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
        /// The configuration's size in bytes.
        actual: u64,
    },
    /// The payload is what the manifest describes, but doesn't expand to what it promises.
    #[error("the payload does not expand to the configuration that the manifest describes: {0}")]
    NotTheConfiguration(String),
    /// Nothing proves who wrote a bare `config.json`.
    #[error(
        "nothing proves who wrote a config.json without a manifest: none is accepted while LIFEBOAT_TRUSTED_KEYS or \
         LIFEBOAT_ENCRYPTION_KEYS is set"
    )]
    BareConfigJson,
    /// A bare `config.json` that isn't a configuration.
    #[error("config.json is not a configuration: {0}")]
    NotAConfiguration(ConfigurationError),
}

impl From<ConfigurationError> for Rejected {
    fn from(error: ConfigurationError) -> Self {
        Self::NotAConfiguration(error)
    }
}

impl Rejected {
    /// Whether it is of a format that this version doesn't know, and so neither damaged nor anybody else's.
    pub fn is_of_a_later_lifeboat(&self) -> bool {
        matches!(self, Self::Unreadable(Unreadable::UnknownFormat(_)))
    }
}
