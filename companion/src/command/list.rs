//! `lifeboat list`: which snapshots there are.

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::Pin;
use lifeboat_core::time::WallTime;
use lifeboat_storage::StorageError;
use serde_json::json;

use super::envelope::enveloped;
use super::show::sync_hash;
use super::table::{Concession, SHORTENED, Table, age};
use super::{Failure, stdout};
use crate::archive::snapshot_state::{RELEASED, UNPUBLISHED};
use crate::archive::{ArchiveReader, Extent, History, Listed};
use crate::cli::{List, Output};
use crate::settings::{Source, StoreSettings};
use crate::terminal::{folded_lines, terminal_width};

/// What a reader misses least on a narrow terminal.
const CONCESSIONS: [Concession; 6] = [
    Concession::Drop("RECEIVED"),
    Concession::Shorten("CONFIGURATION", 13),
    Concession::Drop("BYTES"),
    Concession::Drop("CONFIGURATION"),
    Concession::Drop("SERVICES"),
    Concession::Drop("ROUTES"),
];

/// Lists the newest snapshots of each version of Kong, and fails afterwards if a manifest can't be read.
pub async fn list(source: &Source, asked: &List, now: WallTime) -> Result<(), Failure> {
    let archive = ArchiveReader::open_existing(&StoreSettings::read_alone(source)?).map_err(anyhow::Error::from)?;
    let histories = read(&archive, asked).await.map_err(anyhow::Error::from)?;

    let text = match asked.output {
        Output::Json => as_json(archive.place(), &histories),
        Output::Table if histories.is_empty() => format!("no backups in {}", archive.place()),
        Output::Table => as_table(&histories, now, terminal_width()),
    };
    stdout::line(&text).map_err(anyhow::Error::from)?;

    let problems: Vec<&str> = histories.iter().filter_map(|history| history.problem.as_deref()).collect();
    if problems.is_empty() { Ok(()) } else { Err(anyhow::anyhow!(problems.join("; ")).into()) }
}

async fn read(archive: &ArchiveReader, asked: &List) -> Result<Vec<History>, StorageError> {
    let (limit, extent) = match asked.newest {
        Some(newest) => (newest, Extent::Newest),
        None => (asked.limit, Extent::Whole),
    };

    let mut histories = Vec::new();
    for version in archive.versions().await? {
        histories.push(archive.history(version, limit, extent).await?);
    }
    Ok(histories)
}

fn as_json(store: &str, histories: &[History]) -> String {
    let snapshot = |history: &History, listed: &Listed| {
        json!({
            "sequence": listed.id.sequence,
            "config_hash": listed.id.config_hash,
            "sync_hash": sync_hash(listed.id.sequence),
            "published": history.is_published(listed),
            "state": history.state_of(listed),
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

    enveloped("list", json!({ "store": store, "versions": histories }))
}

fn as_table(histories: &[History], now: WallTime, width: Option<usize>) -> String {
    let titles = ["KONG", "SNAPSHOT", "STATE", "CONFIGURATION", "RECEIVED", "AGE", "SERVICES", "ROUTES", "BYTES"];
    let mut table = Table::new(&titles).with_numbers_in(&["SERVICES", "ROUTES", "BYTES"]);
    let mut notes = Vec::new();

    for history in histories {
        for listed in &history.snapshots {
            table.add(row(history, listed, now));
        }
        notes.extend(notes_on(history));
    }
    if histories.iter().any(|history| history.published.is_some()) {
        notes.insert(0, "* published: what new nodes are restored from".to_owned());
    }

    let notes_alone = histories.iter().all(|history| history.snapshots.is_empty());
    if notes_alone {
        return folded_lines(&notes.join("\n"), width);
    }
    let (table, is_shortened) = table.fitted(width, &CONCESSIONS);
    if is_shortened {
        notes.push(SHORTENED.to_owned());
    }
    format!("{table}\n{}", folded_lines(&notes.join("\n"), width))
}

fn row(history: &History, listed: &Listed, now: WallTime) -> Vec<String> {
    let mark = if history.is_published(listed) { "*" } else { "" };
    let mut row = vec![history.version.to_string(), format!("{}{mark}", listed.id.sequence)];

    match &listed.manifest {
        Some(manifest) => row.extend([
            history.state_of(listed).to_owned(),
            manifest.config_hash.to_string(),
            manifest.times.received.to_string(),
            age(manifest.times.received, now),
            manifest.counts.get("services").to_string(),
            manifest.counts.get("routes").to_string(),
            manifest.config.bytes.to_string(),
        ]),
        None => row.extend([history.state_of(listed).to_owned(), listed.id.config_hash.to_string()]),
    }
    row
}

// What a reader of the table can't guess.
fn notes_on(history: &History) -> Vec<String> {
    let mut notes = Vec::new();
    let version = history.version;

    if history.published.is_none() && history.problem.is_none() && history.snapshots.is_empty() {
        notes.push(format!(
            "Kong {version}: no snapshot of lifeboat's; what else lies there, such as a bare config.json of Kong's own \
             exporter, is shown by lifeboat show --kong-version {version}"
        ));
    }
    if history.published.is_none() && history.problem.is_none() && !history.snapshots.is_empty() {
        notes.push(format!("Kong {version}: nothing is published: there is no manifest.json"));
    }

    for listed in &history.snapshots {
        let sequence = listed.id.sequence;
        if let Some(reason) = &listed.refused {
            notes.push(format!("Kong {version}: snapshot {sequence} is refused: {reason}"));
        }
        let Some(manifest) = &listed.manifest else { continue };
        if let Some(why) = &manifest.held
            && history.state_of(listed) != RELEASED
        {
            notes.push(format!(
                "Kong {version}: snapshot {sequence} is held: {why}. If it is right: lifeboat release {sequence}"
            ));
        }
        if let Some(reason) = manifest.source.as_ref().and_then(|source| source.accepted.as_deref()) {
            notes.push(format!(
                "Kong {version}: snapshot {sequence} is not checked: it was published though it was refused, by an operator who \
                 said {reason:?}"
            ));
        }
        match manifest.pin {
            Some(pin) if history.is_published(listed) => notes.push(pinned(version, sequence, pin)),
            Some(_) | None => {}
        }
    }

    if history.snapshots.iter().any(|listed| history.state_of(listed) == UNPUBLISHED) {
        notes.push(format!(
            "Kong {version}: {UNPUBLISHED}: a payload alone, being written or left by a crash. Nothing needs it; after a day \
             an exporter deletes it, where it may"
        ));
    }
    match history.older {
        Some(0) => {}
        Some(older) => notes.push(format!("Kong {version}: {older} older snapshots are not shown (--limit)")),
        None => {
            notes.push(format!("Kong {version}: older snapshots are neither shown nor counted (--limit counts them)"))
        }
    }
    notes
}

fn pinned(version: KongVersion, sequence: u64, pin: Pin) -> String {
    match pin {
        Pin::Unpin => format!(
            "Kong {version}: snapshot {sequence} is pinned: whatever the control plane sends, nothing else is published until \
             lifeboat unpin"
        ),
        Pin::Change { .. } => format!(
            "Kong {version}: snapshot {sequence} is pinned until the control plane's configuration changes, or until lifeboat \
             unpin"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_config_json_is_no_snapshot_and_where_to_look_is_said() {
        let history = History {
            version: KongVersion::new(3, 9, 1),
            published: None,
            problem: None,
            snapshots: Vec::new(),
            older: Some(0),
        };
        let text = as_table(&[history], WallTime::from_system(std::time::SystemTime::UNIX_EPOCH), None);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("lifeboat show --kong-version 3.9.1") && !text.contains("* published"), "{text}");
    }
}
