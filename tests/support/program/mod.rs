//! The program as its user runs it: built once, started in an environment of its own, seen only from outside. What it is
//! told to do is the suites'.

mod built;
mod captured;
mod memory_group;
mod terminal;
mod usage;

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, PipeReader, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use self::built::executable;
use self::captured::Captured;
pub use self::memory_group::MemoryGroup;
use self::terminal::Terminal;
pub use self::usage::Usage;

/// Nothing that is waited for takes nearly as long: who gets here has hung.
const HUNG: Duration = Duration::from_secs(60);

/// A start of the program that is being prepared. Nothing of the tester's environment gets into it but `PATH`.
pub struct Invocation {
    command: Command,
    held: Option<PipeReader>,
    terminal: Option<Terminal>,
}

/// A started program. Dropping it kills it.
pub struct Running {
    child: Child,
    pid: Pid,
    stdout: Captured,
    stderr: Captured,
    held: Option<PipeReader>,
    keyboard: Option<File>,
}

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Its results.
    pub stdout: String,
    /// Its log and its errors.
    pub stderr: String,
}

/// What can be read of a process's memory in `/proc/<pid>/status` (proc_pid_status(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// The most that was ever resident.
    Peak,
    /// What is resident now.
    Resident,
}

/// The folder in which `lifeboat` is, for a `PATH`.
///
/// # Panics
/// When it can't be built.
pub fn folder() -> &'static Path {
    executable().parent().expect("a program lies in a folder")
}

/// Prepares a start of `lifeboat` with these arguments.
pub fn lifeboat<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Invocation {
    let mut command = Command::new(executable());
    command.args(arguments).env_clear().stdin(Stdio::null()).stderr(Stdio::piped()).stdout(Stdio::piped());
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command.kill_on_drop(true);
    Invocation { command, held: None, terminal: None }
}

impl Invocation {
    /// With a variable in its environment.
    pub fn with(mut self, variable: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(variable, value);
        self
    }

    /// Without a variable.
    pub fn without(mut self, variable: impl AsRef<OsStr>) -> Self {
        self.command.env_remove(variable);
        self
    }

    /// As another user, of root's group and of no other, from a folder that it can't write to: where we may do that. Gives
    /// the user that it will be.
    pub fn as_another_user(&mut self, user: u32) -> u32 {
        self.command.current_dir("/");
        if !rustix::process::geteuid().is_root() {
            return rustix::process::geteuid().as_raw();
        }
        self.command.uid(user).gid(0);
        user
    }

    /// With more arguments.
    pub fn and<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    /// So that it can't end before [`Running::ends`] is called, if the last thing that it does is to print a result: its
    /// standard output is full from the beginning.
    ///
    /// # Panics
    /// When the system gives no pipe.
    pub fn held_at_its_result(mut self) -> Self {
        let (reader, mut writer) = std::io::pipe().expect("there are pipes");
        let flags = fcntl_getfl(&writer).expect("a pipe has flags");
        fcntl_setfl(writer.as_fd(), flags | OFlags::NONBLOCK).expect("a pipe can be set so");
        let mut filling = [0_u8; 4096].as_slice();
        loop {
            match writer.write(filling) {
                Ok(_) => {}
                // Less than a page may be left.
                Err(error) if error.kind() == ErrorKind::WouldBlock && filling.len() > 1 => filling = &filling[..1],
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("the pipe can't be filled: {error}"),
            }
        }
        fcntl_setfl(writer.as_fd(), flags).expect("a pipe can be set so");
        self.command.stdout(writer);
        self.held = Some(reader);
        self
    }

    /// On a terminal that is so many columns wide, which all its outputs are: what is written there is its result.
    ///
    /// # Panics
    /// When the system gives no terminal.
    pub fn on_a_terminal(mut self, columns: u16) -> Self {
        let terminal = Terminal::new(columns);
        self.command.stdin(terminal.end()).stdout(terminal.end()).stderr(terminal.end()).env("TERM", "xterm-256color");
        self.terminal = Some(terminal);
        self
    }

    /// In this group from its first instruction on.
    pub fn within(mut self, group: &MemoryGroup) -> Self {
        let asked = self.command.as_std();
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(group.processes()).arg(asked.get_program());
        command.args(asked.get_args()).env_clear().stdin(Stdio::null()).stderr(Stdio::piped()).stdout(Stdio::piped());
        command.envs(asked.get_envs().filter_map(|(name, value)| Some((name, value?)))).kill_on_drop(true);
        self.command = command;
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(mut self) -> Running {
        let mut child = self.command.spawn().expect("lifeboat starts");
        let pid = child.id().and_then(|id| Pid::from_raw(id as i32)).expect("it has an id until it was waited for");
        // Its ends of the terminal are the program's alone now: what is read from the other side ends with the program.
        drop(self.command);
        let (stdout, keyboard) = match self.terminal {
            Some(terminal) => {
                let ours = terminal.into_reader();
                let keyboard = ours.try_clone().expect("our end can be had twice");
                (Captured::of_terminal(ours), Some(keyboard))
            }
            None => (child.stdout.take().map_or_else(Captured::nothing, Captured::of), None),
        };
        let stderr = child.stderr.take().map_or_else(Captured::nothing, Captured::of);
        Running { child, pid, stdout, stderr, held: self.held, keyboard }
    }

    /// Starts it and waits until it ends.
    pub async fn finish(self) -> Finished {
        self.start().ends().await
    }
}

impl Running {
    /// Waits until its log has a line with this part, and gives the line.
    ///
    /// # Panics
    /// When it ends without, or hangs: with all that it said.
    pub async fn says(&self, part: &str) -> String {
        self.stderr.line(part, HUNG).await
    }

    /// The same for what takes longer than anything that is tested: what is measured.
    ///
    /// # Panics
    /// As [`says`](Self::says), after `limit`.
    pub async fn says_within(&self, limit: Duration, part: &str) -> String {
        self.stderr.line(part, limit).await
    }

    /// Waits until its results have a line with this part, and gives the line.
    ///
    /// # Panics
    /// As [`says`](Self::says).
    pub async fn prints(&self, part: &str) -> String {
        self.stdout.line(part, HUNG).await
    }

    /// Waits until its results, or the terminal that it has, show this part, in a line that may not have ended.
    ///
    /// # Panics
    /// As [`says`](Self::says).
    pub async fn shows(&self, part: &str) {
        self.stdout.part(part).await;
    }

    /// Types a line on its terminal.
    ///
    /// # Panics
    /// When it has none.
    pub fn is_answered(&mut self, line: &str) {
        let keyboard = self.keyboard.as_mut().expect("it is on a terminal");
        writeln!(keyboard, "{line}").expect("a terminal takes what is typed");
    }

    /// Its process's id.
    pub fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.stderr.text()
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is gone.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("it runs");
    }

    /// SIGKILL, at whatever it is doing. Returns when it is gone, with all that it said.
    pub async fn kill(mut self) -> Finished {
        self.child.start_kill().expect("it runs, or has just ended");
        self.ends().await
    }

    /// Waits until it ends.
    ///
    /// # Panics
    /// When it hangs: with all that it said.
    pub async fn ends(mut self) -> Finished {
        if let Some(held) = self.held.take() {
            self.stdout = Captured::of_held(held);
        }
        let ended = timeout(HUNG, self.child.wait()).await;
        let Ok(status) = ended else { panic!("lifeboat does not end; it said:\n{}", self.log()) };
        let code = status.expect("it can be waited for").code();
        Finished { code, stdout: self.stdout.complete().await, stderr: self.stderr.complete().await }
    }

    /// Its memory in bytes.
    ///
    /// # Panics
    /// When it has ended.
    pub fn memory(&self, what: Memory) -> u64 {
        self.memory_if_it_runs(what).expect("a running process has memory")
    }

    fn memory_if_it_runs(&self, what: Memory) -> Option<u64> {
        let name = match what {
            Memory::Peak => "VmHWM:",
            Memory::Resident => "VmRSS:",
        };
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let kilobytes = status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"));
        Some(kilobytes?.parse::<u64>().ok()? * 1024)
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, stdout, stderr } = self;
        write!(f, "lifeboat ended with {code:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---")
    }
}
