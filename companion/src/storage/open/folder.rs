//! A folder of this machine as a store.

use std::io::ErrorKind;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

use crate::storage::error::{IN_THE_WAY, StorageError};

/// Whether there is such a folder, for whoever only reads: making one would hide a mistyped path behind "no backups".
pub(in crate::storage) fn must_exist(path: &str, place: String) -> Result<(), StorageError> {
    let reason = match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => IN_THE_WAY.to_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            "there is no such folder, and none was made: check KONG_CLUSTER_FALLBACK_CONFIG_STORAGE (--storage). Exporting \
             makes it"
                .to_owned()
        }
        Err(error) => format!("the folder can't be looked at ({error}): let the user that runs lifeboat read it"),
    };
    Err(StorageError::Misconfigured { place, reason })
}

pub(super) fn open(path: &str, place: String) -> Result<Arc<dyn ObjectStore>, StorageError> {
    let failed = |error: std::io::Error| {
        let cure = match error.kind() {
            ErrorKind::NotADirectory | ErrorKind::AlreadyExists => IN_THE_WAY,
            _ => "let the user that runs lifeboat make, read and write it",
        };
        let reason = format!("the folder can't be used ({error}): {cure}");
        StorageError::Misconfigured { place: place.clone(), reason }
    };
    std::fs::create_dir_all(path).map_err(failed)?;
    // Synced before it is renamed: what was published survives a power cut too.
    let store = LocalFileSystem::new_with_prefix(path).map_err(|error| failed(error.into()))?;
    Ok(Arc::new(store.with_fsync(true)))
}
