//! `lifeboat exec -- CMD …`: becomes the program that starts a node. Only for a node without a configuration, to which its
//! control plane gives none, it writes a declarative file first and tells the program of it.
//!
//! The gateway always starts: whatever is wrong with settings, whatever can't be read, asked, fetched or written, the program
//! is started as it is. `--strict` is for a rollout that is to stop over settings. What is decided, and why, is in
//! `decision`.

mod check;
mod decision;
mod earlier_file;

use std::convert::Infallible;
use std::path::Path;

use anyhow::anyhow;
use lifeboat_runtime::clock::Clock;
use tracing::{Instrument, error, info, warn};

use self::decision::{Start, decide};
use super::Failure;
use super::stopped::unless_stopped;
use crate::cli::Exec;
use crate::one_shot::CommandLine;
use crate::settings::Source;

/// Becomes the program, and returns only if that can't be; or with `--check` says what would be done about the settings.
///
/// # Errors
/// When the program can't be started, a signal comes before, or settings are wrong and that is to stop it.
pub async fn exec(source: &Source, asked: &Exec, clock: Clock) -> Result<(), Failure> {
    let program = CommandLine::of(&asked.command);
    if asked.check {
        return check::check(source, program.as_ref());
    }
    let program = program.ok_or_else(|| anyhow!("no program is named: lifeboat exec -- kong start"))?;
    let start = match decided(source, &program, clock).await? {
        Start::Wrong { problems, kept: None } if asked.strict => return Err(problems.into()),
        start => start,
    };
    earlier_file::tell(source, &start).await;
    let Err(not_started) = started(&program, start);
    Err(not_started)
}

/// Becomes the program where nothing could be decided, since the system gives what that takes to nobody.
///
/// # Errors
/// When the program can't be started.
pub fn exec_undecided(asked: &Exec, why: std::io::Error) -> Result<Infallible, Failure> {
    match CommandLine::of(&asked.command) {
        Some(program) => started(&program, Start::Empty(why.into())),
        None => Err(anyhow::Error::from(why).into()),
    }
}

// Ends without a start only for a signal. A mistake of ours is nothing that a gateway should not be started for.
async fn decided(source: &Source, program: &CommandLine, clock: Clock) -> Result<Start, Failure> {
    let (source, program) = (source.clone(), program.clone());
    let deciding = tokio::spawn(async move { decide(&source, &program, clock).await }.in_current_span());
    let decided = unless_stopped(async {
        Ok(deciding.await.unwrap_or_else(|_| Start::Empty(anyhow!("lifeboat has a defect, which is shown above"))))
    });
    match decided.await {
        Err(stopped @ Failure::AsAShell { .. }) => Err(stopped),
        Err(other) => Ok(Start::Empty(other.into())),
        Ok(start) => Ok(start),
    }
}

fn started(program: &CommandLine, start: Start) -> Result<Infallible, Failure> {
    let file = match start {
        Start::AsItIs(why) => {
            info!("{program} is started unchanged: {why}");
            None
        }
        Start::NoGateway(command) => {
            info!("{program} is started unchanged: kong {command} starts no gateway");
            None
        }
        Start::Untold(why) => {
            warn!("{program} is started unchanged; if the node is empty, it stays empty in an outage: {why}");
            None
        }
        Start::Wrong { problems, kept: Some(why) } => {
            error!("{program} is started unchanged: {why}. Without one it could not be restored: {problems}");
            None
        }
        Start::Wrong { problems, kept: None } => {
            error!(
                "{program} is started unchanged; if the node is empty, it stays empty in an outage: \
                 {problems}\n(--strict ends here instead)"
            );
            None
        }
        Start::Empty(why) => {
            error!("{program} is started WITHOUT A CONFIGURATION: {why:#}");
            None
        }
        Start::With(file, said) => {
            info!("{program} is started with KONG_DECLARATIVE_CONFIG={}: {said}", file.display());
            Some(file)
        }
    };
    let not_started = program.become_it(file.as_deref());

    // What it holds is nobody's now.
    if let Some(Err(error)) = file.as_deref().map(remove) {
        warn!("the declarative file can't be removed: {error}");
    }
    let Err(not_started) = not_started;
    Err(Failure::AsAShell { code: not_started.exit_code(), why: not_started.to_string() })
}

fn remove(file: &Path) -> std::io::Result<()> {
    std::fs::remove_file(file)
}
