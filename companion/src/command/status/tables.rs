//! The tables: the lifeboats, what each exports, its relay's nodes, and below them what needs somebody's attention.

use lifeboat_core::time::WallTime;

use super::Answer;
use super::ages::Ages;
use super::answer::{Export, Relay, StatusAnswer};
use super::nodes::{self, Shown};
use crate::command::table::{Concession, SHORTENED, Table};
use crate::terminal::folded_lines;

const OFF: &str = "off";
const NOT_KNOWN: &str = "-";

/// All that was said, for a terminal of so many columns, with so many rows for nodes.
pub(super) fn of(answers: &[Answer], width: Option<usize>, most_nodes: usize) -> String {
    laid_out(answers, width, most_nodes, Ages::Shown)
}

/// The same without ages, on no terminal: it changes when something has happened.
pub(super) fn ageless(answers: &[Answer]) -> String {
    laid_out(answers, None, usize::MAX, Ages::Hidden)
}

fn laid_out(answers: &[Answer], width: Option<usize>, most_nodes: usize, ages: Ages) -> String {
    let mut is_shortened = false;
    let mut fitted = |table: Table, concessions: &[Concession]| {
        let (text, shortened) = table.fitted(width, concessions);
        is_shortened |= shortened;
        text
    };

    let mut parts = vec![fitted(lifeboats(answers, ages), &OF_LIFEBOATS)];
    if let Some(table) = exports(answers, ages) {
        parts.push(fitted(table, &OF_EXPORTS));
    }
    let nodes::Tables { table, concessions, notes: of_nodes } = nodes::tables(&shown(answers), most_nodes, ages);
    if let Some(table) = table {
        parts.push(fitted(table, concessions));
    }

    let mut notes: Vec<String> = answers.iter().flat_map(|answer| notes_on(answer, answers.len() > 1, ages)).collect();
    notes.extend(of_nodes);
    if is_shortened {
        notes.push(SHORTENED.to_owned());
    }
    if !notes.is_empty() {
        parts.push(folded_lines(&notes.join("\n"), width));
    }
    parts.join("\n\n")
}

fn shown(answers: &[Answer]) -> Vec<Shown<'_>> {
    let is_alone = answers.len() == 1;
    let said = answers.iter().filter_map(|answer| Some((answer, answer.said.as_ref().ok()?)));
    said.map(|(answer, said)| Shown { name: (!is_alone).then_some(answer.name.as_str()), status: &said.status })
        .collect()
}

const OF_LIFEBOATS: [Concession; 4] =
    [Concession::Drop("VERSION"), Concession::Drop("CONTROL PLANE"), Concession::Drop("STORE"), Concession::Drop("UP")];

fn lifeboats(answers: &[Answer], ages: Ages) -> Table {
    let titles = ["LIFEBOAT", "VERSION", "UP", "EXPORT", "RELAY", "NODES", "FROM STORE", "CONTROL PLANE", "STORE"];
    let mut table = Table::new(&titles).with_numbers_in(&["NODES", "FROM STORE"]);
    for answer in answers {
        let mut row = vec![answer.name.clone()];
        match &answer.said {
            Ok(said) => row.extend(lifeboat(&said.status, ages)),
            Err(_) => row.extend([NOT_KNOWN.to_owned(), NOT_KNOWN.to_owned(), "no answer".to_owned()]),
        }
        table.add(row);
    }
    table
}

fn lifeboat(status: &StatusAnswer, ages: Ages) -> Vec<String> {
    let export = match status.export.iter().all(|export| export.ready) {
        _ if status.export.is_empty() => OFF,
        is_ready => readiness(is_ready),
    };
    let relay = status.relay.as_ref();
    let number = |count: fn(&Relay) -> u64| relay.map_or(NOT_KNOWN.to_owned(), |relay| count(relay).to_string());
    vec![
        status.lifeboat.to_string(),
        ages.of(status.started, status.now),
        export.to_owned(),
        relay.map_or(OFF, |relay| readiness(relay.ready)).to_owned(),
        number(|relay| relay.nodes_connected),
        number(|relay| relay.nodes_served_from_store),
        status.control_plane.to_string(),
        status.store.to_string(),
    ]
}

fn readiness(is_ready: bool) -> &'static str {
    if is_ready { "ready" } else { "NOT READY" }
}

const OF_EXPORTS: [Concession; 6] = [
    Concession::Shorten("NEWEST", 13),
    Concession::Shorten("PUBLISHED", 13),
    Concession::Drop("AGE"),
    Concession::Drop("STATE"),
    Concession::Drop("PUBLISHED"),
    Concession::Drop("CONTROL PLANE"),
];

fn exports(answers: &[Answer], ages: Ages) -> Option<Table> {
    let shown = shown(answers);
    if shown.iter().all(|shown| shown.status.export.is_empty()) {
        return None;
    }

    let mut titles =
        vec!["KONG", "EXPORTER", "CONTROL PLANE", "NEWEST", "STANDING", "SNAPSHOT", "PUBLISHED", "STATE", "AGE"];
    if shown.iter().any(|shown| shown.name.is_some()) {
        titles.insert(0, "LIFEBOAT");
    }
    let mut table = Table::new(&titles).with_numbers_in(&["SNAPSHOT"]);
    for Shown { name, status } in shown {
        for export in &status.export {
            let name = name.map(str::to_owned).into_iter();
            table.add(name.chain(exported(export, status.now, ages)).collect());
        }
    }
    Some(table)
}

fn exported(export: &Export, now: WallTime, ages: Ages) -> [String; 9] {
    let known = |text: Option<String>| text.unwrap_or_else(|| NOT_KNOWN.to_owned());
    let (newest, published) = (export.newest.as_ref(), export.published.as_ref());
    [
        export.kong_version.to_string(),
        match &export.leadership.leader {
            Some(leader) => format!("{} of {leader}", export.leadership.role),
            None => export.leadership.role.to_string(),
        },
        if export.control_plane_connected { "connected" } else { "gone" }.to_owned(),
        known(newest.map(|newest| newest.config_hash.to_string())),
        known(newest.and_then(|newest| newest.standing.as_ref()).map(ToString::to_string)),
        known(published.map(|published| published.sequence.to_string())),
        known(published.map(|published| published.config_hash.to_string())),
        known(published.map(|published| published.state.to_string())),
        known(published.map(|published| ages.of(published.received, now))),
    ]
}

// What a reader has to know, or to do something about.
fn notes_on(answer: &Answer, is_one_of_several: bool, ages: Ages) -> Vec<String> {
    let notes = match &answer.said {
        Err(error) => vec![format!("{error:#}")],
        Ok(said) => notes_of(&said.status, ages),
    };
    let name = |note: String| if is_one_of_several { format!("{}: {note}", answer.name) } else { note };
    notes.into_iter().map(name).collect()
}

fn notes_of(status: &StatusAnswer, ages: Ages) -> Vec<String> {
    let mut notes: Vec<String> =
        status.export.iter().flat_map(|export| notes_on_export(export, status.now, ages)).collect();

    if let Some(relay) = &status.relay {
        match &relay.reason {
            Some(reason) if !relay.ready => notes.push(format!("the relay is not ready: {reason}")),
            _ => {}
        }
        if relay.control_plane_reachable == Some(false) {
            let at = relay.listens.as_ref().map_or(String::new(), |listens| format!(" on {listens}"));
            notes.push(format!("the relay{at} does not reach the control plane {}", status.control_plane));
        }
        notes.extend(relay.warnings.iter().map(ToString::to_string));
    }

    // The relay may have said the same of its own nodes.
    for warning in status.data_planes.iter().flat_map(|planes| &planes.warnings) {
        if !notes.iter().any(|note| *note == **warning) {
            notes.push(warning.to_string());
        }
    }
    notes
}

fn notes_on_export(export: &Export, now: WallTime, ages: Ages) -> Vec<String> {
    let version = &export.kong_version;
    let mut notes = Vec::new();
    match &export.reason {
        Some(reason) if !export.ready => notes.push(format!("Kong {version}: export is not ready: {reason}")),
        _ => {}
    }

    // Readiness names the same failure, unless something else comes first.
    if let Some(failing) = &export.failing
        && !notes.iter().any(|note| note.contains(&*failing.reason))
    {
        notes.push(format!("Kong {version}: failing since {}: {}", failing.since, failing.reason));
    }
    if let Some(pinned) = export.published.as_ref().and_then(|published| published.pinned_until.as_ref()) {
        let until = if **pinned == *"unpin" { "lifeboat unpin" } else { "the control plane's configuration changes" };
        notes.push(format!("Kong {version}: what is published is pinned until {until}"));
    }
    if let Some(drill) = export.drill.as_ref().filter(|drill| !drill.passed) {
        let ago = match ages.of(drill.ended, now) {
            age if age.is_empty() => age,
            age => format!(" {age} ago"),
        };
        let why = drill.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
        notes.push(format!("Kong {version}: the drill{ago} failed{why}"));
    }
    notes
}
