//! A process that a prefix names as its Kong. It does nothing else.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

use crate::NodePrefix;

const NAME: &str = "nginx: master process";

/// A Kong that runs on this prefix, until it is dropped.
pub(super) struct RunningKong(Child);

impl RunningKong {
    pub(super) fn start(prefix: &NodePrefix) -> Self {
        let child = Command::new("sleep").arg0(NAME).arg("600").spawn().unwrap();
        // A process has no name yet at the moment at which it is known to have been started.
        while !fs::read(format!("/proc/{}/cmdline", child.id())).unwrap().starts_with(NAME.as_bytes()) {
            sleep(Duration::from_millis(1));
        }
        fs::create_dir(prefix.path().join("pids")).unwrap();
        fs::write(prefix.path().join("pids/nginx.pid"), format!("{}\n", child.id())).unwrap();
        Self(child)
    }

    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for RunningKong {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
