//! Prints the checks: a table and the cures for people, JSON for programs.

use serde_json::json;

use super::super::table::{Table, folded_lines};
use super::check::{Check, Verdict, count, worst};

/// The format of the JSON. Fields may be added to it; another number means that one has changed or gone.
const FORMAT: u32 = 1;

pub(super) fn as_json(checks: &[Check]) -> String {
    let report = json!({ "format": FORMAT, "verdict": worst(checks), "checks": checks });
    serde_json::to_string_pretty(&report).expect("a report always has a JSON form")
}

/// For a terminal of this width; `None` if it isn't for one.
pub(super) fn as_table(checks: &[Check], width: Option<usize>) -> String {
    let mut table = Table::new(&["CHECK", "RESULT"]);
    for check in checks {
        table.add(vec![check.name.to_owned(), check.verdict.word().to_owned()]);
    }
    // What is seen may have been said by somebody else, in several lines.
    let seen: Vec<String> = checks.iter().map(|check| check.seen.lines().collect::<Vec<_>>().join("; ")).collect();
    let mut text = table.with_text("SEEN", &seen, width);
    let mut cures: Vec<String> = Vec::new();
    for check in checks {
        let Some(cure) = &check.cure else { continue };
        let line = format!("\n\n{} ({}): {cure}", check.name, check.verdict.word());
        // What helps against two things is said once.
        if !cures.contains(&line) {
            text.push_str(&folded_lines(&line, width));
            cures.push(line);
        }
    }
    text.push_str(&format!("\n\n{}", summary(checks)));
    text
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
        let table = as_table(&checks(), None);
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
    fn the_json_says_its_format_the_verdict_and_every_check() {
        let report: serde_json::Value = serde_json::from_str(&as_json(&checks())).unwrap();
        assert_eq!(report["format"], 1);
        assert_eq!(report["verdict"], "fail");
        let passed = json!({ "name": "settings", "verdict": "pass", "seen": "all read" });
        assert_eq!(report["checks"][0], passed);
        assert_eq!(report["checks"][1]["cure"], "grant s3:ListBucket");
    }
}
