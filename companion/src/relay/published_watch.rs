//! Looks at what is published while nodes have lost their control plane (`LIFEBOAT_FOLLOW`). One look, which reads only
//! manifests, serves all nodes of a version of Kong. Each node's session decides whether the node is given what it
//! found.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use lifeboat_core::backoff::spread;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::Manifest;
use lifeboat_core::outage::{OutageLog, Outages};
use lifeboat_core::session::follow::{Choice, LOOK_AGAIN_AFTER, Publication, StoreView};
use lifeboat_core::time::{Moment, WallTime};
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::lock::Locked;
use lifeboat_storage::StorageError;
use tokio::sync::{Notify, watch};
use tracing::{Instrument, debug, info, warn};

use super::MOST_VERSIONS;
use crate::archive::Stores;
use crate::settings::{Follow, Rulebook};

/// Reads the manifests for all nodes of a relay. Clones share their state.
#[derive(Clone, Debug)]
pub(super) struct PublishedWatch {
    sources: Stores,
    clock: Clock,
    rulebook: Rulebook,
    outages: Outages,
    versions: Arc<Mutex<HashMap<KongVersion, VersionWatch>>>,
}

/// What is known of one version of Kong.
#[derive(Debug)]
struct VersionWatch {
    views: watch::Sender<Option<Seen>>,
    /// How many looks were begun.
    begun: u64,
    is_looking: bool,
    soon: Arc<Notify>,
    /// When the first node lost the control plane in this outage.
    lost: Option<WallTime>,
    /// What each store had published then, as far as the first look at it since then tells.
    at_first: HashMap<String, Publication>,
    /// The newest that any store has shown since then. A store may go back to an older one; this doesn't.
    newest: Dated,
    has_said_that_it_went_back: bool,
    outage: OutageLog,
}

/// What was published, and when, by the clock of its publisher.
#[derive(Clone, Copy, Debug)]
struct Dated {
    publication: Publication,
    at: Option<WallTime>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    look: u64,
    at: WallTime,
    newest: Dated,
    at_first: Publication,
}

/// What is published, for one node's session. The store is read for as long as there is one.
#[derive(Debug)]
pub(super) struct Subscription {
    views: watch::Receiver<Option<Seen>>,
    /// Looks that were begun before the node lost its control plane don't count.
    after: u64,
    lost: WallTime,
}

impl PublishedWatch {
    pub(super) fn new(sources: Stores, rulebook: Rulebook, clock: Clock) -> Self {
        Self { sources, clock, rulebook, outages: Outages::default(), versions: Arc::default() }
    }

    /// The same, but its failures are logged together with other failures of the stores.
    pub(super) fn beside(self, stores: &Outages) -> Self {
        Self { outages: stores.clone(), ..self }
    }

    /// Whether what is published is followed now.
    pub(super) fn is_on(&self) -> bool {
        self.follow().is_some()
    }

    fn follow(&self) -> Option<Follow> {
        self.rulebook.now().follow
    }

    /// For a node that has just lost its control plane; nothing where following is off.
    pub(super) fn subscribe(&self, version: KongVersion) -> Option<Subscription> {
        self.follow()?;
        let mut versions = self.lock();
        if versions.len() >= MOST_VERSIONS && !versions.contains_key(&version) {
            // Only versions for which no node waits are forgotten. A node that is told nothing goes on with what it
            // has.
            versions.retain(|_, watch| watch.is_looking);
            if versions.len() >= MOST_VERSIONS {
                return None;
            }
        }

        let watch = versions.entry(version).or_insert_with(|| VersionWatch::new(self.outages.another()));
        let lost = self.clock.wall();
        watch.lost.get_or_insert(lost);
        let subscription = Subscription { views: watch.views.subscribe(), after: watch.begun, lost };
        watch.soon.notify_one();
        if !std::mem::replace(&mut watch.is_looking, true) {
            let looking = self.clone().look_again_and_again(version, watch.soon.clone());
            tokio::spawn(looking.in_current_span());
        }
        Some(subscription)
    }

    /// A node has linked to the control plane again: the next loss begins another outage.
    pub(super) fn control_plane_is_there(&self) {
        // Also where following is off: it may be on in the next outage.
        self.lock().values_mut().for_each(|watch| watch.forget(self.outages.another()));
    }

    async fn look_again_and_again(self, version: KongVersion, soon: Arc<Notify>) {
        while let Some(look) = self.begin(version) {
            let (began, follow) = (self.clock.now(), self.follow());
            // While following is switched off, it only waits: until the nodes' drivers have seen that, or until it is
            // switched on again.
            if follow.is_some() {
                self.look(version, look).await;
            }
            let follow = follow.unwrap_or_default();
            let due = began + spread(follow.every.0, follow.every.1, rand::random());
            tokio::select! {
                () = self.clock.reach(due) => {}
                () = async { soon.notified().await; self.clock.reach(began + LOOK_AGAIN_AFTER).await } => {}
            }
        }
    }

    // The number of the look that begins now; none when nobody is interested any more.
    fn begin(&self, version: KongVersion) -> Option<u64> {
        let mut versions = self.lock();
        let watch = versions.get_mut(&version)?;
        watch.is_looking = watch.views.receiver_count() > 0;
        watch.begun += u64::from(watch.is_looking);
        watch.is_looking.then_some(watch.begun)
    }

    async fn look(&self, version: KongVersion, look: u64) {
        let (mut found, mut failed) = (Vec::new(), None);
        for (place, published) in self.sources.published_in_each(version).await {
            match published {
                Ok(Some(published)) => found.push((place, Dated::of(&published.manifest))),
                Ok(None) => found.push((place, Dated::NOTHING)),
                Err(error) => failed = Some(error),
            }
        }

        let mut versions = self.lock();
        let Some(watch) = versions.get_mut(&version) else { return };
        if let Some(error) = &failed {
            watch.failed(version, error, self.clock.now());
        } else if let Some(lasted) = watch.outage.works(self.clock.now()) {
            info!("what is published for Kong {version} is known again, after {lasted}");
        }
        if !found.is_empty() {
            watch.found(version, look, found, self.clock.wall());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<KongVersion, VersionWatch>> {
        self.versions.locked()
    }
}

impl VersionWatch {
    fn new(outage: OutageLog) -> Self {
        Self {
            views: watch::Sender::new(None),
            begun: 0,
            is_looking: false,
            soon: Arc::default(),
            lost: None,
            at_first: HashMap::new(),
            newest: Dated::NOTHING,
            has_said_that_it_went_back: false,
            outage,
        }
    }

    fn forget(&mut self, outage: OutageLog) {
        self.lost = None;
        self.at_first.clear();
        self.newest = Dated::NOTHING;
        self.has_said_that_it_went_back = false;
        self.outage = outage;
    }

    fn found(&mut self, version: KongVersion, look: u64, found: Vec<(String, Dated)>, at: WallTime) {
        let (is_first, lost) = (self.at_first.is_empty(), self.lost);
        let is_since_loss = |dated: &Dated| lost.is_some_and(|lost| dated.is_between(lost, at));
        let newest = found.iter().map(|(_, dated)| *dated).fold(Dated::NOTHING, Dated::or_newer);

        for (place, dated) in found {
            let at_first = if is_since_loss(&dated) { Publication::NOTHING } else { dated.publication };
            let known = self.at_first.entry(place).or_insert(at_first);
            if known.is_same_snapshot(&dated.publication) {
                // A new leader may have written its manifest anew.
                *known = known.or_newer(dated.publication);
            }
        }

        self.say_what_is_new(version, newest.publication, is_first && !is_since_loss(&newest));
        self.newest = self.newest.or_newer(newest);
        let at_first = self.at_first.values().copied().fold(Publication::NOTHING, Publication::or_newer);
        self.views.send_replace(Some(Seen { look, at, newest: self.newest, at_first }));
    }

    fn say_what_is_new(&mut self, version: KongVersion, newest: Publication, is_old: bool) {
        let before = self.newest.publication;

        if !is_old && newest.is_newer_than(&before) {
            let Publication { sequence, choice, .. } = newest;
            let who = match choice {
                Choice::Operators => "an operator has published",
                Choice::ControlPlanes => "an exporter has published",
            };
            info!(
                sequence,
                "{who} snapshot {sequence} of Kong {version}: it is given to nodes that are in an outage and have an older one"
            );
        }

        if before.is_newer_than(&newest) && !std::mem::replace(&mut self.has_said_that_it_went_back, true) {
            warn!(
                sequence = newest.sequence,
                "what is published for Kong {version} has gone back from snapshot {} to {}, and no node that has a \
                 newer one is given it: is a store out of date, or has someone put an old manifest there?",
                before.sequence,
                newest.sequence
            );
        }
    }

    fn failed(&self, version: KongVersion, error: &StorageError, now: Moment) {
        match self.outage.failed(error.class(), now) {
            Some(lasted) => {
                warn!(
                    "what is published for Kong {version} is not known{lasted}: {error}. Nodes go on with what they have"
                );
            }
            None => debug!("what is published for Kong {version} is not known: {error}"),
        }
    }
}

impl Dated {
    const NOTHING: Self = Self { publication: Publication::NOTHING, at: None };

    fn of(manifest: &Manifest) -> Self {
        Self { publication: Publication::of(manifest), at: Some(manifest.times.exported) }
    }

    fn or_newer(self, other: Self) -> Self {
        if self.publication.or_newer(other.publication) == self.publication { self } else { other }
    }

    // A time that is ahead of our clock shows that the two clocks differ, so it proves nothing.
    fn is_between(&self, begin: WallTime, end: WallTime) -> bool {
        self.at.is_some_and(|at| begin < at && at <= end)
    }
}

impl Subscription {
    /// What the next look shows, once there is one. Loses nothing when dropped before it is ready.
    pub(super) async fn next(&mut self) -> StoreView {
        loop {
            if self.views.changed().await.is_err() {
                // It is kept for as long as somebody waits.
                std::future::pending::<()>().await;
            }
            if let Some(Seen { look, at, newest, at_first }) = *self.views.borrow_and_update()
                && look > self.after
            {
                let is_since_loss = newest.is_between(self.lost, at);
                return StoreView { newest: newest.publication, at_first, is_since_loss };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lifeboat_core::kong::version::KongVersion;

    use super::*;
    use crate::archive::tests::{CHANGED, FIRST, author, in_memory, now, publish, received, version};
    use crate::archive::{Archive, Operator, Stay};
    use crate::settings::{LiveRules, RestoreRules, RuleChanger};

    fn following(follow: Option<Follow>) -> Rulebook {
        Rulebook::fixed(LiveRules { follow, ..LiveRules::default() })
    }

    fn published_watch(archive: &Archive) -> PublishedWatch {
        watch_from(archive, now())
    }

    // Its wall clock shows `begin` now, and goes as tokio's does.
    fn watch_from(archive: &Archive, begin: WallTime) -> PublishedWatch {
        let rules = RestoreRules::default();
        let follow = following(Some(Follow::default()));
        PublishedWatch::new(Stores::of(archive.reader(), rules), follow, Clock::simulated(begin))
    }

    async fn change(archive: &Archive) {
        change_at(archive, now()).await;
    }

    async fn change_at(archive: &Archive, at: WallTime) {
        Operator::new(archive.clone())
            .publish_pinned(&author(), &received(CHANGED), Stay::UntilItChanges, at)
            .await
            .unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_published_is_told_within_fifteen_seconds_with_what_there_was_at_first() {
        let archive = in_memory();
        publish(&archive, FIRST).await;
        let published_watch = published_watch(&archive);
        let mut node = published_watch.subscribe(version()).unwrap();
        let StoreView { newest, at_first, .. } = node.next().await;
        assert_eq!((newest.sequence, newest.choice, at_first), (1, Choice::ControlPlanes, newest));
        change(&archive).await;
        let since = tokio::time::Instant::now();
        // Looks that show nothing new are told, too: what could not be fetched is asked for again then.
        let news = async {
            loop {
                let view = node.next().await;
                if view.newest.sequence == 2 {
                    return view;
                }
            }
        };
        let StoreView { newest, at_first, .. } = news.await;
        assert_eq!((newest.choice, at_first.sequence), (Choice::Operators, 1));
        assert!(since.elapsed() <= Duration::from_secs(16), "{:?}", since.elapsed());
        // A node that comes later in the same outage gets the same; the next outage begins anew.
        let mut late = published_watch.subscribe(version()).unwrap();
        let seen = late.next().await;
        assert_eq!((seen.newest, seen.at_first), (newest, at_first));
        published_watch.control_plane_is_there();
        let seen = late.next().await;
        assert_eq!((seen.newest, seen.at_first), (newest, newest));
    }

    #[tokio::test(start_paused = true)]
    async fn a_choice_that_was_quicker_than_the_first_look_is_told_from_an_older_one_by_its_time() {
        let seconds = Duration::from_secs_f64;
        // The node loses the control plane after 0.2 s, and the store is looked at after 1 s.
        for (chosen_after, is_since_loss) in [(0.1, false), (0.5, true), (30.0, false)] {
            let (archive, begin) = (in_memory(), now());
            publish(&archive, FIRST).await;
            let published_watch = watch_from(&archive, begin);
            let mut other = published_watch.subscribe(version()).unwrap();
            other.next().await;
            published_watch.control_plane_is_there();
            tokio::time::sleep(seconds(0.2)).await;

            let mut node = published_watch.subscribe(version()).unwrap();
            change_at(&archive, begin + seconds(chosen_after)).await;
            let StoreView { newest, at_first, is_since_loss: told } = node.next().await;
            assert_eq!((newest.sequence, newest.choice), (2, Choice::Operators));
            assert_eq!(told, is_since_loss, "chosen after {chosen_after} s");
            assert_eq!(at_first, if is_since_loss { Publication::NOTHING } else { newest });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_manifest_that_was_put_back_is_no_news() {
        let archive = in_memory();
        publish(&archive, FIRST).await;
        let old = archive.published(version()).await.unwrap().unwrap();
        let published_watch = published_watch(&archive);
        let mut node = published_watch.subscribe(version()).unwrap();
        node.next().await;
        change(&archive).await;
        while node.next().await.newest.sequence < 2 {}
        archive.put_back(&old).await;
        assert_eq!(node.next().await.newest.sequence, 2);
        assert_eq!(node.next().await.newest.sequence, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_looks_when_nobody_wants_to_know() {
        let archive = in_memory();
        let published_watch = published_watch(&archive);
        drop(published_watch.subscribe(version()));
        tokio::time::sleep(Duration::from_secs(60)).await;
        let begun = || published_watch.lock()[&version()].begun;
        let before = begun();
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(begun(), before);
        // Another version's nodes have looks of their own; who subscribes again is served again.
        published_watch.subscribe(KongVersion::new(3, 8, 1)).unwrap().next().await;
        assert_eq!(begun(), before);
        published_watch.subscribe(version()).unwrap().next().await;
        assert_eq!(begun(), before + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn while_it_is_switched_off_the_store_is_not_looked_at_and_who_waits_is_told_when_it_is_on_again() {
        let archive = in_memory();
        publish(&archive, FIRST).await;
        let on = LiveRules { follow: Some(Follow::default()), ..LiveRules::default() };
        let changer = RuleChanger::new(on);
        let sources = Stores::of(archive.reader(), RestoreRules::default());
        let published_watch = PublishedWatch::new(sources, changer.rulebook(), Clock::start());
        let mut subscription = published_watch.subscribe(version()).unwrap();
        subscription.next().await;
        changer.change(LiveRules::default());
        assert!(!published_watch.is_on() && published_watch.subscribe(version()).is_none());
        change(&archive).await;
        let waited = tokio::time::timeout(Duration::from_secs(600), subscription.next()).await;
        assert!(waited.is_err(), "the store was looked at");
        changer.change(on);
        let waited = tokio::time::timeout(Duration::from_secs(16), subscription.next()).await;
        assert_eq!(waited.unwrap().newest.choice, Choice::Operators);
    }

    #[tokio::test(start_paused = true)]
    async fn versions_that_nodes_claim_take_a_bounded_room_and_none_goes_for_which_a_node_waits() {
        let archive = in_memory();
        publish(&archive, FIRST).await;
        let published_watch = published_watch(&archive);
        let mut node = published_watch.subscribe(version()).unwrap();
        let claim = |patch| published_watch.subscribe(KongVersion::new(3, 8, patch));
        let claimed: Vec<Subscription> = (0..1000).filter_map(claim).collect();
        assert_eq!((claimed.len(), published_watch.lock().len()), (MOST_VERSIONS - 1, MOST_VERSIONS));
        assert_eq!(node.next().await.newest.sequence, 1);

        drop(claimed);
        let other = KongVersion::new(3, 7, 1);
        while published_watch.subscribe(other).is_none() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert!(published_watch.lock().contains_key(&version()));
    }

    #[tokio::test]
    async fn without_the_setting_nobody_is_told_anything() {
        let rules = RestoreRules::default();
        let published_watch =
            PublishedWatch::new(Stores::of(in_memory().reader(), rules), following(None), Clock::start());
        assert!(published_watch.subscribe(version()).is_none());
    }
}
