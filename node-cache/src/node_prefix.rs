//! A Kong node's prefix: where its caches are, whose they are, whether Kong runs on it, and how it is made where it is missing,
//! as Kong does when it starts.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::{Flock, FlockType, Pid, fcntl_getlk, test_kill_process};

use super::CacheError;

/// Kong's `prefix`, `/usr/local/kong` by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePrefix(PathBuf);

impl NodePrefix {
    /// The prefix at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The folder of the LMDB environment.
    pub fn lmdb_folder(&self) -> PathBuf {
        self.0.join("dbless.lmdb")
    }

    /// The LMDB environment's data file.
    pub fn data_file(&self) -> PathBuf {
        self.lmdb_folder().join("data.mdb")
    }

    /// The cache of Kong 2.x (KONG.md section 2).
    pub fn config_cache(&self) -> PathBuf {
        self.0.join("config.cache.json.gz")
    }

    /// A declarative file of ours, for one start of the node. Kong wants the name to end so.
    pub fn declarative_file(&self) -> PathBuf {
        self.0.join("lifeboat-declarative.json")
    }

    /// Fails if Kong runs on this prefix.
    pub(super) fn check_stopped(&self) -> Result<(), CacheError> {
        let runs = |sign: String| CacheError::KongRuns { prefix: self.0.clone(), sign };
        if self.environment_is_open()? {
            return Err(runs(format!("it has {} open", self.data_file().display())));
        }
        match self.running_process()? {
            Some(process) => Err(runs(format!("{} names process {process}", self.pid_file().display()))),
            None => Ok(()),
        }
    }

    fn pid_file(&self) -> PathBuf {
        self.0.join("pids/nginx.pid")
    }

    // The pid file says nothing to a container that sees other processes than Kong's does. A lock does: while LMDB has an
    // environment open it keeps one on the first byte of lock.mdb. To ask for it changes nothing.
    fn environment_is_open(&self) -> Result<bool, CacheError> {
        let path = self.lmdb_folder().join("lock.mdb");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(CacheError::io(&path)(error)),
        };
        let first_byte = Flock { length: 1, ..Flock::from(FlockType::WriteLock) };
        match fcntl_getlk(&file, &first_byte) {
            Ok(holder) => Ok(holder.is_some()),
            Err(error) => Err(CacheError::io(&path)(error.into())),
        }
    }

    fn running_process(&self) -> Result<Option<i32>, CacheError> {
        let path = self.pid_file();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CacheError::io(&path)(error)),
        };
        let number = text.trim().parse().ok().filter(|number: &i32| *number > 0);
        let Some(pid) = number.and_then(Pid::from_raw) else { return Ok(None) };
        // A stale file of a container's earlier life often has a number that something else has now: 1, for instance.
        let alive = test_kill_process(pid) != Err(rustix::io::Errno::SRCH);
        Ok((alive && is_nginx(pid)).then_some(pid.as_raw_pid()))
    }
}

// Where it can't be told, it is.
fn is_nginx(pid: Pid) -> bool {
    match fs::read(format!("/proc/{}/cmdline", pid.as_raw_pid())) {
        Ok(command) => command.windows(5).any(|part| part == b"nginx"),
        Err(_) => true,
    }
}

/// A user and a group, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub user: u32,
    pub group: u32,
}

impl Owner {
    /// To whom what is written into `folder` must belong so that Kong can read it; none if that is us, or if the folder
    /// tells nothing: a volume that is root's and that everybody may write to.
    ///
    /// # Errors
    /// If it is somebody else, and we aren't root.
    pub(super) fn to_be_set(folder: &Path) -> Result<Option<Self>, CacheError> {
        let found = fs::metadata(folder).map_err(CacheError::io(folder))?;
        let folders = Self { user: found.uid(), group: found.gid() };
        match folders.as_seen_by(rustix::process::geteuid().as_raw()) {
            Some(to_be_set) => Ok(to_be_set),
            None => Err(CacheError::NotOwner { path: folder.to_owned(), owner: folders.user }),
        }
    }

    /// The same for what the program is to read that we become: it is us, or a user that it changes to, whose folder this
    /// then is.
    pub(super) fn of_who_we_become(folder: &Path) -> Result<Option<Self>, CacheError> {
        match Self::to_be_set(folder) {
            Err(CacheError::NotOwner { .. }) => Ok(None),
            other => other,
        }
    }

    // None where `us` can write nothing that this owner could read.
    fn as_seen_by(self, us: u32) -> Option<Option<Self>> {
        match (self.user, us) {
            (owner, us) if owner == us => Some(None),
            (_, 0) => Some(Some(self)),
            (0, _) => Some(None),
            _ => None,
        }
    }

    /// Gives a file or folder to this owner.
    pub(super) fn give(self, path: &Path) -> Result<(), CacheError> {
        std::os::unix::fs::lchown(path, Some(self.user), Some(self.group)).map_err(CacheError::io(path))
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_given_to_who_runs_kong_or_not_written() {
        let kong = Owner { user: 1000, group: 50 };
        let root = Owner { user: 0, group: 0 };
        assert_eq!(kong.as_seen_by(1000), Some(None));
        assert_eq!(kong.as_seen_by(0), Some(Some(kong)));
        assert_eq!(root.as_seen_by(1000), Some(None), "a volume of Kubernetes, where Kong is who we are");
        assert_eq!(kong.as_seen_by(1001), None);
    }
}
