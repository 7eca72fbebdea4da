//! What happens at the relay: recorded by it, and read as metrics, as readiness and as status.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::time::WallTime;
use lifeboat_link::tls::{FailureClass, Leaf};
use lifeboat_runtime::lock::Locked;

/// Records what happens at the relay. Clones record into the same facts.
#[derive(Clone, Debug, Default)]
pub struct RelayRecorder(Arc<Mutex<RelayFacts>>);

/// What is known of the relay.
#[derive(Clone, Debug, Default)]
pub struct RelayFacts {
    /// Where it listens; none if there is no relay, or not yet.
    pub listens: Option<SocketAddr>,
    /// From when until when the certificate is valid that nodes see.
    pub certificate: Option<(WallTime, WallTime)>,
    /// Nodes that are connected.
    pub nodes: u64,
    /// Those among them that run a configuration from the store.
    pub nodes_from_store: u64,
    /// Of each version among the nodes, how many have no backup; 0 where there is one, nothing where that is not known.
    pub without_backup: BTreeMap<KongVersion, u64>,
    /// Whether the newest link to the control plane came about; none before the first was tried.
    pub reaches_control_plane: Option<bool>,
    /// The control plane does not accept the relay's certificate: which one, why, and what to do.
    pub refused_by_control_plane: Option<String>,
    /// How many connections of nodes were refused, by reason.
    pub refused: HashMap<FailureClass, u64>,
    /// How often a node has come to run a configuration from the store.
    pub restored: u64,
    /// How often a node was given a snapshot several times and did not run it.
    pub not_adopted: u64,
    /// How often the control plane has sent a node a configuration without routes.
    pub given_nothing: u64,
}

/// A node that is connected, until this is dropped.
#[derive(Debug)]
pub struct NodePresence {
    relay: RelayRecorder,
    runs_from_store: bool,
}

impl RelayRecorder {
    /// What is known now.
    pub fn facts(&self) -> RelayFacts {
        self.lock().clone()
    }

    /// The relay listens here.
    pub fn listens(&self, address: SocketAddr) {
        self.lock().listens = Some(address);
    }

    /// It has ended, or is ending.
    pub fn listens_no_longer(&self) {
        self.lock().listens = None;
    }

    /// Nodes see this certificate from now on.
    pub fn presents(&self, certificate: &Leaf) {
        let times = [certificate.not_before(), certificate.not_after()].map(WallTime::from_system);
        self.lock().certificate = Some(times.into());
    }

    /// A node's connection was refused.
    pub fn refused(&self, reason: FailureClass) {
        *self.lock().refused.entry(reason).or_default() += 1;
    }

    /// So many nodes of each version have no backup, as far as that is known.
    pub fn without_backup(&self, nodes: BTreeMap<KongVersion, u64>) {
        self.lock().without_backup = nodes;
    }

    /// A node is connected, until what is given back is dropped.
    pub fn node(&self) -> NodePresence {
        self.lock().nodes += 1;
        NodePresence { relay: self.clone(), runs_from_store: false }
    }

    /// The control plane took a node's link, or refused that one node.
    pub fn reached(&self) {
        let mut facts = self.lock();
        (facts.reaches_control_plane, facts.refused_by_control_plane) = (Some(true), None);
    }

    /// It did not: it is gone.
    pub fn not_reached(&self) {
        let mut facts = self.lock();
        (facts.reaches_control_plane, facts.refused_by_control_plane) = (Some(false), None);
    }

    /// It does not accept the relay's certificate.
    pub fn refused_by_the_control_plane(&self, why: String) {
        let mut facts = self.lock();
        (facts.reaches_control_plane, facts.refused_by_control_plane) = (Some(false), Some(why));
    }

    fn lock(&self) -> MutexGuard<'_, RelayFacts> {
        self.0.locked()
    }
}

impl NodePresence {
    /// The node has come to run a configuration from the store.
    pub fn restored(&mut self) {
        self.relay.lock().restored += 1;
        self.runs_from_store(true);
    }

    /// The control plane has sent the node a configuration.
    pub fn given(&mut self) {
        self.runs_from_store(false);
    }

    /// The node was given a snapshot several times and does not run it.
    pub fn not_adopting(&self) {
        self.relay.lock().not_adopted += 1;
    }

    /// The control plane has sent the node a configuration without routes.
    pub fn given_nothing(&self) {
        self.relay.lock().given_nothing += 1;
    }

    fn runs_from_store(&mut self, is_so: bool) {
        let before = std::mem::replace(&mut self.runs_from_store, is_so);
        let mut facts = self.relay.lock();
        facts.nodes_from_store = facts.nodes_from_store + u64::from(is_so) - u64::from(before);
    }
}

impl Drop for NodePresence {
    fn drop(&mut self) {
        self.runs_from_store(false);
        self.relay.lock().nodes -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_counted_until_they_leave_and_by_whose_configuration_they_run() {
        let relay = RelayRecorder::default();
        let (mut first, mut second) = (relay.node(), relay.node());
        first.restored();
        first.restored();
        second.restored();
        assert_eq!((relay.facts().nodes, relay.facts().nodes_from_store), (2, 2));
        second.given();
        second.given();
        assert_eq!((relay.facts().nodes, relay.facts().nodes_from_store), (2, 1));
        drop((first, second));
        assert_eq!((relay.facts().nodes, relay.facts().nodes_from_store), (0, 0));
        assert_eq!(relay.facts().restored, 3);
    }
}
