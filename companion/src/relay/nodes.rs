//! The nodes that are connected now, as operators see them. What is done with a node, its session decides.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Arc, Mutex, MutexGuard};

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::room::{NodeLimits, Sizes};
use lifeboat_core::session::node::{LinkState, NodeSession, Source};
use lifeboat_core::time::WallTime;
use lifeboat_runtime::lock::Locked;
use serde::Serialize;

use super::sent_hashes::Sent;
use super::{NearLimit, NodeIdentity, rpc};

/// How many rows are copied under one lock of the table.
const LISTED_AT_ONCE: usize = 1_000;

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
    /// Whether it takes its configuration by incremental sync; then its hash is a version.
    pub incremental_sync: bool,
    /// Why it has no configuration though it should have one, in a sentence.
    pub trouble: Option<String>,
    /// What it takes, once it has said so.
    #[serde(skip)]
    pub limits: Option<NodeLimits>,
    /// The configuration that the control plane has sent it last, over this connection.
    #[serde(skip)]
    pub(super) sent: Option<Sent>,
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
    /// The number of the newest row. The first row has 1, so all rows come after 0.
    last: u64,
    nodes: BTreeMap<u64, NodeStatus>,
}

/// A node's row, for as long as it is connected.
#[derive(Debug)]
pub(super) struct NodeRow {
    nodes: Nodes,
    number: u64,
    shown: Shown,
}

/// What is shown of a node that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) runs: Option<ConfigHash>,
    pub(super) from: ConfigurationFrom,
    pub(super) link: ControlPlaneLink,
    pub(super) trouble: Option<String>,
    pub(super) limits: Option<NodeLimits>,
}

const NOTHING_YET: Shown = Shown {
    runs: None,
    from: ConfigurationFrom::Nowhere,
    link: ControlPlaneLink::Connecting,
    trouble: None,
    limits: None,
};

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
            incremental_sync: identity.target == rpc::PATH,
            trouble: None,
            limits: None,
            sent: None,
        };

        let mut table = self.lock();
        table.last += 1;
        let number = table.last;
        table.nodes.insert(number, status);
        drop(table);
        NodeRow { nodes: self.clone(), number, shown: NOTHING_YET }
    }

    /// All rows, in the order in which they came.
    pub(super) fn all(&self) -> Vec<NodeStatus> {
        self.lock().nodes.values().cloned().collect()
    }

    /// Rows in the order in which the nodes connected: at most so many, from the one after this number on. Then the
    /// number of the last row, if there are more after it.
    pub(super) fn after(&self, number: Option<u64>, most: usize) -> (Vec<NodeStatus>, Option<u64>) {
        let (mut listed, mut last) = (Vec::new(), number);
        loop {
            // Nodes' sessions wait for the table, so a long list releases it between two parts.
            let table = self.lock();
            let mut rows = table.nodes.range((last.map_or(Unbounded, Excluded), Unbounded)).peekable();
            let part = most.saturating_sub(listed.len()).min(LISTED_AT_ONCE);
            for (number, status) in rows.by_ref().take(part) {
                listed.push(status.clone());
                last = Some(*number);
            }

            if rows.peek().is_none() {
                return (listed, None);
            }
            if listed.len() >= most {
                // With none at all, the list goes on where it would have begun.
                return (listed, Some(last.unwrap_or_default()));
            }
        }
    }

    /// The first of those nodes that near a limit with backups of these sizes, so many at most.
    pub(super) fn near_limits(&self, sizes: &BTreeMap<KongVersion, Sizes>, most: usize) -> Vec<NearLimit> {
        let table = self.lock();
        let near = table.nodes.values().filter_map(|node| {
            let sizes = sizes.get(&node.version?)?;
            Some(node.limits?.near(*sizes).into_iter().map(move |(limit, share)| (node, limit, share)))
        });
        let named =
            |(node, limit, share): (&NodeStatus, _, _)| NearLimit { hostname: node.hostname.clone(), limit, share };
        near.flatten().take(most).map(named).collect()
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
        self.show_as(Shown {
            runs: session.runs(),
            from: from(session.runs(), session.source()),
            link: match session.link_state() {
                LinkState::Connecting => ControlPlaneLink::Connecting,
                LinkState::Up => ControlPlaneLink::Linked,
                LinkState::Down => ControlPlaneLink::Gone,
                LinkState::Refused => ControlPlaneLink::Refused,
            },
            trouble: session.trouble().as_ref().map(ToString::to_string),
            limits: session.info().map(|info| info.limits(NodeLimits::default())),
        });
    }

    /// Shows this.
    pub(super) fn show_as(&mut self, seen: Shown) {
        if seen == self.shown {
            return;
        }

        self.shown = seen;
        if let Some(status) = self.nodes.lock().nodes.get_mut(&self.number) {
            let Shown { runs, from, link, trouble, limits } = self.shown.clone();
            (status.config_hash, status.config_from, status.control_plane) = (runs, from, link);
            (status.trouble, status.limits) = (trouble, limits);
        }
    }

    /// The control plane has sent it this.
    pub(super) fn was_sent(&self, sent: Sent) {
        if let Some(status) = self.nodes.lock().nodes.get_mut(&self.number) {
            status.sent = Some(sent);
        }
    }

    /// What is shown.
    pub(super) fn shown(&self) -> &Shown {
        &self.shown
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
