//! What reports tell the exporters: each worker is a node that can say what it runs, for as long as it reports. Never
//! that it was given something, since nobody knows that of it: so it can confirm a configuration, and its silence or its
//! running another one can delay a publication as long as any node's, but can't be a refusal.

use std::collections::BTreeMap;
use std::time::Duration;

use lifeboat_core::keep::adoption::NodeNews;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::report::{Report, WorkerName};
use tokio::time::timeout;
use tracing::debug;

use crate::keep::{Witness, Witnesses};

/// An exporter takes news at once. One that doesn't is told with the next report.
const PATIENCE: Duration = Duration::from_secs(1);

/// The workers that testify.
#[derive(Debug)]
pub(super) struct Testimonies {
    witnesses: Witnesses,
    speaking: BTreeMap<WorkerName, (KongVersion, Witness)>,
}

impl Testimonies {
    pub(super) fn new(witnesses: Witnesses) -> Self {
        Self { witnesses, speaking: BTreeMap::new() }
    }

    /// A worker has reported. Only one that names its version of Kong and its configuration can testify: a hash alone
    /// names no content (KONG.md section 1).
    pub(super) async fn hear(&mut self, name: WorkerName, report: &Report) {
        let version = report.kong_version.as_deref().and_then(|version| version.parse::<KongVersion>().ok());
        let (Some(version), Some(hash)) = (version, report.config_hash) else { return };
        if self.speaking.get(&name).is_some_and(|(known, _)| *known != version) {
            self.forget(&name).await;
        }
        if !self.speaking.contains_key(&name) {
            let Some(witness) = self.witnesses.node(version) else { return };
            tell(&witness, NodeNews::Joined).await;
            self.speaking.insert(name.clone(), (version, witness));
        }
        if let Some((_, witness)) = self.speaking.get(&name) {
            tell(witness, NodeNews::Runs(hash)).await;
        }
    }

    /// A worker is gone.
    pub(super) async fn forget(&mut self, name: &WorkerName) {
        if let Some((_, witness)) = self.speaking.remove(name) {
            tell(&witness, NodeNews::Left).await;
        }
    }
}

async fn tell(witness: &Witness, news: NodeNews) {
    if timeout(PATIENCE, witness.tell(news)).await.is_err() {
        debug!("an exporter is busy and was not told of a report: {news:?}");
    }
}
