//! What a check of `doctor` or `verify` came to, and what all of them come to together. How they are printed is each
//! command's own.

use std::time::Duration;

use lifeboat_runtime::progress::step;
use serde::Serialize;
use tokio::time::timeout;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// As it should be.
    Pass,
    /// It works, and somebody should look at it.
    Warn,
    /// It doesn't work.
    Fail,
}

impl Verdict {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// What was looked at. The same in every run, for programs that look for it.
    pub(super) name: &'static str,
    /// How it ended.
    pub(super) verdict: Verdict,
    /// What was seen.
    pub(super) seen: String,
    /// What to do; nothing for what passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cure: Option<String>,
}

impl Check {
    pub(super) fn pass(name: &'static str, seen: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Pass, seen: seen.into(), cure: None }
    }

    pub(super) fn warn(name: &'static str, seen: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Warn, seen: seen.into(), cure: Some(cure.into()) }
    }

    pub(super) fn fail(name: &'static str, seen: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Fail, seen: seen.into(), cure: Some(cure.into()) }
    }
}

/// What a check comes to, or that it took too long.
pub(super) async fn within(name: &'static str, limit: Duration, check: impl Future<Output = Check>) -> Check {
    let _progress = step(format_args!("checking: {name}"));
    timeout(limit, check).await.unwrap_or_else(|_| {
        let seen = format!("it was not over after {} s", limit.as_secs());
        Check::fail(name, seen, "look at the network on the way, and at the load of the other side")
    })
}

/// The worst of all, and so what the command comes to.
pub(super) fn worst(checks: &[Check]) -> Verdict {
    checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Pass)
}

/// How many ended so.
pub(super) fn count(checks: &[Check], verdict: Verdict) -> usize {
    checks.iter().filter(|check| check.verdict == verdict).count()
}

/// A duration as a person says it: its largest unit.
pub(super) fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_makes_the_whole_fail_and_a_warning_only_warns() {
        let (pass, warn, fail) = (Check::pass("a", "b"), Check::warn("a", "b", "c"), Check::fail("a", "b", "c"));
        assert_eq!(worst(&[]), Verdict::Pass);
        assert_eq!(worst(&[warn.clone(), pass.clone()]), Verdict::Warn);
        assert_eq!(worst(&[pass, fail, warn]), Verdict::Fail);
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_does_not_end_fails() {
        let check = within("store", Duration::from_secs(5), std::future::pending()).await;
        assert_eq!((check.verdict, check.seen.as_str()), (Verdict::Fail, "it was not over after 5 s"));
    }
}
