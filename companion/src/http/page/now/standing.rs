//! One sentence for somebody who has just been woken.

use super::alarms::{Alarm, Severity};
use super::{Backup, Facts};
use crate::http::page::html::{Html, counted};

/// How many versions of Kong the sentence names.
const NAMED: usize = 3;

/// Whether the control plane answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ControlPlane {
    Answers,
    Away,
    NotKnown,
}

impl ControlPlane {
    /// The relay's word counts first: it is the relay that gives nodes a backup.
    pub(super) fn of(facts: &Facts) -> Self {
        if let Some(reaches) = facts.relay.as_ref().and_then(|relay| relay.reaches_control_plane) {
            return if reaches { Self::Answers } else { Self::Away };
        }
        match &facts.exports[..] {
            [] => Self::NotKnown,
            exports if exports.iter().any(|facts| facts.is_connected) => Self::Answers,
            _ => Self::Away,
        }
    }
}

pub(super) fn write(main: &mut Html, facts: &Facts, alarms: &[Alarm]) {
    let class = match alarms.iter().map(|alarm| alarm.severity).max() {
        Some(Severity::Critical) => "critical",
        Some(Severity::Warning) => "warning",
        Some(Severity::Info) | None => "good",
    };
    main.put("<p id=\"standing\" class=\"standing ").text(class).put("\" role=\"status\">");

    let control_plane = ControlPlane::of(facts);
    main.put(match control_plane {
        ControlPlane::Answers => "The control plane answers. ",
        ControlPlane::Away => "The control plane is away. ",
        ControlPlane::NotKnown => "Whether the control plane answers is not known yet. ",
    });
    backups(main, facts, control_plane);
    if let Some(relay) = facts.relay.as_ref().filter(|relay| relay.nodes_from_store > 0) {
        main.put(" ")
            .text(counted(relay.nodes_from_store, "node runs", "nodes run"))
            .put(" a configuration from the store.");
    }
    main.put(" <span class=\"address\">Control plane: <code>")
        .text(&facts.status.control_plane)
        .put("</code></span></p>");
}

fn backups(main: &mut Html, facts: &Facts, control_plane: ControlPlane) {
    let backups = facts.backups();
    if backups.is_empty() {
        main.put(match &facts.seen.problem {
            Some(_) => "Which snapshot new nodes get is not known: the store can't be read.",
            None if facts.seen.listing.is_none() => "Which snapshot new nodes get is not known yet.",
            None => "There is no snapshot that new nodes could get.",
        });
        return;
    }

    for Backup { version, sequence, received } in backups.iter().take(NAMED) {
        main.put("New nodes of Kong ").text(version);
        main.put(if control_plane == ControlPlane::Away { " get snapshot " } else { " would get snapshot " });
        main.element("strong", sequence).put(", received ").time(*received, facts.now());
        main.put(if control_plane == ControlPlane::Away { ". " } else { ", if it went away. " });
    }
    if let Some(more) = backups.len().checked_sub(NAMED).filter(|more| *more > 0) {
        main.text(counted(more as u64, "further version", "further versions")).put(": see History.");
    }
}
