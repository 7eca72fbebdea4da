//! A terminal as an emulator gives one to a shell: two ends, and a width. What is drawn on it is not interpreted here.

use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// A terminal that nobody looks at yet.
pub(super) struct Terminal {
    ours: OwnedFd,
    programs: File,
}

impl Terminal {
    pub(super) fn new(columns: u16) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("the system gives a terminal");
        grantpt(&ours).expect("it is ours");
        unlockpt(&ours).expect("it is ours");
        let name = ptsname(&ours, Vec::new()).expect("its other end has a name");
        let name = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
        let programs = OpenOptions::new().read(true).write(true).open(name).expect("its other end can be opened");
        let size = Winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&programs, size).expect("a terminal has a size");
        Self { ours, programs }
    }

    /// The program's end.
    pub(super) fn end(&self) -> Stdio {
        self.programs.try_clone().expect("it can be given to several").into()
    }

    /// Our end, where the program's output comes out. Ends when no program has the other one.
    pub(super) fn into_reader(self) -> File {
        self.ours.into()
    }
}
