//! `lifeboat`, the program. Reads the command line, starts the clock, and says how it ended.

use std::ffi::OsString;
use std::process::ExitCode;

use lifeboat::cli::{self, Task};
use lifeboat::command::stopped::unless_stopped;
use lifeboat::command::{exec, perform};
use lifeboat::exit_status::ExitStatus;
use lifeboat::logging::{self, Log};
use lifeboat::progress::Shown;
use lifeboat::role;
use lifeboat::settings::LogFormat;
use lifeboat_runtime::clock::Clock;
use rustix::fs::Mode;
use rustix::process::umask;
use tokio::runtime::{Builder, Runtime};
use tracing::Instrument;

fn main() -> ExitCode {
    // What is written holds private keys: nobody else may read it.
    let inherited = umask(Mode::from_raw_mode(0o077));
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let matches = match cli::matches(&arguments) {
        Ok(matches) => matches,
        Err(error) if error.use_stderr() => return wrong_usage(&error),
        Err(help) => help.exit(),
    };
    let request = cli::read(&matches, environment());

    // The program that we become writes its files as it would without us, and manual pages are for everybody.
    if matches!(request.task, Task::Exec(_) | Task::Manual(_)) {
        umask(inherited);
    }
    let level = logging::default_level(&request.task);

    // They report their own progress: one in its log, the other on standard output.
    let progress = match request.task {
        Task::Run | Task::Demo(_) | Task::Status(_) => Shown::Nowhere,
        _ => Shown::to_people(),
    };
    let log = level.map_or_else(Log::none, |level| logging::init(&request.source, level, progress));
    let format = log.format();
    let runtime = match (runtime(&request.task), &request.task) {
        (Ok(runtime), _) => runtime,
        // The gateway starts whatever happens.
        (Err(error), Task::Exec(asked)) if !asked.check => {
            let Err(failure) = exec::exec_undecided(asked, error);
            return end(&failure.into(), format);
        }
        (Err(error), _) => return end(&ExitStatus::failed(&error), format),
    };

    let ends_itself = matches!(
        request.task,
        Task::Run | Task::Demo(_) | Task::Export(_) | Task::Import(_) | Task::Exec(_) | Task::Status(_)
    );
    let role = role::of_command(&request.task);
    let performed = async {
        match ends_itself {
            true => perform(request, &log).await,
            // All others can be left at any point, and then take back what they show on a terminal.
            false => unless_stopped(perform(request, &log)).await,
        }
    };

    let result = runtime.block_on(performed.instrument(role));
    // A background task may be in the middle of something long; nobody waits for it any more.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => end(&failure.into(), format),
    }
}

// What is started every few seconds, and waits for one answer, needs no thread for each of the host's processors.
fn runtime(task: &Task) -> std::io::Result<Runtime> {
    match task {
        Task::Healthcheck(_) | Task::Status(_) => Builder::new_current_thread().enable_all().build(),
        _ => Runtime::new(),
    }
}

// Values that aren't UTF-8 can't be settings.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

// An argument in the wrong place may be a secret, such as a key that was to be a path.
fn wrong_usage(error: &clap::Error) -> ExitCode {
    let arguments: Vec<String> = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    anstream::eprint!("{}", cli::without_secrets(&error.render().ansi().to_string(), &arguments));
    ExitCode::from(2)
}

fn end(status: &ExitStatus, format: LogFormat) -> ExitCode {
    eprintln!("{}", status.line(format, Clock::start().wall()));
    ExitCode::from(status.code)
}
