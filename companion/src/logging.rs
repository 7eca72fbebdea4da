//! The log: tracing to standard error, for people or as JSON.

use std::io::stderr;

use anstream::{AutoStream, ColorChoice};
use tracing_subscriber::filter::{ParseError, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

use crate::progress::{self, LogWriter, Terminal};
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

/// Sets the log up for the whole process. `default` is the level if none is set. What takes a while is shown below the log
/// on `terminal`, if there is one. Gives the format of the log.
pub fn init(source: &Source, default: &str, terminal: Option<Terminal>) -> Result<Format, LoggingError> {
    let filter = match source.get("LIFEBOAT_LOG") {
        None => EnvFilter::new(directives(default)),
        Some(given) => EnvFilter::try_new(directives(given.value.trim()))
            .map_err(|error| LoggingError::Filter { name: given.name, error })?,
    };
    // Steps are no log, whatever is logged.
    let filter = filter.add_directive(format!("{}=off", progress::TARGET).parse().expect("it is a valid directive"));
    let log = fmt::layer().with_writer(LogWriter(terminal.clone()));
    let format = Format::read(source)?;
    let log = match format {
        Format::Json => log.json().with_filter(filter).boxed(),
        Format::Text => log.with_target(false).with_ansi(has_colours()).with_filter(filter).boxed(),
    };
    let is_step = filter_fn(|metadata| metadata.target() == progress::TARGET);
    registry().with(log).with(terminal.map(|terminal| terminal.with_filter(is_step))).init();
    Ok(format)
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lines for people.
    Text,
    /// An object a line.
    Json,
}

impl Format {
    fn read(source: &Source) -> Result<Self, LoggingError> {
        match source.get("LIFEBOAT_LOG_FORMAT") {
            None => Ok(Self::Text),
            Some(given) => match given.value.trim() {
                "text" => Ok(Self::Text),
                "json" => Ok(Self::Json),
                _ => Err(LoggingError::Format { name: given.name, value: given.value }),
            },
        }
    }
}

// NO_COLOR, CLICOLOR, CLICOLOR_FORCE and TERM=dumb, as the help takes them.
fn has_colours() -> bool {
    AutoStream::choice(&stderr()) != ColorChoice::Never
}

// A bare level is meant for Lifeboat. From its libraries only warnings are wanted: what they say at finer levels is
// theirs to decide, and could be a header with a credential.
fn directives(text: &str) -> String {
    if text.contains(['=', ',']) { text.to_owned() } else { format!("warn,lifeboat={text},lifeboat_core={text}") }
}
