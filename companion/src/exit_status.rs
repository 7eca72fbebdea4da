//! The program's last line, if it did not do what it was asked for: why, and with which exit code. For people, or as an
//! object of the same shape as the log's, so that whoever collects the one understands the other.

use std::fmt::Display;

use lifeboat_core::time::WallTime;
use serde_json::json;

use crate::command::Failure;
use crate::settings::LogFormat;

/// How the program ends if it did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitStatus {
    /// The exit code.
    pub code: u8,
    level: &'static str,
    why: String,
}

impl ExitStatus {
    /// Wrong usage or settings.
    pub fn wrong_usage(why: &dyn Display) -> Self {
        Self { code: 2, level: "ERROR", why: why.to_string() }
    }

    /// Anything else that failed.
    pub fn failed(why: &dyn Display) -> Self {
        Self { code: 1, level: "ERROR", why: why.to_string() }
    }

    /// The line, written at `now`.
    pub fn line(&self, format: LogFormat, now: WallTime) -> String {
        let Self { code, level, why } = self;
        match format {
            LogFormat::Text => format!("lifeboat: {why}"),
            LogFormat::Json => json!({
                "timestamp": now.to_string(),
                "level": level,
                "fields": { "message": why, "exit_code": code },
                "target": "lifeboat",
            })
            .to_string(),
        }
    }
}

impl From<Failure> for ExitStatus {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Settings(problems) => Self::wrong_usage(&problems),
            Failure::NothingToDo(why) => Self { code: 3, level: "INFO", why: format!("nothing to do: {why}") },
            Failure::Different(why) => Self { code: 4, level: "INFO", why },
            Failure::AsAShell { code, why } => Self { code, ..Self::failed(&why) },
            Failure::Failed(error) => Self::failed(&format_args!("{error:#}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn the_documentation_shows_the_last_line_as_it_is() {
        let now = WallTime::from_system(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_271_400));
        let status = ExitStatus::failed(&"a part of lifeboat has ended unexpectedly");
        let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/command-line.md");
        let (document, line) = (std::fs::read_to_string(document).unwrap(), status.line(LogFormat::Json, now));
        assert!(document.lines().any(|shown| shown == line), "docs/command-line.md should say:\n{line}");
    }

    #[test]
    fn the_last_line_is_what_a_person_reads_or_an_object_of_the_logs_shape() {
        let now = WallTime::from_system(SystemTime::UNIX_EPOCH);
        let status = ExitStatus::from(Failure::Failed(anyhow::anyhow!("no\nstore").context("nothing was kept")));
        assert_eq!(status.line(LogFormat::Text, now), "lifeboat: nothing was kept: no\nstore");
        let line = status.line(LogFormat::Json, now);
        assert_eq!(line.lines().count(), 1, "{line}");
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["fields"]["message"], "nothing was kept: no\nstore");
        assert_eq!((&object["level"], &object["fields"]["exit_code"]), (&json!("ERROR"), &json!(1)));
        assert_eq!(object["timestamp"], "1970-01-01T00:00:00.000Z");
        assert_eq!(ExitStatus::from(Failure::NothingToDo("it runs".to_owned())).code, 3);
        assert_eq!(ExitStatus::from(Failure::Different("they differ".to_owned())).code, 4);
    }
}
