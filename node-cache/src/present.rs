//! What a node that isn't running has cached already. Nothing is written, nothing opened but as a file.

use std::fs::{self, File};
use std::io::ErrorKind;

use lifeboat_core::kong::version::KongVersion;

use super::lmdb::LmdbError;
use super::{CacheError, Contents, NodePrefix};

/// What is in a node's cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Present {
    /// No configuration: the node would start empty.
    Nothing,
    /// Something that no Kong can use.
    Useless(String),
    /// A configuration, or what may be one.
    Configuration(String),
}

/// Looks at what the node of `version` on `prefix` would start with. A prefix that isn't there yet has nothing.
///
/// # Errors
/// [`CacheError::KongRuns`] where it has been started already, or when the files can't be read.
pub fn present(prefix: &NodePrefix, version: KongVersion) -> Result<Present, CacheError> {
    prefix.check_stopped()?;
    match version.major_minor() {
        (2, _) => in_config_cache(prefix),
        _ => in_lmdb(prefix),
    }
}

/// In the cache of Kong 2.x.
pub(super) fn in_config_cache(prefix: &NodePrefix) -> Result<Present, CacheError> {
    let path = prefix.config_cache();
    match fs::metadata(&path) {
        Ok(found) if found.len() > 0 => {
            Ok(Present::Configuration(format!("{} of {} bytes", path.display(), found.len())))
        }
        Ok(_) => Ok(Present::Nothing),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Present::Nothing),
        Err(error) => Err(CacheError::io(&path)(error)),
    }
}

// The file itself is read, not a copy: nobody writes to it, and who starts a node again and again shall not copy its cache
// each time.
fn in_lmdb(prefix: &NodePrefix) -> Result<Present, CacheError> {
    let path = prefix.data_file();
    match File::open(&path) {
        Ok(file) => judged(prefix, Contents::read(&file).map_err(CacheError::unreadable(&path))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Present::Nothing),
        Err(error) => Err(CacheError::io(&path)(error)),
    }
}

/// What a look into the LMDB cache means.
pub(super) fn judged(prefix: &NodePrefix, read: Result<Contents, CacheError>) -> Result<Present, CacheError> {
    match read {
        Ok(contents) if contents.is_empty() => Ok(Present::Nothing),
        Ok(contents) => Ok(Present::Configuration(contents.to_string())),
        Err(CacheError::Unreadable { problem, .. }) => match problem {
            // Kong throws the one away when it starts, and crashes over the other.
            LmdbError::NotLmdb | LmdbError::Damaged(_) => Ok(Present::Useless(problem.to_string())),
            // Some other Kong's, perhaps.
            LmdbError::OtherDataVersion(_) | LmdbError::Unsupported(_) => {
                Ok(Present::Configuration(format!("something that lifeboat can't read: {problem}")))
            }
            LmdbError::Io(reason) => Err(CacheError::Io { path: prefix.data_file(), reason }),
        },
        Err(error) => Err(error),
    }
}
