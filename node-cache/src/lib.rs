//! What a Kong node caches its configuration in: `config.cache.json.gz` (2.x) or LMDB (3.4 and later). The only place that
//! knows these formats. Images of the LMDB cache are taken here beside a running node, and caches, or a declarative file
//! beside them, are put in place before a node starts; what is kept in a store, and when, is decided elsewhere. Everything
//! here blocks: call it off the threads that serve sockets.

mod config_cache;
mod contents;
mod declarative_file;
mod error;
mod file_space;
mod hot_copy;
mod image;
mod image_cache;
mod lmdb;
mod node_prefix;
mod place;
mod present;

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::kong::version::KongVersion;

pub use config_cache::place_config_cache;
pub use contents::Contents;
pub use declarative_file::{place_declarative_file, remove_declarative_file};
pub use error::CacheError;
pub use hot_copy::{Patience, copy_data_file};
pub use image::Image;
pub use image_cache::place_image;
pub use lmdb::LmdbError;
pub use node_prefix::NodePrefix;
pub use place::{Outcome, Step};
pub use present::{Present, present};

/// Which configuration a cache is to hold, and for which Kong: only both together name a content (KONG.md section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheId {
    /// For which Kong.
    pub version: KongVersion,
    /// Kong's name for the configuration.
    pub config_hash: ConfigHash,
}

/// In which form a version of Kong caches its configuration (KONG.md section 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheForm {
    /// `config.cache.json.gz`: gzip of the configuration's JSON.
    ConfigCache,
    /// `dbless.lmdb/data.mdb`.
    Lmdb {
        /// What the version writes beside the configuration, and without which it throws the cache away: major and minor
        /// version. None before 3.6.
        tag: Option<String>,
    },
}

impl CacheForm {
    /// The form in which `version` caches, if Lifeboat can write it.
    pub fn of(version: KongVersion) -> Result<Self, CacheError> {
        match version.major_minor() {
            (2, _) => Ok(Self::ConfigCache),
            // Another data version of LMDB, and nodes so old that nobody should run them.
            (3, 0..=3) => Err(CacheError::NoSuchForm { version }),
            (3, 4..=5) => Ok(Self::Lmdb { tag: None }),
            (major, minor) => Ok(Self::Lmdb { tag: Some(format!("{major}.{minor}")) }),
        }
    }
}

#[cfg(test)]
mod tests;
