//! What can go wrong with a store, in the few classes that a caller acts on, each with place, key and cure. Which class a
//! store's answer belongs to is found in `diagnosis`.

use crate::Operation;

/// Why an object could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// There is no such object.
    #[error("{place}: there is no {key}")]
    NotFound {
        /// The store.
        place: String,
        /// The object's key.
        key: String,
    },
    /// Somebody else wrote this object meanwhile.
    #[error("{place}: {key} was written by someone else meanwhile")]
    Conflict {
        /// The store.
        place: String,
        /// The object's key.
        key: String,
    },
    /// This exporter's lead had ended, or was not renewed in time, before this could be written.
    #[error("{place}: {key} was not written, since another exporter may lead by now")]
    NotLeading {
        /// The store.
        place: String,
        /// The object's key.
        key: String,
    },
    /// The credentials don't allow it.
    #[error("{place}: {what} {key} is denied: {cure} ({reason})")]
    Denied {
        /// The store.
        place: String,
        /// The object's key.
        key: String,
        /// Reading, writing, listing or deleting.
        what: Operation,
        /// Whether another object may be had.
        concerns: Concerns,
        /// What to do.
        cure: String,
        /// What the store says.
        reason: String,
    },
    /// The store can't be used as it is set up; trying again won't help.
    #[error("{place}: {reason}")]
    Misconfigured {
        /// The store.
        place: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// An object was read, and can't be used; trying again won't help.
    #[error("{place}: {reason}")]
    Unusable {
        /// The store.
        place: String,
        /// Which object, what is wrong with it, and what to do.
        reason: String,
    },
    /// An object was read that a later lifeboat has written: it is whole, as far as this one can tell, and must stay.
    #[error("{place}: {reason}")]
    Later {
        /// The store.
        place: String,
        /// Which object, and what to do.
        reason: String,
    },
    /// The store can't be reached or fails; trying again may help.
    #[error("{place}: {what} {key} failed: {reason}")]
    Unavailable {
        /// The store.
        place: String,
        /// The object's key.
        key: String,
        /// Reading, writing, listing or deleting.
        what: Operation,
        /// What the store or the network says.
        reason: String,
    },
    /// The store gave other bytes back than it was given.
    #[error("{place}: {key} was read back with other bytes than were written: nothing was published")]
    ReadBackDiffers {
        /// The store.
        place: String,
        /// The object's key.
        key: String,
    },
}

impl StorageError {
    /// The names of all classes.
    pub const CLASSES: [&str; 7] =
        ["not_found", "conflict", "not_leading", "denied", "misconfigured", "unavailable", "read_back_differs"];

    /// The class's name, for tests and metrics: one word.
    pub fn class(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::Conflict { .. } => "conflict",
            Self::NotLeading { .. } => "not_leading",
            Self::Denied { .. } => "denied",
            Self::Misconfigured { .. } | Self::Unusable { .. } | Self::Later { .. } => "misconfigured",
            Self::Unavailable { .. } => "unavailable",
            Self::ReadBackDiffers { .. } => "read_back_differs",
        }
    }

    /// The store, for people.
    pub fn place(&self) -> &str {
        match self {
            Self::NotFound { place, .. }
            | Self::Conflict { place, .. }
            | Self::NotLeading { place, .. }
            | Self::Denied { place, .. }
            | Self::Misconfigured { place, .. }
            | Self::Unusable { place, .. }
            | Self::Later { place, .. }
            | Self::Unavailable { place, .. }
            | Self::ReadBackDiffers { place, .. } => place,
        }
    }

    /// Whether the same would fail again, and another object may be had: the store, or this machine, refuses this one, or what
    /// lies there is of no use. Credentials that have expired and a wrong clock refuse all alike, and only until they are
    /// mended: something older that can be read by then is no reason to take it.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Denied { concerns: Concerns::Object, .. }
                | Self::Misconfigured { .. }
                | Self::Unusable { .. }
                | Self::Later { .. }
        )
    }

    /// Whether the same may succeed a little later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// What a denial is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concerns {
    /// This object, or a right that others may not need.
    Object,
    /// Every request of ours: credentials that are missing or have expired, or a clock that is wrong.
    Requester,
}

/// What helps where something else has the name of a folder that is needed.
pub(super) const IN_THE_WAY: &str =
    "a file is where a folder must be. Move it away, or set KONG_CLUSTER_FALLBACK_CONFIG_STORAGE to another folder";
