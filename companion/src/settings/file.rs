//! A settings file (`LIFEBOAT_SETTINGS_FILE`): lines `NAME=value`, as in systemd's `EnvironmentFile`. Lines that
//! systemd silently ignores are mistakes here.
//!
//! Source: systemd's public manual page `systemd.exec(5)`, `EnvironmentFile=`.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::str::Chars;

use super::misspelt::{by_flag, not_a_setting};
use super::names::{LIFEBOAT_SETTINGS_FILE, Name, SETTINGS};

const STILL_OPEN: &str = "its quote is not closed";

/// What stands in a settings file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SettingsFile {
    path: PathBuf,
    values: BTreeMap<String, Line>,
    problems: Vec<String>,
    is_unreadable: bool,
}

/// A value, and in which line its name stands.
#[derive(Clone, PartialEq, Eq)]
struct Line {
    number: usize,
    value: String,
}

// It may be a secret.
impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}", self.number)
    }
}

/// An assignment that was read, or why none was, and where.
type Read = (usize, Result<(String, String), &'static str>);

impl SettingsFile {
    /// Reads it. `named_by` is what names it: the flag or the variable.
    pub(super) fn read(path: &Path, named_by: &str) -> Self {
        let shown = path.display();
        match std::fs::read(path) {
            Err(error) => Self::unreadable(path, format!("{named_by}: {shown} can't be read: {error}")),
            Ok(bytes) => match std::str::from_utf8(&bytes) {
                Ok(text) => Self::of(path, text),
                Err(_) => Self::unreadable(path, format!("{named_by}: {shown} is no text in UTF-8")),
            },
        }
    }

    fn unreadable(path: &Path, problem: String) -> Self {
        Self { path: path.to_owned(), problems: vec![problem], is_unreadable: true, ..Self::default() }
    }

    fn of(path: &Path, text: &str) -> Self {
        let mut file = Self { path: path.to_owned(), ..Self::default() };
        for (number, assignment) in assignments(text) {
            match assignment {
                Ok((name, value)) => file.take(number, name, value),
                Err(why) => file.wrong(number, why),
            }
        }
        file
    }

    /// What is wrong with it, each mistake with its line. The other lines count nevertheless, so that all further
    /// mistakes can be reported, too.
    pub(super) fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Why nothing of it could be read.
    pub(super) fn unreadable_because(&self) -> Option<&str> {
        self.problems.first().filter(|_| self.is_unreadable).map(String::as_str)
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A variable's value.
    pub(super) fn value(&self, variable: &str) -> Option<&str> {
        self.values.get(variable).map(|line| line.value.as_str())
    }

    /// Where a variable's value stands.
    pub(super) fn place(&self, variable: &str) -> Option<String> {
        Some(self.place_of(self.values.get(variable)?.number))
    }

    /// This file, with what `other` has for these variables.
    pub(super) fn with_lines_of(&self, other: &Self, names: &[Name]) -> Self {
        let is_named = |variable: &str| names.iter().any(|name| name.variable() == variable);
        let mut both = self.clone();
        both.values.retain(|variable, _| !is_named(variable));
        let theirs = other.values.iter().filter(|(variable, _)| is_named(variable));
        both.values.extend(theirs.map(|(name, line)| (name.clone(), line.clone())));
        both
    }

    /// All values.
    pub(super) fn values(&self) -> impl Iterator<Item = &str> {
        self.values.values().map(|line| line.value.as_str())
    }

    fn place_of(&self, number: usize) -> String {
        format!("{} line {number}", self.path.display())
    }

    fn wrong(&mut self, number: usize, why: impl std::fmt::Display) {
        self.problems.push(format!("{}: {why}", self.place_of(number)));
    }

    // A wrong name has no value, but is noted here once.
    fn take(&mut self, number: usize, name: String, value: String) {
        if let Some(before) = self.values.get(&name) {
            let before = before.number;
            return self.wrong(number, format_args!("{name} stands in line {before} already: leave one of them"));
        }
        if let Some(why) = refused(&name) {
            return self.wrong(number, format_args!("{name} {why}"));
        }
        self.values.insert(name, Line { number, value });
    }
}

// A variable that is no setting of ours may be meant for other programs, as in the environment.
fn refused(name: &str) -> Option<String> {
    if name == LIFEBOAT_SETTINGS_FILE.variable() {
        return Some("is of no use here: a settings file names no other one".to_owned());
    }
    if let Some(why) = not_a_setting(name) {
        return Some(why);
    }
    // Somebody who knows the flag, or who writes as in kong.conf.
    let is_variable = name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    if is_variable {
        return None;
    }

    let plain = name.trim_start_matches('-');
    let upper = plain.to_ascii_uppercase().replace('-', "_");
    let known = |variable: &String| SETTINGS.iter().any(|setting| setting.variable == variable);
    let kongs = Some(format!("KONG_{upper}")).filter(known);
    let meant = by_flag(plain).map(str::to_owned).or(kongs).or(Some(upper).filter(known));
    match meant {
        Some(meant) => Some(format!("is not a setting: did you mean {meant}?")),
        None if is_name(name) => None,
        None => Some("is no variable's name (valid: LIFEBOAT_LOG=debug)".to_owned()),
    }
}

fn is_name(name: &str) -> bool {
    let is_begun = !name.starts_with(|first: char| first.is_ascii_digit());
    is_begun && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn assignments(text: &str) -> Vec<Read> {
    let mut text = Text { rest: text.chars().peekable(), line: 1 };
    let mut all = Vec::new();
    while let Some(next) = text.rest.peek().copied() {
        match next {
            next if next.is_whitespace() => drop(text.next()),
            '#' | ';' => text.comment(),
            _ => all.push((text.line, text.assignment())),
        }
    }
    all
}

/// What is left to read, and in which line that is.
struct Text<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

impl Text<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn comment(&mut self) {
        while self.next().is_some_and(|next| next != '\n') {}
    }

    fn assignment(&mut self) -> Result<(String, String), &'static str> {
        let mut name = String::new();
        loop {
            match self.next() {
                Some('=') => break,
                Some('\n') | None => return Err("it is neither a comment nor NAME=value"),
                Some(next) => name.push(next),
            }
        }
        let value = self.value()?;
        Ok((name.trim().to_owned(), value))
    }

    // Parts in quotes and one without may stand side by side; blanks between and after them don't count.
    fn value(&mut self) -> Result<String, &'static str> {
        let mut value = String::new();
        loop {
            match self.rest.peek().copied() {
                None | Some('\n') => {
                    self.next();
                    return Ok(value);
                }
                Some(quote @ ('"' | '\'')) => {
                    self.next();
                    self.quoted(quote, &mut value)?;
                }
                Some(blank) if blank.is_whitespace() => drop(self.next()),
                Some(_) => {
                    value.push_str(&self.unquoted());
                    return Ok(value);
                }
            }
        }
    }

    // To the end of the line, and of the next one where a backslash stands before it.
    fn unquoted(&mut self) -> String {
        let mut value = String::new();
        // A blank that is escaped stays at the end, too.
        let mut kept = 0;

        while let Some(next) = self.next() {
            match next {
                '\n' => break,
                '\\' => {
                    value.extend(self.next().filter(|escaped| *escaped != '\n'));
                    kept = value.len();
                }
                next => value.push(next),
            }
        }

        let end = value.trim_end().len().max(kept);
        value.truncate(end);
        value
    }

    fn quoted(&mut self, quote: char, value: &mut String) -> Result<(), &'static str> {
        while let Some(next) = self.next() {
            match next {
                next if next == quote => return Ok(()),
                '\\' if quote == '"' => match self.next() {
                    Some(escaped @ ('"' | '\\' | '`' | '$')) => value.push(escaped),
                    Some('\n') | None => {}
                    Some(other) => value.extend(['\\', other]),
                },
                next => value.push(next),
            }
        }
        Err(STILL_OPEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> SettingsFile {
        SettingsFile::of(Path::new("/etc/lifeboat.env"), text)
    }

    fn value(line: &str) -> String {
        let file = read(&format!("KONG_X={line}"));
        assert_eq!(file.problems(), [""; 0], "{line}");
        file.value("KONG_X").unwrap().to_owned()
    }

    #[test]
    fn values_are_taken_as_systemd_takes_them() {
        for (line, taken) in [
            ("plain", "plain"),
            ("  blanks around \t\r", "blanks around"),
            ("", ""),
            ("a#b # is no comment", "a#b # is no comment"),
            ("it's", "it's"),
            (r"a\ b\\c", r"a b\c"),
            ("ends\\ ", "ends "),
            ("one \\\ntwo", "one two"),
            (r#""in quotes # too" "#, "in quotes # too"),
            (r#""a\"b\\c\$d\`e\nf""#, r#"a"b\c$d`e\nf"#),
            (r"'a\n$b'", r"a\n$b"),
            (r#"'{"a":"b"}'"#, r#"{"a":"b"}"#),
            (r#""one" 'two'three"#, "onetwothree"),
            ("\"one\ntwo\"", "one\ntwo"),
            ("\"one\\\ntwo\"", "onetwo"),
        ] {
            assert_eq!(value(line), taken, "{line:?}");
        }
    }

    #[test]
    fn comments_and_empty_lines_are_passed_over_and_lines_are_counted() {
        let file = read("# first\n\n ; second\n  KONG_A = 1 \nKONG_B='two\nlines'\nKONG_C=3");
        assert_eq!(file.problems(), [""; 0]);
        assert_eq!(file.value("KONG_A"), Some("1"));
        let lines = ["KONG_A", "KONG_B", "KONG_C"].map(|name| file.place(name).unwrap());
        assert_eq!(lines, [4, 5, 7].map(|line| format!("/etc/lifeboat.env line {line}")));
        assert_eq!(file.place("KONG_D"), None);
    }

    #[test]
    fn each_mistake_is_told_with_its_line_and_what_is_right_counts() {
        let file = read(
            "what is this\nLIFEBOAT_MAX_SHRINKK=80\nLIFEBOAT_LOG=debug\nLIFEBOAT_LOG=info\nstorage=s3://x\n\
             cluster_mtls=pki\nexport LIFEBOAT_HISTORY=5\nLIFEBOAT_SETTINGS_FILE=/x\nlifeboat_history=5\nKONG_A=\"open\n",
        );
        let said = [
            "line 1: it is neither a comment nor NAME=value",
            "line 2: LIFEBOAT_MAX_SHRINKK is not a setting: did you mean LIFEBOAT_MAX_SHRINK?",
            "line 4: LIFEBOAT_LOG stands in line 3 already: leave one of them",
            "line 5: storage is not a setting: did you mean KONG_CLUSTER_FALLBACK_CONFIG_STORAGE?",
            "line 6: cluster_mtls is not a setting: did you mean KONG_CLUSTER_MTLS?",
            "line 7: export LIFEBOAT_HISTORY is no variable's name (valid: LIFEBOAT_LOG=debug)",
            "line 8: LIFEBOAT_SETTINGS_FILE is of no use here: a settings file names no other one",
            "line 9: lifeboat_history is not a setting: did you mean LIFEBOAT_HISTORY?",
            "line 10: its quote is not closed",
        ];
        assert_eq!(file.problems(), said.map(|said| format!("/etc/lifeboat.env {said}")));
        assert_eq!(file.value("LIFEBOAT_LOG"), Some("debug"));
    }

    #[test]
    fn what_others_read_is_left_to_them() {
        let file = read("HTTPS_PROXY=x\nmine=1\nKONG_PROXY_LISTEN=off\nLIFEBOAT_SIGNING_KEY_FILE=/x\n");
        assert_eq!(file.problems(), [""; 0]);
        assert_eq!(file.value("HTTPS_PROXY"), Some("x"));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_with_what_names_it() {
        let file = SettingsFile::read(Path::new("/no/such/file"), "--settings");
        assert!(file.problems()[0].starts_with("--settings: /no/such/file can't be read"), "{file:?}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings");
        std::fs::write(&path, b"KONG_A=\xff\n").unwrap();
        assert!(SettingsFile::read(&path, "--settings").problems()[0].ends_with("is no text in UTF-8"));
    }

    #[test]
    fn no_value_is_printed() {
        assert!(!format!("{:?}", read("AWS_SECRET_ACCESS_KEY=wonderful")).contains("wonderful"));
    }
}
