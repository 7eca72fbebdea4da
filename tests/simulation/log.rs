//! What happened in a world: the lines that explain a failure, and a fingerprint of everything, down to each request.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::Duration;

/// How many lines explain a failure.
const SHORT: usize = 100;

/// A world's log. Times are since its begin.
#[derive(Clone, Default)]
pub(crate) struct Log {
    lines: Vec<String>,
    // Its keys are fixed: the same in every process.
    fingerprint: DefaultHasher,
}

impl Log {
    /// Something that helps to understand what came of it.
    pub(crate) fn note(&mut self, at: Duration, line: &str) {
        tracing::info!(target: "world", "{:.3} {line}", at.as_secs_f64());
        self.count(&(at, line));
        self.lines.push(format!("{:9.3} {line}", at.as_secs_f64()));
    }

    /// Something of which there is too much to write it down.
    pub(crate) fn count(&mut self, what: &impl Hash) {
        what.hash(&mut self.fingerprint);
    }

    /// What two worlds have in common only if the same happened in both.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint.finish()
    }

    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// The newest lines.
    pub(crate) fn short(&self) -> String {
        let left_out = self.lines.len().saturating_sub(SHORT);
        let head = if left_out == 0 { String::new() } else { format!("... {left_out} lines before these\n") };
        head + &self.lines[left_out..].join("\n")
    }
}
