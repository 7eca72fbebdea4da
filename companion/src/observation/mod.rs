//! What is known of the running program: plain facts that its parts record, and what follows from them for readiness. Metrics,
//! `/status` and `/readyz` read it; it knows none of them.

mod export;
mod readiness;
mod relay;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::time::WallTime;
use lifeboat_link::tls::Leaf;
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::lock::Locked;

pub use export::{ControlPlaneSays, ExportFacts, ExportRecorder, Failing, Judged, Lead, Newest, Trace};
pub use readiness::newest_state_name;
pub(crate) use readiness::{NEWEST_STATES, held_name};
pub use relay::{NodePresence, RelayFacts, RelayRecorder};

/// What is known of a program. Clones are the same.
#[derive(Clone, Debug)]
pub struct Observation(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    clock: Clock,
    started: WallTime,
    exports: Mutex<Vec<(KongVersion, ExportRecorder)>>,
    relay: OnceLock<RelayRecorder>,
    cluster_certificate_ends: Mutex<Option<WallTime>>,
    listed_without_backup: Mutex<Option<BTreeMap<KongVersion, u64>>>,
}

impl Observation {
    /// Of a program that has just been started.
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Parts {
            clock,
            started: clock.wall(),
            exports: Mutex::default(),
            relay: OnceLock::new(),
            cluster_certificate_ends: Mutex::default(),
            listed_without_backup: Mutex::default(),
        }))
    }

    /// Where the exporter of a version of Kong records what happens: the same for all who ask for this version.
    pub fn export(&self, version: KongVersion) -> ExportRecorder {
        let mut exports = self.0.exports.locked();
        if let Some((_, known)) = exports.iter().find(|(known, _)| *known == version) {
            return known.clone();
        }

        let recorder = ExportRecorder::new(version, self.0.clock);
        exports.push((version, recorder.clone()));
        recorder
    }

    /// Where the relay records what happens: there is one from now on.
    pub fn relay(&self) -> RelayRecorder {
        self.0.relay.get_or_init(RelayRecorder::default).clone()
    }

    /// The control plane is shown this certificate from now on. Which one nodes see, the relay records.
    pub fn shows(&self, certificate: &Leaf) {
        *self.0.cluster_certificate_ends.locked() = Some(WallTime::from_system(certificate.not_after()));
    }

    /// So many of the nodes that the control plane's Admin API lists have no backup, by version; 0 where there is one.
    pub fn lists_without_backup(&self, nodes: BTreeMap<KongVersion, u64>) {
        *self.0.listed_without_backup.locked() = Some(nodes);
    }

    /// How many of the nodes that the Admin API lists have no backup; none until it has told.
    pub fn listed_without_backup(&self) -> Option<BTreeMap<KongVersion, u64>> {
        self.0.listed_without_backup.locked().clone()
    }

    /// What is known of each version that is exported.
    pub fn export_facts(&self) -> Vec<ExportFacts> {
        self.0.exports.locked().iter().map(|(_, recorder)| recorder.facts()).collect()
    }

    /// What is known of the relay, if there is one.
    pub fn relay_facts(&self) -> Option<RelayFacts> {
        self.0.relay.get().map(RelayRecorder::facts)
    }

    /// When each certificate ends: the cluster's, which is shown to the control plane, and the relay's, which nodes see.
    pub fn certificate_ends(&self) -> Vec<(&'static str, WallTime)> {
        let cluster = self.0.cluster_certificate_ends.locked().map(|ends| ("cluster", ends));
        let relay = self.relay_facts().and_then(|relay| relay.certificate);
        cluster.into_iter().chain(relay.map(|(_, ends)| ("relay", ends))).collect()
    }

    /// When the program was started.
    pub fn started(&self) -> WallTime {
        self.0.started
    }

    /// What the wall clock shows.
    pub fn now(&self) -> WallTime {
        self.0.clock.wall()
    }
}
