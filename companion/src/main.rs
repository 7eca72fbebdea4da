//! `lifeboat`, the program. Reads the command line, starts the clock, and says how it ended.

use std::process::ExitCode;

use lifeboat::archive::Stay;
use lifeboat::cli::{self, Request, Task};
use lifeboat::command::confirm::Ask;
use lifeboat::command::prune::Deletion;
use lifeboat::command::stopped::unless_stopped;
use lifeboat::command::{
    Failure, completions, demo, diff, doctor, drill, exec, export, healthcheck, import, keygen, list, manual, pin,
    presign, prune, release, rollback, run, schema, show, verify,
};
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
    let matches = match cli::definition().try_get_matches() {
        Ok(matches) => matches,
        Err(error) if error.use_stderr() => return wrong_usage(&error),
        Err(help) => help.exit(),
    };
    let request = cli::read(&matches, environment());

    // The program that we become writes its files as it would without us, and manual pages are for everybody.
    if matches!(request.task, Task::Exec(_) | Task::Manual(_)) {
        umask(inherited);
    }
    // The demo, the doctor and a drill print what they find on standard output; the log besides is for those who ask for it
    // (LIFEBOAT_LOG=info).
    let level = match request.task {
        Task::Demo(_) => Some("error"),
        Task::Doctor(_) | Task::Drill(_) => Some("off"),
        // It asks another process, and must work even if the settings here are wrong.
        Task::Healthcheck(_) => None,
        // They print the same, whatever the settings are.
        Task::Completions(_) | Task::Manual(_) | Task::Schema(_) => None,
        _ => Some("info"),
    };

    // They report their own progress: one in its log, the other on standard output.
    let progress = match request.task {
        Task::Run | Task::Demo(_) => Shown::Nowhere,
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

    let ends_itself =
        matches!(request.task, Task::Run | Task::Demo(_) | Task::Export(_) | Task::Import(_) | Task::Exec(_));
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
        Task::Healthcheck(_) => Builder::new_current_thread().enable_all().build(),
        _ => Runtime::new(),
    }
}

async fn perform(request: Request, log: &Log) -> Result<(), Failure> {
    let (clock, source) = (Clock::start(), &request.source);
    match request.task {
        Task::Run => run::run(source, log, clock).await,
        Task::Healthcheck(asked) => healthcheck::healthcheck(source, &asked).await,
        Task::Export(asked) => export::export(source, &asked, log, clock).await,
        Task::List(asked) => list::list(source, asked.limit, asked.output, clock.wall()).await,
        Task::Doctor(asked) => doctor::doctor(source, asked.output, clock).await,
        Task::Drill(asked) => drill::drill(source, &asked, clock).await,
        Task::Show(asked) => show::show(source, &asked, clock.wall()).await,
        Task::Verify(asked) => verify::verify(source, &asked, clock).await,
        Task::Diff(asked) => diff::diff(source, &asked, clock.wall()).await,
        Task::Import(asked) => import::import(source, &asked, log, clock).await,
        Task::Exec(asked) => exec::exec(source, &asked, clock).await,
        Task::Presign(asked) => {
            presign::presign(source, asked.sequence, asked.expires_in, asked.output, clock.wall()).await
        }
        Task::Release(asked) => {
            release::release(source, asked.sequence, Ask::unless_told(asked.yes), asked.output, clock).await
        }
        Task::Rollback(asked) => {
            let stay = if asked.hard { Stay::UntilUnpinned } else { Stay::UntilItChanges };
            rollback::rollback(source, asked.sequence, stay, Ask::unless_told(asked.yes), asked.output, clock).await
        }
        Task::Pin(asked) => pin::pin(source, asked.sequence, Ask::unless_told(asked.yes), asked.output, clock).await,
        Task::Unpin(asked) => pin::unpin(source, asked.output, clock).await,
        Task::Prune(asked) => {
            let deletion = if asked.yes { Deletion::Done } else { Deletion::Shown };
            prune::prune(source, deletion, asked.output, clock).await
        }
        Task::Keygen(asked) => keygen::keygen(asked.purpose, asked.name, asked.folder.as_deref(), asked.output),
        Task::Schema(asked) => schema::schema(asked.of),
        Task::Completions(asked) => completions::completions(asked.shell),
        Task::Manual(asked) => manual::manual(asked.folder.as_deref()),
        Task::Demo(asked) => demo::demo(source, asked.actor.as_ref(), clock).await,
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
