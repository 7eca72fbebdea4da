//! The status page, format 1: what an operator asks first, for programs. Described in docs/status.md, which a test
//! compares. Members are never taken away or given another meaning within a format; what is not known is null.

use std::collections::BTreeMap;

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::kong::EntityCounts;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::lifetimes::{End, Lifetimes};
use lifeboat_core::manifest::{Manifest, Pin, State};
use lifeboat_core::room::{NodeLimits, Sizes};
use lifeboat_core::time::{WallTime, seconds};
use serde::Serialize;

use super::Program;
use super::node_page::NodePage;
use crate::drill::{DrillFacts, DrillMetrics};
use crate::metrics::strategy_name;
use crate::observation::{self, ExportFacts, Observation, RelayFacts, newest_state_name};
use crate::relay::{ControlPlaneSync, NearLimit, NodeStatus, OnlyIncremental, RelayView, WithoutBackup};
use crate::reports::ReportsView;

const FORMAT: u32 = 1;

/// How much of what ends is named: the first ones, of a configuration that may have thousands.
const ENDS_NAMED: usize = 20;

/// How many nodes are named that are near their limits, where thousands may be.
const WARNINGS: usize = 20;

/// The status of a program.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    pub(super) format: u32,
    pub(super) lifeboat: &'static str,
    pub(super) now: WallTime,
    pub(super) started: WallTime,
    pub(super) store: String,
    pub(super) control_plane: String,
    pub(super) certificates: Vec<Certificate>,
    pub(super) export: Vec<Export>,
    pub(super) data_planes: Option<DataPlanes>,
    pub(super) relay: Option<Relay>,
    pub(super) reports: ReportsView,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Certificate {
    pub(super) certificate: &'static str,
    pub(super) ends: WallTime,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Export {
    pub(super) kong_version: KongVersion,
    pub(super) ready: bool,
    pub(super) reason: Option<String>,
    pub(super) control_plane_connected: bool,
    pub(super) newest: Option<Newest>,
    pub(super) published: Option<Published>,
    pub(super) leadership: Leadership,
    pub(super) last_attempt: Option<WallTime>,
    pub(super) last_success: Option<WallTime>,
    pub(super) failing: Option<Failing>,
    pub(super) drill: Option<Drill>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Newest {
    pub(super) config_hash: ConfigHash,
    pub(super) bytes: u64,
    pub(super) received: WallTime,
    pub(super) standing: Option<&'static str>,
    pub(super) ending: Option<Vec<Ending>>,
    pub(super) credentials_with_ttl: Option<u64>,
}

/// Something in a configuration that ends soon or has ended.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Ending {
    pub(super) of: &'static str,
    pub(super) name: String,
    pub(super) ends: WallTime,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Published {
    pub(super) sequence: u64,
    pub(super) config_hash: ConfigHash,
    pub(super) state: State,
    pub(super) pinned_until: Option<&'static str>,
    pub(super) epoch: u64,
    pub(super) bytes: u64,
    pub(super) compressed_bytes: u64,
    pub(super) node_limits_used: BTreeMap<&'static str, f64>,
    pub(super) counts: EntityCounts,
    pub(super) exporter: String,
    pub(super) received: WallTime,
    pub(super) published: WallTime,
    pub(super) last_seen: Option<WallTime>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Leadership {
    pub(super) role: &'static str,
    pub(super) leader: Option<String>,
    pub(super) epoch: Option<u64>,
    pub(super) strategy: Option<&'static str>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Failing {
    pub(super) since: WallTime,
    pub(super) class: &'static str,
    pub(super) reason: String,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Drill {
    pub(super) passed: bool,
    pub(super) reason: Option<String>,
    pub(super) ended: WallTime,
    pub(super) took_s: f64,
    pub(super) sequence: Option<u64>,
    pub(super) running_in_s: Option<f64>,
    pub(super) last_success: Option<WallTime>,
}

/// What the control plane's Admin API lists.
#[derive(Clone, Debug, Serialize)]
pub(super) struct DataPlanes {
    pub(super) without_backup: Vec<WithoutBackup>,
    pub(super) warnings: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Relay {
    pub(super) ready: bool,
    pub(super) reason: Option<String>,
    pub(super) listens: Option<String>,
    pub(super) control_plane_reachable: Option<bool>,
    pub(super) control_plane_sync: ControlPlaneSync,
    pub(super) nodes_connected: u64,
    pub(super) nodes_served_from_store: u64,
    pub(super) nodes: Vec<Node>,
    pub(super) nodes_after: Option<String>,
    pub(super) without_backup: Vec<WithoutBackup>,
    pub(super) warnings: Vec<String>,
    pub(super) only_incremental: Vec<OnlyIncremental>,
}

/// A node, and how near its own limits its backup is.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Node {
    #[serde(flatten)]
    pub(super) status: NodeStatus,
    pub(super) node_limits_used: Option<BTreeMap<&'static str, f64>>,
}

impl Status {
    pub(super) fn of(program: &Program, page: NodePage) -> Self {
        let observation: &Observation = &program.observation;
        let now = observation.now();

        let certificate = |(certificate, ends)| Certificate { certificate, ends };
        Self {
            format: FORMAT,
            lifeboat: env!("CARGO_PKG_VERSION"),
            now,
            started: observation.started(),
            store: program.store.clone(),
            control_plane: program.control_plane.clone(),
            certificates: observation.certificate_ends().into_iter().map(certificate).collect(),
            export: observation.export_facts().iter().map(|facts| Export::of(facts, &program.drills, now)).collect(),
            data_planes: observation.listed_without_backup().map(DataPlanes::of),
            relay: observation.relay_facts().map(|facts| Relay::of(&facts, program.relay.as_ref(), page, now)),
            reports: program.reports.view(),
        }
    }
}

impl Export {
    fn of(facts: &ExportFacts, drills: &DrillMetrics, now: WallTime) -> Self {
        let ready = facts.check_ready();
        Self {
            kong_version: facts.version,
            ready: ready.is_ok(),
            reason: ready.err(),
            control_plane_connected: facts.is_connected,
            newest: Newest::of(facts, now),
            published: facts.published.as_ref().map(|manifest| Published::of(manifest, &facts.limits)),
            leadership: Leadership::of(facts),
            last_attempt: facts.last_attempt,
            last_success: facts.last_success,
            failing: facts.election_failing.as_ref().or(facts.failing.as_ref()).map(Failing::of),
            drill: drills.of(facts.version).map(Drill::of),
        }
    }
}

impl Newest {
    fn of(facts: &ExportFacts, now: WallTime) -> Option<Self> {
        let observation::Newest { config_hash, bytes, at: received } = facts.newest?;
        let judged = facts.judged.as_ref().filter(|judged| judged.newest == Some(config_hash));
        let lifetimes = facts.lifetimes.as_ref();
        let ending = |lifetimes: &Lifetimes| {
            let ending = lifetimes.expired_cas(now).chain(lifetimes.ending(now));
            ending.take(ENDS_NAMED).map(Ending::of).collect()
        };

        Some(Self {
            config_hash,
            bytes,
            received,
            standing: judged.map(|judged| newest_state_name(&judged.state)),
            ending: lifetimes.map(ending),
            credentials_with_ttl: lifetimes.map(|lifetimes| lifetimes.credentials_with_ttl),
        })
    }
}

impl Ending {
    fn of(end: &End) -> Self {
        Self { of: end.of.name(), name: end.name.clone(), ends: end.at }
    }
}

impl Published {
    fn of(manifest: &Manifest, limits: &NodeLimits) -> Self {
        let used = limits.used_by(Sizes::of(manifest)).into_iter();
        Self {
            sequence: manifest.sequence,
            config_hash: manifest.config_hash,
            state: manifest.state,
            pinned_until: manifest.pin.map(|pin| match pin {
                Pin::Change { .. } => "change",
                Pin::Unpin => "unpin",
            }),
            epoch: manifest.epoch,
            bytes: manifest.config.bytes,
            compressed_bytes: manifest.snapshot.bytes,
            node_limits_used: used.map(|(limit, share)| (limit.name(), rounded(share))).collect(),
            counts: manifest.counts.clone(),
            exporter: manifest.exporter.hostname.clone(),
            received: manifest.times.received,
            published: manifest.times.exported,
            last_seen: manifest.last_seen_at_the_control_plane(),
        }
    }
}

// As many digits as somebody reads.
fn rounded(share: f64) -> f64 {
    (share * 1_000.0).round() / 1_000.0
}

impl Leadership {
    fn of(facts: &ExportFacts) -> Self {
        let (role, leader) = match &facts.lead {
            observation::Lead::Unknown => ("unknown", None),
            observation::Lead::Own { .. } => ("leader", None),
            observation::Lead::Others { leader } => ("follower", Some(leader.clone())),
        };
        Self { role, leader, epoch: facts.epoch(), strategy: facts.strategy.map(strategy_name) }
    }
}

impl Failing {
    fn of(failing: &observation::Failing) -> Self {
        Self { since: failing.since, class: failing.class, reason: failing.reason.clone() }
    }
}

impl Drill {
    fn of(facts: DrillFacts) -> Self {
        Self {
            passed: facts.reason.is_none(),
            reason: facts.reason,
            ended: facts.ended,
            took_s: seconds(facts.took),
            sequence: facts.sequence,
            running_in_s: facts.running_in.map(seconds),
            last_success: facts.last_success,
        }
    }
}

impl DataPlanes {
    fn of(listed: BTreeMap<KongVersion, u64>) -> Self {
        let without = listed.into_iter().filter(|(_, nodes)| *nodes > 0);
        let without: Vec<_> = without.map(|(kong_version, nodes)| WithoutBackup { kong_version, nodes }).collect();
        Self { warnings: without.iter().filter_map(no_backup).collect(), without_backup: without }
    }
}

impl Relay {
    fn of(facts: &RelayFacts, view: Option<&RelayView>, page: NodePage, now: WallTime) -> Self {
        let ready = facts.check_ready(now);
        let without_backup = view.map(RelayView::without_backup).unwrap_or_default();
        let mut warnings: Vec<String> = without_backup.iter().filter_map(no_backup).collect();
        let control_plane_sync = view.map(RelayView::control_plane_sync).unwrap_or_default();
        warnings.extend(control_plane_sync.warning().map(str::to_owned));
        warnings.extend(view.map(|view| view.near_limits(WARNINGS)).unwrap_or_default().iter().map(near_its_limit));
        let (nodes, after) = view.map(|view| Node::listed(view, page)).unwrap_or_default();
        Self {
            ready: ready.is_ok(),
            reason: ready.err(),
            listens: facts.listens.map(|address| address.to_string()),
            control_plane_reachable: facts.reaches_control_plane,
            control_plane_sync,
            nodes_connected: facts.nodes,
            nodes_served_from_store: facts.nodes_from_store,
            nodes,
            nodes_after: after.map(|number| number.to_string()),
            without_backup: without_backup.into_iter().filter(|without| without.nodes > 0).collect(),
            warnings,
            only_incremental: view.map(RelayView::only_incremental).unwrap_or_default(),
        }
    }
}

impl Node {
    // Those on this page, and the number of the last of them if there are more behind it.
    fn listed(view: &RelayView, page: NodePage) -> (Vec<Self>, Option<u64>) {
        let (listed, after) = view.nodes_after(page.after, page.most);
        let node = |status: NodeStatus| {
            let used = view.limits_used(&status);
            let used = used.map(|used| used.into_iter().map(|(limit, share)| (limit.name(), rounded(share))).collect());
            Self { status, node_limits_used: used }
        };
        (listed.into_iter().map(node).collect(), after)
    }
}

fn near_its_limit(near: &NearLimit) -> String {
    let (hostname, percent) = (&near.hostname, (rounded(near.share) * 100.0).floor());
    let limit = near.limit.name();
    format!("node {hostname}: its backup needs {percent} % of what its {limit} lets it take: raise that")
}

fn no_backup(without: &WithoutBackup) -> Option<String> {
    let WithoutBackup { kong_version, nodes } = without;
    let said = format!(
        "nodes of Kong {kong_version}, of which no store has a backup: {nodes}. New ones stay empty in an outage: let an \
         exporter keep this version"
    );
    (*nodes > 0).then_some(said)
}
