//! A group of processes that may take so much memory together and no more: the kernel's, as containers have it. Version 1 or
//! 2 of control groups, whichever this machine has.

use std::fs;
use std::path::{Path, PathBuf};

/// A group, which is gone when this is dropped and nobody is in it.
pub struct MemoryGroup {
    folder: PathBuf,
    version: Version,
}

enum Version {
    One,
    Two,
}

impl MemoryGroup {
    /// Makes one that may take `limit` bytes.
    ///
    /// # Panics
    /// When this machine lets us make none: whoever measures must not believe that something was measured.
    pub fn new(limit: u64) -> Self {
        let name = format!("lifeboat-tests-{}-{limit}", std::process::id());
        let (above, version, setting) = match Path::new("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists() {
            true => ("/sys/fs/cgroup/memory", Version::One, "memory.limit_in_bytes"),
            false => ("/sys/fs/cgroup", Version::Two, "memory.max"),
        };
        let group = Self { folder: Path::new(above).join(name), version };
        let made = fs::create_dir(&group.folder).and_then(|()| {
            fs::write(group.folder.join(setting), limit.to_string())?;
            match group.version {
                Version::One => Ok(()),
                // Otherwise swap would hide what is taken.
                Version::Two => fs::write(group.folder.join("memory.swap.max"), "0").or(Ok(())),
            }
        });
        made.unwrap_or_else(|error| {
            panic!("{}: {error}: this test limits memory by a control group, and needs root", group.folder.display())
        });
        group
    }

    /// The most that was ever taken, in bytes, if this kernel says it.
    pub fn peak(&self) -> Option<u64> {
        let name = match self.version {
            Version::One => "memory.max_usage_in_bytes",
            Version::Two => "memory.peak",
        };
        fs::read_to_string(self.folder.join(name)).ok()?.trim().parse().ok()
    }

    /// How many processes were killed since they wanted more.
    ///
    /// # Panics
    /// When the kernel doesn't say.
    pub fn killed(&self) -> u64 {
        let name = match self.version {
            Version::One => "memory.oom_control",
            Version::Two => "memory.events",
        };
        let text = fs::read_to_string(self.folder.join(name)).expect("the kernel says it");
        let killed = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok());
        killed.unwrap_or_else(|| panic!("{name} does not count who was killed:\n{text}"))
    }

    /// The file into which a process that joins writes its id.
    pub fn processes(&self) -> PathBuf {
        self.folder.join("cgroup.procs")
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // A process that was killed may be in it for another moment.
        for _ in 0..100 {
            if fs::remove_dir(&self.folder).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}
