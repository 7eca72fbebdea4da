//! A declarative file in the prefix of a Kong node, for one start of it: what `KONG_DECLARATIVE_CONFIG` names then. Who
//! starts the node, and whether it gets one, is not known here.
//!
//! It holds private keys, as the cache beside it does that Kong makes of it, and is as hard to read. Kong reads it again
//! when it is reloaded, so that it stays until the next start; see [`remove_declarative_file`].

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use lifeboat_core::verify::Verified;

use super::file_space::check_space;
use super::node_prefix::Owner;
use super::node_prefix::make_prefix;
use super::place::Place;
use super::{CacheError, NodePrefix, Step};

/// Writes the configuration as a declarative file for the node on `prefix`, instead of an earlier one. The prefix is made
/// if it isn't there yet, as Kong makes it. `reached` is told each step.
///
/// # Errors
/// [`CacheError::KongRuns`] where the node has been started already, or when the file can't be written.
pub fn place_declarative_file(
    prefix: &NodePrefix,
    verified: &Verified,
    reached: &mut dyn FnMut(Step),
) -> Result<PathBuf, CacheError> {
    prefix.check_stopped()?;
    let folder = prefix.path();
    make_prefix(prefix)?;
    reached(Step::Folder);
    let path = prefix.declarative_file();
    let mut place = Place::enter(folder, Owner::of_who_we_become(folder)?, reached)?;
    check_space(folder, verified.config_bytes())?;
    // What a control plane sends is a declarative file already (KONG.md section 2): not a byte is changed.
    let json = verified.config_json().map_err(|rejected| CacheError::Payload { rejected })?;
    let mut new = place.unnamed("declarative.json")?;
    for piece in json.chunks(1 << 18) {
        new.file.write_all(piece).map_err(CacheError::io(&new.path))?;
        place.reached(Step::Writing);
    }

    place.reached(Step::Written);
    let name = path.file_name().expect("it is a file in the prefix").to_string_lossy().into_owned();
    place.name(&new, &name)?;
    Ok(path)
}

/// Removes what an earlier start was given, if there is something, and what is left of one that was killed.
///
/// # Errors
/// [`CacheError::KongRuns`] while a node runs that may be reloaded, or when it can't be removed.
pub fn remove_declarative_file(prefix: &NodePrefix) -> Result<(), CacheError> {
    prefix.check_stopped()?;
    Place::tidy(prefix.path())?;
    let path = prefix.declarative_file();
    // A read-only file system has something against removing what isn't there, too.
    match path.try_exists().and_then(|exists| if exists { fs::remove_file(&path) } else { Ok(()) }) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(CacheError::io(&path)(error)),
        _ => Ok(()),
    }
}
