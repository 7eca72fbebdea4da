//! A store loses the payload of what is published. It comes back as what the manifest names, whoever still has that; what is
//! held or not what is pinned never takes its place.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use lifeboat::archive::{Archive, Operator, Stay};
use lifeboat::export::{BackupNode, Exporter, Line, Newest};
use lifeboat::observation::ExportRecorder;
use lifeboat::settings::{KeySource, StoreSettings};
use lifeboat_core::export::Received;
use lifeboat_core::export::election::ElectionSetting;
use lifeboat_core::export::guard::ShrinkGuard;
use lifeboat_core::export::publisher::{Doubt, Rules};
use lifeboat_core::keys::{EncryptionKey, Keyring, SigningKey};
use lifeboat_core::kong::reconfigure::decode;
use lifeboat_core::manifest::{Manifest, Pin, State};
use lifeboat_fakes::message::Configuration as Sent;
use lifeboat_fakes::recorded;
use lifeboat_runtime::clock::Clock;
use lifeboat_storage::Storage;
use lifeboat_tests::stage::play;
use lifeboat_tests::world::{VERSION, World, configuration};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// A look at the manifest is over by then, and what follows it done.
const A_LOOK: Duration = Duration::from_secs(90);
const RULES: Rules = Rules { export_delay: Duration::ZERO, guard: ShrinkGuard::new(50), doubt: Doubt::AskAgain };

/// Exporters at one store in memory, in paused time.
struct ControlPlaneState {
    store: InMemory,
    archive: Archive,
    clock: Clock,
    /// What the control plane sends to a node that connects; nothing, while it is gone.
    control_plane: Arc<Mutex<Option<Bytes>>>,
}

/// A running exporter. Dropped, it is killed.
struct Running {
    metrics: ExportRecorder,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl ControlPlaneState {
    fn begin() -> Self {
        Self::with(KeySource::default())
    }

    fn signed_and_sealed() -> Self {
        let encryption = EncryptionKey::from_secret("prod".parse().unwrap(), [1; 32]);
        let signing = SigningKey::from_seed("ops".parse().unwrap(), [2; 32]);
        Self::with(KeySource::fixed(Keyring::new(vec![encryption], Some(signing), Vec::new()).unwrap()))
    }

    fn with(keys: KeySource) -> Self {
        let store = InMemory::new();
        // A clone is the same store.
        let storage = Storage::over(Arc::new(store.clone()), "memory://store");
        let archive = Archive::over(storage, 1 << 20).with_keys(keys);
        Self { store, archive, clock: Clock::start(), control_plane: Arc::default() }
    }

    fn operator(&self) -> Operator {
        Operator::new(self.archive.clone())
    }

    /// An exporter that is connected to the control plane.
    fn exporter(&self) -> Running {
        let (newest, metrics) = (Newest::default(), ExportRecorder::new(VERSION, self.clock));
        let exporter = Exporter::new(self.archive.clone(), &BackupNode::new(VERSION), RULES, self.clock)
            .electing(ElectionSetting::Lease)
            .observed_by(metrics.clone());
        let running = tokio::spawn(exporter.run(newest.clone(), CancellationToken::new()));
        let link = tokio::spawn(link(newest, self.control_plane.clone(), self.clock));
        Running { metrics, tasks: vec![running, link] }
    }

    fn sends(&self, message: &Bytes) {
        *self.control_plane.lock().unwrap() = Some(message.clone());
    }

    fn is_gone(&self) {
        *self.control_plane.lock().unwrap() = None;
    }

    async fn manifest(&self) -> Manifest {
        (*self.archive.published(VERSION).await.unwrap().unwrap().manifest).clone()
    }

    async fn payload(&self) -> Option<Bytes> {
        let key = Path::from(self.manifest().await.snapshot.key);
        Some(self.store.get(&key).await.ok()?.bytes().await.unwrap())
    }

    async fn lose_payload(&self) {
        self.store.delete(&Path::from(self.manifest().await.snapshot.key)).await.unwrap();
    }

    /// A new node is given this one, and nothing newer is skipped.
    async fn restores(&self, message: &Bytes) {
        let restored = self.archive.restore(VERSION).await.unwrap();
        assert!(restored.skipped.is_empty(), "{:?}", restored.skipped);
        assert_eq!(restored.verified.config_hash().to_string(), configuration(message).hash);
    }
}

// As the headless session: a new link brings what the control plane has now.
async fn link(newest: Newest, control_plane: Arc<Mutex<Option<Bytes>>>, clock: Clock) {
    for number in 1.. {
        let message = loop {
            if let Some(message) = control_plane.lock().unwrap().clone() {
                break message;
            }
            sleep(Duration::from_secs(1)).await;
        };
        newest.set_line(Line::Up(number));
        newest.put(received(&message, clock));
        let changed = async {
            while control_plane.lock().unwrap().as_ref() == Some(&message) {
                sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::select! {
            () = newest.is_asked_to_reconnect() => {}
            () = changed => {}
        }
        newest.set_line(Line::Down);
    }
}

fn received(message: &[u8], clock: Clock) -> Received {
    let message = decode(message, 1 << 20).unwrap();
    let (config_hash, hashes) = (message.config_hash, message.hashes);
    Received { configuration: message.configuration, config_hash, hashes, at: clock.wall(), source: None }
}

/// The same configuration under the same hash, as Kong sends it the next time.
fn in_other_bytes(message: &Bytes) -> Bytes {
    let original = configuration(message);
    let table: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&original.table).unwrap();
    let table = Bytes::from(serde_json::to_vec(&table).unwrap());
    assert_ne!(table, original.table);
    Sent { table, hash: original.hash }.to_message().unwrap()
}

fn why_not_ready(running: &Running) -> String {
    running.metrics.facts().check_ready().expect_err("it is not ready")
}

#[tokio::test(start_paused = true)]
async fn while_nothing_changes_the_same_bytes_are_there_again_after_the_next_look() {
    for scene in [ControlPlaneState::begin(), ControlPlaneState::signed_and_sealed()] {
        scene.sends(&recorded::first());
        let running = scene.exporter();
        sleep(A_LOOK).await;
        let (manifest, payload) = (scene.manifest().await, scene.payload().await.unwrap());
        scene.lose_payload().await;
        sleep(A_LOOK).await;
        assert_eq!((scene.manifest().await, scene.payload().await), (manifest.clone(), Some(payload.clone())));
        // Changed, with the same size.
        let altered = PutPayload::from(vec![b'x'; payload.len()]);
        scene.store.put(&Path::from(manifest.snapshot.key), altered).await.unwrap();
        sleep(A_LOOK).await;
        assert_eq!(scene.payload().await, Some(payload));
        scene.restores(&recorded::first()).await;
        assert_eq!(running.metrics.facts().payload_lost, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_restarted_exporter_takes_it_from_config_json_or_from_the_control_plane() {
    // Sealed, there is no config.json; plain, it has it.
    for (scene, sequence) in [(ControlPlaneState::begin(), 1), (ControlPlaneState::signed_and_sealed(), 2)] {
        scene.sends(&recorded::first());
        drop(scene.exporter_after(A_LOOK).await);
        let before = scene.manifest().await;
        scene.lose_payload().await;
        scene.sends(&in_other_bytes(&recorded::first()));
        let running = scene.exporter_after(A_LOOK).await;
        let after = scene.manifest().await;
        assert_eq!((after.sequence, after.state, after.pin), (sequence, before.state, before.pin));
        scene.restores(&recorded::first()).await;
        assert_eq!(running.metrics.facts().payload_lost, None);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_held_never_takes_its_place_and_readiness_says_why() {
    let scene = ControlPlaneState::signed_and_sealed();
    scene.sends(&recorded::first());
    let running = scene.exporter_after(A_LOOK).await;
    scene.sends(&recorded::lost_database());
    sleep(A_LOOK).await;
    drop(running);
    scene.lose_payload().await;
    let running = scene.exporter_after(A_LOOK * 3).await;
    let manifest = scene.manifest().await;
    assert_eq!(manifest.config_hash.to_string(), configuration(&recorded::first()).hash);
    let reason = why_not_ready(&running);
    assert!(reason.contains("is missing") && reason.contains("is held"), "{reason}");
    assert!(running.metrics.facts().payload_lost.is_some());
    // Its control plane has it again.
    scene.sends(&in_other_bytes(&recorded::first()));
    sleep(A_LOOK).await;
    scene.restores(&recorded::first()).await;
    assert_eq!(running.metrics.facts().payload_lost, None);
}

#[tokio::test(start_paused = true)]
async fn a_pinned_one_comes_back_pinned_or_not_at_all() {
    let scene = ControlPlaneState::signed_and_sealed();
    scene.sends(&recorded::first());
    let running = scene.exporter_after(A_LOOK).await;
    let author = BackupNode::new(VERSION).author();
    scene.operator().pin(&author, None, scene.clock.wall()).await.unwrap();
    scene.sends(&recorded::after_change());
    sleep(A_LOOK).await;
    drop(running);
    scene.lose_payload().await;
    let running = scene.exporter_after(A_LOOK * 3).await;
    assert_eq!(scene.manifest().await.sequence, 1, "what the control plane has is not what is pinned");
    let reason = why_not_ready(&running);
    assert!(reason.contains("is not what an operator has pinned"), "{reason}");
    scene.sends(&in_other_bytes(&recorded::first()));
    sleep(A_LOOK).await;
    let manifest = scene.manifest().await;
    assert_eq!((manifest.state, manifest.pin), (State::Pinned, Some(Pin::Unpin)));
    scene.restores(&recorded::first()).await;
    // The same for a rollback: it stays what it was.
    scene.operator().unpin(&author, scene.clock.wall()).await.unwrap();
    scene.sends(&recorded::after_change());
    sleep(A_LOOK * 2).await;
    let (first, stay) = (manifest.sequence, Stay::UntilItChanges);
    scene.operator().roll_back(&author, first, stay, scene.clock.wall()).await.unwrap();
    sleep(A_LOOK).await;
    let rolled_back = scene.manifest().await;
    scene.lose_payload().await;
    sleep(A_LOOK).await;
    let manifest = scene.manifest().await;
    assert_eq!((manifest.pin, manifest.config_hash), (rolled_back.pin, rolled_back.config_hash));
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn another_exporter_that_leads_puts_it_back_and_its_successor_does_if_it_dies() {
    let scene = ControlPlaneState::signed_and_sealed();
    scene.sends(&recorded::first());
    let leader = scene.exporter_after(A_LOOK).await;
    let follower = scene.exporter_after(A_LOOK).await;
    assert!(leader.metrics.facts().leads() && !follower.metrics.facts().leads());
    scene.lose_payload().await;
    sleep(A_LOOK).await;
    scene.restores(&recorded::first()).await;
    assert_eq!(follower.metrics.facts().payload_lost, None);
    drop(leader);
    scene.lose_payload().await;
    sleep(A_LOOK * 2).await;
    assert!(follower.metrics.facts().leads());
    scene.restores(&recorded::first()).await;
    assert_eq!(follower.metrics.facts().payload_lost, None);
}

#[tokio::test(start_paused = true)]
async fn without_a_control_plane_it_is_said_and_comes_back_with_it() {
    let scene = ControlPlaneState::signed_and_sealed();
    scene.sends(&recorded::first());
    drop(scene.exporter_after(A_LOOK).await);
    scene.lose_payload().await;
    scene.is_gone();
    let running = scene.exporter_after(A_LOOK * 5).await;
    let reason = why_not_ready(&running);
    assert!(reason.contains("is not connected"), "{reason}");
    scene.sends(&in_other_bytes(&recorded::first()));
    sleep(A_LOOK).await;
    scene.restores(&recorded::first()).await;
}

impl ControlPlaneState {
    /// An exporter that has been running for so long.
    async fn exporter_after(&self, time: Duration) -> Running {
        let running = self.exporter();
        sleep(time).await;
        running
    }
}

/// Two folders, of which the second gets what is published in the first.
#[tokio::test(start_paused = true)]
async fn two_stores_help_each_other() {
    let (first, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let settings = |folder: &tempfile::TempDir| {
        StoreSettings::local(format!("file://{}", folder.path().display()).parse().unwrap(), 1 << 20)
    };
    let clock = Clock::start();
    let start = || {
        let newest = Newest::without_a_link();
        let archive = Archive::open(&settings(&first)).unwrap();
        let exporter = Exporter::new(archive, &BackupNode::new(VERSION), RULES, clock)
            .electing(ElectionSetting::None)
            .mirrored_in(vec![settings(&other)]);
        let running = tokio::spawn(exporter.run(newest.clone(), CancellationToken::new()));
        (newest, running)
    };
    let (newest, running) = start();
    newest.put(received(&recorded::first(), clock));
    sleep(A_LOOK).await;
    let archive = Archive::open(&settings(&first)).unwrap();
    let key = archive.published(VERSION).await.unwrap().unwrap().manifest.snapshot.key.clone();
    let places = [first.path().join(&key), other.path().join(&key)];
    let whole = std::fs::read(&places[0]).unwrap();
    std::fs::remove_file(&places[1]).unwrap();
    sleep(A_LOOK).await;
    assert!(std::fs::read(&places[1]).unwrap() == whole);
    // Cut off there; and after a restart, with nothing in memory, gone here.
    std::fs::write(&places[1], &whole[..10]).unwrap();
    sleep(A_LOOK).await;
    assert!(std::fs::read(&places[1]).unwrap() == whole);
    running.abort();
    std::fs::remove_file(&places[0]).unwrap();
    std::fs::remove_file(first.path().join("3.9.1/config.json")).unwrap();
    let (_newest, running) = start();
    sleep(A_LOOK).await;
    assert!(std::fs::read(&places[0]).unwrap() == whole);
    assert!(first.path().join("3.9.1/config.json").exists(), "made good from it");
    running.abort();
}

#[test]
fn an_exporter_that_starts_at_a_bucket_which_has_lost_it_puts_it_back() {
    play(async {
        let world = World::begin().await;
        world.keep(&recorded::first()).await;
        let payload = world.path_of(&world.manifest().snapshot.key);
        let (whole, before) = (std::fs::read(&payload).unwrap(), world.manifest());
        std::fs::remove_file(&payload).unwrap();
        world.control_plane.push(recorded::first());
        let backup = world.backup();
        world.log.wait_for(&["WARN", "is missing", "The leading exporter puts it back"]).await;
        let line = world.log.wait_for(&["WARN", "put the payload of snapshot 1 back"]).await;
        assert!(line.contains("from 3.9.1/config.json"), "{line}");
        assert!(std::fs::read(&payload).unwrap() == whole);
        assert_eq!(world.manifest().id(), before.id());
        backup.stop().await;

        // Nobody but the control plane has it, in other bytes.
        std::fs::write(&payload, b"half").unwrap();
        std::fs::remove_file(world.path_of("3.9.1/config.json")).unwrap();
        world.control_plane.push(in_other_bytes(&recorded::first()));
        let _backup = world.backup();
        world.log.wait_for(&["published configuration", "as snapshot 2"]).await;
        let restored = world.archive().restore(VERSION).await.unwrap();
        assert!(restored.skipped.is_empty(), "{:?}", restored.skipped);
        assert_eq!(restored.verified.config_hash(), before.config_hash);
        assert_eq!(world.manifest().state, before.state);
    });
}
