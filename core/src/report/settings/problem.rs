//! What can be wrong with the filter's settings, in words that say how to put it right. Not here: looking for it.

use super::FilterSettings;

/// A valid setting of everything that must be set, for messages.
pub(super) const EXAMPLE: &str = r#"{"companion":"10.0.0.5:8115","status_api":"127.0.0.1:8100"}"#;

/// What is wrong with the filter's settings. The text says how to put it right, and repeats no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsProblem {
    /// More bytes than are read.
    #[error("the filter's settings have {0} bytes, at most {max} are read; see docs/filter.md for an example", max = FilterSettings::MAX_BYTES)]
    TooLarge(usize),
    /// There are none.
    #[error("the filter has no settings; give its entry in the filter chain a config such as {EXAMPLE}")]
    Absent,
    /// Not a JSON object.
    #[error("the filter's settings are not a JSON object ({0}); an example: {EXAMPLE}")]
    NotAnObject(String),
    /// A setting that must be there isn't.
    #[error("{setting} is not set; it must be {must}")]
    Missing {
        /// The setting's name.
        setting: &'static str,
        /// What it must be, with an example.
        must: &'static str,
    },
    /// A setting has a value that it can't have.
    #[error("{setting} is {got}; it must be {must}")]
    Wrong {
        /// The setting's name.
        setting: &'static str,
        /// The value as JSON, cut to 80 characters.
        got: String,
        /// What it must be, with an example.
        must: &'static str,
    },
    /// `host` says Envoy, and this setting is no cluster.
    #[error(r#"host is "envoy" and {setting} is not the name of a cluster: Envoy calls nothing else, so host is not believed; in Kong 3.9 leave it out"#)]
    NotEnvoy {
        /// The setting that is something else, or nothing.
        setting: &'static str,
    },
    /// A secret has a value that it can't have, which is not repeated.
    #[error("{setting} can't be used; it must be {must}")]
    WrongSecret {
        /// The setting's name.
        setting: &'static str,
        /// What it must be.
        must: &'static str,
    },
}
