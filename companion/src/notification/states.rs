//! Which states there are now, from what the program's parts have recorded. Of exports the leader tells, and where nobody
//! leads each exporter; of nodes and of its certificates each relay.

use std::collections::BTreeMap;
use std::time::Duration;

use lifeboat_core::export::drill::DrillOutcome;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::lifetimes;
use lifeboat_core::notification::{Details, Of, State, Subject};
use lifeboat_core::time::{Moment, WallTime};

use super::Known;
use crate::drill::DrillMetrics;
use crate::observation::{ExportFacts, Lead, Trace};
use crate::relay::{ConfigurationFrom, RelayView};

/// For how long another exporter counts as there after it was noticed: it may write seldom.
const NOTICED: Duration = Duration::from_secs(60 * 60);

type There = BTreeMap<Subject, Details>;

/// Looks, and remembers when another exporter was noticed last.
#[derive(Debug, Default)]
pub(super) struct Watch {
    noticed: BTreeMap<KongVersion, Noticed>,
}

#[derive(Debug, Default)]
struct Noticed {
    times: u64,
    last: Option<Moment>,
}

impl Watch {
    /// What there is now.
    pub(super) fn look(&mut self, known: &Known, now: Moment, wall: WallTime) -> There {
        let mut there = There::new();
        let exports = known.observation.export_facts();
        let own: Vec<&ExportFacts> = exports.iter().filter(|facts| is_told_here(facts)).collect();

        for facts in &own {
            let is_noticed = self.notices_another_exporter(facts, now);
            of_export(facts, &known.drills, is_noticed, &mut there);
        }
        if let Some(relay) = &known.relay {
            of_nodes(relay, &mut there);
        }

        let ends = known.observation.certificate_ends();
        let relays = ends.iter().find(|(which, _)| *which == "relay").map(|(_, ends)| *ends);
        for (which, ends) in ends {
            let is_told = match which {
                "relay" => true,
                // A relay shows both sides the same one, unless it has one of its own for nodes.
                _ if exports.is_empty() => relays != Some(ends),
                _ => !own.is_empty(),
            };
            if is_told && ends.since(wall) < lifetimes::WARNING {
                let subject = Subject { state: State::CertificateEnding, of: Of::Certificate(which) };
                there.insert(subject, Details::default());
            }
        }
        there
    }

    fn notices_another_exporter(&mut self, facts: &ExportFacts, now: Moment) -> bool {
        // An operator's choice shows in the manifest only.
        let times = facts.other_exporters.get(&Trace::ConfigJson).copied().unwrap_or_default();
        let noticed = self.noticed.entry(facts.version).or_default();
        if times > noticed.times {
            (noticed.times, noticed.last) = (times, Some(now));
        }
        noticed.last.is_some_and(|last| now - last < NOTICED)
    }
}

// Where the store is away nobody can lead, and that is worth telling most.
fn is_told_here(facts: &ExportFacts) -> bool {
    !matches!(facts.lead, Lead::Others { .. })
}

fn of_export(facts: &ExportFacts, drills: &DrillMetrics, another_exporter: bool, there: &mut There) {
    let published = facts.published.as_ref();
    let details = Details {
        config_hash: published.map(|manifest| manifest.config_hash),
        sequence: published.map(|manifest| manifest.sequence),
        nodes: None,
    };
    let held = facts.holds().map(|(config_hash, _)| Details { config_hash: Some(config_hash), ..details });
    let fails = facts.failing.is_some() || facts.election_failing.is_some();
    let drill = drills.of(facts.version).filter(|drill| drill.outcome == DrillOutcome::Failed);
    let drill = drill.map(|drill| Details { config_hash: None, sequence: drill.sequence, nodes: None });

    let states = [
        (State::Held, held),
        (State::ExportFailing, fails.then_some(details)),
        (State::BackupGone, facts.payload_lost.is_some().then_some(details)),
        (State::DrillFailing, drill),
        (State::AnotherExporter, another_exporter.then_some(details)),
    ];
    for (state, details) in states {
        let subject = Subject { state, of: Of::Version(Some(facts.version)) };
        there.extend(details.map(|details| (subject, details)));
    }
}

// The nodes of one version all run what is published, but for those that were given an older one.
fn of_nodes(relay: &RelayView, there: &mut There) {
    for node in relay.nodes().into_iter().filter(|node| node.config_from == ConfigurationFrom::Store) {
        let subject = Subject { state: State::NodesServedFromStore, of: Of::Version(node.version) };
        let details = there.entry(subject).or_default();
        details.nodes = Some(details.nodes.unwrap_or_default() + 1);
        details.config_hash = node.config_hash.or(details.config_hash);
    }
}
