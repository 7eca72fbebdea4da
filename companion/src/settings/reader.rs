//! Reads settings one by one and remembers everything that is wrong, so that an operator corrects all mistakes of a
//! start at once.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lifeboat_storage::access::Secret;

use super::flag_names::with_flag;
use super::misspelt::misspelt;
use super::names::{self, Name};
use super::source::{Given, Source};
use super::{LogSettings, units, vault};

/// The longest time between two exports.
const LONGEST_DELAY: Duration = Duration::from_secs(86_400);

/// Everything that is wrong with the settings of a start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<String>);

impl Problems {
    /// The problems, each naming its setting and a cure.
    pub fn list(&self) -> &[String] {
        &self.0
    }

    /// Whether one of them is about this setting.
    #[cfg(test)]
    pub(super) fn mention(&self, variable: &str) -> bool {
        self.0.iter().any(|problem| problem.contains(variable))
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "{count} setting{} wrong:", if count == 1 { " is" } else { "s are" })?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

impl std::error::Error for Problems {}

/// That something is wrong, which has been noted among the problems.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Noted;

/// Reads settings from a source.
#[derive(Debug)]
pub struct Reader<'a> {
    source: &'a Source,
    problems: Problems,
    files: BTreeSet<PathBuf>,
}

impl<'a> Reader<'a> {
    /// A reader that has found nothing wrong yet.
    pub fn new(source: &'a Source) -> Self {
        Self { source, problems: Problems::default(), files: BTreeSet::new() }
    }

    /// What is wrong so far.
    pub fn problems(&self) -> &Problems {
        &self.problems
    }

    /// What was wrong.
    pub fn into_problems(self) -> Problems {
        self.problems
    }

    /// The files that were read, or could not be.
    pub fn into_files(self) -> BTreeSet<PathBuf> {
        self.files
    }

    /// Notes a problem. Beside each setting's variable its flag is named, or where in the settings file it stands.
    pub fn wrong(&mut self, problem: impl Into<String>) {
        let problem = self.source.without_secrets(&problem.into());
        let problem = with_flag(&problem, |variable| self.source.place(variable));
        // Two settings may share a value, and one mistake is one line.
        if !self.problems.0.contains(&problem) {
            self.problems.0.push(problem);
        }
    }

    /// Notes what is wrong with settings that concern every command: the files that they stand in, the log's, and every
    /// variable that only looks like a setting.
    pub fn check_what_concerns_all(&mut self) {
        self.check_files();
        LogSettings::read(self, "info");
        for problem in misspelt(self.source.environment_names()) {
            self.wrong(problem);
        }
    }

    /// Notes what is wrong with the files that settings stand in: first, since much else may follow from it.
    pub fn check_files(&mut self) {
        let before = self.problems.0.len();
        for problem in self.source.file_problems() {
            self.wrong(problem);
        }
        self.problems.0.rotate_left(before);
    }

    /// A text, if it is set. One of Kong's settings may stand in a file or be a reference, as Kong has it.
    pub fn text(&mut self, name: Name) -> Option<Given> {
        self.resolved_text(name).ok().flatten()
    }

    /// A text that must be set; `example` is a valid one.
    pub fn required(&mut self, name: Name, why: &str, example: &str) -> Option<Given> {
        let given = self.resolved_text(name);
        if let Ok(None) = given {
            self.wrong(format!("{name} is not set: {why} (valid: {example})"));
        }
        given.ok().flatten()
    }

    /// Whether something is given for a setting, by itself or in a file, even if it is wrong.
    pub fn is_given(&self, name: Name) -> bool {
        self.source.note(name);
        self.source.get(name.variable()).is_some() || self.source.variable(&name.in_file()).is_some()
    }

    // What is given for a setting, with files and references read.
    fn resolved_text(&mut self, name: Name) -> Result<Option<Given>, Noted> {
        self.unresolved(name)?.map(|given| self.resolved(given)).transpose()
    }

    // Kong's image takes any setting of Kong's from a file: KONG_CLUSTER_CERT_KEY_FILE. A flag wins over both forms.
    fn unresolved(&mut self, name: Name) -> Result<Option<Given>, Noted> {
        self.source.note(name);
        let variable = name.variable();
        let file = self.source.variable(&name.in_file()).filter(|_| name.is_kongs());

        match (self.source.flag(variable), self.source.variable(variable), file) {
            (None, Some(_), Some(file)) => {
                self.wrong(format!("{variable} and {} are both set: set one of them", file.name));
                Err(Noted)
            }
            (None, None, Some(file)) => self.content_of(file).map(Some),
            _ => Ok(self.source.get(variable)),
        }
    }

    fn content_of(&mut self, file: Given) -> Result<Given, Noted> {
        let path = file.value.trim();
        let bytes = self.file(&file.name, Path::new(path)).ok_or(Noted)?;
        let value = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        if value.is_empty() {
            self.wrong(format!("{}: the file {path} is empty", file.name));
            return Err(Noted);
        }
        Ok(Given { value, ..file })
    }

    fn resolved(&mut self, given: Given) -> Result<Given, Noted> {
        if !vault::is_reference(given.value.trim()) {
            return Ok(given);
        }
        let prefix = self.source.get(names::KONG_VAULT_ENV_PREFIX.variable()).map(|given| given.value);
        let variable = |name: &str| self.source.environment_value(name);
        match vault::resolve(given.value.trim(), prefix.as_deref().map(str::trim), variable) {
            // As an argument, everybody can read only the reference.
            Ok(value) => Ok(Given { value, is_argument: false, ..given }),
            Err(error) => {
                self.wrong(format!("{}: {error}", given.name));
                Err(Noted)
            }
        }
    }

    /// What a text means.
    pub fn parse<T>(&mut self, given: &Given) -> Option<T>
    where
        T: std::str::FromStr,
        T::Err: fmt::Display,
    {
        given.value.trim().parse().map_err(|error| self.wrong(format!("{}: {error}", given.name))).ok()
    }

    /// `on` or `off`, as Kong writes it.
    pub fn switch(&mut self, name: Name) -> bool {
        let Some(given) = self.text(name) else { return false };
        match given.value.trim().to_ascii_lowercase().as_str() {
            "on" | "true" => true,
            "off" | "false" => false,
            other => {
                self.wrong(format!("{}: {other:?} is neither on nor off", given.name));
                false
            }
        }
    }

    /// A whole number between bounds.
    pub fn number(&mut self, name: Name, default: u64, bounds: std::ops::RangeInclusive<u64>) -> u64 {
        let Some(given) = self.text(name) else { return default };
        match given.value.trim().parse() {
            Ok(number) if bounds.contains(&number) => number,
            _ => {
                let (least, most) = (bounds.start(), bounds.end());
                self.wrong(format!(
                    "{}: {:?} is not a whole number from {least} to {most} (valid: {default})",
                    given.name, given.value
                ));
                default
            }
        }
    }

    /// A size between bounds, in bytes: a bare number, or with a unit as in `16m` or `16MiB`.
    pub fn size(&mut self, name: Name, default: u64, bounds: std::ops::RangeInclusive<u64>) -> u64 {
        let Some(given) = self.text(name) else { return default };
        match units::size(&given.value) {
            Some(size) if bounds.contains(&size) => size,
            _ => {
                let (least, most) = (bounds.start(), bounds.end());
                self.wrong(format!(
                    "{}: {:?} is not a size from {least} to {most} bytes (valid: {default}, 512m, 1GiB)",
                    given.name, given.value
                ));
                default
            }
        }
    }

    /// A duration such as `10s`; a bare number counts seconds.
    pub fn duration(&mut self, name: Name, default: Duration) -> Duration {
        let Some(given) = self.text(name) else { return default };
        let text = given.value.trim();
        match units::duration(text).ok() {
            Some(duration) if !duration.is_zero() => duration,
            _ => {
                let example = humantime::format_duration(default);
                self.wrong(format!("{}: {text:?} is not a duration (valid: {example})", given.name));
                default
            }
        }
    }

    /// The least time between two exports, which Kong's own setting gives in whole seconds.
    pub fn export_delay(&mut self) -> Duration {
        let default = Duration::from_secs(60);
        let Some(given) = self.text(names::KONG_CLUSTER_FALLBACK_CONFIG_EXPORT_DELAY) else { return default };
        match units::duration(given.value.trim()) {
            Ok(delay) if delay <= LONGEST_DELAY => delay,
            _ => {
                self.wrong(format!(
                    "{}: {:?} is not a duration from 0 to 86400 seconds (valid: 60, 2m)",
                    given.name, given.value
                ));
                default
            }
        }
    }

    /// How long a connected control plane may be silent, which the exporter and the relay both need to know.
    pub fn config_timeout(&mut self) -> Duration {
        self.duration(names::LIFEBOAT_CP_CONFIG_TIMEOUT, Duration::from_secs(10))
    }

    /// A comma-separated list.
    pub fn list(&mut self, name: Name) -> Vec<String> {
        let Ok(Some(given)) = self.unresolved(name) else { return Vec::new() };
        let items = given.value.split(',').map(str::trim).filter(|item| !item.is_empty());
        // Each item may be a reference.
        let item = |item: &str| self.resolved(Given { value: item.to_owned(), ..given.clone() });
        items.map(item).filter_map(|item| Some(item.ok()?.value.trim().to_owned())).collect()
    }

    /// A secret: the value itself, or with `_FILE` after its name the file that holds it.
    pub(super) fn secret(&mut self, name: Name) -> Result<Option<String>, Noted> {
        if name.is_kongs() {
            return Ok(self.resolved_text(name)?.map(|given| given.value.trim().to_owned()));
        }

        self.source.note(name);
        match (self.source.get(name.variable()), self.source.get(&name.in_file())) {
            (Some(_), Some(file)) => {
                self.wrong(format!("{name} and {} are both set: set one of them", file.name));
                Err(Noted)
            }
            (Some(direct), None) => self.resolved(direct).map(|given| Some(given.value.trim().to_owned())),
            (None, Some(file)) => {
                let bytes = self.file(&file.name, Path::new(file.value.trim())).ok_or(Noted)?;
                Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned()))
            }
            (None, None) => Ok(None),
        }
    }

    /// A secret that is read again each time it is used, where it stands in a file. A file that can't be read now, or holds
    /// nothing, is a problem.
    pub(super) fn rereadable_secret(&mut self, name: Name) -> Result<Option<Secret>, Noted> {
        // Also checks that not both are set and that the file can be read.
        let Some(value) = self.secret(name)? else { return Ok(None) };
        match self.secret_file(name) {
            Some(given) if value.is_empty() => {
                self.wrong(format!("{}: the file {} is empty", given.name, given.value.trim()));
                Err(Noted)
            }
            Some(given) => Ok(Some(Secret::File(given.value.trim().into()))),
            None => Ok(Some(Secret::Value(value))),
        }
    }

    /// The file that holds a secret, if one is named.
    pub(super) fn secret_file(&self, name: Name) -> Option<Given> {
        self.source.get(&name.in_file())
    }

    /// A certificate or key: a path, PEM text, or base64 of PEM text. Gives the PEM text.
    pub fn pem(&mut self, given: &Given) -> Option<Vec<u8>> {
        let text = given.value.trim();
        let inline = if text.contains("-----BEGIN") { Some(text.as_bytes().to_vec()) } else { pem_in_base64(text) };
        match inline {
            Some(_) if given.is_argument && given.name.ends_with("key") => {
                self.wrong(format!("{} takes a path only: everybody on this host can read arguments", given.name));
                None
            }
            Some(pem) => Some(pem),
            None => self.file(&given.name, Path::new(text)),
        }
    }

    fn file(&mut self, name: &str, path: &Path) -> Option<Vec<u8>> {
        // A value that is not a path may be a secret in some broken form; no message repeats it.
        let shown = if path.to_string_lossy().len() > 200 { "the file".into() } else { path.display().to_string() };
        self.files.insert(path.to_owned());
        std::fs::read(path).map_err(|error| self.wrong(format!("{name}: {shown} can't be read: {error}"))).ok()
    }
}

fn pem_in_base64(text: &str) -> Option<Vec<u8>> {
    let compact: String = text.split_whitespace().collect();
    STANDARD.decode(compact).ok().filter(|bytes| bytes.windows(11).any(|window| window == b"-----BEGIN "))
}

#[cfg(test)]
mod tests;
