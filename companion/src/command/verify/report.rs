//! Prints what was found: a row for each snapshot and the cures for people, JSON for programs.

use serde_json::{Value, json};

use super::super::check::{Check, Verdict};
use super::super::configuration::printable;
use super::super::envelope::enveloped;
use super::super::table::Table;
use super::snapshot::{self, Examined};
use crate::archive::ArchiveReader;
use crate::terminal::folded_lines;

/// `nodes` is what is known of the nodes' versions, where an Admin API tells.
pub(super) fn as_json(archive: &ArchiveReader, examined: &[Examined], nodes: Option<&Check>) -> String {
    let snapshots: Vec<Value> = examined
        .iter()
        .map(|examined| {
            json!({
                "kong_version": examined.version,
                "sequence": examined.sequence,
                "config_hash": examined.config_hash,
                "state": examined.state,
                "published": examined.is_published,
                "verdict": examined.verdict(),
                "evidence": examined.evidence,
                "checks": examined.checks,
                "instead": examined.instead,
            })
        })
        .collect();
    let verdict = worst(examined).max(nodes.map_or(Verdict::Pass, |nodes| nodes.verdict));
    let store = archive.place();
    let mut report = json!({ "store": store, "verdict": verdict, "snapshots": snapshots });
    if let Some(nodes) = nodes {
        report["nodes"] = json!(nodes);
    }

    enveloped("verify", report)
}

/// For a terminal of this width; `None` if it isn't for one.
pub(super) fn as_table(
    archive: &ArchiveReader,
    examined: &[Examined],
    nodes: Option<&Check>,
    width: Option<usize>,
) -> String {
    let mut table = Table::new(&["KONG", "SNAPSHOT", "STATE", "RESULT"]);
    for examined in examined {
        let (version, verdict) = (examined.version.to_string(), examined.verdict().word().to_owned());
        table.add(vec![version, number(examined), examined.state.clone(), verdict]);
    }
    let seen: Vec<String> = examined.iter().map(|examined| printable(&seen(examined))).collect();
    let mut text = table.with_text("SEEN", &seen, width);
    for examined in examined {
        for check in &examined.checks {
            let Some(cure) = &check.cure else { continue };
            let snapshot = format!("Kong {}, snapshot {}", examined.version, number(examined));
            let line = format!("{snapshot}, {} ({}): {cure}", check.name, check.verdict.word());
            text.push_str(&format!("\n\n{}", folded_lines(&line, width)));
        }
        if let Some(instead) = &examined.instead {
            let line = format!("Until then, {}", printable(instead));
            text.push_str(&format!("\n\n{}", folded_lines(&line, width)));
        }
    }

    if let Some(Check { name, verdict, seen, cure }) = nodes {
        let cure = cure.as_ref().map(|cure| format!(": {cure}")).unwrap_or_default();
        let line = printable(&format!("{name} ({}): {seen}{cure}", verdict.word()));
        text.push_str(&format!("\n\n{}", folded_lines(&line, width)));
    }

    let of = |verdict| examined.iter().filter(|examined| examined.verdict() == verdict).count();
    let (passed, odd, failed) = (of(Verdict::Pass), of(Verdict::Warn), of(Verdict::Fail));
    let line = format!("* published. {}: {passed} passed, {odd} to look at, {failed} failed", archive.place());
    format!("{text}\n\n{}", folded_lines(&line, width))
}

fn worst(examined: &[Examined]) -> Verdict {
    examined.iter().map(Examined::verdict).max().unwrap_or(Verdict::Pass)
}

fn number(examined: &Examined) -> String {
    let number = examined.sequence.map_or_else(|| "none".to_owned(), |sequence| sequence.to_string());
    format!("{number}{}", if examined.is_published { "*" } else { "" })
}

// Of one that is good, what was looked at; else what isn't as it should be.
fn seen(examined: &Examined) -> String {
    let odd: Vec<String> = examined
        .checks
        .iter()
        .filter(|check| check.verdict != Verdict::Pass)
        .map(|check| format!("{}: {}", check.name, check.seen))
        .collect();

    if !odd.is_empty() {
        return odd.join("; ");
    }
    let (loads, others): (Vec<_>, Vec<_>) = examined.checks.iter().partition(|check| check.name == snapshot::EVIDENCE);
    let mut text = match &others[..] {
        [Check { name, seen, .. }] => format!("{name}: {seen}"),
        several => several.iter().map(|check| check.name).collect::<Vec<_>>().join(", "),
    };
    loads.iter().for_each(|check| text.push_str(&format!("; {}", check.seen)));
    text
}
