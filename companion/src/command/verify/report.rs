//! Prints what was found: a row for each snapshot and the cures for people, JSON for programs.

use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width};
use serde_json::{Value, json};

use super::super::check::{Check, Verdict};
use super::super::configuration::printable;
use super::snapshot::Examined;
use crate::archive::Archive;

/// The format of the JSON. Fields may be added to it; another number means that one has changed or gone.
const FORMAT: u32 = 1;
/// Where nobody knows how wide the output is.
const WIDTH: u16 = 120;

pub(super) fn as_json(archive: &Archive, examined: &[Examined]) -> String {
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
                "checks": examined.checks,
                "instead": examined.instead,
            })
        })
        .collect();
    let report =
        json!({ "format": FORMAT, "store": archive.place(), "verdict": worst(examined), "snapshots": snapshots });
    serde_json::to_string_pretty(&report).expect("a report always has a JSON form")
}

pub(super) fn as_table(archive: &Archive, examined: &[Examined]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if table.width().is_none() {
        table.set_width(WIDTH);
    }
    table.set_header(["KONG", "SNAPSHOT", "STATE", "RESULT", "SEEN"]);
    for examined in examined {
        table.add_row([
            examined.version.to_string(),
            number(examined),
            examined.state.clone(),
            examined.verdict().word().to_owned(),
            printable(&seen(examined)),
        ]);
    }
    let seen = ColumnConstraint::LowerBoundary(Width::Fixed(40));
    let narrow = ColumnConstraint::ContentWidth;
    for (column, width) in table.column_iter_mut().zip([narrow, narrow, narrow, narrow, seen]) {
        column.set_padding((0, 2)).set_constraint(width);
    }
    let mut text = table.trim_fmt();
    for examined in examined {
        for check in &examined.checks {
            let Some(cure) = &check.cure else { continue };
            let snapshot = format!("Kong {}, snapshot {}", examined.version, number(examined));
            text.push_str(&format!("\n\n{snapshot}, {} ({}): {cure}", check.name, check.verdict.word()));
        }
        if let Some(instead) = &examined.instead {
            text.push_str(&format!("\n\nUntil then, {}", printable(instead)));
        }
    }
    let of = |verdict| examined.iter().filter(|examined| examined.verdict() == verdict).count();
    let (passed, odd, failed) = (of(Verdict::Pass), of(Verdict::Warn), of(Verdict::Fail));
    text.push_str(&format!("\n\n* published. {}: {passed} passed, {odd} to look at, {failed} failed", archive.place()));
    text
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
    match &examined.checks[..] {
        [Check { name, seen, .. }] => format!("{name}: {seen}"),
        several => several.iter().map(|check| check.name).collect::<Vec<_>>().join(", "),
    }
}
