//! Where the program's time went, by the times of the lines that it logs. What each line means is its own business: they
//! are shown as they come.

use std::time::{Duration, SystemTime};

use serde_json::Value;

/// The lines that were logged since a push, each with the time after the push.
#[derive(Debug, Default)]
pub(crate) struct Steps(pub(crate) Vec<(String, Duration)>);

impl Steps {
    /// Of a log in JSON.
    pub(crate) fn read(log: &str, since: SystemTime) -> Self {
        Self(log.lines().filter_map(|line| step(line, since)).collect())
    }
}

fn step(line: &str, since: SystemTime) -> Option<(String, Duration)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let at = humantime::parse_rfc3339(line["timestamp"].as_str()?).ok()?.duration_since(since).ok()?;
    let fields = &line["fields"];
    // Sizes, numbers and hashes differ from round to round.
    let is_constant = |word: &&str| !word.contains(|letter: char| letter.is_ascii_digit());
    let words: Vec<&str> = fields["message"].as_str()?.split(' ').filter(is_constant).collect();
    Some((words.join(" "), at))
}
