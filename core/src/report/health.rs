//! Whether calls to one place succeed, for the gateway's log: a line when that changes, none while it stays. Not here:
//! the failures themselves.

use super::outcome::Failure;
use super::{CallFailure, LogLevel, LogLine};

/// How the last call ended. Before the first one all is well.
#[derive(Debug, Default)]
pub(super) struct Health {
    failure: Option<CallFailure>,
}

impl Health {
    /// A call ended. If it ended otherwise than the one before: the line that says so, `well()` or `ill(reason)`.
    pub(super) fn heard<T>(
        &mut self,
        result: &Result<T, Failure>,
        well: impl FnOnce() -> String,
        ill: impl FnOnce(&str) -> String,
    ) -> Option<LogLine> {
        let failure = result.as_ref().err().map(|failure| failure.class);
        if std::mem::replace(&mut self.failure, failure) == failure {
            return None;
        }
        Some(match result {
            Ok(_) => LogLine { level: LogLevel::Info, text: well() },
            Err(failure) => LogLine { level: LogLevel::Warn, text: ill(&failure.words) },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_is_said() {
        let mut health = Health::default();
        let mut say = |result: Result<(), CallFailure>| {
            let result = result.map_err(Failure::from);
            let line = health.heard(&result, || "well".to_owned(), |_| "ill".to_owned());
            line.map_or(String::new(), |line| line.text)
        };
        let said = [
            say(Ok(())),
            say(Err(CallFailure::Timeout)),
            say(Err(CallFailure::Timeout)),
            say(Err(CallFailure::BrokenConnection)),
            say(Ok(())),
            say(Ok(())),
        ];
        assert_eq!(said, ["", "ill", "", "ill", "well", ""]);
    }
}
