//! A data plane that lives for one drill: its folder, its ports, its processes. However the drill ends, they end with it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

/// `kong start` takes 1 to 2 s (KONG.md section 1); on a busy machine with many plugins, longer.
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(15);
/// How long processes that were told to end may take.
const END_LIMIT: Duration = Duration::from_secs(5);

/// A scratch data plane. Dropping it ends its processes and removes its folder.
#[derive(Debug)]
pub(super) struct Scratch {
    program: PathBuf,
    folder: TempDir,
    prefix: PathBuf,
    proxy: SocketAddr,
    status: SocketAddr,
    /// The `kong start` that is under way, with all that it has started so far.
    starting: Option<Pid>,
}

impl Scratch {
    /// A folder of mode 0700 with nothing in it, and two ports that nobody has now.
    pub(super) fn new(program: &Path) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("lifeboat-drill-").tempdir()?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700))?;
        let prefix = folder.path().join("prefix");
        std::fs::create_dir(&prefix)?;
        let (proxy, status) = free_ports()?;
        let scratch = Self { program: program.to_owned(), folder, prefix, proxy, status, starting: None };
        // Without one, Kong reads /etc/kong/kong.conf, which is a live data plane's.
        scratch.write(&scratch.conf(), b"# Of a drill: all settings are in the environment.\n")?;
        Ok(scratch)
    }

    /// Runs `kong start` with this environment and no other.
    ///
    /// # Errors
    /// Why not, with the last lines that it printed.
    pub(super) async fn start(&mut self, environment: &BTreeMap<String, String>) -> Result<(), String> {
        let output = std::fs::File::create(self.start_log()).map_err(|error| error.to_string())?;
        let errors = output.try_clone().map_err(|error| error.to_string())?;

        // Into a file: what is started in the background would keep a pipe open.
        let mut command = self.command("start", environment);
        command.arg("--conf").arg(self.conf()).stdout(output).stderr(errors).process_group(0);
        let mut child =
            command.spawn().map_err(|error| format!("{} can't be started: {error}", self.program.display()))?;
        self.starting = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));

        let ended = timeout(START_LIMIT, child.wait()).await;
        match ended {
            Ok(Ok(status)) if status.success() => {
                self.starting = None;
                Ok(())
            }
            Ok(Ok(status)) => {
                self.starting = None;
                Err(format!("kong start failed ({status})"))
            }
            Ok(Err(error)) => Err(format!("kong start: {error}")),
            Err(_) => Err(format!("kong start did not end within {} s", START_LIMIT.as_secs())),
        }
    }

    /// Runs `kong stop`, and ends what is left then.
    pub(super) async fn stop(self, environment: &BTreeMap<String, String>) {
        let mut command = self.command("stop", environment);
        command.arg("--prefix").arg(self.prefix()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Ok(mut child) = command.spawn() {
            let _ = timeout(STOP_LIMIT, child.wait()).await;
        }
        // The rest may wait for processes, which no other task should.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }

    /// Writes a file that only we can read.
    pub(super) fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(bytes)
    }

    /// All that belongs to it lies below.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its prefix.
    pub(super) fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// What it logs as errors.
    pub(super) fn error_log(&self) -> PathBuf {
        self.folder.path().join("error.log")
    }

    /// What `kong start` printed.
    pub(super) fn start_log(&self) -> PathBuf {
        self.folder.path().join("start.log")
    }

    /// Where it proxies.
    pub(super) fn proxy_address(&self) -> SocketAddr {
        self.proxy
    }

    /// Where its Status API is.
    pub(super) fn status_address(&self) -> SocketAddr {
        self.status
    }

    /// Whether the data plane's first process is there.
    pub(super) fn is_running(&self) -> bool {
        self.master().is_some_and(is_alive)
    }

    fn conf(&self) -> PathBuf {
        self.folder.path().join("kong.conf")
    }

    fn command(&self, what: &str, environment: &BTreeMap<String, String>) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(what).env_clear().envs(environment).current_dir(self.folder.path());
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    fn master(&self) -> Option<Pid> {
        let text = std::fs::read_to_string(self.prefix().join("pids/nginx.pid")).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(starting) = self.starting.take() {
            let _ = kill_process_group(starting, Signal::KILL);
        }
        let Some(master) = self.master() else { return };
        // nginx ends its workers on SIGTERM. What ignores that is ended with its group, which it made for itself.
        if kill_process(master, Signal::TERM).is_ok() && !ended(master, END_LIMIT) {
            let _ = kill_process_group(master, Signal::KILL);
            let _ = kill_process(master, Signal::KILL);
            ended(master, END_LIMIT);
        }
    }
}

// A process that has ended and that nobody has waited for, as in a container whose first process does not, is none.
fn is_alive(process: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).unwrap_or_default();
    // proc_pid_stat(5): the state comes after the name, which may have anything in it.
    let is_left_over = stat.rsplit_once(')').is_some_and(|(_, after)| after.trim_start().starts_with(['Z', 'X']));
    test_kill_process(process).is_ok() && !is_left_over
}

fn ended(process: Pid, limit: Duration) -> bool {
    let begun = Instant::now();
    while is_alive(process) {
        if begun.elapsed() > limit {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

// Nobody else is likely to be given them within the second until Kong has them.
fn free_ports() -> io::Result<(SocketAddr, SocketAddr)> {
    let (one, other) = (TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?);
    Ok((one.local_addr()?, other.local_addr()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_has_ended_is_not_alive_though_nobody_has_waited_for_it() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        assert!(is_alive(process));
        child.kill().unwrap();
        assert!(ended(process, Duration::from_secs(10)), "it is a zombie, and counts as one that lives");
        child.wait().unwrap();
        assert!(!is_alive(process));
    }
}
