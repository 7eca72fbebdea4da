//! `lifeboat import`: gives a configuration to one node that has none, if its control plane gives it nothing: into the cache
//! of a node that has not been started yet, or through the Admin API of a node without a database.

mod cache;
mod dbless;

use std::io::Read;
use std::path::Path;

use anyhow::Context;
use lifeboat_runtime::clock::Clock;
use tracing::{error, info};

use super::stopped::unless_stopped;
use super::{Failure, stdout};
use crate::cli::{AlsoWell, Import};
use crate::logging::Log;
use crate::settings::{Source, When};

/// The most that a ticket has: a manifest and two links.
const TICKET_LIMIT: u64 = 4 << 20;

/// Gives the published snapshot, or the one of a ticket, to the node.
pub async fn import(source: &Source, asked: &Import, log: &Log, clock: Clock) -> Result<(), Failure> {
    let ended = give(source, asked, log, clock).await;
    match (ended, asked.exit_zero_if) {
        (Err(Failure::NothingToDo(why)), Some(_)) => {
            info!("nothing to do: {why}");
            Ok(())
        }
        (Err(Failure::Failed(failed)), Some(AlsoWell::Failed)) => {
            error!("the node was given nothing, and has no configuration unless its control plane is back: {failed:#}");
            Ok(())
        }
        (ended, _) => ended,
    }
}

async fn give(source: &Source, asked: &Import, log: &Log, clock: Clock) -> Result<(), Failure> {
    let ticket = asked.ticket.as_deref().map(read_ticket).transpose()?;
    let ticket = ticket.as_deref();
    let when = if asked.always { When::Always } else { When::ControlPlaneUnreachable };
    match &asked.dbless {
        None => unless_stopped(cache::import(source, ticket, when, clock)).await,
        Some(url) if asked.watch => dbless::watch(source, url, ticket, log, when, clock).await,
        Some(url) => unless_stopped(dbless::once(source, url, ticket, when, clock)).await,
    }
}

// Not from an argument: everybody on this host can read those.
fn read_ticket(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = match path.to_str() {
        Some("-") => std::io::stdin().lock().take(TICKET_LIMIT).read_to_string(&mut text),
        _ => std::fs::File::open(path).and_then(|file| file.take(TICKET_LIMIT).read_to_string(&mut text)),
    };
    read.with_context(|| format!("--ticket: {} can't be read", path.display()))?;
    Ok(text)
}
