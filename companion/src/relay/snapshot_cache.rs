//! What empty nodes are given: per version of Kong one fetch and one shared copy, however many ask.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifeboat_core::backoff::Backoff;
use lifeboat_core::digest::Sha256Digest;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::outage::Outages;
use lifeboat_core::session::follow::Publication;
use lifeboat_core::session::node::ReadySnapshot;
use lifeboat_core::time::{Moment, WallTime};
use lifeboat_core::verify::Provenance;
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::lock::Locked;
use tokio::sync::watch;
use tracing::Instrument;

use super::MOST_VERSIONS;
use super::restore_log::RestoreLog;
use super::rpc::SyncSnapshot;
use crate::archive::{Chosen, Stores};

/// How long a fetched snapshot is given without asking the stores again. So a thousand nodes that connect within one
/// second cost one fetch, and a node that connects later gets what has been published since.
const FRESH: Duration = Duration::from_secs(5);

/// The snapshots of all versions. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct SnapshotCache {
    sources: Stores,
    clock: Clock,
    fetches: Arc<Mutex<HashMap<KongVersion, Fetch>>>,
    log: Arc<RestoreLog>,
}

#[derive(Debug)]
struct Fetch {
    result: watch::Receiver<Option<Fetched>>,
    since: Moment,
}

/// A snapshot, and the digest of the payload from which it was made; none for a bare `config.json`.
#[derive(Clone, Debug)]
struct Fetched {
    snapshot: Arc<ReadySnapshot>,
    /// The same for nodes with incremental sync.
    sync: Arc<SyncSnapshot>,
    payload: Option<Sha256Digest>,
    last_seen: Option<WallTime>,
}

/// A snapshot that is there or on its way.
#[derive(Debug)]
pub(super) struct PendingSnapshot {
    snapshots: SnapshotCache,
    version: KongVersion,
    result: watch::Receiver<Option<Fetched>>,
}

impl SnapshotCache {
    /// A failure counts as one outage with the others of `stores`.
    pub(super) fn new(sources: Stores, clock: Clock, stores: &Outages) -> Self {
        Self { sources, clock, fetches: Arc::default(), log: Arc::new(RestoreLog::new(stores.clone(), clock)) }
    }

    /// The snapshot for a version of Kong. Begins to fetch it, unless it was fetched just before or is being fetched.
    pub(super) fn request(&self, version: KongVersion) -> PendingSnapshot {
        PendingSnapshot { snapshots: self.clone(), version, result: self.result(version) }
    }

    /// The same, but a snapshot that was fetched before `wanted` was published is too old.
    pub(super) fn request_published(&self, version: KongVersion, wanted: &Publication) -> PendingSnapshot {
        let is_older =
            |fetched: &Fetched| fetched.snapshot.publication().is_none_or(|known| wanted.is_newer_than(&known));
        let mut fetches = self.fetches.locked();
        if let Some(fetch) = fetches.get_mut(&version)
            && fetch.result.borrow().as_ref().is_some_and(is_older)
        {
            fetch.since = Moment::default();
        }
        drop(fetches);
        self.request(version)
    }

    fn result(&self, version: KongVersion) -> watch::Receiver<Option<Fetched>> {
        let mut fetches = self.fetches.locked();
        let now = self.clock.now();
        let current = fetches.get(&version).filter(|fetch| {
            let under_way = fetch.result.borrow().is_none() && fetch.result.has_changed().is_ok();
            let is_allowed = |fetched: &Fetched| fetched.is_allowed(&self.sources, self.clock.wall());
            under_way || (fetch.result.borrow().as_ref().is_some_and(is_allowed) && now - fetch.since < FRESH)
        });
        if let Some(fetch) = current {
            return fetch.result.clone();
        }

        let previous = fetches.get(&version).and_then(|fetch| fetch.result.borrow().clone());
        if !fetches.contains_key(&version) {
            make_room(&mut fetches);
        }
        let (sender, result) = watch::channel(None);
        let fetch = fetch(self.sources.clone(), self.log.clone(), self.clock, version, previous, sender);
        tokio::spawn(fetch.in_current_span());
        fetches.insert(version, Fetch { result: result.clone(), since: now });
        result
    }
}

impl PendingSnapshot {
    /// The snapshot, as soon as it is there. Loses nothing when dropped before it is ready.
    pub(super) async fn ready(&mut self) -> Arc<ReadySnapshot> {
        self.fetched().await.snapshot
    }

    /// The same for a node with incremental sync.
    pub(super) async fn ready_for_sync(&mut self) -> Arc<SyncSnapshot> {
        self.fetched().await.sync
    }

    async fn fetched(&mut self) -> Fetched {
        loop {
            if let Ok(fetched) = self.result.wait_for(Option::is_some).await
                && let Some(fetched) = &*fetched
            {
                return fetched.clone();
            }
            // A fetch ends without a snapshot when nobody waits for it, perhaps just before this wait began.
            self.result = self.snapshots.result(self.version);
        }
    }
}

// Versions without a snapshot are removed first: a snapshot may be all that there is while the stores are away. If a
// fetch is removed while somebody waits for it, the waiting side asks for it again.
fn make_room(fetches: &mut HashMap<KongVersion, Fetch>) {
    while fetches.len() >= MOST_VERSIONS {
        let oldest = fetches.iter().min_by_key(|(_, fetch)| (fetch.result.borrow().is_some(), fetch.since));
        let Some(version) = oldest.map(|(version, _)| *version) else { return };
        fetches.remove(&version);
    }
}

// Tries until there is a snapshot, or until nobody waits for it any more.
async fn fetch(
    sources: Stores,
    log: Arc<RestoreLog>,
    clock: Clock,
    version: KongVersion,
    previous: Option<Fetched>,
    sender: watch::Sender<Option<Fetched>>,
) {
    // The published snapshot may still be the one in memory: in a long outage there are many new nodes and few new
    // snapshots.
    if let Some(previous) = &previous
        && previous.is_allowed(&sources, clock.wall())
        && let Some(payload) = previous.payload
        && sources.is_newest(version, payload).await
    {
        sender.send_replace(Some(previous.clone()));
        return;
    }

    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(15));
    loop {
        match sources.restore(version, clock.wall()).await {
            Ok(chosen) => {
                log.chosen(version, &chosen);
                sender.send_replace(Some(fetched(&chosen, &sources, &clock)));
                return;
            }
            Err(error) => {
                if let Some(previous) = previous.as_ref().filter(|known| known.is_allowed(&sources, clock.wall())) {
                    log.gives_what_was_fetched_before(version, &error);
                    sender.send_replace(Some(previous.clone()));
                    return;
                }
                let wait = backoff.next_wait(rand::random());
                log.failed(version, &error, backoff.failures(), wait);
                tokio::time::sleep(wait).await;
                // One receiver is the table's own.
                if sender.receiver_count() <= 1 {
                    return;
                }
            }
        }
    }
}

impl Fetched {
    // It may have grown too old since it was fetched.
    fn is_allowed(&self, sources: &Stores, now: WallTime) -> bool {
        sources.rules().age.allows(self.last_seen, now)
    }
}

fn fetched(chosen: &Chosen, sources: &Stores, clock: &Clock) -> Fetched {
    let (payload, last_seen) = match chosen.verified.provenance() {
        Provenance::Manifest(manifest) => (Some(manifest.snapshot.sha256), Some(manifest.times.last_seen)),
        Provenance::BareConfigJson => (None, None),
    };
    let snapshot = Arc::new(ReadySnapshot::of(&chosen.verified, clock.wall()));
    let sync = Arc::new(SyncSnapshot::of(chosen, sources));
    Fetched { snapshot, sync, payload, last_seen }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::tests::{FIRST, in_memory, publish, version};
    use crate::settings::{RestoreRules, VersionMatch};

    fn cache(archive: &crate::archive::Archive) -> SnapshotCache {
        let rules = RestoreRules { version: VersionMatch::Exact, ..RestoreRules::default() };
        SnapshotCache::new(Stores::of(archive.reader(), rules), Clock::start(), &Outages::default())
    }

    #[tokio::test(start_paused = true)]
    async fn versions_that_nodes_claim_take_a_bounded_room_and_none_that_has_a_snapshot_goes_for_one_that_has_not() {
        let archive = in_memory();
        publish(&archive, FIRST).await;
        let cache = cache(&archive);
        cache.request(version()).ready().await;
        let strangers: Vec<_> = (0..1000).map(|patch| cache.request(KongVersion::new(3, 8, patch))).collect();
        let fetches = cache.fetches.locked();
        assert_eq!(fetches.len(), MOST_VERSIONS);
        assert!(fetches[&version()].result.borrow().is_some(), "it may be all that there is");
        drop((fetches, strangers));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_version_that_made_room_for_others_gets_it_all_the_same() {
        let archive = in_memory();
        let cache = cache(&archive);
        let mut waiting = cache.request(version());
        tokio::time::sleep(Duration::from_millis(1)).await;
        let strangers: Vec<_> = (0..1000).map(|patch| cache.request(KongVersion::new(3, 8, patch))).collect();
        assert!(!cache.fetches.locked().contains_key(&version()));
        drop(strangers);
        publish(&archive, FIRST).await;
        waiting.ready().await;
    }
}
