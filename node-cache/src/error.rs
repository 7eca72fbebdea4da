//! Why a node's cache can't be read or written, in words for the operator.

use std::path::{Path, PathBuf};

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::verify::Rejected;

use super::lmdb::LmdbError;

/// Why an image of a node's cache wasn't taken, or a cache not put in place.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Kong 3.0 to 3.3.
    #[error(
        "Kong {version} caches in a form that lifeboat can't write (2.x and 3.4 and later it can): restore its nodes \
         through the relay or with lifeboat exec"
    )]
    NoSuchForm {
        /// The version.
        version: KongVersion,
    },
    /// Kong 2.x was asked for an image, or 3.x for a `config.cache.json.gz`.
    #[error("Kong {version} doesn't cache in {form}")]
    WrongForm {
        /// The version.
        version: KongVersion,
        /// The form that was asked for.
        form: &'static str,
    },
    /// The node wrote to its cache during each try.
    #[error("{path}: the node changed its cache during each of {tries} tries to copy it: it is tried again later")]
    Busy {
        /// The data file.
        path: PathBuf,
        /// How often.
        tries: u32,
    },
    /// The data file can't be used.
    #[error("{path}: {problem}")]
    Unreadable {
        /// The data file.
        path: PathBuf,
        /// What is wrong with it.
        problem: LmdbError,
    },
    /// Written by another version of Kong, which would throw it away.
    #[error("{path}: its validation tag is {found:?}, and Kong {version} takes only {expected:?}")]
    OtherTag {
        /// The data file, or the image.
        path: String,
        /// The version that it is for.
        version: KongVersion,
        /// The tag in it.
        found: Option<String>,
        /// The version's own.
        expected: Option<String>,
    },
    /// Another configuration than the one that was asked for.
    #[error("{path}: it holds configuration {found}, not {expected}")]
    OtherConfiguration {
        /// The data file, or the image.
        path: String,
        /// What it holds; zeros are no configuration.
        found: ConfigHash,
        /// What was asked for.
        expected: ConfigHash,
    },
    /// The image doesn't expand to what its manifest promises.
    #[error("the image of the node cache expands to {actual} bytes instead of {expected}: no cache was written")]
    ImageSize {
        /// What the manifest says.
        expected: u64,
        /// What there is, as far as it was looked at.
        actual: u64,
    },
    /// The payload of a configuration doesn't expand to what its manifest promises.
    #[error("the configuration can't be written: {rejected}")]
    Payload {
        /// Why not.
        rejected: Rejected,
    },
    /// The disk is too full.
    #[error("{path}: {free} bytes are free and {needed} are needed: nothing was written")]
    NoSpace {
        /// Where.
        path: PathBuf,
        /// What is needed, in bytes.
        needed: u64,
        /// What there is.
        free: u64,
    },
    /// A node that runs would go on with what it has, and write over what it is given.
    #[error("{prefix}: Kong runs there ({sign}): stop it first, or let the relay feed it")]
    KongRuns {
        /// The node's prefix.
        prefix: PathBuf,
        /// How that is known.
        sign: String,
    },
    /// Whoever runs Kong could not read what is written.
    #[error("{path} belongs to user {owner}: run lifeboat as that user, or as root")]
    NotOwner {
        /// The folder.
        path: PathBuf,
        /// Its owner's id.
        owner: u32,
    },
    /// Two at once.
    #[error("{path}: another lifeboat import is at work there")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The operating system.
    #[error("{path}: {reason}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it says.
        reason: std::io::Error,
    },
}

impl CacheError {
    /// Whether the same may succeed a little later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::OtherConfiguration { .. } | Self::InUse { .. })
    }

    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |reason| Self::Io { path, reason }
    }

    pub(super) fn unreadable(path: &Path) -> impl FnOnce(LmdbError) -> Self + use<> {
        let path = path.to_owned();
        move |problem| Self::Unreadable { path, problem }
    }
}
