//! Putting an image in place as the LMDB cache of a node that isn't running, unless the node has a configuration.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use lifeboat_core::backoff::Backoff;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::verify::VerifiedImage;

use super::file_space::check_space;
use super::hot_copy::copy_data_file;
use super::image::expand;
use super::node_prefix::Owner;
use super::node_prefix::make_prefix;
use super::place::Place;
use super::present::judged;
use super::{CacheError, CacheForm, CacheId, Contents, NodePrefix, Outcome, Patience, Present, Step};

/// Makes `image` the cache of the node of `version` on `prefix`, if the node takes it and has no configuration. `reached`
/// is told each step.
pub fn place_image(
    prefix: &NodePrefix,
    image: &VerifiedImage,
    version: KongVersion,
    reached: &mut dyn FnMut(Step),
) -> Result<Outcome, CacheError> {
    if CacheForm::of(version)? == CacheForm::ConfigCache {
        return Err(CacheError::WrongForm { version, form: "LMDB" });
    }
    prefix.check_stopped()?;
    make_prefix(prefix)?;
    make_folder(prefix)?;
    reached(Step::Folder);
    let folder = prefix.lmdb_folder();
    let mut place = Place::enter(&folder, Owner::to_be_set(&folder)?, reached)?;
    let instead_of = match look(prefix, &place)? {
        Present::Nothing => None,
        Present::Useless(what) => Some(what),
        Present::Configuration(what) => return Ok(Outcome::AlreadyConfigured { what }),
    };

    place.reached(Step::Looked);
    check_space(&folder, image.expands_to())?;
    let new = place.unnamed("new.mdb")?;
    expand(image, &new.file, &new.path, || place.reached(Step::Writing))?;
    place.reached(Step::Written);
    let contents = Contents::read(&new.file).map_err(|problem| CacheError::unreadable(Path::new(IMAGE))(problem))?;
    contents.check(IMAGE, &CacheId { version, config_hash: image.config_hash() })?;
    place.reached(Step::Checked);
    // Kong may have been started meanwhile.
    prefix.check_stopped()?;
    place.name(&new, "data.mdb")?;
    Ok(Outcome::Placed { instead_of })
}

const IMAGE: &str = "the image of the node cache";

// A private copy of what is there is read: the environment itself is the node's.
fn look(prefix: &NodePrefix, place: &Place<'_>) -> Result<Present, CacheError> {
    let path = prefix.data_file();
    if !path.try_exists().map_err(CacheError::io(&path))? {
        return Ok(Present::Nothing);
    }
    let copy = place.unnamed("present.mdb")?;
    let patience = Patience { tries: 3, backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(1)) };
    let read = copy_data_file(&path, &place.workshop(), &copy.file, patience)
        .and_then(|()| Contents::read(&copy.file).map_err(CacheError::unreadable(&path)));
    fs::remove_file(&copy.path).map_err(CacheError::io(&copy.path))?;
    judged(prefix, read)
}

// It appears under its name only once it belongs to whom it must: a Kong that can't open it doesn't start.
fn make_folder(prefix: &NodePrefix) -> Result<(), CacheError> {
    let folder = prefix.lmdb_folder();
    if folder.is_dir() {
        return Ok(());
    }
    let new = prefix.path().join(".lifeboat-import.lmdb");
    let io = || CacheError::io(&new);
    let owner = Owner::to_be_set(prefix.path())?;
    match DirBuilder::new().mode(0o700).create(&new) {
        // Left by one that was killed.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        made => made.map_err(io())?,
    }

    if let Some(owner) = owner {
        owner.give(&new)?;
    }
    fs::rename(&new, &folder).map_err(CacheError::io(&folder))?;
    fs::File::open(prefix.path()).and_then(|prefix| prefix.sync_all()).map_err(CacheError::io(prefix.path()))
}
