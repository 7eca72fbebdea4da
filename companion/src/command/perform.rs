//! Which function does what was asked for on the command line. What each command does is its own file's.

use lifeboat_runtime::clock::Clock;

use super::confirm::Ask;
use super::prune::Deletion;
use super::{
    Failure, completions, demo, diff, doctor, drill, exec, export, healthcheck, import, keygen, list, manual, pin,
    presign, prune, release, rollback, run, schema, show, status, verify,
};
use crate::archive::Stay;
use crate::cli::{Request, Task};
use crate::logging::Log;

/// Does what was asked for on the command line.
///
/// # Errors
/// When it was not done, with the exit code.
pub async fn perform(request: Request, log: &Log) -> Result<(), Failure> {
    let (clock, source) = (Clock::start(), &request.source);
    match request.task {
        Task::Run => run::run(source, log, clock).await,
        Task::Status(asked) => status::status(source, &asked).await,
        Task::Healthcheck(asked) => healthcheck::healthcheck(source, &asked).await,
        Task::Export(asked) => export::export(source, &asked, log, clock).await,
        Task::List(asked) => list::list(source, &asked, clock.wall()).await,
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
