//! Putting a file into a node's prefix so that at every moment there is, under its name, what was there before or all of
//! the new one: written elsewhere, synced, renamed. What the file is, and whether it may be put there, is not known here.

use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::CacheError;
use super::image::new_file;
use super::node_prefix::Owner;

/// In the folder of the new file, since a rename stays within a file system. There is at most one: what a killed import
/// has left, the next one removes.
const WORKSHOP: &str = ".lifeboat-import";

/// What became of a cache that was to be put in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The node will find it.
    Placed {
        /// What was there, if that was something that no Kong can use.
        instead_of: Option<String>,
    },
    /// The node has a cache already, and nothing was written.
    AlreadyConfigured {
        /// What it has.
        what: String,
    },
}

/// How far an import has come, in the order of time. A crash may come after each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The folder for the new file is there.
    Folder,
    /// A place to work in is there, and what an earlier import left is not.
    Workshop,
    /// What is there already has been looked at.
    Looked,
    /// A part has been written.
    Writing,
    /// All has been written.
    Written,
    /// It has been checked.
    Checked,
    /// It is on the disk, and belongs to whom it must.
    Synced,
    /// It has its name.
    Renamed,
    /// Its name is on the disk.
    Named,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Folder,
        Self::Workshop,
        Self::Looked,
        Self::Writing,
        Self::Written,
        Self::Checked,
        Self::Synced,
        Self::Renamed,
        Self::Named,
    ];
}

/// A folder of a node that is being written to by us alone.
pub(super) struct Place<'p> {
    folder: &'p Path,
    // Locked as long as it is open.
    opened: File,
    owner: Option<Owner>,
    reached: &'p mut dyn FnMut(Step),
}

/// A file that has no name yet under which anybody would look for it.
pub(super) struct Unnamed {
    pub path: PathBuf,
    pub file: File,
}

impl<'p> Place<'p> {
    /// Removes what one that was killed has left in `folder`.
    pub(super) fn tidy(folder: &Path) -> Result<(), CacheError> {
        if folder.join(WORKSHOP).is_dir() {
            Place::enter(folder, None, &mut |_| {})?;
        }
        Ok(())
    }

    /// Begins to write to `folder` what is to belong to `owner`, or to us.
    pub(super) fn enter(
        folder: &'p Path,
        owner: Option<Owner>,
        reached: &'p mut dyn FnMut(Step),
    ) -> Result<Self, CacheError> {
        let io = || CacheError::io(folder);
        let opened = File::open(folder).map_err(io())?;
        match flock(&opened, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(CacheError::InUse { path: folder.to_owned() }),
            Err(error) => return Err(io()(error.into())),
        }
        let mut place = Self { folder, opened, owner, reached };
        place.clean_up().map_err(io())?;
        DirBuilder::new().mode(0o700).create(place.workshop()).map_err(io())?;
        place.reached(Step::Workshop);
        Ok(place)
    }

    /// Tells whoever watches that a step is done.
    pub(super) fn reached(&mut self, step: Step) {
        (self.reached)(step);
    }

    /// Where files are that have no name yet.
    pub(super) fn workshop(&self) -> PathBuf {
        self.folder.join(WORKSHOP)
    }

    /// A new file, which only its owner can read.
    pub(super) fn unnamed(&self, name: &str) -> Result<Unnamed, CacheError> {
        let path = self.workshop().join(name);
        let file = new_file(&path).map_err(CacheError::io(&path))?;
        Ok(Unnamed { path, file })
    }

    /// Gives a file its name, instead of whatever has it.
    pub(super) fn name(&mut self, unnamed: &Unnamed, name: &str) -> Result<(), CacheError> {
        if let Some(owner) = self.owner {
            owner.give(&unnamed.path)?;
        }
        unnamed.file.sync_all().map_err(CacheError::io(&unnamed.path))?;
        self.reached(Step::Synced);
        let target = self.folder.join(name);
        fs::rename(&unnamed.path, &target).map_err(CacheError::io(&target))?;
        self.reached(Step::Renamed);
        self.opened.sync_all().map_err(CacheError::io(self.folder))?;
        self.reached(Step::Named);
        Ok(())
    }

    fn clean_up(&self) -> std::io::Result<()> {
        match fs::remove_dir_all(self.workshop()) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.clean_up() {
            tracing::warn!("{} is left over and can't be removed: {error}", self.workshop().display());
        }
    }
}
