//! A shell in which somebody follows a document. It is gone with all that was started in it when it is dropped.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, timeout, timeout_at};

/// No block of a document takes nearly as long: who gets here has hung.
const HUNG: Duration = Duration::from_secs(90);
/// How long the output of a shell that has ended is read for more: only what is already written is wanted.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A running bash with `set -euo pipefail`, the leader of a process group of its own.
pub struct Shell {
    child: Child,
    group: Pid,
    stdin: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    blocks: usize,
}

impl Shell {
    /// Starts it in a folder, with these variables and nothing else.
    ///
    /// # Panics
    /// When there is no bash.
    pub async fn start(folder: &Path, variables: &[(&str, String)]) -> Self {
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc"]).current_dir(folder).env_clear();
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0).kill_on_drop(true);
        let mut child = command.spawn().expect("bash starts");
        let group = child.id().and_then(|id| Pid::from_raw(id as i32)).expect("it runs");
        let stdin = child.stdin.take().expect("it was asked for");
        let output = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
        let mut shell = Self { child, group, stdin, output, blocks: 0 };
        shell.write("exec 2>&1; set -euo pipefail\n").await;
        shell
    }

    /// Runs commands, and gives what they print.
    ///
    /// # Panics
    /// When one of them fails, or they hang: with what they printed.
    pub async fn run(&mut self, commands: &str) -> String {
        self.blocks += 1;
        let end = format!("--- end of block {} ---", self.blocks);
        self.write(&format!("{commands}\necho '{end}'\n")).await;
        let mut printed = String::new();
        let hung = Instant::now() + HUNG;
        loop {
            // What was started in the background may keep the output open after the shell has failed.
            let line = async {
                tokio::select! {
                    biased;
                    line = self.output.next_line() => line.ok().flatten(),
                    _ = self.child.wait() => timeout(LAST_WORDS, self.output.next_line()).await.ok()?.ok()?,
                }
            };
            match timeout_at(hung, line).await {
                Ok(Some(line)) if line == end => return printed,
                Ok(Some(line)) => printed.extend([&*line, "\n"]),
                Ok(None) => panic!("one of these commands failed:\n{commands}\n--- they printed\n{printed}"),
                Err(_) => panic!("these commands hang:\n{commands}\n--- they printed\n{printed}"),
            }
        }
    }

    async fn write(&mut self, text: &str) {
        // A shell that has ended is seen by what it doesn't print.
        let _ = self.stdin.write_all(text.as_bytes()).await;
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.child.start_kill();
    }
}
