//! What can be seen of a relay's nodes from outside of it. Whether it is ready is told by its metrics: that depends neither
//! on the store nor on the control plane, since what looks at it would cut the nodes off in the very outage for which it
//! is there.

use super::incremental::Incremental;
use super::nodes::Nodes;
use super::{NodeStatus, OnlyIncremental};

/// A view of a running relay. Clones see the same one.
#[derive(Clone, Debug)]
pub struct RelayView {
    nodes: Nodes,
    incremental: Incremental,
}

impl RelayView {
    pub(super) fn new(nodes: Nodes, incremental: Incremental) -> Self {
        Self { nodes, incremental }
    }

    /// The nodes that are connected now, oldest first.
    pub fn nodes(&self) -> Vec<NodeStatus> {
        self.nodes.all()
    }

    /// The nodes that can't be restored by the relay, since they ask for `/v2/outlet` only.
    pub fn only_incremental(&self) -> Vec<OnlyIncremental> {
        self.incremental.known()
    }
}
