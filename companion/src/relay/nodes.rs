//! The nodes that are connected now, as an operator wants to see them. What is done with them is their sessions' business.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::room::NodeLimits;
use lifeboat_core::session::node::{LinkState, NodeSession, Source, Trouble};
use lifeboat_core::time::WallTime;
use lifeboat_runtime::lock::Locked;
use serde::Serialize;

use super::NodeIdentity;

/// A connected node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeStatus {
    /// Its id.
    pub id: String,
    /// Its host's name.
    pub hostname: String,
    /// Its version, if it said one.
    pub version: Option<KongVersion>,
    /// Where it connected from.
    pub address: SocketAddr,
    /// Since when it has been connected.
    pub since: WallTime,
    /// What its newest ping says that it runs; zeros while it has nothing.
    pub config_hash: Option<ConfigHash>,
    /// Where that came from.
    pub config_from: ConfigurationFrom,
    /// Its link to the control plane.
    pub control_plane: ControlPlaneLink,
    /// Why it has no configuration though it should have one, in a sentence.
    pub trouble: Option<String>,
    /// What it takes, once it has said so.
    #[serde(skip)]
    pub limits: Option<NodeLimits>,
}

/// Where a node's configuration came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigurationFrom {
    /// It has none, or has not said so yet.
    Nowhere,
    /// It had it when it connected.
    OwnCache,
    /// The control plane sent it.
    ControlPlane,
    /// It was restored from the store.
    Store,
}

/// A node's own link to the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlPlaneLink {
    /// Being made.
    Connecting,
    /// Up: what either side sends passes.
    Linked,
    /// The control plane is gone.
    Gone,
    /// The control plane turned the node away.
    Refused,
}

/// All of them. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Nodes(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    next: u64,
    nodes: BTreeMap<u64, NodeStatus>,
}

/// A node's row, for as long as it is connected.
#[derive(Debug)]
pub(super) struct NodeRow {
    nodes: Nodes,
    number: u64,
    shown: Shown,
}

type Shown = (Option<ConfigHash>, Source, LinkState, Option<Trouble>, Option<NodeLimits>);

impl Nodes {
    pub(super) fn join(&self, identity: &NodeIdentity, since: WallTime) -> NodeRow {
        let status = NodeStatus {
            id: identity.id.clone(),
            hostname: identity.hostname.clone(),
            version: identity.version,
            address: identity.address,
            since,
            config_hash: None,
            config_from: ConfigurationFrom::Nowhere,
            control_plane: ControlPlaneLink::Connecting,
            trouble: None,
            limits: None,
        };

        let mut table = self.lock();
        let number = table.next;
        table.next += 1;
        table.nodes.insert(number, status);
        drop(table);
        NodeRow { nodes: self.clone(), number, shown: (None, Source::OwnOrNone, LinkState::Connecting, None, None) }
    }

    /// All rows, in the order in which they came.
    pub(super) fn all(&self) -> Vec<NodeStatus> {
        self.lock().nodes.values().cloned().collect()
    }

    /// How many there are of each version that they have said.
    pub(super) fn versions(&self) -> BTreeMap<KongVersion, u64> {
        let mut counted = BTreeMap::new();
        for version in self.lock().nodes.values().filter_map(|node| node.version) {
            *counted.entry(version).or_default() += 1;
        }
        counted
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.locked()
    }
}

impl NodeRow {
    /// Shows what the session knows now.
    pub(super) fn show(&mut self, session: &NodeSession) {
        let limits = session.info().map(|info| info.limits(NodeLimits::default()));
        let seen = (session.runs(), session.source(), session.link_state(), session.trouble(), limits);
        if seen == self.shown {
            return;
        }

        self.shown = seen.clone();
        let (runs, source, link, trouble, limits) = seen;
        if let Some(status) = self.nodes.lock().nodes.get_mut(&self.number) {
            status.config_hash = runs;
            status.config_from = from(runs, source);
            status.control_plane = match link {
                LinkState::Connecting => ControlPlaneLink::Connecting,
                LinkState::Up => ControlPlaneLink::Linked,
                LinkState::Down => ControlPlaneLink::Gone,
                LinkState::Refused => ControlPlaneLink::Refused,
            };
            status.trouble = trouble.as_ref().map(ToString::to_string);
            status.limits = limits;
        }
    }
}

fn from(runs: Option<ConfigHash>, source: Source) -> ConfigurationFrom {
    match (runs, source) {
        (None, _) => ConfigurationFrom::Nowhere,
        (Some(hash), _) if hash.is_empty() => ConfigurationFrom::Nowhere,
        (_, Source::OwnOrNone) => ConfigurationFrom::OwnCache,
        (_, Source::ControlPlane) => ConfigurationFrom::ControlPlane,
        (_, Source::Store) => ConfigurationFrom::Store,
    }
}

impl Drop for NodeRow {
    fn drop(&mut self) {
        self.nodes.lock().nodes.remove(&self.number);
    }
}
