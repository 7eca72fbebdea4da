//! The paths and types that documents name: that they exist, and that ARCHITECTURE.md counts and lists them rightly.

use std::collections::BTreeSet;

use super::{Tracked, assert_none, document, tracked};

/// How far a size in ARCHITECTURE.md may be from the truth.
const TOLERANCE: f64 = 0.15;

/// What stands between backticks.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn is_there(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    tracked()
        .iter()
        .any(|file| file.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// The first folders of this repository's paths.
fn top_folders() -> BTreeSet<&'static str> {
    tracked().iter().filter_map(|file| Some(file.path.split_once('/')?.0)).collect()
}

/// Whether a code span is meant as one path from the repository's root.
fn is_path(span: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    span.chars().all(is_plain) && span.split_once('/').is_some_and(|(first, _)| top_folders().contains(first))
}

/// The rows of the table below a heading, each cell trimmed.
fn rows<'a>(page: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no section {heading}"));
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

/// The variants of an enum, as its source lists them.
fn variants(source: &str, name: &str) -> Option<BTreeSet<String>> {
    let (_, body) = source.split_once(&format!("enum {name} {{\n"))?;
    let body = body.split("\n}").next().unwrap_or_default();
    let variant = |line: &str| {
        let line = line.strip_prefix("    ").filter(|line| line.starts_with(|letter: char| letter.is_uppercase()))?;
        Some(line.chars().take_while(|letter| letter.is_alphanumeric()).collect())
    };
    Some(body.lines().filter_map(variant).collect())
}

/// What is wrong with a row that names a type, its file and its values.
fn wrong_row(row: &[&str]) -> Option<String> {
    let [place, which, values] = row else { return Some(format!("not three cells: {row:?}")) };
    let mut named = code_spans(which);
    let (Some(name), Some(path)) = (named.next(), named.next()) else { return Some(format!("{place}: no type")) };
    let source = tracked().iter().find(|file| file.path == path).and_then(Tracked::text).unwrap_or_default();
    let Some(there) = variants(source, name) else { return Some(format!("{place}: no enum {name} in {path}")) };

    let is_value = |span: &&str| span.starts_with(|letter: char| letter.is_uppercase()) && *span != "Verified";
    let listed: BTreeSet<String> = code_spans(values).filter(is_value).map(str::to_owned).collect();
    let only_examples = values.contains('…');
    let differs: Vec<&String> = match only_examples {
        true => listed.difference(&there).collect(),
        false => listed.symmetric_difference(&there).collect(),
    };
    (!differs.is_empty()).then(|| format!("{place}: {name} in {path} differs in {differs:?}"))
}

/// Lines of product code: without blank lines, comments and tests.
fn lines_of_code(path: &str) -> usize {
    let is_in = |file: &&Tracked| file.path.starts_with(path) && file.is_rust();
    let is_test = |file: &Tracked| file.path.ends_with("/tests.rs") || file.path.contains("/tests/");
    let counts = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    let code = |file: &'static Tracked| file.text().unwrap_or_default().split("#[cfg(test)]\nmod tests {").next();
    let files = tracked().iter().filter(is_in).filter(|file| !is_test(file));
    files.filter_map(code).map(|code| code.lines().filter(counts).count()).sum()
}

#[test]
fn paths_in_documents_exist() {
    let pages = tracked().iter().filter(|file| file.path.ends_with(".md") && !file.path.starts_with("tests/data/"));
    let dead = pages.flat_map(|page| {
        let spans = code_spans(page.text().unwrap_or_default());
        let dead = spans.filter(|span| is_path(span) && !is_there(span) && !span.starts_with("target/"));
        dead.map(|span| format!("{}: {span}", page.path)).collect::<Vec<_>>()
    });
    assert_none(&dead.collect::<Vec<_>>(), "these paths don't exist");
}

#[test]
fn the_table_of_crates_names_folders_that_exist() {
    let page = document("ARCHITECTURE.md");
    let mut dead = Vec::new();
    for row in rows(&page, "Crates") {
        let Some(folder) = code_spans(row[0]).next() else { continue };
        let inside = code_spans(row[1]).filter(|span| span.ends_with('/') || span.ends_with(".rs"));
        dead.extend(inside.map(|span| format!("{folder}src/{span}")).filter(|path| !is_there(path)));
    }
    assert_none(&dead, "ARCHITECTURE.md names these and they don't exist");
}

#[test]
fn the_list_of_what_can_become_of_a_configuration_is_the_codes() {
    let page = document("ARCHITECTURE.md");
    let rows = rows(&page, "What can become of a configuration");
    assert!(rows.len() > 10, "the table is where this test looks for it");
    let wrong: Vec<String> = rows.iter().filter_map(|row| wrong_row(row)).collect();
    assert_none(&wrong, "ARCHITECTURE.md lists other values than the types have");
}

#[test]
fn sizes_of_what_is_written_by_hand_are_true() {
    let page = document("ARCHITECTURE.md");
    let mut wrong = Vec::new();
    for row in rows(&page, "Written by hand, and why") {
        let stated: f64 = row[1].parse().unwrap_or_else(|_| panic!("not a number of lines: {row:?}"));
        let counted: usize = code_spans(row[0]).map(lines_of_code).sum();
        if (counted as f64 - stated).abs() > stated * TOLERANCE {
            wrong.push(format!("{}: {counted} lines, not {stated}", row[0]));
        }
    }
    assert_none(&wrong, "write these numbers into ARCHITECTURE.md");
}

#[test]
fn a_missing_value_and_one_too_many_are_seen() {
    let source =
        "pub enum State {\n    /// One.\n    Confirmed,\n    Held(u8),\n    Doubted {\n        Until: u8,\n    },\n}\n";
    let found = variants(source, "State").unwrap();
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), ["Confirmed", "Doubted", "Held"]);
    assert_eq!(variants(source, "Other"), None);
    let row = ["x", "`State` in `core/src/manifest/mod.rs`", "`Confirmed`, `Received`, `Pinned`, `Lost`"];
    assert!(wrong_row(&row).is_some_and(|wrong| wrong.contains("Held") && wrong.contains("Lost")));
}

#[test]
fn a_path_is_told_from_other_code() {
    for path in ["core/src/lib.rs", "tests/servers/", "deploy/check"] {
        assert!(is_path(path), "{path}");
    }
    for other in ["lifeboat/manifest.json", "/v1/outlet", "cargo test", "core/<name>.rs", "config.json"] {
        assert!(!is_path(other), "{other}");
    }
}
