//! Putting `config.cache.json.gz` in place, the cache of a Kong 2.x node that isn't running, unless it has one.

use std::io::Write;

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::verify::Verified;

use super::file_space::check_space;
use super::node_prefix::Owner;
use super::node_prefix::make_prefix;
use super::place::Place;
use super::present::in_config_cache;
use super::{CacheError, CacheForm, NodePrefix, Outcome, Present, Step};

const NAME: &str = "config.cache.json.gz";

/// Makes a configuration the cache of the node on `prefix`, if the node has none. `reached` is told each step.
pub fn place_config_cache(
    prefix: &NodePrefix,
    verified: &Verified,
    version: KongVersion,
    reached: &mut dyn FnMut(Step),
) -> Result<Outcome, CacheError> {
    if CacheForm::of(version)? != CacheForm::ConfigCache {
        return Err(CacheError::WrongForm { version, form: NAME });
    }
    prefix.check_stopped()?;
    make_prefix(prefix)?;
    let mut place = Place::enter(prefix.path(), Owner::to_be_set(prefix.path())?, reached)?;
    if let Present::Configuration(what) = in_config_cache(prefix)? {
        return Ok(Outcome::AlreadyConfigured { what });
    }

    place.reached(Step::Looked);
    // What a payload is: gzip of the configuration's JSON.
    let gzip = verified.payload().bytes();
    check_space(prefix.path(), gzip.len() as u64)?;
    let mut new = place.unnamed(NAME)?;
    for piece in gzip.chunks(1 << 18) {
        new.file.write_all(piece).map_err(CacheError::io(&new.path))?;
        place.reached(Step::Writing);
    }

    place.reached(Step::Written);
    prefix.check_stopped()?;
    place.name(&new, NAME)?;
    Ok(Outcome::Placed { instead_of: None })
}
