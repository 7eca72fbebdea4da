//! A document of the repository, as somebody follows it: the commands in its fenced blocks, what they are said to print,
//! and what happens in between. Whom they speak to is the suites'.
//!
//! ```` ```sh ```` is run, in order, in one shell. ```` ```text ```` right after it is what it prints, among other things:
//! each line must come, in this order, `…` stands for anything. `<!-- stage: kill $control_plane -->` is run in the same
//! shell and is for no reader. `<!-- run by deploy/check -->` right before a block says which other file runs it.

mod shell;

pub use self::shell::Shell;

/// What comes next in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Commands that readers don't see: what happens meanwhile.
    Stage(String),
    /// Commands to run.
    Commands(Commands),
    /// Commands that a script runs, and its path.
    Elsewhere(Commands, String),
}

/// A block of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commands {
    /// Which line of the document it begins on, from 1.
    pub line: usize,
    /// The commands.
    pub text: String,
    /// Lines that they print, among others.
    pub prints: Vec<String>,
}

/// The lines with which a document tells to type `lifeboat`, whoever runs them.
///
/// # Panics
/// As [`pieces`].
pub fn typed(document: &str) -> Vec<String> {
    let texts = pieces(document).into_iter().filter_map(|piece| match piece {
        Piece::Commands(commands) | Piece::Elsewhere(commands, _) => Some(commands.text),
        Piece::Stage(_) => None,
    });
    let lines = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
    lines.filter(|line| line.starts_with("lifeboat ")).collect()
}

/// Reads a document.
///
/// # Panics
/// When a block doesn't end, or `text` doesn't follow commands.
pub fn pieces(document: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut script = None;
    let mut lines = document.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if let Some(words) = comment(line, "stage:") {
            pieces.push(Piece::Stage(words.to_owned()));
        } else if let Some(path) = comment(line, "run by") {
            script = Some(path.to_owned());
        } else if let Some(kind) = line.trim_start().strip_prefix("```") {
            let indent = line.len() - line.trim_start().len();
            let mut block = Vec::new();
            loop {
                let (_, line) = lines.next().unwrap_or_else(|| panic!("the block on line {} does not end", number + 1));
                if line.trim() == "```" {
                    break;
                }
                block.push(line.get(indent..).unwrap_or(""));
            }
            match (kind, pieces.last_mut()) {
                ("sh", _) => {
                    let commands = Commands { line: number + 1, text: block.join("\n"), prints: Vec::new() };
                    pieces.push(match script.take() {
                        Some(path) => Piece::Elsewhere(commands, path),
                        None => Piece::Commands(commands),
                    });
                }
                ("text", Some(Piece::Commands(before) | Piece::Elsewhere(before, _))) if before.prints.is_empty() => {
                    before.prints = block.into_iter().map(str::to_owned).collect();
                }
                ("text", _) => panic!("line {}: text that no commands print; leave the word `text` away", number + 1),
                _ => {}
            }
        }
    }
    pieces
}

fn comment<'a>(line: &'a str, begins: &str) -> Option<&'a str> {
    let inside = line.trim().strip_prefix("<!-- ")?.strip_suffix(" -->")?;
    Some(inside.strip_prefix(begins)?.trim())
}

impl Commands {
    /// What was not printed of what should be: the first such line.
    pub fn missing_in(&self, printed: &str) -> Option<&str> {
        let mut printed = printed.lines();
        let mut comes = |line: &str| printed.any(|printed| matches(line.trim(), printed.trim()));
        self.prints.iter().map(String::as_str).filter(|line| !line.trim().is_empty()).find(|line| !comes(line))
    }
}

/// Whether a line is what was written down, where `…` stands for anything and several blanks for one.
fn matches(written: &str, printed: &str) -> bool {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (written, printed) = (words(written), words(printed));
    let mut parts = written.split('…');
    let Some(mut rest) = printed.strip_prefix(parts.next().unwrap_or("")) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "# A title\n\n```sh\nlifeboat list\n```\n\n```text\n1  … ms\n```\n<!-- stage: it rains -->\n\
                            ```\nno commands\n```\n<!-- run by deploy/check -->\n```sh\nkubectl version\n```\n";

    #[test]
    fn a_document_is_read_in_its_order() {
        let block = |line, text: &str, prints: &[&str]| Commands {
            line,
            text: text.to_owned(),
            prints: prints.iter().map(|line| (*line).to_owned()).collect(),
        };
        assert_eq!(
            pieces(DOCUMENT),
            [
                Piece::Commands(block(3, "lifeboat list", &["1  … ms"])),
                Piece::Stage("it rains".to_owned()),
                Piece::Elsewhere(block(15, "kubectl version", &[]), "deploy/check".to_owned()),
            ]
        );
    }

    #[test]
    fn what_is_printed_must_come_in_order_and_may_stand_among_other_lines() {
        let commands =
            Commands { line: 1, text: String::new(), prints: vec!["first … of 2".to_owned(), "second".to_owned()] };
        assert_eq!(commands.missing_in("x\nfirst 1 of 2\ny\n  second"), None);
        assert_eq!(commands.missing_in("second\nfirst 1 of 2"), Some("second"));
        assert_eq!(commands.missing_in("first 1 of 3\nsecond"), Some("first … of 2"));
    }

    #[test]
    fn an_ellipsis_stands_for_anything_and_nothing_else_does() {
        assert!(matches("a … c … e", "a b  c d e") && matches("…", "x") && matches("a", "a"));
        assert!(!matches("a", "a b") && !matches("a …c", "a b") && !matches("…b", "abc"));
    }
}
