//! `lifeboat prune`: shows which snapshots of the history may go, and deletes them at once if that is asked for.

use std::time::Duration;

use anyhow::Context;
use lifeboat_core::export::retention::Aged;
use lifeboat_core::object_key::{HistoryState, SnapshotId};
use lifeboat_runtime::clock::Clock;
use serde_json::json;

use super::configuration::version;
use super::envelope::enveloped;
use super::table::{Concession, SHORTENED, Table};
use super::{Failure, stdout};
use crate::archive::{Operator, Prunable};
use crate::cli::Output;
use crate::settings::{HistoryLimit, ReleaseSettings, Source};
use crate::terminal::{folded_lines, terminal_width};

/// What a reader misses least on a narrow terminal.
const CONCESSIONS: [Concession; 2] = [Concession::Shorten("CONFIGURATION", 13), Concession::Drop("WRITTEN")];

/// Whether anything is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// It is only shown what would be.
    Shown,
    /// It is done.
    Done,
}

/// Shows what the history has more of than `LIFEBOAT_HISTORY` and the periods want, or deletes it.
pub async fn prune(source: &Source, deletion: Deletion, output: Output, clock: Clock) -> Result<(), Failure> {
    let settings = ReleaseSettings::read(source)?;
    if settings.store.history == HistoryLimit::Everything {
        return Err(Failure::NothingToDo("LIFEBOAT_HISTORY=all keeps every snapshot: nothing was deleted".to_owned()));
    }
    let archive = Operator::open_existing(&settings.store).map_err(anyhow::Error::from)?;
    let version = version(&archive, settings.version).await?;
    let prunable = archive.prunable(version, clock.wall()).await.map_err(anyhow::Error::from)?;
    let place = archive.place();
    let Some(prunable) = prunable else {
        return Err(Failure::NothingToDo(format!(
            "nothing is published in {place} for Kong {version}, so it is not known what is good: nothing was deleted"
        )));
    };
    if prunable.snapshots.is_empty() {
        let there = prunable.there;
        return Err(Failure::NothingToDo(format!("none of the {there} snapshots of Kong {version} in {place} may go")));
    }

    let gone = match deletion {
        Deletion::Shown => Vec::new(),
        Deletion::Done => {
            let gone = archive.prune(version, &prunable).await;
            gone.map_err(anyhow::Error::from).context("not all that may go was deleted")?
        }
    };
    let left = prunable.snapshots.len() - gone.len();
    let text = match (output, deletion) {
        (Output::Json, _) => as_json(&prunable, &gone),
        (Output::Table, Deletion::Shown) => {
            let (time, whose) = match archive.own_time() {
                Some(time) => (time, "the store's clock"),
                None => (clock.wall(), "this host's clock"),
            };
            let (going, there) = (prunable.snapshots.len(), prunable.there);
            let said = format!(
                "\n\n{going} of {there} snapshots of Kong {version} in {place} may go, by LIFEBOAT_HISTORY and by {whose}, \
                 which shows {time}. Nothing was deleted: lifeboat prune --yes deletes them"
            );
            let width = terminal_width();
            as_table(&prunable, width) + &folded_lines(&said, width)
        }
        (Output::Table, Deletion::Done) => {
            format!("{} snapshots of Kong {version} were deleted in {place}", gone.len())
        }
    };

    stdout::line(&text).map_err(anyhow::Error::from)?;
    match deletion {
        Deletion::Done if left > 0 => Err(anyhow::anyhow!(
            "{left} snapshots stay: something was published meanwhile. Look at what may go now, and do it again"
        )
        .into()),
        Deletion::Done | Deletion::Shown => Ok(()),
    }
}

fn as_json(prunable: &Prunable, gone: &[SnapshotId]) -> String {
    let snapshot = |old: &Aged| {
        json!({
            "sequence": old.past.id.sequence,
            "config_hash": old.past.id.config_hash,
            "state": state(old.past.state),
            "written": old.written,
            "age_seconds": old.age.as_secs(),
            "deleted": gone.contains(&old.past.id),
        })
    };
    let snapshots: Vec<serde_json::Value> = prunable.snapshots.iter().map(snapshot).collect();
    let report = json!({ "snapshots": snapshots, "there": prunable.there - gone.len() });
    enveloped("prune", report)
}

fn as_table(prunable: &Prunable, width: Option<usize>) -> String {
    let titles = ["SNAPSHOT", "STATE", "CONFIGURATION", "WRITTEN", "AGE"];
    let mut table = Table::new(&titles).with_numbers_in(&["SNAPSHOT"]);
    for old in &prunable.snapshots {
        table.add(vec![
            old.past.id.sequence.to_string(),
            state(old.past.state).to_owned(),
            old.past.id.config_hash.to_string(),
            old.written.to_string(),
            age(old.age),
        ]);
    }
    match table.fitted(width, &CONCESSIONS) {
        (table, true) => format!("{table}\n{}", folded_lines(SHORTENED, width)),
        (table, false) => table,
    }
}

fn state(state: HistoryState) -> &'static str {
    match state {
        HistoryState::Published => "published",
        HistoryState::HeldAsShrunk | HistoryState::HeldAsRefused | HistoryState::HeldAsUnrunnable => "held",
        HistoryState::Leftover => "unpublished",
    }
}

fn age(age: Duration) -> String {
    // Minutes tell enough, and nobody wants to read milliseconds.
    let minutes = Duration::from_secs(age.as_secs() / 60 * 60);
    humantime::format_duration(minutes).to_string()
}
