//! The log: tracing to standard error, for people or as JSON.

use std::io::stderr;

use anstream::{AutoStream, ColorChoice};
use lifeboat_runtime::progress::TARGET;
use tracing_subscriber::filter::{LevelFilter, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, registry};

use crate::cli::Task;
use crate::progress::{LogWriter, Shown};
use crate::role;
use crate::settings::{LogFormat, LogSettings, Source};

/// The log of this process, once it is set up.
#[derive(Clone, Debug)]
pub struct Log {
    format: LogFormat,
    /// None where nothing is logged.
    filter: Option<Handle<Targets, Registry>>,
}

impl Log {
    /// For a command that logs nothing.
    pub fn none() -> Self {
        Self { format: LogFormat::Text, filter: None }
    }

    /// Its form, which doesn't change.
    pub fn format(&self) -> LogFormat {
        self.format
    }

    /// From now on that is logged which these settings say.
    pub fn set_level_of(&self, source: &Source) {
        if let Some(filter) = &self.filter {
            // The subscriber is the process's own, and ends with it.
            let _ = filter.reload(self::filter(LogSettings::of(source, "info").levels));
        }
    }
}

// Whatever is logged, steps are no log, and each line says which part it is of.
fn filter(levels: Targets) -> Targets {
    levels.with_target(TARGET, LevelFilter::OFF).with_target(role::TARGET, LevelFilter::ERROR)
}

/// What a command logs if nothing is set; none: nothing, whatever is set.
pub fn default_level(task: &Task) -> Option<&'static str> {
    match task {
        // The demo, the doctor and a drill print what they find on standard output; the log besides is for those who ask for it
        // (LIFEBOAT_LOG=info).
        Task::Demo(_) => Some("error"),
        Task::Doctor(_) | Task::Drill(_) => Some("off"),
        // They ask another process, and must work even if the settings here are wrong.
        Task::Healthcheck(_) | Task::Status(_) => None,
        // They print the same, whatever the settings are.
        Task::Completions(_) | Task::Manual(_) | Task::Schema(_) => None,
        _ => Some("info"),
    }
}

/// Sets the log up for the whole process. `default` is the level if none is set, or what is set is wrong, which whoever reads
/// the settings says. What takes a while is shown as `progress` says.
pub fn init(source: &Source, default: &str, progress: Shown) -> Log {
    let LogSettings { levels, format } = LogSettings::of(source, default);
    let (filter, handle) = reload::Layer::new(self::filter(levels));

    let (terminal, waits) = match progress {
        Shown::Nowhere => (None, None),
        Shown::On(terminal) => (Some(terminal), None),
        Shown::InTheLog(waits) => (None, Some(waits)),
    };

    let log = fmt::layer().with_writer(LogWriter(terminal.clone()));
    let log = match format {
        LogFormat::Json => log.json().with_filter(filter).boxed(),
        LogFormat::Text => log.with_target(false).with_ansi(has_colours()).with_filter(filter).boxed(),
    };

    let is_step = || filter_fn(|metadata| metadata.target() == TARGET);
    let terminal = terminal.map(|terminal| terminal.with_filter(is_step()));
    registry().with(log).with(terminal).with(waits.map(|waits| waits.with_filter(is_step()))).init();
    Log { format, filter: Some(handle) }
}

// NO_COLOR, CLICOLOR, CLICOLOR_FORCE and TERM=dumb, as the help takes them.
fn has_colours() -> bool {
    AutoStream::choice(&stderr()) != ColorChoice::Never
}
