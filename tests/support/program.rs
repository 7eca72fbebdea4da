//! The program as its user runs it: built once, started in an environment of its own, seen only from outside. What it is
//! told to do is the suites'.

use std::ffi::OsStr;
use std::fmt;
use std::io::{ErrorKind, PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;

/// Nothing that is waited for takes nearly as long: who gets here has hung.
const HUNG: Duration = Duration::from_secs(60);

/// A start of the program that is being prepared. Nothing of the tester's environment gets into it but `PATH`.
pub struct Invocation {
    command: Command,
    held: Option<PipeReader>,
}

/// A started program. Dropping it kills it.
pub struct Running {
    child: Child,
    pid: Pid,
    stdout: Captured,
    stderr: Captured,
    held: Option<PipeReader>,
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

/// Prepares a start of `lifeboat` with these arguments.
pub fn lifeboat<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Invocation {
    let mut command = Command::new(executable());
    command.args(arguments).env_clear().stdin(Stdio::null()).stderr(Stdio::piped()).stdout(Stdio::piped());
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    Invocation {
        command: {
            command.kill_on_drop(true);
            command
        },
        held: None,
    }
}

impl Invocation {
    /// With a variable in its environment.
    pub fn with(mut self, variable: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(variable, value);
        self
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

    /// Starts it.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(mut self) -> Running {
        let mut child = self.command.spawn().expect("lifeboat starts");
        let pid = child.id().and_then(|id| Pid::from_raw(id as i32)).expect("it has an id until it was waited for");
        let stdout = child.stdout.take().map_or_else(Captured::nothing, Captured::of);
        let stderr = Captured::of(child.stderr.take().expect("it was asked for"));
        Running { child, pid, stdout, stderr, held: self.held }
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
        self.stderr.line(part).await
    }

    /// Waits until its results have a line with this part, and gives the line.
    ///
    /// # Panics
    /// As [`says`](Self::says).
    pub async fn prints(&self, part: &str) -> String {
        self.stdout.line(part).await
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
        let name = match what {
            Memory::Peak => "VmHWM:",
            Memory::Resident => "VmRSS:",
        };
        let path = format!("/proc/{}/status", self.pid.as_raw_nonzero());
        let status = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let kilobytes = status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"));
        let kilobytes: u64 = kilobytes.and_then(|text| text.parse().ok()).expect("a running process has memory");
        kilobytes * 1024
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, stdout, stderr } = self;
        write!(f, "lifeboat ended with {code:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---")
    }
}

/// What a program writes into one of its outputs.
struct Captured(watch::Receiver<Text>);

#[derive(Default)]
struct Text {
    bytes: Vec<u8>,
    is_complete: bool,
}

impl Captured {
    fn nothing() -> Self {
        Self(watch::channel(Text { bytes: Vec::new(), is_complete: true }).1)
    }

    fn of(mut output: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let (sender, receiver) = watch::channel(Text::default());
        tokio::spawn(async move {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = output.read(&mut buffer).await {
                sender.send_modify(|text| text.bytes.extend_from_slice(&buffer[..count]));
            }
            sender.send_modify(|text| text.is_complete = true);
        });
        Self(receiver)
    }

    // What filled the pipe before the program began is not its own.
    fn of_held(mut held: PipeReader) -> Self {
        let (sender, receiver) = watch::channel(Text::default());
        tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            let _ = held.read_to_end(&mut bytes);
            bytes.retain(|byte| *byte != 0);
            sender.send_replace(Text { bytes, is_complete: true });
        });
        Self(receiver)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.borrow().bytes).into_owned()
    }

    async fn complete(&self) -> String {
        let mut receiver = self.0.clone();
        let complete = timeout(HUNG, receiver.wait_for(|text| text.is_complete)).await;
        assert!(matches!(complete, Ok(Ok(_))), "the output does not end");
        self.text()
    }

    async fn line(&self, part: &str) -> String {
        let find = |text: &Text| {
            let text = String::from_utf8_lossy(&text.bytes);
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            whole.lines().find(|line| line.contains(part)).map(str::to_owned)
        };
        let mut receiver = self.0.clone();
        let _ = timeout(HUNG, receiver.wait_for(|text| text.is_complete || find(text).is_some())).await;
        let found = find(&self.0.borrow());
        found.unwrap_or_else(|| panic!("lifeboat never said {part:?}, but:\n{}", self.text()))
    }
}

/// Where the program is, which is built as this test was. A test that runs no longer holds cargo's lock.
fn executable() -> &'static Path {
    static EXECUTABLE: OnceLock<PathBuf> = OnceLock::new();
    EXECUTABLE.get_or_init(build)
}

fn build() -> PathBuf {
    // <target folder>/<profile>/deps/<this test>
    let this = std::env::current_exe().expect("a test knows where it is");
    let folder = this.ancestors().nth(2).expect("tests lie in a profile's folder");
    let profile = match folder.file_name().and_then(OsStr::to_str).expect("cargo names it in ASCII") {
        "debug" => "dev",
        other => other,
    };
    let target = folder.parent().expect("a profile's folder lies in the target folder");
    // All of the workspace, so that its dependencies have the features with which they have been built already.
    let built = std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--workspace", "--bin", "lifeboat", "--message-format", "json-render-diagnostics"])
        .args(["--profile", profile, "--target-dir"])
        .arg(target)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo starts");
    assert!(built.status.success(), "lifeboat can't be built: cargo's own messages are above");
    let messages = String::from_utf8(built.stdout).expect("cargo writes UTF-8");
    let executable = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_ours = message["target"]["name"] == "lifeboat";
        message["executable"].as_str().filter(|_| is_ours).map(PathBuf::from)
    };
    messages.lines().find_map(executable).expect("cargo names the executable that it has built")
}
