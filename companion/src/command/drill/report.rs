//! Prints what a drill came to: a row for each version and what to do for people, JSON for programs (docs/drill.md).

use std::time::Duration;

use lifeboat_core::export::drill::DrillOutcome;
use lifeboat_core::time::{WallTime, seconds};
use serde_json::{Value, json};

use super::super::check::in_words;
use super::super::configuration::printable;
use super::super::envelope::enveloped;
use super::super::table::{Concession, SHORTENED, Table};
use crate::drill::{DrillFailure, Drilled, DrilledSnapshot, Finding, KongPart, VersionDrill};
use crate::evidence::EvidenceKind;
use crate::terminal::folded_lines;

/// What a reader misses least on a narrow terminal.
const CONCESSIONS: [Concession; 4] = [
    Concession::Shorten("CONFIGURATION", 13),
    Concession::Drop("READ"),
    Concession::Drop("CONFIGURATION"),
    Concession::Drop("REAL KONG"),
];

pub(super) fn as_json(drilled: &Drilled, now: WallTime) -> String {
    let versions: Vec<Value> = drilled.versions.iter().map(|drill| version(drill, now)).collect();
    let report = json!({
        "lifeboat": env!("CARGO_PKG_VERSION"),
        "store": drilled.store,
        "started": drilled.started,
        "took_s": seconds(drilled.took),
        "verdict": worst(drilled).word(),
        "versions": versions,
    });
    enveloped("drill", report)
}

fn version(drill: &VersionDrill, now: WallTime) -> Value {
    json!({
        "kong_version": drill.version,
        "verdict": verdict(drill).word(),
        "took_s": seconds(drill.took),
        "snapshot": drill.restored.as_ref().ok().map(|restored| snapshot(&restored.snapshot, now)),
        "times": drill.restored.as_ref().ok().map(|restored| json!({
            "read_s": seconds(restored.snapshot.read_in),
            "running_s": seconds(restored.running_in),
            "confirmed_s": seconds(restored.confirmed_in),
        })),
        "incremental_sync": drill.by_sync().map(|by_sync| json!({
            "restored": by_sync.is_ok(),
            "running_s": by_sync.as_ref().ok().map(|running_in| seconds(*running_in)),
            "reason": by_sync.as_ref().err(),
        })),
        "evidence": drill.evidence().map(|evidence| evidence.kind),
        "evidence_said": drill.evidence().map(|evidence| evidence.said),
        "kong": kong(&drill.kong),
        "remarks": drill.remarks(),
        "failure": drill.failure().map(failure_json),
    })
}

fn snapshot(snapshot: &DrilledSnapshot, now: WallTime) -> Value {
    json!({
        "sequence": snapshot.sequence,
        "state": snapshot.state,
        "kong_version": snapshot.of,
        "store": snapshot.store,
        "config_hash": snapshot.config_hash,
        "bytes": snapshot.config_bytes,
        "published": snapshot.published,
        "last_seen": snapshot.last_seen,
        "age_s": snapshot.last_seen.map(|seen| seconds(now.since(seen))),
    })
}

fn kong(part: &KongPart) -> Value {
    match part {
        KongPart::Absent => Value::Null,
        KongPart::Skipped(why) => json!({ "result": "not_started", "reason": why }),
        KongPart::Failed(failure) => json!({ "result": "failed", "reason": failure.reason }),
        KongPart::Ran(ran) => json!({
            "result": "passed",
            "reason": null,
            "program": ran.program,
            "version": ran.version,
            "start_s": seconds(ran.started_in),
            "ready_s": seconds(ran.ready_in),
        }),
    }
}

fn failure_json(failure: &DrillFailure) -> Value {
    json!({ "step": failure.step.name(), "reason": failure.reason, "cure": failure.cure })
}

pub(super) fn as_table(drilled: &Drilled, now: WallTime, width: Option<usize>) -> String {
    let titles = ["KONG", "RESULT", "SNAPSHOT", "CONFIGURATION", "AGE", "READ", "RUNNING", "REAL KONG"];
    let mut table = Table::new(&titles);

    for drill in &drilled.versions {
        table.add(row(drill, now));
    }
    let (mut text, is_shortened) = table.fitted(width, &CONCESSIONS);
    if is_shortened {
        text.push_str(&format!("\n\n{SHORTENED}"));
    }
    for drill in &drilled.versions {
        let version = drill.version;
        if let Some(evidence) = drill.evidence() {
            text.push_str(&format!("\n\nKong {version}, will nodes load it: {}", printable(&evidence.said)));
        }
        if let Some(Err(reason)) = drill.by_sync() {
            let nodes = "data planes with cluster_incremental_sync=on would stay empty";
            text.push_str(&format!("\n\nKong {version}, {nodes}: {}", printable(reason)));
        }
        for remark in drill.remarks() {
            text.push_str(&format!("\n\nKong {version}: {}", printable(&remark)));
        }
        if let Some(failure) = drill.failure() {
            let lines: Vec<String> = failure.reason.lines().map(printable).collect();
            text.push_str(&format!("\n\nKong {version}: {}\nWhat to do: {}", lines.join("\n"), failure.cure));
        }
    }
    text.push_str(&format!("\n\n{}\n{}", drilled.store, ending(drilled)));
    folded_lines(&text, width)
}

fn row(drill: &VersionDrill, now: WallTime) -> Vec<String> {
    let mut row = vec![drill.version.to_string(), verdict(drill).word().to_owned()];
    let nothing = || "-".to_owned();

    match &drill.restored {
        Ok(restored) => row.extend([
            restored.snapshot.sequence.map_or_else(nothing, |sequence| sequence.to_string()),
            restored.snapshot.config_hash.to_string(),
            restored.snapshot.last_seen.map_or_else(nothing, |seen| in_words(now.since(seen))),
            in_short(restored.snapshot.read_in),
            in_short(restored.running_in),
        ]),
        Err(_) => row.extend(std::iter::repeat_with(nothing).take(5)),
    }

    row.push(match &drill.kong {
        KongPart::Absent => nothing(),
        KongPart::Skipped(_) => "not started".to_owned(),
        KongPart::Failed(_) => "failed".to_owned(),
        KongPart::Ran(ran) => format!("ready in {}", in_short(ran.ready_in)),
    });
    row
}

fn ending(drilled: &Drilled) -> String {
    let took = in_short(drilled.took);
    match drilled.outcome() {
        DrillOutcome::Passed if drilled.versions.iter().all(is_vouched_for) => {
            format!("passed in {took}: if the control plane went now, new data planes would be served")
        }
        DrillOutcome::Passed => format!(
            "passed in {took}: if the control plane went now, new data planes would be given this; whether they load it is not \
             checked"
        ),
        DrillOutcome::Inconclusive => format!(
            "inconclusive after {took}: whether new data planes would be served if the control plane went now is not known"
        ),
        DrillOutcome::Failed => {
            format!("failed after {took}: if the control plane went now, new data planes would stay empty")
        }
    }
}

// A node loaded it, or Kong's schemas describe it.
fn is_vouched_for(drill: &VersionDrill) -> bool {
    let kind = drill.evidence().map(|evidence| evidence.kind);
    matches!(kind, Some(EvidenceKind::Loaded | EvidenceKind::Schemas))
}

fn in_short(duration: Duration) -> String {
    match duration.as_millis() {
        millis @ 0..1_000 => format!("{millis} ms"),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}

/// What a drill says of a version, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Pass,
    Warn,
    Inconclusive,
    Fail,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Inconclusive => "inconclusive",
            Self::Fail => "fail",
        }
    }
}

fn verdict(drill: &VersionDrill) -> Verdict {
    match drill.failure().map(|failure| failure.finding) {
        Some(Finding::Failure) => Verdict::Fail,
        Some(Finding::Nothing) => Verdict::Inconclusive,
        None if drill.remarks().is_empty() => Verdict::Pass,
        None => Verdict::Warn,
    }
}

fn worst(drilled: &Drilled) -> Verdict {
    drilled.versions.iter().map(verdict).max().unwrap_or(Verdict::Fail)
}
