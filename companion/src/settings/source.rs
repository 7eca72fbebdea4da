//! Where settings come from: flags, then the environment, then a settings file, then `kong.conf`. Nothing is interpreted
//! here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::SettingsFile;
use super::live::LIVE;
use super::names::{LIFEBOAT_SETTINGS_FILE, Name, SETTINGS};
use super::unprintable::without_secrets;

/// The values that were given, by variable.
#[derive(Clone, Default)]
pub struct Source {
    flags: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    settings_file: Option<SettingsFile>,
    kong_conf: KongConf,
    /// What the command that it is for may read; none: all.
    #[cfg_attr(test, expect(dead_code, reason = "the test of read_by compares instead"))]
    readable: Option<Arc<[Name]>>,
    /// What the program has set by itself, over all others.
    fixed: BTreeMap<&'static str, String>,
    #[cfg(test)]
    read: Arc<std::sync::Mutex<std::collections::BTreeSet<String>>>,
}

#[derive(Clone, Default)]
struct KongConf {
    path: Option<PathBuf>,
    values: BTreeMap<String, String>,
    problem: Option<String>,
}

/// A value and how its user would name the place where it stands.
#[derive(Clone, PartialEq, Eq)]
pub struct Given {
    /// The value.
    pub value: String,
    /// `KONG_CLUSTER_CERT`, `--cluster-cert`, `KONG_CLUSTER_CERT in /etc/lifeboat.env line 3` or `cluster_cert in kong.conf`.
    pub name: String,
    /// Whether it is a command-line argument, which anybody on the host can read.
    pub is_argument: bool,
}

impl Source {
    /// From the environment's variables.
    pub fn from_environment(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { environment: variables.into_iter().collect(), ..Self::default() }
    }

    /// With a flag's value, which wins over all others.
    pub fn with_flag(mut self, variable: &str, value: String) -> Self {
        self.flags.insert(variable.to_owned(), value);
        self
    }

    /// With a value that the program itself sets. Whatever else is given for this setting is not read.
    pub(super) fn with_fixed(mut self, name: Name, value: &str) -> Self {
        self.fixed.insert(name.variable(), value.to_owned());
        self
    }

    /// For a command that reads these settings of ours and no others. The help lists them, and their flags are accepted:
    /// reading another one would be a mistake in that list, which ends a debug build.
    pub fn for_reading(self, names: impl IntoIterator<Item = Name>) -> Self {
        Self { readable: Some(names.into_iter().collect()), ..self }
    }

    /// A setting is about to be read.
    pub(crate) fn note(&self, name: Name) {
        if self.fixed.contains_key(name.variable()) {
            return;
        }
        #[cfg(test)]
        self.read.lock().unwrap().insert(name.to_string());
        // Its own test compares all of them at once.
        #[cfg(not(test))]
        debug_assert!(self.may_read(name), "{name} is missing in companion/src/settings/read_by.rs");
    }

    #[cfg(not(test))]
    fn may_read(&self, name: Name) -> bool {
        let is_ours = SETTINGS.iter().any(|setting| setting.variable == name.variable());
        !is_ours || self.readable.as_ref().is_none_or(|readable| readable.contains(&name))
    }

    /// What has been read so far.
    #[cfg(test)]
    pub(crate) fn read_so_far(&self) -> std::collections::BTreeSet<String> {
        self.read.lock().unwrap().clone()
    }

    /// With a `kong.conf`, over which all others win. What is wrong with it is told with all other mistakes.
    pub fn with_kong_conf(mut self, path: &Path) -> Self {
        self.kong_conf = KongConf::read(path);
        self
    }

    /// With the settings file that a flag or the environment names, if one does. What is wrong with it is told with all
    /// other mistakes.
    pub fn with_settings_file(mut self) -> Self {
        let file = LIFEBOAT_SETTINGS_FILE.variable();
        let given = self.flag(file).or_else(|| self.in_environment(file));
        self.note(LIFEBOAT_SETTINGS_FILE);
        self.settings_file = given.map(|given| SettingsFile::read(Path::new(given.value.trim()), &given.name));
        self
    }

    /// The same flags and the same environment, which can't change, with what stands in the files now.
    pub fn read_again(&self) -> Self {
        let again = self.clone().with_settings_file();
        match &self.kong_conf.path {
            Some(path) => again.with_kong_conf(path),
            None => again,
        }
    }

    /// The settings that are in force after the program has adopted the live ones of `now`. All others stay.
    pub(super) fn with_live_of(&self, now: &Self) -> Self {
        let files = self.settings_file.as_ref().zip(now.settings_file.as_ref());
        let settings_file = files.map(|(own, theirs)| own.with_lines_of(theirs, &LIVE));
        Self { settings_file, ..self.clone() }
    }

    /// The files that settings were read from, the one that wins first.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.settings_file.iter().map(SettingsFile::path).chain(self.kong_conf.path.as_deref())
    }

    /// Why nothing of the settings file could be read: then any setting may stand there.
    pub fn unreadable_settings_file(&self) -> Option<&str> {
        self.settings_file.as_ref()?.unreadable_because()
    }

    /// What is wrong with those files.
    pub fn file_problems(&self) -> impl Iterator<Item = &str> {
        let of_settings = self.settings_file.iter().flat_map(SettingsFile::problems).map(String::as_str);
        self.kong_conf.problem.as_deref().into_iter().chain(of_settings)
    }

    /// A setting's value as it was given; an empty one counts as not given, as Kong has it. What it refers to is resolved
    /// by [`Reader`](super::Reader).
    pub fn get(&self, variable: &str) -> Option<Given> {
        self.flag(variable).or_else(|| self.variable(variable)).or_else(|| self.in_kong_conf(variable))
    }

    /// What a flag gives.
    pub fn flag(&self, variable: &str) -> Option<Given> {
        let known = SETTINGS.iter().find(|setting| setting.variable == variable)?;
        let given = self.fixed.get(variable).or_else(|| self.flags.get(variable));
        not_empty(given?, format!("--{}", known.flag?), Way::Argument)
    }

    /// What the environment gives, or else the settings file.
    pub fn variable(&self, variable: &str) -> Option<Given> {
        self.in_environment(variable).or_else(|| self.in_settings_file(variable))
    }

    /// What the settings file gives. Nothing if a flag or the environment gives the same setting in its other form: by
    /// itself, or as a file that holds it (`…_FILE`).
    pub fn in_settings_file(&self, variable: &str) -> Option<Given> {
        let file = self.settings_file.as_ref()?;
        let given =
            not_empty(file.value(variable)?, format!("{variable} in {}", file.place(variable)?), Way::NoArgument)?;
        let other = variable.strip_suffix("_FILE").map_or_else(|| format!("{variable}_FILE"), str::to_owned);
        let gives_way = self.flag(&other).is_some() || self.in_environment(&other).is_some();
        (!gives_way).then_some(given)
    }

    /// Where in the settings file a setting's value stands, if it is the one that counts.
    pub(super) fn place(&self, variable: &str) -> Option<String> {
        let is_given = self.flag(variable).is_some() || self.in_environment(variable).is_some();
        self.in_settings_file(variable).filter(|_| !is_given)?;
        self.settings_file.as_ref()?.place(variable)
    }

    /// What the `kong.conf` gives.
    pub fn in_kong_conf(&self, variable: &str) -> Option<Given> {
        let name = variable.strip_prefix("KONG_")?.to_ascii_lowercase();
        not_empty(self.kong_conf.values.get(&name)?, format!("{name} in kong.conf"), Way::NoArgument)
    }

    fn in_environment(&self, variable: &str) -> Option<Given> {
        not_empty(self.environment.get(variable)?, variable.to_owned(), Way::NoArgument)
    }

    /// A variable of the environment as it is, whatever its value.
    pub fn environment_value(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }

    /// A text without what was given for settings and may be a secret.
    pub(super) fn without_secrets(&self, text: &str) -> String {
        let values = [&self.flags, &self.environment, &self.kong_conf.values].into_iter().flat_map(BTreeMap::values);
        let in_file = self.settings_file.iter().flat_map(SettingsFile::values);
        without_secrets(text, values.map(String::as_str).chain(in_file))
    }

    /// The names of the environment's variables.
    pub fn environment_names(&self) -> impl Iterator<Item = &str> {
        self.environment.keys().map(String::as_str)
    }
}

impl KongConf {
    fn read(path: &Path) -> Self {
        let shown = path.display();
        let read = std::fs::read_to_string(path).map_err(|error| format!("{shown} can't be read: {error}"));
        let read = read.and_then(|text| {
            parse_conf(&text).map_err(|line| {
                format!("{shown} line {line} is neither a comment nor `name = value`: nothing of it is read")
            })
        });
        let (values, problem) = match read {
            Ok(values) => (values, None),
            Err(problem) => (BTreeMap::new(), Some(format!("--kong-conf: {problem}"))),
        };
        Self { path: Some(path.to_owned()), values, problem }
    }
}

enum Way {
    Argument,
    NoArgument,
}

fn not_empty(value: &str, name: String, way: Way) -> Option<Given> {
    let is_argument = matches!(way, Way::Argument);
    (!value.trim().is_empty()).then(|| Given { value: value.to_owned(), name, is_argument })
}

// Values may be secrets.
impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given").field("name", &self.name).finish_non_exhaustive()
    }
}

// Kong's own form: `name = value`, `#` begins a comment that stands alone or after a blank.
fn parse_conf(text: &str) -> Result<BTreeMap<String, String>, usize> {
    let mut values = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').ok_or(number + 1)?;
        let end = value.find(" #").or_else(|| value.find("\t#")).unwrap_or(value.len());
        values.insert(name.trim().to_ascii_lowercase(), value[..end].trim().to_owned());
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Source {
        Source::from_environment(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn the_environment_wins_over_kong_conf_and_a_flag_over_both() {
        let folder = tempfile::tempdir().unwrap();
        let conf = folder.path().join("kong.conf");
        std::fs::write(&conf, "# comment\nCluster_MTLS = pki # as the others\nprefix=/srv/kong\n").unwrap();
        let source = environment(&[("KONG_PREFIX", "/usr/local/kong")]).with_kong_conf(&conf);
        assert_eq!(source.get("KONG_PREFIX").unwrap().value, "/usr/local/kong");
        let mtls = source.get("KONG_CLUSTER_MTLS").unwrap();
        assert_eq!((mtls.value.as_str(), mtls.name.as_str()), ("pki", "cluster_mtls in kong.conf"));
        let source = source.with_flag("KONG_CLUSTER_MTLS", "shared".into());
        assert_eq!(source.get("KONG_CLUSTER_MTLS").unwrap().name, "--cluster-mtls");
    }

    #[test]
    fn an_empty_value_counts_as_not_given() {
        assert_eq!(environment(&[("KONG_CLUSTER_CERT", " ")]).get("KONG_CLUSTER_CERT"), None);
    }

    #[test]
    fn a_line_that_is_no_setting_is_named() {
        assert_eq!(parse_conf("a = 1\n\nwhat is this\n"), Err(3));
        let source = Source::default().with_kong_conf(Path::new("/no/such/kong.conf"));
        let problem = source.file_problems().next().unwrap();
        assert!(problem.starts_with("--kong-conf: /no/such/kong.conf can't be read"));
    }

    /// With a settings file of this text.
    fn with_file(source: Source, folder: &Path, text: &str) -> (Source, String) {
        let path = folder.join("settings").display().to_string();
        std::fs::write(&path, text).unwrap();
        (source.with_flag("LIFEBOAT_SETTINGS_FILE", path.clone()).with_settings_file(), path)
    }

    #[test]
    fn a_settings_file_wins_over_kong_conf_and_over_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let conf = folder.path().join("kong.conf");
        std::fs::write(&conf, "prefix = /conf\ncluster_mtls = pki\n").unwrap();
        let source = environment(&[("KONG_VERSION", "3.9.1")]).with_kong_conf(&conf);
        let source = source.with_flag("LIFEBOAT_LOG", "debug".into());
        let text = "KONG_PREFIX=/file\nKONG_VERSION=3.4.2\nLIFEBOAT_LOG=warn\nLIFEBOAT_HISTORY=7\n";
        let (source, path) = with_file(source, folder.path(), text);
        for (variable, value, name) in [
            ("LIFEBOAT_LOG", "debug", "--log".to_owned()),
            ("KONG_VERSION", "3.9.1", "KONG_VERSION".to_owned()),
            ("KONG_PREFIX", "/file", format!("KONG_PREFIX in {path} line 1")),
            ("LIFEBOAT_HISTORY", "7", format!("LIFEBOAT_HISTORY in {path} line 4")),
            ("KONG_CLUSTER_MTLS", "pki", "cluster_mtls in kong.conf".to_owned()),
        ] {
            let given = source.get(variable).unwrap();
            assert_eq!((given.value.as_str(), given.name), (value, name));
        }
        std::fs::write(&path, "LIFEBOAT_HISTORY=8\n").unwrap();
        std::fs::write(&conf, "prefix = /new\n").unwrap();
        let again = source.read_again();
        assert_eq!(again.get("LIFEBOAT_HISTORY").unwrap().value, "8");
        assert_eq!(again.get("KONG_PREFIX").unwrap().value, "/new");
        assert_eq!(again.get("KONG_CLUSTER_MTLS"), None);
        assert_eq!(again.get("KONG_VERSION").unwrap().value, "3.9.1");
    }

    #[test]
    fn a_value_in_the_settings_file_and_a_file_that_the_environment_names_are_no_contradiction() {
        let folder = tempfile::tempdir().unwrap();
        let source = environment(&[("KONG_CLUSTER_CERT_FILE", "/env"), ("LIFEBOAT_SIGNING_KEY", "env")]);
        let text = "KONG_CLUSTER_CERT=/file\nLIFEBOAT_SIGNING_KEY_FILE=/file\n";
        let (source, _) = with_file(source, folder.path(), text);
        assert_eq!(source.get("KONG_CLUSTER_CERT"), None);
        assert_eq!(source.get("LIFEBOAT_SIGNING_KEY_FILE"), None);
        assert_eq!(source.variable("KONG_CLUSTER_CERT_FILE").unwrap().value, "/env");
        assert_eq!(source.get("LIFEBOAT_SIGNING_KEY").unwrap().value, "env");
    }
}
