//! The log: tracing to standard error, for people or as JSON.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::settings::Source;

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// `LIFEBOAT_LOG`.
    #[error("{name}: {error} (valid: info, debug, lifeboat::relay=debug)")]
    Filter {
        /// Where it was set.
        name: String,
        /// What is wrong.
        error: ParseError,
    },
    /// `LIFEBOAT_LOG_FORMAT`.
    #[error("{name}: {value:?} is neither text nor json")]
    Format {
        /// Where it was set.
        name: String,
        /// What was set.
        value: String,
    },
}

/// Sets the log up for the whole process. `default` is the level if none is set.
pub fn init(source: &Source, default: &str) -> Result<(), LoggingError> {
    let filter = match source.get("LIFEBOAT_LOG") {
        None => EnvFilter::new(directives(default)),
        Some(given) => EnvFilter::try_new(directives(given.value.trim()))
            .map_err(|error| LoggingError::Filter { name: given.name, error })?,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    match source.get("LIFEBOAT_LOG_FORMAT") {
        Some(given) if given.value.trim() == "json" => builder.json().init(),
        Some(given) if given.value.trim() != "text" => {
            return Err(LoggingError::Format { name: given.name, value: given.value });
        }
        _ => {
            let colours = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            builder.with_target(false).with_ansi(colours).init();
        }
    }
    Ok(())
}

// A bare level is meant for Lifeboat. From its libraries only warnings are wanted: what they say at finer levels is
// theirs to decide, and could be a header with a credential.
fn directives(text: &str) -> String {
    if text.contains(['=', ',']) { text.to_owned() } else { format!("warn,lifeboat={text},lifeboat_core={text}") }
}
