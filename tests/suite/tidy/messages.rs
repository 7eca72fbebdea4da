//! What is logged as a warning or an error, and whether docs/troubleshooting.md has it; and whether what that quotes is still
//! said anywhere.

use std::collections::BTreeSet;

use super::{Tracked, assert_none, document, tracked};

const DOCUMENT: &str = "docs/troubleshooting.md";
/// What logs at these levels, and what makes a sentence of it first.
const CALLS: [&str; 4] = ["warn!(", "error!(", "said!(warn,", "said!(error,"];
/// What is logged without words of its own: its words are the error's.
const WORDS_FROM_ELSEWHERE: [&str; 4] = ["{error", "{problems", "{reason", "{warning"];
/// What is quoted must tell one message from another.
const LEAST_LETTERS: usize = 9;

/// A message: the words between what differs each time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Message(Vec<String>);

impl Message {
    /// As the document quotes it: `…` stands for what differs.
    fn quoted(text: &str) -> Self {
        Self(text.split('…').map(str::to_owned).collect())
    }

    /// As a format string has it: `{…}` stands for what differs.
    fn of_format(literal: &str) -> Self {
        let (mut parts, mut part) = (Vec::new(), String::new());
        let mut letters = literal.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '{' => {
                    letters.by_ref().find(|letter| *letter == '}');
                    // Two that nothing stands between are one to whoever reads.
                    if parts.is_empty() || !part.is_empty() {
                        parts.push(std::mem::take(&mut part));
                    }
                }
                letter => part.push(letter),
            }
        }
        parts.push(part);
        Self(parts)
    }

    /// Whether it has words of its own. What hasn't prints an error, whose words are elsewhere.
    fn is_telling(&self) -> bool {
        self.0.iter().flat_map(|part| part.chars()).filter(|letter| letter.is_alphabetic()).count() >= LEAST_LETTERS
    }

    /// Whether this, a quotation, stands for what was found in the source: part by part, where one that ends with `…` may
    /// leave out the rest.
    fn quotes(&self, said: &Self) -> bool {
        let [parts @ .., rest] = &self.0[..] else { return false };
        let Some((last, first)) = parts.split_last().filter(|_| rest.is_empty()) else { return self == said };
        let is_beginning = || said.0.get(first.len()).is_some_and(|part| part.starts_with(last.as_str()));
        self == said || self.is_telling() && said.0.starts_with(first) && is_beginning()
    }
}

/// What stands in bold code in the document.
fn quotations(document: &str) -> Vec<Message> {
    let spans = document.lines().flat_map(|line| line.split("**`").skip(1));
    spans.filter_map(|span| span.split_once("`**")).map(|(text, _)| Message::quoted(text)).collect()
}

/// The code of a file without its tests, which stand at its foot.
fn code(source: &str) -> &str {
    source.split("#[cfg(test)]\nmod tests {").next().unwrap_or(source)
}

/// The string literal that a text begins with after other arguments, unescaped.
fn literal(text: &str) -> Option<String> {
    let (_, after) = text.split_once('"')?;
    let (mut read, mut letters) = (String::new(), after.chars().peekable());
    while let Some(letter) = letters.next() {
        match (letter, letters.peek()) {
            ('"', _) => return Some(read),
            // A line that goes on: its indentation is not part of the text.
            ('\\', Some('\n')) => while letters.next_if(|letter| letter.is_whitespace()).is_some() {},
            ('\\', _) => read.extend(letters.next()),
            _ => read.push(letter),
        }
    }
    None
}

/// All string literals of a text.
fn literals(mut text: &str) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(read) = literal(text) {
        let (_, after) = text.split_once('"').expect("there is a literal");
        let mut is_escaped = false;
        let end = after.find(|letter| {
            let ends = letter == '"' && !is_escaped;
            is_escaped = letter == '\\' && !is_escaped;
            ends
        });
        text = &after[end.expect("it has an end") + 1..];
        found.push(read);
    }
    found
}

/// The format strings of what a file logs as warnings and errors.
fn logged(source: &str) -> Vec<String> {
    let code = code(source);
    let calls = CALLS.iter().flat_map(|call| code.match_indices(call).map(|(at, call)| (at, at + call.len())));
    let calls =
        calls.filter(|(at, _)| !code[..*at].ends_with(|letter: char| letter.is_alphanumeric() || letter == '_'));
    calls.filter_map(|(_, end)| literal(&code[end..])).collect()
}

/// The crates whose messages operators read.
const SHIPPED: &[&str] =
    &["companion/src/", "core/src/", "link/src/", "node-cache/src/", "runtime/src/", "storage/src/"];

fn product() -> impl Iterator<Item = (&'static Tracked, &'static str)> {
    let files = tracked().iter().filter(|file| file.is_rust());
    let files = files.filter(|file| SHIPPED.iter().any(|folder| file.path.starts_with(folder)));
    files.filter_map(|file| Some((file, file.text()?)))
}

#[test]
fn each_warning_and_error_has_an_entry_in_troubleshooting() {
    let quoted = quotations(&document(DOCUMENT));
    let mut missing = Vec::new();
    let mut found = 0;
    for (file, source) in product() {
        for format in logged(source) {
            let message = Message::of_format(&format);
            found += 1;
            let is_there = if message.is_telling() {
                quoted.iter().any(|quotation| quotation.quotes(&message))
            } else {
                WORDS_FROM_ELSEWHERE.iter().any(|error| format.contains(error))
            };
            if !is_there {
                missing.push(format!("{}: **`{}`**", file.path, message.0.join("…")));
            }
        }
    }
    assert_none(&missing, "docs/troubleshooting.md says what each of these means and what to do");
    assert!(found > 60, "the messages are where this test looks for them: {found}");
}

#[test]
fn what_troubleshooting_quotes_is_said_somewhere() {
    let said: BTreeSet<Message> = product()
        .flat_map(|(_, source)| literals(source))
        .map(|literal| Message::of_format(&literal))
        .filter(Message::is_telling)
        .collect();
    let wrong: Vec<String> = quotations(&document(DOCUMENT))
        .into_iter()
        .filter(Message::is_telling)
        .filter(|quotation| !said.iter().any(|said| quotation.quotes(said)))
        .map(|quotation| quotation.0.join("…"))
        .collect();
    assert_none(&wrong, "docs/troubleshooting.md quotes what nobody says any more");
}

#[test]
fn a_message_has_one_entry() {
    let mut seen = BTreeSet::new();
    let again = quotations(&document(DOCUMENT)).into_iter().filter(|quotation| !seen.insert(quotation.clone()));
    let again: Vec<String> = again.map(|quotation| quotation.0.join("…")).collect();
    assert_none(&again, "who searches docs/troubleshooting.md finds only the first of these");
}

#[test]
fn each_alert_has_its_place_in_the_runbook() {
    let (rules, runbook) = (document("deploy/prometheus/lifeboat.rules.yml"), document("docs/runbook.md"));
    let alerts = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let rows: Vec<&str> = runbook.lines().filter(|line| line.starts_with("| Lifeboat")).collect();
    let is_there = |alert: &&str| rows.iter().any(|row| row.split([' ', ',', ';']).any(|word| word == *alert));
    let missing: Vec<String> = alerts.filter(|alert| !is_there(alert)).map(str::to_owned).collect();
    assert_none(&missing, "who is woken by one of these looks for it in docs/runbook.md");
    assert!(rules.contains("- alert: "), "the alerts are where this test looks for them");
}

#[test]
fn a_message_is_found_with_its_words_and_without_what_differs() {
    let source =
        "warn!(node = id, \"{place}: one \\\n             two {}\", x); said!(error, \"three\"); notwarn!(\"four\")";
    assert_eq!(logged(source), ["{place}: one two {}", "three"]);
    assert!(logged("#[cfg(test)]\nmod tests {\n warn!(\"five\")").is_empty());
    assert_eq!(Message::of_format("{place}: one two {}"), Message::quoted("…: one two …"));
}

#[test]
fn a_quotation_may_leave_out_what_follows_and_nothing_else() {
    let said = Message::of_format("lost the node {id}; trying again in {}");
    for right in ["lost the node …; trying again in …", "lost the node …; try…", "lost the node …"] {
        assert!(Message::quoted(right).quotes(&said), "{right}");
    }
    for wrong in ["lost the node …; trying again in", "lost … again in …", "the node …; trying again in …", "lost …"]
    {
        assert!(!Message::quoted(wrong).quotes(&said), "{wrong}");
    }
}
