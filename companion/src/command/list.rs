//! `lifeboat list`: which snapshots there are.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use lifeboat_core::keep::history::Fate;
use lifeboat_core::manifest::Manifest;
use lifeboat_core::time::WallTime;
use serde_json::json;

use super::{Failure, Output, stdout};
use crate::archive::{Archive, History, Listed};
use crate::settings::{Source, StoreSettings};
use crate::storage::StorageError;

/// Lists the newest `limit` snapshots of each version of Kong, and fails afterwards if a manifest can't be read.
pub async fn list(source: &Source, limit: usize, output: Output, now: WallTime) -> Result<(), Failure> {
    let archive = Archive::open(&StoreSettings::read_alone(source)?).map_err(anyhow::Error::from)?;
    let histories = read(&archive, limit).await.map_err(anyhow::Error::from)?;
    let text = match output {
        Output::Json => as_json(&histories),
        Output::Table if histories.is_empty() => format!("no backups in {}", archive.place()),
        Output::Table => as_table(&histories, now),
    };
    stdout::line(&text).map_err(anyhow::Error::from)?;
    let problems: Vec<&str> = histories.iter().filter_map(|history| history.problem.as_deref()).collect();
    if problems.is_empty() { Ok(()) } else { Err(anyhow::anyhow!(problems.join("; ")).into()) }
}

async fn read(archive: &Archive, limit: usize) -> Result<Vec<History>, StorageError> {
    let mut histories = Vec::new();
    for version in archive.versions().await? {
        histories.push(archive.history(version, limit).await?);
    }
    Ok(histories)
}

fn as_json(histories: &[History]) -> String {
    let snapshot = |history: &History, listed: &Listed| {
        json!({
            "sequence": listed.id.sequence,
            "config_hash": listed.id.config_hash,
            "published": history.published == Some(listed.id.sequence),
            "manifest": listed.manifest,
            "refused": listed.refused,
        })
    };
    let histories: Vec<_> = histories
        .iter()
        .map(|history| {
            let snapshots: Vec<_> = history.snapshots.iter().map(|listed| snapshot(history, listed)).collect();
            json!({ "kong_version": history.version, "problem": history.problem, "snapshots": snapshots, "older": history.older })
        })
        .collect();
    serde_json::to_string_pretty(&histories).expect("a listing always has a JSON form")
}

fn as_table(histories: &[History], now: WallTime) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["KONG", "SNAPSHOT", "STATE", "CONFIGURATION", "RECEIVED", "AGE", "SERVICES", "ROUTES", "BYTES"]);
    let mut notes = Vec::new();
    for history in histories {
        for listed in &history.snapshots {
            table.add_row(row(history, listed, now));
        }
        for listed in &history.snapshots {
            if let Some(reason) = &listed.refused {
                notes.push(format!("Kong {}: snapshot {} is refused: {reason}", history.version, listed.id.sequence));
            }
            if let Some(why) = listed.manifest.as_ref().and_then(|manifest| manifest.held.as_ref())
                && !is_released(history, listed)
            {
                let (version, sequence) = (history.version, listed.id.sequence);
                notes.push(format!(
                    "Kong {version}: snapshot {sequence} is held: {why}. If it is right: lifeboat release {sequence}"
                ));
            }
        }
        if history.older > 0 {
            notes.push(format!("Kong {}: {} older snapshots are not shown (--limit)", history.version, history.older));
        }
    }
    for column in [6, 7, 8] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    notes.insert(0, "* published".to_owned());
    format!("{}\n{}", table.trim_fmt(), notes.join("\n"))
}

fn row(history: &History, listed: &Listed, now: WallTime) -> Vec<String> {
    let mark = if history.published == Some(listed.id.sequence) { "*" } else { "" };
    let mut row = vec![history.version.to_string(), format!("{}{mark}", listed.id.sequence)];
    match &listed.manifest {
        Some(manifest) => row.extend([
            state_of(history, listed, manifest),
            manifest.config_hash.to_string(),
            manifest.times.received.to_string(),
            age(manifest.times.received, now),
            manifest.counts.get("services").to_string(),
            manifest.counts.get("routes").to_string(),
            manifest.config.bytes.to_string(),
        ]),
        None => {
            let state = if listed.refused.is_some() { "refused" } else { "unpublished" };
            row.extend([state.to_owned(), listed.id.config_hash.to_string()]);
        }
    }
    row
}

fn state_of(history: &History, listed: &Listed, manifest: &Manifest) -> String {
    if is_released(history, listed) { "released".to_owned() } else { format!("{:?}", manifest.state).to_lowercase() }
}

// What was held once and is in the history as a newer, published snapshot doesn't wait for anybody.
fn is_released(history: &History, listed: &Listed) -> bool {
    let is_its_copy = |other: &&Listed| {
        other.id.config_hash == listed.id.config_hash
            && other.id.sequence > listed.id.sequence
            && other.fate == Fate::Published
    };
    listed.fate.is_held() && history.snapshots.iter().find(is_its_copy).is_some()
}

fn age(received: WallTime, now: WallTime) -> String {
    let seconds = now.since(received).as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
