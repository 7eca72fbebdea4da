//! Where settings come from: flags, then the environment, then `kong.conf`. Nothing is interpreted here.

use std::collections::BTreeMap;
use std::path::Path;

use super::names;
use super::unprintable::without_secrets;

/// The values that were given, by variable.
#[derive(Clone, Default)]
pub struct Source {
    flags: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    kong_conf: BTreeMap<String, String>,
    conf_problem: Option<String>,
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

    /// With a `kong.conf`, over which all others win. What is wrong with it is told with all other mistakes.
    pub fn with_kong_conf(mut self, path: &Path) -> Self {
        let shown = path.display();
        match std::fs::read_to_string(path).map_err(|error| format!("{shown} can't be read: {error}")) {
            Err(problem) => self.conf_problem = Some(format!("--kong-conf: {problem}")),
            Ok(text) => match parse_conf(&text) {
                Ok(values) => self.kong_conf = values,
                Err(line) => {
                    let problem = "is neither a comment nor `name = value`: nothing of it is read";
                    self.conf_problem = Some(format!("--kong-conf: {shown} line {line} {problem}"));
                }
            },
        }
        self
    }

    /// What is wrong with the `kong.conf`.
    pub fn conf_problem(&self) -> Option<&str> {
        self.conf_problem.as_deref()
    }

    /// A setting's value as it was given; an empty one counts as not given, as Kong has it. What it refers to is resolved
    /// by [`Reader`](super::Reader).
    pub fn get(&self, variable: &str) -> Option<Given> {
        self.flag(variable).or_else(|| self.variable(variable)).or_else(|| self.in_kong_conf(variable))
    }

    /// What a flag gives.
    pub fn flag(&self, variable: &str) -> Option<Given> {
        let known = names::SETTINGS.iter().find(|setting| setting.variable == variable)?;
        not_empty(self.flags.get(variable)?, format!("--{}", known.flag?), Way::Argument)
    }

    /// What the environment gives.
    pub fn variable(&self, variable: &str) -> Option<Given> {
        not_empty(self.environment.get(variable)?, variable.to_owned(), Way::NoArgument)
    }

    /// What the `kong.conf` gives.
    pub fn in_kong_conf(&self, variable: &str) -> Option<Given> {
        let name = variable.strip_prefix("KONG_")?.to_ascii_lowercase();
        not_empty(self.kong_conf.get(&name)?, format!("{name} in kong.conf"), Way::NoArgument)
    }

    /// A variable of the environment as it is, whatever its value.
    pub fn environment_value(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }

    /// A text without what was given for settings and may be a secret.
    pub(super) fn without_secrets(&self, text: &str) -> String {
        let values = [&self.flags, &self.environment, &self.kong_conf].into_iter().flat_map(BTreeMap::values);
        without_secrets(text, values.map(String::as_str))
    }

    /// The names of the environment's variables.
    pub fn environment_names(&self) -> impl Iterator<Item = &str> {
        self.environment.keys().map(String::as_str)
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
        assert!(source.conf_problem().unwrap().starts_with("--kong-conf: /no/such/kong.conf can't be read"));
    }
}
