//! What the relay and the filter see of the nodes of an exported version, sent to its exporter: which configuration they
//! run.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use lifeboat_core::export::adoption::{NodeLink, NodeNews};
use lifeboat_core::kong::version::KongVersion;
use tokio::sync::mpsc;

/// An exporter takes news at once; a sender of more waits a moment.
const WAITING: usize = 256;

/// What a node did.
pub(super) type Observation = (NodeLink, NodeNews);

/// Whom the relay tells, for each version of Kong that is kept in this process.
#[derive(Clone, Debug, Default)]
pub struct NodeObservations(BTreeMap<KongVersion, mpsc::Sender<Observation>>);

/// Where an exporter receives what the nodes of its version do.
#[derive(Debug)]
pub struct ObservationReceiver(pub(super) mpsc::Receiver<Observation>);

/// One node, for as long as its link lasts.
#[derive(Debug)]
pub struct ObservationSender {
    link: NodeLink,
    sender: mpsc::Sender<Observation>,
}

impl NodeObservations {
    /// Where the exporter of this version hears of its nodes.
    pub fn hearing(&mut self, version: KongVersion) -> ObservationReceiver {
        let (sender, receiver) = mpsc::channel(WAITING);
        self.0.insert(version, sender);
        ObservationReceiver(receiver)
    }

    /// A node of this version, if that is kept here.
    pub fn node(&self, version: KongVersion) -> Option<ObservationSender> {
        static LINKS: AtomicU64 = AtomicU64::new(0);
        let link = NodeLink(LINKS.fetch_add(1, Ordering::Relaxed));
        self.0.get(&version).map(|sender| ObservationSender { link, sender: sender.clone() })
    }
}

impl ObservationSender {
    /// Tells what the node did. An exporter that has ended needs not know.
    pub async fn tell(&self, news: NodeNews) {
        let _ = self.sender.send((self.link, news)).await;
    }
}

impl ObservationReceiver {
    /// What a node did next; nothing, once nobody is left who could tell.
    pub async fn next(&mut self) -> Option<(NodeLink, NodeNews)> {
        self.0.recv().await
    }
}
