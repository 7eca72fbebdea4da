//! Whether there is room: asked before anything is written, since a full disk hurts whoever else writes there.

use std::path::Path;

use super::CacheError;

/// What stays free for others.
const RESERVE: u64 = 1 << 20;

/// Checks that `needed` bytes fit into the file system that `folder` is on.
pub(super) fn check_space(folder: &Path, needed: u64) -> Result<(), CacheError> {
    let found = rustix::fs::statvfs(folder).map_err(|error| CacheError::io(folder)(error.into()))?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    if free < needed.saturating_add(RESERVE) {
        return Err(CacheError::NoSpace { path: folder.to_owned(), needed, free });
    }
    Ok(())
}
