//! Upkeep: what this repository promises about itself, asked of its own files. Nothing here runs Lifeboat.

mod bodies;
mod commands;
mod documents;
mod home;
mod messages;
mod paths;
mod secrets;
mod sources;
mod walls;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A file of the repository.
struct Tracked {
    /// Its path from the repository's root.
    path: String,
    content: Vec<u8>,
}

impl Tracked {
    /// Its text, unless it is binary.
    fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.content).ok()
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

fn root() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).to_owned()
}

/// What git tracks and is still there.
fn tracked() -> &'static [Tracked] {
    static TRACKED: OnceLock<Vec<Tracked>> = OnceLock::new();
    TRACKED.get_or_init(|| {
        let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
        let listed = listed.expect("git starts: these tests read what it tracks");
        let complaint = String::from_utf8_lossy(&listed.stderr);
        assert!(listed.status.success(), "git ls-files failed, is this a checkout? {complaint}");
        let paths = String::from_utf8(listed.stdout).expect("paths here are plain text");
        let read =
            |path: &str| Some(Tracked { path: path.to_owned(), content: std::fs::read(root().join(path)).ok()? });
        paths.split_terminator('\0').filter_map(read).collect()
    })
}

fn document(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name} can't be read: {error}"))
}

/// What stands between two markers of a document.
fn marked<'a>(document: &'a str, name: &str) -> &'a str {
    let (begin, end) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let (_, after) = document.split_once(&begin).unwrap_or_else(|| panic!("{begin} is missing"));
    after.split_once(&end).unwrap_or_else(|| panic!("{end} is missing after it")).0.trim()
}

/// Fails with all of them, so that one run shows everything that is to be put right.
#[track_caller]
fn assert_none(offences: &[String], rule: &str) {
    assert!(offences.is_empty(), "{rule}:\n{}", offences.join("\n"));
}
