//! A configuration from a file.

use std::path::{Path, PathBuf};

use lifeboat_core::declarative::Refused;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::SourceKind;
use lifeboat_core::time::WallTime;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::{Found, found};

/// Why a file gives no configuration.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It can't be read.
    #[error("{path} can't be read: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// It isn't a configuration that nodes would take.
    #[error("{path}: {refused}")]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why not.
        refused: Refused,
    },
}

/// Reads a declarative configuration, JSON or YAML, or gzip of it, that is for nodes of `version`. What has more than
/// `max_config` bytes is refused before it is read to its end.
///
/// # Errors
/// Each names the file.
pub async fn read_file(
    path: &Path,
    version: KongVersion,
    max_config: usize,
    now: WallTime,
) -> Result<Found, FileError> {
    let unreadable = |error| FileError::Unreadable { path: path.to_owned(), error };
    let file = File::open(path).await.map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(max_config as u64 + 1).read_to_end(&mut bytes).await.map_err(unreadable)?;
    let found = found(bytes.into(), version, max_config, SourceKind::File, now).await;
    found.map_err(|refused| FileError::Refused { path: path.to_owned(), refused })
}
