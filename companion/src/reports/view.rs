//! The reports as the status page shows them. Members are never taken away or given another meaning.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::report::{CallFailure, Counters, Ledger, Reachability, Reporting, WorkerName};
use lifeboat_core::time::WallTime;
use serde::Serialize;

/// So many workers are shown.
const SHOWN: usize = 1000;

/// What became of the reports, and the newest of each worker.
#[derive(Clone, Debug, Serialize)]
pub struct ReportsView {
    /// Reports that were taken.
    pub accepted: u64,
    /// Reports that were only counted: nobody can tell who sent them, since `LIFEBOAT_REPORT_KEYS` is not set.
    pub counted_only: u64,
    /// Reports that were refused, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// The nodes that report, each counted once.
    pub nodes: NodesView,
    /// How many instances of the filter report: at least one for each worker of a node.
    pub workers_reporting: usize,
    /// How many of them see the control plane like this.
    pub control_plane: BTreeMap<Reachability, usize>,
    /// How many of them say that their node has no configuration.
    pub without_configuration: usize,
    /// The workers, in order of their nodes; no more than a thousand.
    pub workers: Vec<WorkerView>,
}

/// The nodes that report. One with several workers, or with instances of the filter that are left of an old chain, counts
/// once.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NodesView {
    /// How many there are.
    pub reporting: usize,
    /// How many of them see the control plane like this.
    pub control_plane: BTreeMap<Reachability, usize>,
    /// How many of them have no configuration.
    pub without_configuration: usize,
}

/// The newest report of one worker.
#[derive(Clone, Debug, Serialize)]
pub struct WorkerView {
    node: Option<String>,
    kong_node_id: Option<String>,
    worker: String,
    sequence: u64,
    received: WallTime,
    interval_s: u64,
    configured: Option<WallTime>,
    filter_version: String,
    kong_version: Option<String>,
    config_hash: Option<ConfigHash>,
    status_api: Option<CallFailure>,
    control_plane: Option<ControlPlaneView>,
    problems: Vec<String>,
    since_acknowledged: Counters,
}

#[derive(Clone, Debug, Serialize)]
struct ControlPlaneView {
    state: Reachability,
    since: WallTime,
}

impl ReportsView {
    pub(super) fn of(ledger: &Ledger) -> Self {
        let tally = ledger.tally();
        let mut view = Self {
            accepted: tally.accepted,
            counted_only: tally.counted_only,
            refused: tally.refused.clone(),
            nodes: NodesView::default(),
            workers_reporting: 0,
            control_plane: BTreeMap::new(),
            without_configuration: 0,
            workers: Vec::new(),
        };

        for node in ledger.nodes() {
            view.nodes.reporting += 1;
            if let Some(seen) = node.control_plane {
                *view.nodes.control_plane.entry(seen.state).or_default() += 1;
            }
            view.nodes.without_configuration += usize::from(node.config_hash.is_some_and(|hash| hash.is_empty()));
        }

        for (name, newest) in ledger.workers() {
            view.workers_reporting += 1;
            if let Some(seen) = newest.report.control_plane {
                *view.control_plane.entry(seen.state).or_default() += 1;
            }
            view.without_configuration += usize::from(newest.report.config_hash.is_some_and(|hash| hash.is_empty()));
            if view.workers.len() < SHOWN {
                view.workers.push(WorkerView::of(name, newest));
            }
        }
        view
    }
}

impl WorkerView {
    fn of(name: &WorkerName, Reporting { report, received }: &Reporting) -> Self {
        let since = |ms| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(ms)).map(WallTime::from_system);
        let plausible = |time: &WallTime| *time <= *received + Duration::from_secs(3600);
        let control_plane = report.control_plane.as_ref();
        let control_plane = control_plane.and_then(|seen| {
            let since = since(seen.since_ms).filter(plausible)?;
            Some(ControlPlaneView { state: seen.state, since })
        });

        Self {
            node: report.node.clone(),
            kong_node_id: report.kong_node_id.clone(),
            worker: name.worker.clone(),
            sequence: report.sequence,
            received: *received,
            interval_s: report.interval_s,
            configured: report.configured_at_ms.and_then(since).filter(plausible),
            filter_version: report.filter_version.clone(),
            kong_version: report.kong_version.clone(),
            config_hash: report.config_hash,
            status_api: report.status_api,
            control_plane,
            problems: report.problems.clone(),
            since_acknowledged: report.since_acknowledged,
        }
    }
}
