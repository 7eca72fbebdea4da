//! The rules for source files. The reasons for them are in CONTRIBUTING.md.

use super::{Tracked, assert_none, tracked};

const LONGEST: usize = 600;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 7] = ["common", "helper", "helpers", "manager", "misc", "util", "utils"];

// Put together here, so that this file is not found by itself.
const UNFINISHED: [&str; 3] = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[", "ignore")];

/// The first folders of paths that exist on one machine only.
const MACHINE_FOLDERS: [&str; 5] = ["Users", "home", "root", "tmp", "work"];

fn rust() -> impl Iterator<Item = &'static Tracked> {
    tracked().iter().filter(|file| file.is_rust())
}

/// `path:line: text` for each line of the file's text of which this is true.
fn lines_where(file: &Tracked, offends: impl Fn(&str) -> bool) -> Vec<String> {
    let lines = file.text().unwrap_or_default().lines().enumerate();
    let offending = lines.filter(|(_, line)| offends(line));
    offending.map(|(index, line)| format!("{}:{}: {}", file.path, index + 1, line.trim())).collect()
}

/// Whether an absolute path into one of these folders stands in the line. `target/tmp/` and `$folder/tmp/` are none.
fn names_a_machine_path(line: &str) -> bool {
    MACHINE_FOLDERS.iter().any(|folder| {
        let path = format!("/{folder}/");
        line.match_indices(&path).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            before.is_none_or(|before| !(before.is_alphanumeric() || "_.-})".contains(before)))
        })
    })
}

#[test]
fn every_source_file_says_on_its_first_line_what_is_in_it() {
    let silent = rust().filter(|file| !file.text().is_some_and(|text| text.starts_with("//! ")));
    let silent: Vec<String> = silent.map(|file| file.path.clone()).collect();
    assert_none(&silent, "begin with a line `//! …` that says what is here and what is not");
}

#[test]
fn every_file_is_named_after_what_it_is_about() {
    let says_nothing = |part: &str| EMPTY_NAMES.contains(&part.split('.').next().unwrap_or(part));
    let nameless = tracked().iter().filter(|file| file.path.split('/').any(says_nothing));
    let nameless: Vec<String> = nameless.map(|file| file.path.clone()).collect();
    assert_none(&nameless, "name these by one noun of the domain");
}

#[test]
fn nothing_is_unfinished_or_ignored() {
    let unfinished = |line: &str| UNFINISHED.iter().any(|needle| line.contains(needle));
    let found: Vec<String> = rust().flat_map(|file| lines_where(file, unfinished)).collect();
    assert_none(&found, "finish these or leave them out");
}

/// Of each error of a file that says its cause and passes it on besides, its text.
fn causes_said_twice(source: &str) -> Vec<&str> {
    let errors = source.split(concat!("#[", "error(")).skip(1).filter_map(|error| error.split_once(")]\n"));
    let said_twice = errors.filter(|(text, rest)| {
        let variant = rest.split("\n}").next().unwrap_or(rest);
        let passes_on = |marked: &str| {
            let pieces: Vec<&str> = variant.split(marked).collect();
            pieces.windows(2).any(|around| {
                let name = around[1].trim_start().split(':').next().unwrap_or_default();
                let shown = if around[0].ends_with('(') { "{0".to_owned() } else { format!("{{{name}") };
                text.contains(&shown)
            })
        };
        passes_on("#[from]") || passes_on("#[source]")
    });
    said_twice.map(|(text, _)| text).collect()
}

#[test]
fn no_error_says_its_cause_and_passes_it_on_to_be_said_again() {
    let offences = rust().flat_map(|file| {
        let found = causes_said_twice(file.text().unwrap_or_default());
        found.into_iter().map(|text| format!("{}: {text}", file.path)).collect::<Vec<_>>()
    });
    assert_none(&offences.collect::<Vec<_>>(), "these are printed twice in one line (`{error:#}`)");
}

#[test]
fn a_cause_that_is_said_twice_is_told_from_one_that_is_said_once() {
    let twice = concat!("#[", "error(\"x: {0}\")]\n    Io(#[from] io::Error),\n}");
    let named = concat!(
        "#[",
        "error(\"{path}: {reason}\")]\n    Io {\n        #[source]\n        reason: io::Error,\n    },\n}"
    );
    let once = concat!("#[", "error(transparent)]\n    Io(#[from] io::Error),\n}");
    assert_eq!((causes_said_twice(twice).len(), causes_said_twice(named).len()), (1, 1));
    assert_eq!(causes_said_twice(once), [""; 0]);
}

#[test]
fn no_file_names_a_path_of_somebodys_machine() {
    let ours = tracked().iter().filter(|file| !file.path.starts_with("tests/data/"));
    let found: Vec<String> = ours.flat_map(|file| lines_where(file, names_a_machine_path)).collect();
    assert_none(&found, "these paths exist on one machine only (an example may use /var/lib, /etc or a relative path)");
}

#[test]
fn a_machine_path_is_told_from_a_relative_one() {
    let [home, work] = [concat!("/ho", "me/"), concat!("/wo", "rk/")];
    for absolute in [format!("{home}me"), format!("see {work}x"), format!("\"file://{home}me\"")] {
        assert!(names_a_machine_path(&absolute), "{absolute}");
    }
    for relative in [format!("target{work}x"), format!("${{folder}}{work}x"), format!("..{home}me"), "/homely/".into()]
    {
        assert!(!names_a_machine_path(&relative), "{relative}");
    }
}

#[test]
fn no_source_file_is_longer_than_one_can_keep_in_mind() {
    let lines = |file: &Tracked| file.text().unwrap_or_default().lines().count();
    let long = rust().filter(|file| lines(file) > LONGEST);
    let long: Vec<String> = long.map(|file| format!("{}: {} lines", file.path, lines(file))).collect();
    assert_none(&long, &format!("divide these, {LONGEST} lines are the limit and 150 typical"));
}
