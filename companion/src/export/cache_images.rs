//! Images of the cache of a node on this host. They are taken as soon as the node runs the published configuration, and
//! given to the exporter, which alone writes. Even if that is slow or fails, it never delays a configuration.

use std::path::PathBuf;
use std::time::Duration;

use lifeboat_core::backoff::Backoff;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::object_key::SnapshotId;
use lifeboat_core::outage::OutageLog;
use lifeboat_node_cache::{CacheError, CacheId, Image, NodePrefix, Patience};
use lifeboat_runtime::background::computed;
use lifeboat_runtime::clock::Clock;
use lifeboat_storage::StorageError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tracing::{debug, info, warn};

const FIRST_WAIT: Duration = Duration::from_secs(1);
/// A large configuration takes a node many seconds to load, and its cache changes seldom after that.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// An image for a snapshot, and where the exporter answers once it is kept.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) id: SnapshotId,
    pub(super) image: Image,
    pub(super) answer: oneshot::Sender<Result<(), StorageError>>,
}

/// The exporter's side: what lacks an image, and which ones are offered.
#[derive(Debug)]
pub(super) struct ImageDesk {
    wanted: watch::Sender<Option<SnapshotId>>,
    offers: mpsc::Receiver<Offer>,
    // Kept so that waiting for offers never ends, even if nobody takes images.
    offer: mpsc::Sender<Offer>,
}

/// Takes images.
#[derive(Debug)]
pub struct CacheImages {
    prefix: NodePrefix,
    version: KongVersion,
    temporary: PathBuf,
    wanted: watch::Receiver<Option<SnapshotId>>,
    offers: mpsc::Sender<Offer>,
    clock: Clock,
    outage: OutageLog,
}

/// Why there is no image yet.
#[derive(Debug, thiserror::Error)]
enum NotYet {
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("the exporter has ended")]
    Ended,
}

impl Default for ImageDesk {
    fn default() -> Self {
        let (offer, offers) = mpsc::channel(1);
        Self { wanted: watch::Sender::new(None), offers, offer }
    }
}

impl ImageDesk {
    /// Says which published snapshot has no image; none if it has one.
    pub(super) fn want(&self, id: Option<SnapshotId>) {
        self.wanted.send_if_modified(|wanted| std::mem::replace(wanted, id) != id);
    }

    /// The next image; loses none when it is dropped before it is ready.
    pub(super) async fn offered(&mut self) -> Offer {
        self.offers.recv().await.expect("this side holds a sender")
    }

    /// Takes images of the node on `prefix` for this desk.
    pub(super) fn images(
        &self,
        prefix: NodePrefix,
        version: KongVersion,
        temporary: PathBuf,
        clock: Clock,
    ) -> CacheImages {
        let (wanted, offers, outage) = (self.wanted.subscribe(), self.offer.clone(), OutageLog::default());
        CacheImages { prefix, version, temporary, wanted, offers, clock, outage }
    }
}

impl CacheImages {
    /// Runs until the exporter ends.
    pub async fn run(mut self) {
        loop {
            let Ok(wanted) = self.wanted.wait_for(Option::is_some).await.map(|wanted| *wanted) else { return };
            if let Some(id) = wanted {
                self.take_until_kept(id).await;
            }
        }
    }

    async fn take_until_kept(&mut self, id: SnapshotId) {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        loop {
            match self.take(id).await {
                Ok(()) => self.say_end(id),
                Err(NotYet::Ended) => {}
                Err(problem) => self.say(id, &problem),
            }
            // Kept, or no longer the published one.
            if self.offers.is_closed() || *self.wanted.borrow_and_update() != Some(id) {
                return;
            }

            let changed = timeout(backoff.next_wait(rand::random()), self.wanted.changed()).await;
            if matches!(changed, Ok(Err(_))) {
                return;
            }
        }
    }

    async fn take(&self, id: SnapshotId) -> Result<(), NotYet> {
        let (prefix, temporary) = (self.prefix.clone(), self.temporary.clone());
        let wanted = CacheId { version: self.version, config_hash: id.config_hash };
        let image = computed(move || Image::take(&prefix, &wanted, &temporary, Patience::default())).await?;
        let (answer, answered) = oneshot::channel();
        self.offers.send(Offer { id, image, answer }).await.map_err(|_| NotYet::Ended)?;
        Ok(answered.await.map_err(|_| NotYet::Ended)??)
    }

    fn say_end(&self, SnapshotId { sequence, .. }: SnapshotId) {
        if let Some(lasted) = self.outage.works(self.clock.now()) {
            let prefix = self.prefix.path().display();
            info!(sequence, "snapshot {sequence} has an image of the node's cache on {prefix} now, after {lasted}");
        }
    }

    // Logged as seldom as an outage is: a node may run another configuration for a long time.
    fn say(&self, SnapshotId { sequence, config_hash: hash }: SnapshotId, problem: &NotYet) {
        let prefix = self.prefix.path().display();
        let is_transient = matches!(problem, NotYet::Cache(error) if error.is_transient());
        let cause = if is_transient { "not yet" } else { "not" };

        match self.outage.failed(cause, self.clock.now()) {
            Some(lasted) if is_transient => {
                info!(sequence, %hash, "snapshot {sequence} has no image of the node's cache on {prefix} yet{lasted}: {problem}");
            }
            Some(lasted) => warn!(
                sequence,
                %hash,
                "snapshot {sequence} has no image of the node's cache on {prefix}{lasted}: {problem}. It is tried again; the \
                 snapshot itself is kept"
            ),
            None => {
                debug!(sequence, %hash, "snapshot {sequence} has no image of the node's cache on {prefix}: {problem}")
            }
        }
    }
}
