//! What *Now* says, from facts as the parts record them.

use std::collections::BTreeSet;

use lifeboat_core::kong::version::KongVersion;
use lifeboat_runtime::clock::Clock;

use super::alarms::Severity;
use super::*;
use crate::drill::DrillMetrics;
use crate::export::NodeObservations;
use crate::http::page::Page;
use crate::metrics::Metrics;
use crate::observation::Observation;
use crate::reports::Reports;
use crate::settings::{PageSettings, ReportKeys};

const RULES: &str = include_str!("../../../../../deploy/prometheus/lifeboat.rules.yml");

/// Alerts that one process can't know of: they are about several, or about what has been growing.
const OF_PROMETHEUS_ALONE: [&str; 4] =
    ["LifeboatAnotherExporter", "LifeboatExporterMissing", "LifeboatNodesNotAdopting", "LifeboatTwoLeaders"];

/// A program that exports one version and has a relay, without a store.
fn program() -> Program {
    let clock = Clock::start();
    let observation = Observation::new(clock);
    let (reports, _) = Reports::new(ReportKeys::default(), NodeObservations::default(), clock);
    observation.export(KongVersion::new(3, 9, 1));
    observation.relay();
    Program {
        metrics: Metrics::new(&observation),
        observation,
        store: "s3://kong/<backups>".to_owned(),
        control_plane: "cp:8005".to_owned(),
        reports,
        relay: None,
        drills: DrillMetrics::default(),
        page: Page::new(PageSettings::default(), Vec::new(), clock),
    }
}

fn said(program: &Program) -> String {
    page(program, Seen { listing: None, problem: None }, &Shown::default()).as_str().to_owned()
}

fn alarms(program: &Program) -> Vec<(&'static str, Severity)> {
    let seen = Seen { listing: None, problem: None };
    let (exports, relay) = (program.observation.export_facts(), program.observation.relay_facts());
    let facts = Facts { status: Status::of(program, NodePage::ALL), exports, relay, seen };
    alarms::of(&facts).into_iter().map(|alarm| (alarm.alert, alarm.severity)).collect()
}

#[test]
fn the_store_is_text_and_never_markup() {
    let said = said(&program());
    assert!(said.contains("s3://kong/&lt;backups&gt;") && !said.contains("<backups>"), "{said}");
}

#[test]
fn a_relay_that_loses_the_control_plane_says_so_in_the_first_sentence() {
    let program = program();
    program.observation.relay().reached();
    assert!(said(&program).contains("The control plane answers. "), "{}", said(&program));
    program.observation.relay().not_reached();
    let after = said(&program);
    assert!(after.contains("class=\"standing critical\" role=\"status\">The control plane is away. "), "{after}");
    assert!(alarms(&program).contains(&("LifeboatRelayWithoutControlPlane", Severity::Critical)));
}

#[test]
fn the_alerts_are_those_of_the_rules_with_their_severity() {
    let rules: BTreeSet<(&str, &str)> = RULES
        .split("- alert: ")
        .skip(1)
        .filter_map(|rule| {
            let severity = rule.split("severity: ").nth(1)?.split(' ').next()?;
            Some((rule.lines().next()?, severity))
        })
        .collect();
    let source = include_str!("alarms.rs");
    let mut missing = Vec::new();
    for (alert, severity) in &rules {
        let call = match *severity {
            "critical" => format!("self.critical(\"{alert}\""),
            "warning" => format!("self.warning(\"{alert}\""),
            _ => format!("self.add(Severity::Info, \"{alert}\""),
        };
        if source.contains(&call) == OF_PROMETHEUS_ALONE.contains(alert) {
            missing.push((alert, severity));
        }
    }
    assert!(rules.len() > 20 && missing.is_empty(), "of these the page says nothing, or another severity: {missing:?}");
    let unknown: Vec<&str> = source
        .split("\"Lifeboat")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|name| !RULES.contains(&format!("- alert: Lifeboat{name}\n")))
        .collect();
    assert!(unknown.is_empty(), "no rules are called so: {unknown:?}");
}

#[test]
fn names_of_the_code_are_told_as_words() {
    assert_eq!(words("TimedOut"), "timed out");
}
