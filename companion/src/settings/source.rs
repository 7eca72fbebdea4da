//! Where settings come from: flags, then the environment, then `kong.conf`. Nothing is interpreted here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::names;

/// The values that were given, by variable.
#[derive(Clone, Default)]
pub struct Source {
    flags: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    kong_conf: BTreeMap<String, String>,
}

/// A value and how its user would name the place where it stands.
#[derive(Clone, PartialEq, Eq)]
pub struct Given {
    /// The value.
    pub value: String,
    /// `KONG_CLUSTER_CERT`, `--cluster-cert` or `cluster_cert in kong.conf`.
    pub name: String,
    /// Whether it is a command-line argument, which anybody on the host can read.
    pub is_argument: bool,
}

/// Why a `kong.conf` can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfError {
    /// The file can't be read.
    #[error("--kong-conf: {path} can't be read: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A line of it has no `=`.
    #[error("--kong-conf: {path} line {line} is neither a comment nor `name = value`")]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
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

    /// With a `kong.conf`, over which all others win.
    pub fn with_kong_conf(mut self, path: &Path) -> Result<Self, ConfError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfError::Unreadable { path: path.into(), error })?;
        self.kong_conf = parse_conf(&text).map_err(|line| ConfError::Line { path: path.into(), line })?;
        Ok(self)
    }

    /// A setting's value; an empty one counts as not given, as Kong has it.
    pub fn get(&self, variable: &str) -> Option<Given> {
        let flag = names::SETTINGS.iter().find(|setting| setting.variable == variable).and_then(|known| known.flag);
        let conf_name = variable.strip_prefix("KONG_").map(str::to_ascii_lowercase);
        let from_flag = || {
            let value = self.flags.get(variable)?;
            Some(Given { value: value.clone(), name: format!("--{}", flag?), is_argument: true })
        };
        let from_environment = || {
            let value = self.environment.get(variable)?;
            Some(Given { value: value.clone(), name: variable.to_owned(), is_argument: false })
        };
        let from_conf = || {
            let name = conf_name?;
            let value = self.kong_conf.get(&name)?;
            Some(Given { value: value.clone(), name: format!("{name} in kong.conf"), is_argument: false })
        };
        let not_empty = |given: &Given| !given.value.trim().is_empty();
        from_flag()
            .filter(not_empty)
            .or_else(|| from_environment().filter(not_empty))
            .or_else(|| from_conf().filter(not_empty))
    }

    /// The names of the environment's variables.
    pub fn environment_names(&self) -> impl Iterator<Item = &str> {
        self.environment.keys().map(String::as_str)
    }
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
        let source = environment(&[("KONG_PREFIX", "/usr/local/kong")]).with_kong_conf(&conf).unwrap();
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
    }
}
