//! A part in a process of its own: this program, started with other arguments. It is asked a line and answers a line, and
//! ends with whoever started it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use serde_json::Value;

pub(super) struct Part {
    child: Child,
    talk: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Part {
    pub(super) fn start(role: &str, options: &Value) -> Self {
        let this = std::env::current_exe().expect("a program knows where it is");
        let mut command = Command::new(this);
        command.arg(role).arg(options.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("this program starts");
        let input = child.stdin.take().expect("it was asked for");
        let output = BufReader::new(child.stdout.take().expect("it was asked for"));
        Self { child, talk: Mutex::new((input, output)) }
    }

    /// Says a line and waits for the answer, which comes at once.
    pub(super) fn ask(&self, line: &str) -> Value {
        let mut talk = self.talk.lock().expect("nobody panics while asking");
        let (input, output) = &mut *talk;
        writeln!(input, "{line}").expect("the other process runs");
        let mut answer = String::new();
        output.read_line(&mut answer).expect("the other process answers");
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("the other process has ended: {answer:?}"))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The other side of it: answers lines until nobody is there to ask.
#[expect(clippy::print_stdout, reason = "two processes talk by it")]
pub(super) fn answer(mut answer: impl FnMut(&str) -> Value) {
    for line in std::io::stdin().lines().map_while(Result::ok) {
        println!("{}", answer(line.trim()));
    }
}
