//! Reports of the filter in gateways: taken over HTTP into the ledger, shown on the status page and in metrics, and passed
//! on to the exporter of the node's version, for which they may confirm a configuration. They never veto: a node that reports is
//! one that can tell, and was given nothing that it could refuse. What may be taken is decided in `core`.

mod endpoint;
mod metrics;
mod node_observations;
mod view;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use lifeboat_core::report::{Ledger, Refusal, Taken, WorkerName};
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::lock::Locked;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

pub use view::ReportsView;

use self::node_observations::ReportObservations;
use crate::export::NodeObservations;
use crate::settings::ReportKeys;

/// How many reports wait for the exporters at most. Further ones are not passed on: their workers report again soon.
const WAITING: usize = 1024;
/// How often it is checked which workers have fallen silent.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The reports of a program. Clones are the same.
#[derive(Clone, Debug)]
pub struct Reports {
    keys: ReportKeys,
    ledger: Arc<Mutex<Ledger>>,
    reported: mpsc::Sender<WorkerName>,
    clock: Clock,
}

/// Passes what nodes report on to the exporters, until the program ends.
#[derive(Debug)]
pub struct ReportForwarder {
    reports: Reports,
    reported: mpsc::Receiver<WorkerName>,
    report_observations: ReportObservations,
}

impl Reports {
    /// Takes reports that one of these keys has signed, and passes on what they say to `observations`.
    pub fn new(keys: ReportKeys, observations: NodeObservations, clock: Clock) -> (Self, ReportForwarder) {
        let (sender, reported) = mpsc::channel(WAITING);
        let reports = Self { keys, ledger: Arc::default(), reported: sender, clock };
        let forwarder = ReportForwarder {
            reports: reports.clone(),
            reported,
            report_observations: ReportObservations::new(observations),
        };
        (reports, forwarder)
    }

    /// `POST /v1/reports`.
    pub fn router(&self) -> Router {
        endpoint::router(self.clone())
    }

    /// What `/status` and the metrics show of them.
    pub fn view(&self) -> ReportsView {
        ReportsView::of(&self.ledger())
    }

    fn take(&self, body: &[u8], signature: Option<&[u8]>) -> Result<Taken, Refusal> {
        let keys = self.keys.current();
        let taken = self.ledger().take(body, signature, &keys, self.clock.wall(), self.clock.now());
        if let Ok(Taken::Kept(name)) = &taken {
            // A queue that is full is no reason to refuse a report.
            let _ = self.reported.try_send(name.clone());
        }
        taken
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.locked()
    }
}

impl ReportForwarder {
    /// The nodes of which the last instance has fallen silent.
    fn gone(&self) -> Vec<String> {
        let mut ledger = self.reports.ledger();
        let silent = ledger.fall_silent(self.reports.clock.now());
        silent.into_iter().map(|name| name.node).filter(|node| ledger.node(node).is_none()).collect()
    }

    /// Passes on which node runs what and which has fallen silent, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);

        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(name) = self.reported.recv() => {
                    let node = self.reports.ledger().node(&name.node);
                    if let Some(node) = node {
                        self.report_observations.record(&node).await;
                    }
                }
                _ = look.tick() => {
                    for name in self.gone() {
                        self.report_observations.forget(&name).await;
                    }
                }
            }
        }
    }
}
