//! What the relay sees of the nodes of a kept version, told to its exporter: which configuration they run.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use lifeboat_core::export::adoption::{NodeLink, NodeNews};
use lifeboat_core::kong::version::KongVersion;
use tokio::sync::mpsc;

/// An exporter takes news at once; who tells more waits a moment.
const UNHEARD: usize = 256;

/// What a node did.
pub(super) type Testimony = (NodeLink, NodeNews);

/// Whom the relay tells, for each version of Kong that is kept in this process.
#[derive(Clone, Debug, Default)]
pub struct NodeObservations(BTreeMap<KongVersion, mpsc::Sender<Testimony>>);

/// Where an exporter hears of the nodes of its version.
#[derive(Debug)]
pub struct ObservationReceiver(pub(super) mpsc::Receiver<Testimony>);

/// One node, for as long as its link lasts.
#[derive(Debug)]
pub struct ObservationSender {
    link: NodeLink,
    sender: mpsc::Sender<Testimony>,
}

impl NodeObservations {
    /// Where the exporter of this version hears of its nodes.
    pub fn hearing(&mut self, version: KongVersion) -> ObservationReceiver {
        let (sender, receiver) = mpsc::channel(UNHEARD);
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
