//! Elections that are held in other stores than the backups lie in: whatever each exporter is told, never two lead.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use lifeboat::archive::{Archive, KnownRegistrations};
use lifeboat::export::{BackupNode, Exporter, Newest};
use lifeboat::observation::{ExportFacts, Lead, Observation};
use lifeboat_core::export::election::clearance::Mark;
use lifeboat_core::export::election::record::Registration;
use lifeboat_core::export::election::{ElectionSetting, Strategy};
use lifeboat_core::export::guard::ShrinkGuard;
use lifeboat_core::export::publisher::{Doubt, Rules};
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::lock::Locked;
use lifeboat_storage::{Operation, RequestObserver, RequestOutcome, Storage};
use lifeboat_tests::peculiar_store::{ConditionalWrites, PeculiarStore, Peculiarities};
use lifeboat_tests::stage::play;
use lifeboat_tests::world::{VERSION, World};
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

const LIMIT: usize = 1 << 20;
/// Another exporter's node id.
const OTHER: &str = "7f6c2e4e-8f3e-4c0a-9c39-0b9f8e2f6a11";

/// The store of the backups, and two others in which an election can be held.
struct Stores {
    backups: Arc<InMemory>,
    elections: [Arc<InMemory>; 2],
    clock: Clock,
}

/// Where an exporter elects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    WithTheBackups,
    /// In one of the other stores.
    In(usize),
}

/// A running exporter.
struct Host {
    observation: Observation,
    clock: Clock,
    stop: CancellationToken,
    is_suspended: Arc<AtomicBool>,
    running: JoinHandle<()>,
}

fn archive(store: &Arc<InMemory>, place: &str) -> Archive {
    Archive::over(Storage::over(store.clone(), place), LIMIT)
}

impl Stores {
    fn new() -> Self {
        Self { backups: Arc::default(), elections: Default::default(), clock: Clock::start() }
    }

    fn start(&self, place: Place) -> Host {
        self.start_with(place, ElectionSetting::Auto)
    }

    fn start_with(&self, place: Place, setting: ElectionSetting) -> Host {
        let elsewhere = match place {
            Place::WithTheBackups => None,
            Place::In(which) => Some(archive(&self.elections[which], &format!("memory://election-{which}"))),
        };
        let rules = Rules { export_delay: Duration::ZERO, guard: ShrinkGuard::new(50), doubt: Doubt::AskAgain };
        let observation = Observation::new(self.clock);
        let exporter =
            Exporter::new(archive(&self.backups, "memory://backups"), &BackupNode::new(VERSION), rules, self.clock);
        let exporter = exporter.electing(setting).electing_in(elsewhere).observed_by(observation.export(VERSION));

        let (stop, is_suspended) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
        let running = exporter.run(Newest::without_a_link(), stop.clone());
        let suspended = is_suspended.clone();
        // A process that is suspended is not polled, and goes on later with what it knew.
        let running = tokio::spawn(async move {
            let mut running = pin!(running);
            let mut tick = tokio::time::interval(Duration::from_millis(500));
            poll_fn(|context| {
                while tick.poll_tick(context).is_ready() {}
                if suspended.load(Ordering::Relaxed) { Poll::Pending } else { running.as_mut().poll(context) }
            })
            .await;
        });
        Host { observation, clock: self.clock, stop, is_suspended, running }
    }

    /// Waits until this is so, while never two of these lead.
    async fn until(&self, hosts: &[&Host], what: &str, is_so: impl Fn() -> bool) {
        for _ in 0..600 {
            assert!(hosts.iter().filter(|host| host.leads()).count() <= 1, "two lead while waiting until {what}");
            if is_so() {
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
        panic!("in ten minutes it never was so that {what}");
    }

    /// Lets so much time pass, in which never two of these lead.
    async fn pass(&self, hosts: &[&Host], seconds: u64) {
        for _ in 0..seconds * 2 {
            assert!(hosts.iter().filter(|host| host.leads()).count() <= 1, "two lead");
            sleep(Duration::from_millis(500)).await;
        }
    }
}

impl Host {
    fn facts(&self) -> ExportFacts {
        self.observation.export_facts().pop().expect("one version is exported")
    }

    fn leads(&self) -> bool {
        match self.facts().lead {
            Lead::Own { until: Some(until), .. } => self.clock.now() < until,
            Lead::Own { until: None, .. } => true,
            _ => false,
        }
    }

    fn is_not_ready_because_of(&self, text: &str) -> bool {
        self.facts().check_ready().is_err_and(|why| why.contains(text))
    }

    async fn ends(self) {
        self.stop.cancel();
        self.running.await.expect("it doesn't panic");
    }
}

#[tokio::test(start_paused = true)]
async fn two_exporters_with_different_places_never_both_lead() {
    use Place::{In, WithTheBackups};
    for (one, other) in [(WithTheBackups, In(0)), (In(0), WithTheBackups), (In(0), In(1))] {
        for apart in [0, 1, 20, 100] {
            let stores = Stores::new();
            let first = stores.start(one);
            sleep(Duration::from_secs(apart)).await;
            let second = stores.start(other);
            stores.until(&[&first, &second], "one leads", || first.leads() || second.leads()).await;
            stores.pass(&[&first, &second], 300).await;
            assert!(first.leads() || second.leads(), "{one:?} and {other:?}, {apart} s apart: nobody leads");
            first.running.abort();
            second.running.abort();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_exporter_that_elects_elsewhere_than_the_leader_says_so_and_joins_when_the_mark_is_gone() {
    let stores = Stores::new();
    let elsewhere = stores.start(Place::In(0));
    stores.until(&[&elsewhere], "it leads", || elsewhere.leads()).await;
    let usual = stores.start(Place::WithTheBackups);
    let is_told = || usual.is_not_ready_because_of("the election is held in memory://election-0");
    stores.until(&[&elsewhere, &usual], "the other is told", is_told).await;
    stores.pass(&[&elsewhere, &usual], 120).await;
    assert!(elsewhere.leads() && is_told());

    // As the message says.
    elsewhere.ends().await;
    stores.backups.delete(&Path::from(ObjectKeys::new(VERSION).election_mark())).await.unwrap();
    stores.until(&[&usual], "it takes part again", || usual.leads()).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_place_takes_over_once_the_usual_election_is_silent() {
    let stores = Stores::new();
    let before = stores.start(Place::WithTheBackups);
    stores.until(&[&before], "it leads", || before.leads()).await;
    let after = stores.start(Place::In(0));
    stores.pass(&[&before, &after], 200).await;
    assert!(before.leads() && !after.leads(), "as long as the first one elects with the backups");
    before.ends().await;
    stores.until(&[&after], "the other leads", || after.leads()).await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_was_suspended_meanwhile_does_not_lead_beside_one_that_elects_elsewhere() {
    let stores = Stores::new();
    let suspended = stores.start(Place::WithTheBackups);
    stores.until(&[&suspended], "it leads", || suspended.leads()).await;
    suspended.is_suspended.store(true, Ordering::Relaxed);
    let other = stores.start(Place::In(0));
    stores.until(&[&suspended, &other], "the other leads", || other.leads()).await;
    // Nobody has touched its lease, and it can renew it.
    suspended.is_suspended.store(false, Ordering::Relaxed);
    stores.pass(&[&suspended, &other], 120).await;
    assert!(other.leads() && suspended.is_not_ready_because_of("the election is held in memory://election-0"));
}

#[tokio::test(start_paused = true)]
async fn a_single_exporter_minds_the_mark_too() {
    let stores = Stores::new();
    let json = serde_json::to_vec(&Mark::new("s3://small/kong")).unwrap();
    stores.backups.put(&Path::from(ObjectKeys::new(VERSION).election_mark()), json.into()).await.unwrap();
    let single = stores.start_with(Place::WithTheBackups, ElectionSetting::None);
    stores.until(&[&single], "it is told", || single.is_not_ready_because_of("s3://small/kong")).await;
    stores.pass(&[&single], 120).await;
    assert!(!single.leads());
}

#[test]
fn a_lease_elsewhere_is_used_only_if_the_backups_can_be_fenced_off() {
    play(async {
        for (how, expected) in
            [(ConditionalWrites::NotImplemented, Strategy::Registry), (ConditionalWrites::Honoured, Strategy::Lease)]
        {
            let store =
                PeculiarStore::start(Peculiarities { conditional_writes: how, ..Peculiarities::default() }).await;
            let mut world = World::begin().await;
            world.set("AWS_CONFIG_STORAGE_ENDPOINT", store.endpoint());
            let rules = Rules { export_delay: Duration::ZERO, guard: ShrinkGuard::new(50), doubt: Doubt::AskAgain };
            let (clock, elsewhere) = (Clock::start(), archive(&Arc::default(), "memory://election"));
            let observation = Observation::new(clock);
            let exporter = Exporter::new(world.archive(), &BackupNode::new(VERSION), rules, clock);
            let exporter = exporter.electing_in(Some(elsewhere)).observed_by(observation.export(VERSION));
            let running = tokio::spawn(exporter.run(Newest::without_a_link(), CancellationToken::new()));
            let strategy = || observation.export_facts().pop().and_then(|facts| facts.strategy);
            while strategy().is_none() {
                sleep(Duration::from_millis(20)).await;
            }
            assert_eq!(strategy(), Some(expected), "{how:?}");
            running.abort();
        }
    });
}

/// As soon as the election has been listed, it puts this object there, once.
struct LateWrite(Mutex<Option<(Arc<PeculiarStore>, String, Bytes)>>);

impl fmt::Debug for LateWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LateWrite")
    }
}

impl RequestObserver for LateWrite {
    fn ended(&self, _: Operation, _: RequestOutcome, _: u64) {}

    fn took(&self, operation: Operation, _: Duration) {
        if operation == Operation::List
            && let Some((store, key, bytes)) = self.0.locked().take()
        {
            store.put(&key, bytes);
        }
    }
}

#[test]
fn a_registration_that_was_replaced_between_listing_and_reading_is_read_again() {
    play(async {
        let store = Arc::new(PeculiarStore::start(Peculiarities::default()).await);
        let mut world = World::begin().await;
        world.set("AWS_CONFIG_STORAGE_ENDPOINT", store.endpoint());
        let key = format!("kong/backups/edge/{}", ObjectKeys::new(VERSION).registration(OTHER));
        let [older, newer] = ["2026-01-01T00:00:00Z", "2026-01-01T00:02:00Z"].map(|since| {
            let text = json!({ "format": 1, "node_id": OTHER, "hostname": "h", "since": since }).to_string();
            Bytes::from(text)
        });

        // A write that was given up arrives late, and the next one has the same bytes as the one before it.
        store.put(&key, newer.clone());
        let late = LateWrite(Mutex::new(Some((store.clone(), key.clone(), older))));
        let storage = Storage::open(&world.settings().store.location()).unwrap().observed_by(Arc::new(late));
        let (archive, mut known) = (Archive::over(storage, LIMIT), KnownRegistrations::default());
        archive.registrations(VERSION, &mut known).await.unwrap();
        store.put(&key, newer.clone());

        let found = archive.registrations(VERSION, &mut known).await.unwrap();
        let expected = Registration::decode(&newer).unwrap();
        assert_eq!(found.iter().map(|found| &found.registration).collect::<Vec<_>>(), [&expected]);

        let before = store.requests().len();
        archive.registrations(VERSION, &mut known).await.unwrap();
        assert_eq!(store.requests().len(), before + 1, "what has not changed is only listed");
    });
}
