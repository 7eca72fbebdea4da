//! Making a node's prefix where it isn't there yet, as Kong does when it starts.

use std::fs::{self, DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use super::node_prefix::Owner;
use super::{CacheError, NodePrefix};

/// What everybody may look into; what is put there is readable for its owner alone.
const MODE: u32 = 0o755;

/// Makes the folder, and those above it. They belong to whom the first folder above them belongs that is there.
pub(super) fn make_prefix(prefix: &NodePrefix) -> Result<(), CacheError> {
    let named = |path: &&Path| !path.as_os_str().is_empty();
    let missing: Vec<&Path> = prefix.path().ancestors().filter(named).take_while(|path| !path.exists()).collect();
    missing.into_iter().rev().try_for_each(make)
}

fn make(folder: &Path) -> Result<(), CacheError> {
    let io = || CacheError::io(folder);
    match DirBuilder::new().mode(MODE).create(folder) {
        // Somebody else has made it just now, and for themselves.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        made => made.map_err(io())?,
    }
    // Whatever our umask is: Kong may run as another user.
    fs::set_permissions(folder, Permissions::from_mode(MODE)).map_err(io())?;
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match Owner::of_who_we_become(above)? {
        Some(owner) => owner.give(folder),
        None => Ok(()),
    }
}
