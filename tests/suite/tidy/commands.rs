//! What documents tell to type: that the program takes it, that a test runs it, and that links lead somewhere.

use lifeboat::cli::definition;
use lifeboat_tests::document::{Commands, Piece, pieces};

use super::{Tracked, assert_none, root, tracked};

/// The repository's pages.
fn pages() -> impl Iterator<Item = (&'static Tracked, &'static str)> {
    let is_page = |file: &&Tracked| file.path.ends_with(".md") && !file.path.starts_with("tests/data/");
    tracked().iter().filter(is_page).filter_map(|file| Some((file, file.text()?)))
}

/// All fenced blocks, of whatever kind, with the words after the fence and the line that they begin on.
fn blocks(page: &str) -> Vec<(usize, &str, String)> {
    let (mut blocks, mut open) = (Vec::new(), None);
    for (number, line) in page.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), open.take()) {
            (Some(kind), None) => open = Some((number + 1, kind, String::new())),
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some((begin, kind, text))) => open = Some((begin, kind, format!("{text}{line}\n"))),
            (None, None) => {}
        }
    }
    blocks
}

/// What a shell would give to each `lifeboat` of these commands.
fn typed(commands: &str) -> Vec<Vec<String>> {
    let joined = commands.replace("\\\n", " ");
    let ends =
        |word: &str| matches!(word, "|" | "||" | "&&" | "&" | ">" | ">>" | "2>" | "2>>" | "#" | ";" | ";;" | "…" | "<");
    let line = |line: &str| {
        let words = line.split_whitespace().skip_while(|word| word.contains('=') && !word.starts_with('-'));
        let words: Vec<String> =
            words.take_while(|word| !ends(word)).map(|word| word.replace(['\'', '"'], "")).collect();
        (words.first().map(String::as_str) == Some("lifeboat")).then_some(words)
    };
    joined.lines().filter_map(line).collect()
}

#[test]
fn what_documents_tell_to_type_is_taken() {
    let mut refused = Vec::new();
    for (file, page) in pages() {
        for (line, kind, text) in blocks(page) {
            if kind == "text" || kind == "json" {
                continue;
            }
            for words in typed(&text) {
                // Help and the version come back as errors, too, which go to standard output.
                if let Err(error) = definition().try_get_matches_from(&words)
                    && error.use_stderr()
                {
                    let why = error.to_string();
                    refused.push(format!("{}:{line}: {}: {}", file.path, words.join(" "), why.lines().next().unwrap()));
                }
            }
        }
    }
    assert_none(&refused, "these commands are not what lifeboat takes");
}

#[test]
fn every_command_in_a_document_is_run_by_a_test() {
    let sources: Vec<&str> = tracked()
        .iter()
        .filter(|file| file.path.starts_with("tests/suite/program/") && file.is_rust())
        .filter_map(Tracked::text)
        .collect();
    let is_followed = |path: &str| {
        let name = path.strip_prefix("docs/").map_or_else(|| format!("../{path}"), str::to_owned);
        sources.iter().any(|source| {
            source.contains(&format!("follow(\"{name}\")"))
                || (name == "README.md" && source.contains("follow(\"../README.md\")"))
        })
    };
    let mut offences = Vec::new();
    for (file, page) in pages().filter(|(file, _)| file.path == "README.md" || file.path.starts_with("docs/")) {
        for (line, kind, text) in blocks(page) {
            if kind.is_empty() && !typed(&text).is_empty() {
                offences.push(format!("{}:{line}: is to be ```sh, so that a test can run it", file.path));
            }
        }
        for piece in pieces(page) {
            match piece {
                Piece::Commands(Commands { line, text, .. })
                    if !typed(&text).is_empty() && !is_followed(&file.path) =>
                {
                    offences.push(format!(
                        "{}:{line}: nobody follows this document (tests/suite/program/documents.rs), and no `run by`",
                        file.path
                    ));
                }
                Piece::Elsewhere(Commands { line, .. }, script) if !root().join(&script).is_file() => {
                    offences.push(format!("{}:{line}: there is no {script}", file.path));
                }
                _ => {}
            }
        }
    }
    assert_none(&offences, "commands that nothing runs go wrong unnoticed");
}

/// What a heading is linked by: lower case, blanks as hyphens, without punctuation.
fn anchor(heading: &str) -> String {
    let letter = |letter: char| match letter {
        ' ' => Some('-'),
        letter if letter.is_alphanumeric() || letter == '-' || letter == '_' => Some(letter),
        _ => None,
    };
    heading.trim().to_lowercase().chars().filter_map(letter).collect()
}

fn has_anchor(page: &str, wanted: &str) -> bool {
    let headings = page.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#'));
    headings.map(anchor).any(|anchor| anchor == wanted)
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut dead = Vec::new();
    for (file, page) in pages() {
        let folder = root().join(&file.path).parent().expect("a file lies in a folder").to_owned();
        for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, fragment) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
            let target = if path.is_empty() { root().join(&file.path) } else { folder.join(path) };
            let there = match fragment {
                _ if !target.exists() => false,
                None => true,
                Some(anchor) => std::fs::read_to_string(&target).is_ok_and(|page| has_anchor(&page, anchor)),
            };
            if !there {
                dead.push(format!("{}: {link}", file.path));
            }
        }
    }
    assert_none(&dead, "these links lead nowhere");
}

#[test]
fn what_is_typed_is_found_among_what_a_shell_needs() {
    let block = "export A=b\nA=b lifeboat list \\\n  --limit 3 > file   # a remark\nlifeboat run & echo\n";
    assert_eq!(typed(block), [vec!["lifeboat", "list", "--limit", "3"], vec!["lifeboat", "run"]]);
}
