//! Servers that somebody else wrote, installed by `tests/servers/run`, each started on a port of its own for one test. A
//! server ends with the test that started it.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

/// Nothing that is waited for takes nearly as long, on a busy machine either.
const HUNG: Duration = Duration::from_secs(300);

/// A started server.
pub(crate) struct Server {
    /// What it printed when it was ready: the line that was waited for.
    pub(crate) greeting: String,
    child: Child,
    // The scripts among them end when this is closed.
    _stdin: Option<ChildStdin>,
}

/// A file below the folder in which the servers are installed.
///
/// # Panics
/// When these tests weren't started by `tests/servers/run`.
pub(crate) fn installed(path: &str) -> PathBuf {
    let folder = std::env::var_os("LIFEBOAT_TEST_SERVERS").expect("these tests are started by tests/servers/run");
    PathBuf::from(folder).join(path)
}

/// A file of the repository.
pub(crate) fn of_repository(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)
}

impl Server {
    /// Starts a server and waits until it prints a line with this part.
    ///
    /// # Panics
    /// When it can't be started, or ends or hangs before it is ready.
    pub(crate) async fn start(mut command: Command, ready: &str) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} can't be started: {error}"));
        let stdin = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
        let greeting = async {
            loop {
                match lines.next_line().await.expect("it prints text") {
                    Some(line) if line.contains(ready) => break line,
                    Some(_) => {}
                    None => panic!("{command:?} ended without saying {ready:?}"),
                }
            }
        };
        let greeting = timeout(HUNG, greeting).await.unwrap_or_else(|_| panic!("{command:?} never said {ready:?}"));
        // Whatever else it prints must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { greeting, child, _stdin: stdin }
    }

    /// Its process's id.
    ///
    /// # Panics
    /// When it was waited for.
    pub(crate) fn id(&self) -> Pid {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        id.expect("it was not waited for")
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it hangs.
    pub(crate) async fn ends(mut self) {
        let ended = timeout(HUNG, self.child.wait()).await;
        ended.expect("it ends").expect("it can be waited for");
    }
}
