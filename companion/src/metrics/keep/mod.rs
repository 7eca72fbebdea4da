//! What happens in keeping one version of Kong: told here by those whom it happens to, and read as metrics, as readiness
//! and as status. Nothing is decided here.

mod facts;
mod gauges;
mod readiness;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard};

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::keep::election::Strategy;
use lifeboat_core::keep::keeper::Standing;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::Manifest;
use lifeboat_core::time::WallTime;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

pub use facts::{Failing, Judged, KeepFacts, Lead, Newest};
pub use gauges::strategy_name;
pub(super) use gauges::write_all;
pub use readiness::standing_name;

use super::names;
use super::series::{Version, register};
use super::step::{Step, StepTimes};
use crate::storage::StorageError;

/// Who keeps one version tells it here what happens. Clones tell the same.
#[derive(Clone, Debug)]
pub struct KeepMetrics {
    facts: Arc<Mutex<KeepFacts>>,
    counters: KeepCounters,
}

/// What is counted for all versions of Kong.
#[derive(Clone, Debug, Default)]
pub(super) struct KeepCounters {
    received: Family<VersionLabels, Counter>,
    failures: Family<FailureLabels, Counter>,
    others: Family<VersionLabels, Counter>,
    pub(super) steps: StepTimes,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VersionLabels {
    kong_version: Version,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    kong_version: Version,
    class: &'static str,
}

impl KeepCounters {
    pub(super) fn register(&self, registry: &mut Registry) {
        register(registry, &names::KEEP_RECEIVED, self.received.clone());
        register(registry, &names::KEEP_FAILURES, self.failures.clone());
        register(registry, &names::KEEP_OTHER_EXPORTER, self.others.clone());
        self.steps.register(registry);
    }
}

impl KeepMetrics {
    /// For who is looked at by nobody.
    pub fn unobserved(version: KongVersion) -> Self {
        Self::new(version, KeepCounters::default())
    }

    pub(super) fn new(version: KongVersion, counters: KeepCounters) -> Self {
        // What has not happened yet has happened 0 times: otherwise its first time would look like none.
        let labels = VersionLabels { kong_version: Version(version) };
        let _ = counters.received.get_or_create(&labels);
        let _ = counters.others.get_or_create(&labels);
        for class in StorageError::CLASSES {
            let labels = FailureLabels { kong_version: Version(version), class };
            let _ = counters.failures.get_or_create(&labels);
        }
        Self { facts: Arc::new(Mutex::new(KeepFacts::new(version))), counters }
    }

    /// What is known now.
    pub fn facts(&self) -> KeepFacts {
        self.lock().clone()
    }

    /// The backup node is connected to the control plane.
    pub fn connected(&self) {
        self.lock().is_connected = true;
    }

    /// It is connected no longer.
    pub fn disconnected(&self) {
        self.lock().is_connected = false;
    }

    /// The control plane has sent this configuration of so many bytes, decompressed.
    pub fn received(&self, config_hash: ConfigHash, bytes: u64, at: WallTime) {
        let mut facts = self.lock();
        facts.newest = Some(Newest { config_hash, bytes, at });
        self.counters.received.get_or_create(&VersionLabels { kong_version: Version(facts.version) }).inc();
    }

    /// Where the newest configuration stands, if there is one.
    pub fn stands(&self, newest: Option<ConfigHash>, standing: Standing) {
        self.lock().judged = Some(Judged { newest, standing });
    }

    /// How the leader is chosen.
    pub fn elects_by(&self, strategy: Strategy) {
        self.lock().strategy = Some(strategy);
    }

    /// This exporter leads: by election with an epoch, or because there is no other.
    pub fn leads(&self, epoch: Option<u64>) {
        self.lock().lead = Lead::Own { epoch };
    }

    /// Another exporter leads, on this host.
    pub fn follows(&self, leader: &str) {
        self.lock().lead = Lead::Others { leader: leader.to_owned() };
    }

    /// Nobody is known to lead.
    pub fn knows_no_leader(&self) {
        self.lock().lead = Lead::Unknown;
    }

    /// Something is begun at the store.
    pub fn attempted(&self, at: WallTime) {
        self.lock().last_attempt = Some(at);
    }

    /// What was begun is done, and this is published now, by whomever.
    pub fn succeeded(&self, published: Option<&Manifest>, at: WallTime) {
        let mut facts = self.lock();
        facts.published = published.cloned();
        facts.last_success = Some(at);
        facts.failing = None;
    }

    /// What was begun has failed, and is tried again later. Where another exporter was faster, or leads by now, the store
    /// is well.
    pub fn failed(&self, error: &StorageError, at: WallTime) {
        let mut facts = self.lock();
        let class = error.class();
        let labels = FailureLabels { kong_version: Version(facts.version), class };
        self.counters.failures.get_or_create(&labels).inc();
        if let StorageError::Conflict { .. } | StorageError::NotLeading { .. } = error {
            return;
        }
        let since = facts.failing.as_ref().map_or(at, |failing| failing.since);
        facts.failing = Some(Failing { since, class, reason: error.to_string() });
    }

    /// Something was found that another exporter must have written.
    pub fn noticed_another_exporter(&self) {
        let labels = VersionLabels { kong_version: Version(self.lock().version) };
        self.counters.others.get_or_create(&labels).inc();
    }

    /// A step took so long.
    pub fn took(&self, step: Step, duration: std::time::Duration) {
        let version = self.lock().version;
        self.counters.steps.took(version, step, duration);
    }

    fn lock(&self) -> MutexGuard<'_, KeepFacts> {
        self.facts.lock().expect("nothing panics while it holds this lock")
    }
}
