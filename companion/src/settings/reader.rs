//! Reads settings one by one and remembers everything that is wrong, so that an operator corrects all mistakes of a
//! start at once.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::names::misspelt;
use super::source::{Given, Source};

/// Everything that is wrong with the settings of a start.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<String>);

impl Problems {
    /// The problems, each naming its setting and a cure.
    pub fn list(&self) -> &[String] {
        &self.0
    }

    /// Whether one of them is about this setting.
    pub fn mention(&self, variable: &str) -> bool {
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

    /// Notes a problem.
    pub fn wrong(&mut self, problem: impl Into<String>) {
        let problem = problem.into();
        // Two settings may share a value, and one mistake is one line.
        if !self.problems.0.contains(&problem) {
            self.problems.0.push(problem);
        }
    }

    /// Notes every variable that only looks like a setting.
    pub fn refuse_misspelt_names(&mut self) {
        for problem in misspelt(self.source.environment_names()) {
            self.wrong(problem);
        }
    }

    /// A text, if it is set.
    pub fn text(&mut self, variable: &str) -> Option<Given> {
        self.source.get(variable)
    }

    /// A text that must be set; `example` is a valid one.
    pub fn required(&mut self, variable: &str, why: &str, example: &str) -> Option<Given> {
        let given = self.source.get(variable);
        if given.is_none() {
            self.wrong(format!("{variable} is not set: {why} (valid: {example})"));
        }
        given
    }

    /// A value that has a text form.
    pub fn parsed<T>(&mut self, variable: &str) -> Option<T>
    where
        T: std::str::FromStr,
        T::Err: fmt::Display,
    {
        let given = self.source.get(variable)?;
        self.parse(&given)
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
    pub fn switch(&mut self, variable: &str) -> bool {
        let Some(given) = self.source.get(variable) else { return false };
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
    pub fn number(&mut self, variable: &str, default: u64, bounds: std::ops::RangeInclusive<u64>) -> u64 {
        let Some(given) = self.source.get(variable) else { return default };
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

    /// A duration such as `10s`; a bare number counts seconds.
    pub fn duration(&mut self, variable: &str, default: Duration) -> Duration {
        let Some(given) = self.source.get(variable) else { return default };
        let text = given.value.trim();
        let seconds = text.parse::<u64>().ok().map(Duration::from_secs);
        match seconds.or_else(|| humantime::parse_duration(text).ok()) {
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
        Duration::from_secs(self.number("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT_DELAY", 60, 0..=86_400))
    }

    /// How long a connected control plane may be silent, which the keep flow and the relay both need to know.
    pub fn config_timeout(&mut self) -> Duration {
        self.duration("LIFEBOAT_CP_CONFIG_TIMEOUT", Duration::from_secs(10))
    }

    /// A comma-separated list.
    pub fn list(&mut self, variable: &str) -> Vec<String> {
        let given = self.source.get(variable);
        let text = given.as_ref().map_or("", |given| given.value.as_str());
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    /// A secret: the value itself, or with `_FILE` after its name the file that holds it.
    pub fn secret(&mut self, variable: &str) -> Option<String> {
        let direct = self.source.get(variable).map(|given| given.value.trim().to_owned());
        let file = self.source.get(&format!("{variable}_FILE"));
        match (direct, file) {
            (Some(_), Some(file)) => {
                self.wrong(format!("{variable} and {} are both set: set one of them", file.name));
                None
            }
            (direct, None) => direct,
            (None, Some(file)) => {
                let bytes = self.file(&file.name, Path::new(file.value.trim()))?;
                Some(String::from_utf8_lossy(&bytes).trim().to_owned())
            }
        }
    }

    /// A certificate or key: a path, PEM text, or base64 of PEM text. Gives the PEM text.
    pub fn pem(&mut self, given: &Given) -> Option<Vec<u8>> {
        let text = given.value.trim();
        if text.starts_with("{vault://") {
            self.wrong(format!(
                "{}: {text} is a reference that only Kong can resolve: set a path or the text itself",
                given.name
            ));
            return None;
        }
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
mod tests {
    use super::*;

    fn source(pairs: &[(&str, &str)]) -> Source {
        Source::from_environment(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn a_certificate_may_be_a_path_or_pem_or_base64_of_pem() {
        let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), pem).unwrap();
        for value in [pem.to_owned(), STANDARD.encode(pem), file.path().display().to_string()] {
            let source = source(&[("KONG_CLUSTER_CERT", &value)]);
            let mut reader = Reader::new(&source);
            let given = reader.text("KONG_CLUSTER_CERT").unwrap();
            assert_eq!(reader.pem(&given).unwrap(), pem.as_bytes());
        }
    }

    #[test]
    fn a_vault_reference_says_so_and_a_missing_file_is_named() {
        let source = source(&[("KONG_CLUSTER_CERT", "{vault://env/cert}"), ("KONG_CLUSTER_CERT_KEY", "/no/such/key")]);
        let mut reader = Reader::new(&source);
        for name in ["KONG_CLUSTER_CERT", "KONG_CLUSTER_CERT_KEY"] {
            let given = reader.text(name).unwrap();
            assert_eq!(reader.pem(&given), None);
        }
        let problems = reader.into_problems();
        assert!(problems.list()[0].contains("only Kong can resolve"), "{problems}");
        assert!(problems.list()[1].contains("KONG_CLUSTER_CERT_KEY: /no/such/key"), "{problems}");
    }

    #[test]
    fn a_private_key_is_not_taken_from_an_argument() {
        let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----".to_owned();
        let source = Source::default().with_flag("KONG_CLUSTER_CERT_KEY", key);
        let mut reader = Reader::new(&source);
        let given = reader.text("KONG_CLUSTER_CERT_KEY").unwrap();
        assert_eq!(reader.pem(&given), None);
        let problems = reader.into_problems().to_string();
        assert!(problems.contains("--cluster-cert-key takes a path only") && !problems.contains("c2Vjc"), "{problems}");
    }

    #[test]
    fn a_secret_may_stand_in_a_file_but_not_in_both_places() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "from a file\n").unwrap();
        let path = file.path().display().to_string();
        let in_file = source(&[("AWS_SECRET_ACCESS_KEY_FILE", &path)]);
        assert_eq!(Reader::new(&in_file).secret("AWS_SECRET_ACCESS_KEY").as_deref(), Some("from a file"));
        let in_both = source(&[("AWS_SECRET_ACCESS_KEY_FILE", &path), ("AWS_SECRET_ACCESS_KEY", "x")]);
        let mut reader = Reader::new(&in_both);
        assert_eq!(reader.secret("AWS_SECRET_ACCESS_KEY"), None);
        assert!(reader.into_problems().to_string().contains("both set"));
    }

    #[test]
    fn durations_and_numbers_outside_their_bounds_are_refused_with_a_valid_one() {
        let source = source(&[("LIFEBOAT_CP_CONFIG_TIMEOUT", "soon"), ("LIFEBOAT_MAX_CONFIG", "-1")]);
        let mut reader = Reader::new(&source);
        assert_eq!(reader.duration("LIFEBOAT_CP_CONFIG_TIMEOUT", Duration::from_secs(10)), Duration::from_secs(10));
        reader.number("LIFEBOAT_MAX_CONFIG", 512, 1..=1024);
        let problems = reader.into_problems();
        assert!(problems.list()[0].contains("valid: 10s"), "{problems}");
        assert!(problems.list()[1].contains("from 1 to 1024"), "{problems}");
    }
}
