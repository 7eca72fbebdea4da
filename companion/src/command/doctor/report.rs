//! Prints the checks: a table and the cures for people, JSON for programs.

use serde_json::json;

use super::super::envelope::enveloped;
use super::super::table::Table;
use super::check::{Check, Verdict, count, worst};
use crate::terminal::folded_lines;

pub(super) fn as_json(checks: &[Check]) -> String {
    let report = json!({ "verdict": worst(checks), "checks": checks });
    enveloped("doctor", report)
}

const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";

/// How a failure stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failures {
    /// In red.
    Red,
    /// Like all else.
    Plain,
}

impl Failures {
    /// As standard output and its user want it (a terminal, NO_COLOR, CLICOLOR).
    pub(super) fn on_standard_output() -> Self {
        match anstream::AutoStream::choice(&std::io::stdout()) {
            anstream::ColorChoice::Never => Self::Plain,
            _ => Self::Red,
        }
    }
}

/// For a terminal of this width; `None` if it isn't for one.
pub(super) fn as_table(checks: &[Check], width: Option<usize>, failures: Failures) -> String {
    let mut table = Table::new(&["CHECK", "RESULT"]);
    for check in checks {
        table.add(vec![check.name.to_owned(), check.verdict.word().to_owned()]);
    }
    // What is seen may have been said by somebody else, in several lines.
    let seen: Vec<String> = checks.iter().map(|check| check.seen.lines().collect::<Vec<_>>().join("; ")).collect();
    let mut text = table.with_text("SEEN", &seen, width);
    for (verdict, cure, names) in cures(checks) {
        let line = format!("{} ({}): {cure}", names.join(", "), verdict.word());
        let line = folded_lines(&line, width);
        // Red on a terminal: a failure is what is looked for below a long table.
        let line =
            if verdict == Verdict::Fail && failures == Failures::Red { format!("{RED}{line}{PLAIN}") } else { line };
        text.push_str(&format!("\n\n{line}"));
    }
    text.push_str(&format!("\n\n{}", summary(checks)));

    text
}

/// What helps, each said once with the names of all checks that it is for: warnings first, and failures last, where the eye is.
fn cures(checks: &[Check]) -> Vec<(Verdict, &str, Vec<&'static str>)> {
    let mut cures: Vec<(Verdict, &str, Vec<&'static str>)> = Vec::new();
    for check in checks {
        let Some(cure) = &check.cure else { continue };
        match cures.iter_mut().find(|(verdict, known, _)| (*verdict, *known) == (check.verdict, cure)) {
            Some((_, _, names)) if names.contains(&check.name) => {}
            Some((_, _, names)) => names.push(check.name),
            None => cures.push((check.verdict, cure, vec![check.name])),
        }
    }
    cures.sort_by_key(|(verdict, _, _)| *verdict);
    cures
}

fn summary(checks: &[Check]) -> String {
    let of = |verdict| count(checks, verdict);
    format!("{} passed, {} to look at, {} failed", of(Verdict::Pass), of(Verdict::Warn), of(Verdict::Fail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks() -> Vec<Check> {
        vec![Check::pass("settings", "all read"), Check::fail("store: list", "denied", "grant s3:ListBucket")]
    }

    #[test]
    fn the_table_has_a_row_for_each_check_and_the_cure_below() {
        let table = as_table(&checks(), None, Failures::Plain);
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].contains("CHECK") && lines[0].contains("RESULT") && lines[0].contains("SEEN"), "{table}");
        assert!(
            lines[2].contains("store: list") && lines[2].contains("fail") && lines[2].contains("denied"),
            "{table}"
        );
        assert!(table.contains("store: list (fail): grant s3:ListBucket"), "{table}");
        assert!(table.ends_with("1 passed, 0 to look at, 1 failed"), "{table}");
    }

    #[test]
    fn what_helps_is_said_once_and_failures_come_last_in_red_on_a_terminal() {
        let denied = "grant s3:ListBucket";
        let mut checks =
            vec![Check::fail("store: list", "denied", denied), Check::fail("store: read", "denied", denied)];
        checks.push(Check::warn("clock", "apart", "use NTP"));
        let table = as_table(&checks, Some(80), Failures::Red);
        assert_eq!(table.matches(denied).count(), 1, "{table}");
        let failure = "\x1b[31mstore: list, store: read (fail): grant s3:ListBucket\x1b[0m";
        assert!(table.find("clock (warn): use NTP") < table.find(failure) && table.contains(failure), "{table}");
        assert!(!as_table(&checks, None, Failures::Plain).contains('\x1b'));
    }

    #[test]
    fn the_json_says_its_format_the_verdict_and_every_check() {
        let report: serde_json::Value = serde_json::from_str(&as_json(&checks())).unwrap();
        assert_eq!(report["format"], 1);
        assert_eq!(report["verdict"], "fail");
        let passed = json!({ "name": "settings", "verdict": "pass", "seen": "all read" });
        assert_eq!(report["checks"][0], passed);
        assert_eq!(report["checks"][1]["cure"], "grant s3:ListBucket");
    }
}
