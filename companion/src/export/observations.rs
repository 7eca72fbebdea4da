//! What the relay and the filter see of the nodes of an exported version, sent to its exporter: which configuration they
//! run.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lifeboat_core::export::adoption::{NodeLink, NodeNews};
use lifeboat_core::kong::version::KongVersion;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::debug;

/// An exporter takes news at once; a sender of more waits a moment.
const WAITING: usize = 256;
/// How long a sender waits, since no node's link may be held up. If an exporter misses something, it learns it from the
/// node's next ping or report.
const TELLING_TIMEOUT: Duration = Duration::from_secs(1);

/// What a node did.
pub(super) type Observation = (NodeLink, NodeNews);

/// Where the relay sends its observations: one receiver for each version of Kong that this process exports.
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
    /// The receiver for the exporter of this version.
    pub fn hearing(&mut self, version: KongVersion) -> ObservationReceiver {
        let (sender, receiver) = mpsc::channel(WAITING);
        self.0.insert(version, sender);
        ObservationReceiver(receiver)
    }

    /// A sender for a node of this version; none if this process does not export that version.
    pub fn node(&self, version: KongVersion) -> Option<ObservationSender> {
        static LINKS: AtomicU64 = AtomicU64::new(0);
        let link = NodeLink(LINKS.fetch_add(1, Ordering::Relaxed));
        self.0.get(&version).map(|sender| ObservationSender { link, sender: sender.clone() })
    }
}

impl ObservationSender {
    /// Tells what the node did. Nothing happens if the exporter has ended, or takes nothing in time.
    pub async fn tell(&self, news: NodeNews) {
        if timeout(TELLING_TIMEOUT, self.sender.send((self.link, news))).await.is_err() {
            debug!("an exporter is busy and was not told what a node did: {news:?}");
        }
    }
}

impl ObservationReceiver {
    /// What a node did next; nothing, once nobody is left who could tell.
    pub async fn next(&mut self) -> Option<(NodeLink, NodeNews)> {
        self.0.recv().await
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const VERSION: KongVersion = KongVersion::new(3, 9, 1);

    #[tokio::test(start_paused = true)]
    async fn an_exporter_that_takes_nothing_holds_no_node_up() {
        let mut observations = NodeObservations::default();
        let mut receiver = observations.hearing(VERSION);
        let node = observations.node(VERSION).unwrap();
        for _ in 0..WAITING {
            node.tell(NodeNews::Joined).await;
        }
        let began = Instant::now();
        node.tell(NodeNews::Left).await;
        assert_eq!(began.elapsed(), TELLING_TIMEOUT);

        receiver.next().await;
        node.tell(NodeNews::Left).await;
        assert_eq!(began.elapsed(), TELLING_TIMEOUT, "there is room again");
    }
}
