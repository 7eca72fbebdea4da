//! What no data plane can run, whatever its version and plugins: the little that can be said of a configuration without
//! Kong's schemas.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why no data plane can ever run a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unrunnable {
    /// Its hash is 32 zeros, by which a node says that it has no configuration: one that ran it would say that it is empty,
    /// and be sent it again.
    EmptyHash,
    /// It has no `_format_version`, without which no declarative configuration is read.
    NoFormatVersion,
    /// Where a list of entities should be, or an entity in one, is `null`.
    NullEntities {
        /// The member: `services`, `routes` …
        kind: String,
    },
}

impl fmt::Display for Unrunnable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyHash => {
                f.write_str("its hash is 32 zeros, by which data planes say that they have no configuration")
            }
            Self::NoFormatVersion => f.write_str("it has no _format_version"),
            Self::NullEntities { kind } => write!(f, "{kind} is null, or one of them is"),
        }
    }
}
