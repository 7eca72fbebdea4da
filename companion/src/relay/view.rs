//! What can be seen of a relay from outside of it: its nodes, and whether it is ready for more. It is ready when it
//! listens with a valid certificate. That depends neither on the store nor on the control plane: what looks at it would
//! cut the nodes off in the very outage for which it is there.

use std::time::SystemTime;

use lifeboat_core::time::WallTime;

use super::incremental::Incremental;
use super::nodes::Nodes;
use super::{NodeStatus, OnlyIncremental};
use crate::tls::ServerTls;

/// A view of a running relay. Clones see the same one.
#[derive(Clone, Debug)]
pub struct RelayView {
    tls: ServerTls,
    nodes: Nodes,
    incremental: Incremental,
}

/// Why nodes could not connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// The certificate that nodes see has expired.
    #[error("the relay's certificate expired at {0}: nodes may refuse it")]
    Expired(WallTime),
    /// It is not valid yet.
    #[error("the relay's certificate is not valid before {0}: is this host's clock right")]
    NotYet(WallTime),
}

impl RelayView {
    pub(super) fn new(tls: ServerTls, nodes: Nodes, incremental: Incremental) -> Self {
        Self { tls, nodes, incremental }
    }

    /// The nodes that are connected now, oldest first.
    pub fn nodes(&self) -> Vec<NodeStatus> {
        self.nodes.all()
    }

    /// The nodes that can't be restored by the relay, since they ask for `/v2/outlet` only.
    pub fn only_incremental(&self) -> Vec<OnlyIncremental> {
        self.incremental.known()
    }

    /// Whether nodes can connect, at this time.
    ///
    /// # Errors
    /// When its certificate is not valid now. The relay does not look at that in `shared` mode, but nodes do.
    pub fn ready(&self, now: SystemTime) -> Result<(), NotReady> {
        let certificate = self.tls.certificate();
        if now < certificate.not_before() {
            return Err(NotReady::NotYet(WallTime::from_system(certificate.not_before())));
        }
        if now > certificate.not_after() {
            return Err(NotReady::Expired(WallTime::from_system(certificate.not_after())));
        }
        Ok(())
    }
}
