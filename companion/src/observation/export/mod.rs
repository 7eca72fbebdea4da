//! What happens in keeping one version of Kong: recorded by the parts that it happens to, and read as metrics, as
//! readiness and as status. Two things are decided here: a lead that was not renewed in time counts as none, and losing
//! a race is no failure of the store.

mod facts;

use std::sync::{Arc, Mutex, MutexGuard};

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::export::election::Strategy;
use lifeboat_core::export::publisher::{Leadership, NewestState};
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::lifetimes::Lifetimes;
use lifeboat_core::manifest::Manifest;
use lifeboat_core::room::NodeLimits;
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::lock::Locked;
use lifeboat_storage::StorageError;

pub use facts::{ControlPlaneSays, ExportFacts, Failing, Judged, Lead, Newest, Trace};

/// Records what happens in keeping one version of Kong. Clones record into the same facts.
#[derive(Clone, Debug)]
pub struct ExportRecorder {
    facts: Arc<Mutex<ExportFacts>>,
    clock: Clock,
}

impl ExportRecorder {
    /// With facts of its own, which nobody else reads.
    pub fn new(version: KongVersion, clock: Clock) -> Self {
        Self { facts: Arc::new(Mutex::new(ExportFacts::new(version))), clock }
    }

    /// What is known now.
    pub fn facts(&self) -> ExportFacts {
        let mut facts = self.lock().clone();
        // Nobody tells that a lead was not renewed in time.
        if let Lead::Own { until: Some(until), .. } = facts.lead
            && until <= self.clock.now()
        {
            facts.lead = Lead::Unknown;
        }
        facts
    }

    /// The backup node is connected to the control plane.
    pub fn connected(&self) {
        self.lock().is_connected = true;
    }

    /// It is connected no longer.
    pub fn disconnected(&self) {
        self.lock().is_connected = false;
    }

    /// The control plane has said this of us.
    pub fn control_plane_says(&self, says: ControlPlaneSays) {
        self.lock().control_plane_says = says;
    }

    /// The control plane has sent this configuration of so many bytes, decompressed.
    pub fn received(&self, config_hash: ConfigHash, bytes: u64) {
        let mut facts = self.lock();
        facts.newest = Some(Newest { config_hash, bytes, at: self.clock.wall() });
        facts.received += 1;
    }

    /// When what is in a configuration ends, if that is still the one that came last.
    pub fn ends(&self, config_hash: ConfigHash, lifetimes: Lifetimes) {
        let mut facts = self.lock();
        if facts.newest.is_some_and(|newest| newest.config_hash == config_hash) {
            facts.lifetimes = Some(lifetimes);
        }
    }

    /// Nodes take so much.
    pub fn nodes_take(&self, limits: NodeLimits) {
        self.lock().limits = limits;
    }

    /// Where the newest configuration stands, if there is one.
    pub fn newest_state(&self, newest: Option<ConfigHash>, state: NewestState) {
        self.lock().judged = Some(Judged { newest, state });
    }

    /// So many nodes run another configuration than the published one.
    pub fn nodes_differ(&self, count: usize) {
        self.lock().nodes_that_differ = count;
    }

    /// The published payload is lost, for which reason, or it isn't.
    pub fn payload(&self, lost: Option<String>) {
        self.lock().payload_lost = lost;
    }

    /// How the leader is chosen.
    pub fn elects_by(&self, strategy: Strategy) {
        self.lock().strategy = Some(strategy);
    }

    /// Who may write: this exporter, for so long, or not this one.
    pub fn leadership(&self, leadership: &Leadership) {
        let mut facts = self.lock();
        match leadership {
            Leadership::Leader { epoch, until } => {
                facts.lead = Lead::Own { epoch: Some(*epoch), until: Some(*until) };
            }
            Leadership::Alone => facts.lead = Lead::Own { epoch: None, until: None },
            Leadership::Follower if facts.leads() => facts.lead = Lead::Unknown,
            Leadership::Follower => {}
        }
    }

    /// Another exporter leads, on this host.
    pub fn follows(&self, leader: &str) {
        self.lock().lead = Lead::Others { leader: leader.to_owned() };
    }

    /// The exporter that led is gone.
    pub fn lost_its_leader(&self) {
        self.lock().lead = Lead::Unknown;
    }

    /// The election can't go on.
    pub fn election_failed(&self, error: &StorageError) {
        let mut facts = self.lock();
        facts.count(error);
        facts.election_failing = Some(self.failing(facts.election_failing.take(), error));
    }

    /// The election goes on.
    pub fn election_goes_on(&self) {
        self.lock().election_failing = None;
    }

    /// Something is begun at the store.
    pub fn attempted(&self) {
        self.lock().last_attempt = Some(self.clock.wall());
    }

    /// What was begun is done, and this is published now, by whomever.
    pub fn succeeded(&self, published: Option<&Manifest>) {
        let mut facts = self.lock();
        facts.published = published.cloned();
        facts.last_success = Some(self.clock.wall());
        facts.failing = None;
    }

    /// What was begun has failed, and is tried again later. Where another exporter was faster, or leads by now, the store
    /// is well.
    pub fn failed(&self, error: &StorageError) {
        let mut facts = self.lock();
        facts.count(error);
        if let StorageError::Conflict { .. } | StorageError::NotLeading { .. } = error {
            return;
        }

        facts.failing = Some(self.failing(facts.failing.take(), error));
    }

    /// Something of somebody else's was found where this exporter writes.
    pub fn noticed_another_exporter(&self, trace: Trace) {
        *self.lock().other_exporters.entry(trace).or_default() += 1;
    }

    /// A further store has what is published.
    pub fn keeps_up(&self, store: &str) {
        self.lock().other_stores.insert(store.to_owned(), true);
    }

    /// It doesn't, or has something newer.
    pub fn falls_behind(&self, store: &str) {
        self.lock().other_stores.insert(store.to_owned(), false);
    }

    /// Another exporter tells of this store from now on.
    pub fn forgets_store(&self, store: &str) {
        self.lock().other_stores.remove(store);
    }

    fn failing(&self, before: Option<Failing>, error: &StorageError) -> Failing {
        let since = before.map_or_else(|| self.clock.wall(), |before| before.since);
        Failing { since, class: error.class(), reason: error.to_string() }
    }

    fn lock(&self) -> MutexGuard<'_, ExportFacts> {
        self.facts.locked()
    }
}
