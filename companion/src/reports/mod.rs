//! Reports of the filter in gateways: taken over HTTP into the ledger, shown on the status page and in metrics, and told
//! to the exporter of the node's version, whom they may confirm a configuration. They never veto: a node that reports is
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

/// So many reports wait for the exporters at most. Of more nothing is told: their workers report again soon.
const WAITING: usize = 1024;
/// How often is looked who has fallen silent.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The reports of a program. Clones are the same.
#[derive(Clone, Debug)]
pub struct Reports {
    keys: ReportKeys,
    ledger: Arc<Mutex<Ledger>>,
    heard: mpsc::Sender<WorkerName>,
    clock: Clock,
}

/// Who tells the exporters, until the program ends.
#[derive(Debug)]
pub struct ReportForwarder {
    reports: Reports,
    heard: mpsc::Receiver<WorkerName>,
    testimonies: ReportObservations,
}

impl Reports {
    /// Takes reports that one of these keys has signed, and tells those witnesses.
    pub fn new(keys: ReportKeys, witnesses: NodeObservations, clock: Clock) -> (Self, ReportForwarder) {
        let (sender, heard) = mpsc::channel(WAITING);
        let reports = Self { keys, ledger: Arc::default(), heard: sender, clock };
        let teller =
            ReportForwarder { reports: reports.clone(), heard, testimonies: ReportObservations::new(witnesses) };
        (reports, teller)
    }

    /// `POST /v1/reports`.
    pub fn router(&self) -> Router {
        endpoint::router(self.clone())
    }

    /// What a person or a program may want to know of them.
    pub fn view(&self) -> ReportsView {
        ReportsView::of(&self.ledger())
    }

    fn take(&self, body: &[u8], signature: Option<&[u8]>) -> Result<Taken, Refusal> {
        let keys = self.keys.current();
        let taken = self.ledger().take(body, signature, &keys, self.clock.wall(), self.clock.now());
        if let Ok(Taken::Kept(name)) = &taken {
            // A queue that is full is no reason to refuse a report.
            let _ = self.heard.try_send(name.clone());
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

    /// Tells who runs what and who has fallen silent, until it is told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(name) = self.heard.recv() => {
                    let node = self.reports.ledger().node(&name.node);
                    if let Some(node) = node {
                        self.testimonies.hear(&node).await;
                    }
                }
                _ = look.tick() => {
                    for name in self.gone() {
                        self.testimonies.forget(&name).await;
                    }
                }
            }
        }
    }
}
