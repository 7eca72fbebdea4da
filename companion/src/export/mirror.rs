//! The other stores beside the first one. While this exporter leads, each of them gets a copy of what is published in
//! the first one. Only the newest is copied: a store does not get what it has missed while it was away. If a store has
//! lost the newest, it gets it again. The archive does the copying.

use std::time::Duration;

use futures::FutureExt;
use futures::future::{join_all, select_all};
use lifeboat_core::backoff::{Backoff, shortened};
use lifeboat_core::export::publisher::{GLANCE_INTERVAL, READ_BACK_INTERVAL};
use lifeboat_core::outage::OutageLog;
use lifeboat_core::time::Moment;
use lifeboat_runtime::background::or_pending;
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::rng;
use lifeboat_storage::{Fence, StorageError};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{debug, error, info, warn};

use super::pruner::Pruner;
use crate::archive::{Archive, Author, Depth, Mirrored, Published};
use crate::observation::ExportRecorder;
use crate::settings::StoreSettings;

/// How long a command that publishes once waits for other stores.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// What is published in the first store; none while this exporter doesn't lead.
#[derive(Debug)]
pub(super) struct Mirrors(watch::Sender<Option<Published>>);

/// Keeps one other store up to date.
struct Mirror {
    first: Archive,
    settings: StoreSettings,
    published: watch::Receiver<Option<Published>>,
    author: Author,
    fence: Fence,
    clock: Clock,
    recorder: ExportRecorder,
    other: Option<Other>,
    backoff: Backoff,
    outage: OutageLog,
    /// When the next check is due whether the store still has what is published, and when the next one that reads all
    /// of it.
    look_at: Moment,
    read_back_at: Moment,
}

struct Other {
    archive: Archive,
    pruner: Pruner,
}

impl Mirrors {
    /// The mirrors of these stores, and their work as a future, to be run beside everything else. Dropping the future
    /// ends the work.
    pub(super) fn new(
        first: &Archive,
        stores: Vec<StoreSettings>,
        author: &Author,
        fence: &Fence,
        clock: Clock,
        recorder: &ExportRecorder,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (sender, published) = watch::channel(None);
        let mirrors = stores.into_iter().map(|settings| Mirror {
            first: first.clone(),
            settings,
            published: published.clone(),
            author: author.clone(),
            fence: fence.clone(),
            clock,
            recorder: recorder.clone(),
            other: None,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
            outage: OutageLog::default(),
            look_at: clock.now(),
            read_back_at: clock.now() + READ_BACK_INTERVAL,
        });

        let mirrors: Vec<_> = mirrors.map(|mirror| mirror.run().boxed()).collect();

        let work = async move {
            if mirrors.is_empty() {
                std::future::pending::<()>().await;
            }
            select_all(mirrors).await;
        };
        (Self(sender), work)
    }

    /// Says what is published: nothing while this exporter doesn't lead.
    pub(super) fn published(&self, published: Option<&Published>) {
        self.0.send_if_modified(|known| {
            let is_same = match (&*known, published) {
                (Some(known), Some(published)) => known.is_same_document(published),
                (None, None) => true,
                _ => false,
            };
            if !is_same {
                *known = published.cloned();
            }
            !is_same
        });
    }
}

impl Mirror {
    async fn run(mut self) {
        loop {
            let pruned = or_pending(self.other.as_mut().map(|other| other.pruner.turn()));
            let (clock, look_at) = (self.clock, self.look_at);
            let is_leading = self.published.borrow().is_some();
            tokio::select! {
                changed = self.published.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.catch_up(Depth::Size).await;
                }
                () = clock.reach(look_at), if is_leading => self.look().await,
                () = pruned => {}
            }
        }
    }

    // This store may lose its copy, just as the first store may lose the original.
    async fn look(&mut self) {
        let Some(published) = self.published.borrow().clone() else { return };
        let depth = if self.read_back_at <= self.clock.now() { Depth::Bytes } else { Depth::Size };
        self.look_at = self.clock.now() + shortened(GLANCE_INTERVAL, rng::random());
        let Some(other) = &self.other else { return };

        match other.archive.has_published(&published, depth).await {
            Ok(true) => {}
            Ok(false) => {
                let (place, sequence) = (self.settings.url.to_string(), published.manifest.sequence);
                self.recorder.falls_behind(&place);
                warn!(
                    sequence,
                    "{place} has lost snapshot {sequence}, which is published, or someone has changed it there: it is \
                     copied there again"
                );
                self.catch_up(depth).await;
            }
            Err(error) => {
                self.failed(&error);
                self.catch_up(depth).await;
            }
        }

        if depth == Depth::Bytes {
            self.read_back_at = self.clock.now() + READ_BACK_INTERVAL;
        }
    }

    // Until the newest is there, or this exporter doesn't lead any more.
    async fn catch_up(&mut self, mut depth: Depth) {
        loop {
            let Some(published) = self.published.borrow_and_update().clone() else {
                self.recorder.forgets_store(&self.settings.url.to_string());
                return;
            };

            match self.copy(&published, depth).await {
                Ok(mirrored) => {
                    self.backoff.reset();
                    self.say(&published, mirrored);
                    return;
                }
                // The next leader begins from where this one stopped.
                Err(StorageError::NotLeading { .. }) => return,
                Err(error) => {
                    self.failed(&error);
                    // What was copied may have been stored damaged, with the right size.
                    depth = Depth::Bytes;
                    let wait = self.backoff.next_wait(rng::random());
                    self.clock.reach(self.clock.now() + wait).await;
                }
            }
        }
    }

    async fn copy(&mut self, published: &Published, depth: Depth) -> Result<Mirrored, StorageError> {
        let other = match &mut self.other {
            Some(other) => other,
            // A folder may be on a disk that is not there yet.
            None => {
                let archive = Archive::open(&self.settings)?.fenced(self.fence.clone());
                archive.prepare_to_write(&self.author).await?;
                let pruner = Pruner::new(archive.clone(), self.author.version, self.clock);
                self.other.insert(Other { archive, pruner })
            }
        };

        let mirrored = self.first.mirror_closely(published, &other.archive, depth).await?;
        if mirrored == Mirrored::Now {
            other.pruner.written();
        }
        Ok(mirrored)
    }

    fn say(&self, published: &Published, mirrored: Mirrored) {
        let (place, sequence) = (self.settings.url.to_string(), published.manifest.sequence);
        match mirrored {
            Mirrored::Already | Mirrored::Now => self.recorder.keeps_up(&place),
            Mirrored::Newer { .. } => self.recorder.falls_behind(&place),
        }
        if let Some(lasted) = self.outage.works(self.clock.now()) {
            info!(store = place, "{place} can be used again, after {lasted}");
        }
        say(&place, sequence, mirrored);
    }

    fn failed(&self, error: &StorageError) {
        let place = self.settings.url.to_string();
        self.recorder.falls_behind(&place);
        match self.outage.failed(error.class(), self.clock.now()) {
            Some(lasted) => warn!(
                store = place,
                "{place} does not have what is published{lasted}: {error}. The first store has it; this one gets it as soon \
                 as it can be written again"
            ),
            None => debug!(store = place, "{place} does not have what is published: {error}"),
        }
    }
}

fn say(place: &str, sequence: u64, mirrored: Mirrored) {
    match mirrored {
        Mirrored::Already => debug!(store = place, sequence, "{place} has snapshot {sequence}"),
        Mirrored::Now => info!(store = place, sequence, "{place} has snapshot {sequence}, too"),
        Mirrored::Newer { epoch, sequence: there } => error!(
            store = place,
            sequence = there,
            "{place} has something newer than the first store: snapshot {there} of epoch {epoch}, and importing takes that \
             one. Was the first store replaced by an empty one? Nothing was overwritten. Decide which is right: name this \
             store first in the storage setting to go on from it, or give LIFEBOAT_FALLBACK_STORAGE another prefix to \
             begin anew there"
        ),
    }
}

/// Gives other stores what is published in the first one, for a command that has just published there. If a store takes
/// too long, that is logged, and left to an exporter.
pub(crate) async fn mirror_once(first: &Archive, settings: &StoreSettings, author: &Author) {
    let stores = settings.others();
    if stores.is_empty() {
        return;
    }

    let published = match first.published(author.version).await {
        Ok(Some(published)) => published,
        Ok(None) => return,
        Err(error) => {
            warn!("other stores are left as they are: {error}");
            return;
        }
    };

    let published = &published;
    let each = stores.into_iter().map(|settings| async move {
        let place = settings.url.to_string();
        let mirrored = async {
            let other = Archive::open(&settings)?;
            other.prepare_to_write(author).await?;
            first.mirror(published, &other).await
        };
        match timeout(COMMAND_TIMEOUT, mirrored).await {
            Ok(Ok(mirrored)) => say(&place, published.manifest.sequence, mirrored),
            Ok(Err(error)) => warn!(store = place, "{place} does not have what is published: {error}"),
            Err(_) => {
                warn!(store = place, "{place} does not have what is published after {} s", COMMAND_TIMEOUT.as_secs())
            }
        }
    });
    join_all(each).await;
}
