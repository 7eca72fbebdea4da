//! What is known of keeping one version: plain values, as they were recorded last.

use std::collections::BTreeMap;

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::export::election::Strategy;
use lifeboat_core::export::publisher::NewestState;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::lifetimes::Lifetimes;
use lifeboat_core::manifest::{Held, Manifest};
use lifeboat_core::room::NodeLimits;
use lifeboat_core::time::{Moment, WallTime};
use lifeboat_storage::StorageError;

/// What is known of keeping one version of Kong.
#[derive(Clone, Debug)]
pub struct ExportFacts {
    /// The version.
    pub version: KongVersion,
    /// Whether the backup node is connected to the control plane.
    pub is_connected: bool,
    /// What it says of us.
    pub control_plane_says: ControlPlaneSays,
    /// What the control plane sent last.
    pub newest: Option<Newest>,
    /// What of that ends by itself.
    pub lifetimes: Option<Lifetimes>,
    /// Where that stands, as this exporter has judged it last; none before it has.
    pub judged: Option<Judged>,
    /// How many nodes say that they run another configuration than the published one.
    pub nodes_that_differ: usize,
    /// How the leader is chosen, once that is known.
    pub strategy: Option<Strategy>,
    /// Who leads.
    pub lead: Lead,
    /// The manifest that was looked at or written last.
    pub published: Option<Manifest>,
    /// What nodes take.
    pub limits: NodeLimits,
    /// When something was last begun at the store.
    pub last_attempt: Option<WallTime>,
    /// When something there was last done.
    pub last_success: Option<WallTime>,
    /// What fails there, if the newest attempt did.
    pub failing: Option<Failing>,
    /// What holds the election up, if something does.
    pub election_failing: Option<Failing>,
    /// Why new nodes can't be given what is published, if its payload is lost.
    pub payload_lost: Option<String>,
    /// Whether each further store has what is published, as far as this exporter leads and has tried.
    pub other_stores: BTreeMap<String, bool>,
    /// How many configurations came from the control plane.
    pub received: u64,
    /// How many attempts at the store failed, by class: also those that never did.
    pub failures: BTreeMap<&'static str, u64>,
    /// How often something of another exporter's was found where this one writes.
    pub other_exporters: BTreeMap<Trace, u64>,
}

/// In which object something of another exporter's was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trace {
    /// `manifest.json`, or a lease: another exporter's, or an operator's choice.
    Manifest,
    /// `config.json`: another exporter's, perhaps Kong's own.
    ConfigJson,
}

/// What a control plane says of an exporter that connects to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlPlaneSays {
    /// Nothing against us.
    Nothing,
    /// It refuses this node. With the cause.
    RefusesNode(String),
    /// It does not accept our certificate. With the certificate, the cause and the cure.
    RefusesCertificate(String),
}

/// A configuration from the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newest {
    /// Kong's name for it.
    pub config_hash: ConfigHash,
    /// Its size, decompressed.
    pub bytes: u64,
    /// When it came.
    pub at: WallTime,
}

/// Where a configuration stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Kong's name for it, if there is one.
    pub newest: Option<ConfigHash>,
    /// Where it stands.
    pub state: NewestState,
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lead {
    /// Nobody that this exporter knows of.
    Unknown,
    /// This exporter.
    Own {
        /// Of which leadership what it writes speaks; none where there is no election.
        epoch: Option<u64>,
        /// Until when, unless it is renewed; none where there is no election.
        until: Option<Moment>,
    },
    /// Another one.
    Others {
        /// Its host.
        leader: String,
    },
}

/// A failure that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Since when.
    pub since: WallTime,
    /// The class of its newest error.
    pub class: &'static str,
    /// What it says.
    pub reason: String,
}

impl ExportFacts {
    pub(super) fn new(version: KongVersion) -> Self {
        Self {
            version,
            is_connected: false,
            control_plane_says: ControlPlaneSays::Nothing,
            newest: None,
            lifetimes: None,
            judged: None,
            nodes_that_differ: 0,
            strategy: None,
            lead: Lead::Unknown,
            published: None,
            limits: NodeLimits::default(),
            last_attempt: None,
            last_success: None,
            failing: None,
            election_failing: None,
            payload_lost: None,
            other_stores: BTreeMap::new(),
            received: 0,
            // What has not happened yet has happened 0 times: otherwise its first time would look like none.
            failures: StorageError::CLASSES.into_iter().map(|class| (class, 0)).collect(),
            other_exporters: [Trace::Manifest, Trace::ConfigJson].map(|trace| (trace, 0)).into(),
        }
    }

    pub(super) fn count(&mut self, error: &StorageError) {
        *self.failures.entry(error.class()).or_default() += 1;
    }

    /// Whether this exporter is the one that writes.
    pub fn leads(&self) -> bool {
        matches!(self.lead, Lead::Own { .. })
    }

    /// What is held, and why.
    pub fn holds(&self) -> Option<(ConfigHash, &Held)> {
        match &self.judged {
            Some(Judged { newest: Some(hash), state: NewestState::Held(why) }) => Some((*hash, why)),
            _ => None,
        }
    }

    /// The number of the leadership: its own, else that of what is published.
    pub fn epoch(&self) -> Option<u64> {
        match self.lead {
            Lead::Own { epoch: Some(epoch), .. } => Some(epoch),
            _ => self.published.as_ref().map(|manifest| manifest.epoch),
        }
    }
}
