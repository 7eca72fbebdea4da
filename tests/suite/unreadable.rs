//! What can't be read doesn't block what can: an object that is refused is passed over for the next, which is named with it,
//! and the newest is found again once it can be read.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lifeboat::archive::{Archive, Author, Published, RestoreError, Restored, Terms};
use lifeboat::export::BackupNode;
use lifeboat::settings::StoreSettings;
use lifeboat_core::export::Received;
use lifeboat_core::kong::reconfigure::decode;
use lifeboat_core::manifest::State;
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_core::verify::Provenance;
use lifeboat_fakes::recorded;
use lifeboat_runtime::clock::Clock;
use lifeboat_storage::{Storage, StorageError};
use lifeboat_tests::faulty::{MemoryS3, settings};
use lifeboat_tests::program::lifeboat;
use lifeboat_tests::world::VERSION;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::time::timeout;

const ALWAYS: usize = usize::MAX;

/// A store with two snapshots.
async fn two_snapshots(archive: &Archive) -> [Published; 2] {
    let (author, clock) = (BackupNode::new(VERSION).author(), Clock::start());
    let first = publish(archive, &author, clock, &recorded::first()).await;
    [first, publish(archive, &author, clock, &recorded::after_change()).await]
}

async fn publish(archive: &Archive, author: &Author, clock: Clock, message: &[u8]) -> Published {
    let message = decode(message, 1 << 20).unwrap();
    let (config_hash, hashes) = (message.config_hash, message.hashes);
    let received =
        Received { configuration: message.configuration, config_hash, hashes, at: clock.wall(), source: None };
    let terms = Terms { epoch: 1, state: State::Received, pin: None, last_seen: None };
    let over = archive.current_manifest(VERSION).await.unwrap();
    archive.publish(author, &received, &over, &terms, clock.wall()).await.unwrap()
}

async fn in_s3() -> (MemoryS3, Archive, [Published; 2]) {
    let s3 = MemoryS3::default();
    let archive = Archive::over(Storage::open_over(&settings().location(), Arc::new(s3.clone())).unwrap(), 1 << 20);
    let published = two_snapshots(&archive).await;
    (s3, archive, published)
}

fn sequence(restored: &Restored) -> Option<u64> {
    match restored.verified.provenance() {
        Provenance::Manifest(manifest) => Some(manifest.sequence),
        Provenance::BareConfigJson => None,
    }
}

async fn restored(archive: &Archive) -> Restored {
    archive.restore(VERSION).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_is_refused_twice_is_passed_over_and_found_again_later() {
    for code in ["AccessDenied", "InvalidObjectState"] {
        let (s3, archive, [_, second]) = in_s3().await;
        let key = &second.manifest.snapshot.key;
        s3.refuse(key, code, ALWAYS);
        let older = restored(&archive).await;
        assert_eq!(sequence(&older), Some(1), "{code}");
        let [skipped] = &older.skipped[..] else { panic!("{:?}", older.skipped) };
        assert!(skipped.key == *key && skipped.reason.contains(code), "{skipped:?}");
        s3.refuse_nothing();
        let newest = restored(&archive).await;
        assert_eq!((sequence(&newest), newest.skipped.len()), (Some(2), 0));
    }
}

#[tokio::test(start_paused = true)]
async fn one_passing_refusal_restores_nothing_older() {
    let (s3, archive, [_, second]) = in_s3().await;
    for key in [second.manifest.snapshot.key.clone(), ObjectKeys::new(VERSION).manifest()] {
        s3.refuse(&key, "AccessDenied", 1);
        let newest = restored(&archive).await;
        assert_eq!((sequence(&newest), newest.skipped.len()), (Some(2), 0), "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_manifest_that_is_refused_is_made_up_for_by_the_history_and_that_by_a_bare_config_json() {
    let (s3, archive, _) = in_s3().await;
    let manifest = ObjectKeys::new(VERSION).manifest();
    s3.refuse(&manifest, "AccessDenied", ALWAYS);
    let from_history = restored(&archive).await;
    assert_eq!((sequence(&from_history), &from_history.skipped[0].key), (Some(2), &manifest));
    s3.refuse(".json.gz", "AccessDenied", ALWAYS);
    let bare = restored(&archive).await;
    assert_eq!((sequence(&bare), bare.skipped.len()), (None, 3));
    // Where nothing at all can be read, the store's own words say so.
    s3.refuse("config.json", "AccessDenied", ALWAYS);
    let error = archive.restore(VERSION).await.unwrap_err();
    assert!(matches!(error, RestoreError::Storage(StorageError::Denied { .. })), "{error}");
}

/// What a person or a broken tool leaves where an object should be.
fn spoil(path: &Path, what: &str) {
    std::fs::remove_file(path).unwrap();
    match what {
        "fifo" => mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap(),
        _ => symlink(path.file_name().unwrap(), path).unwrap(),
    }
}

#[tokio::test]
async fn a_fifo_and_a_link_to_itself_hold_up_neither_a_restore_nor_a_command() {
    for what in ["fifo", "loop"] {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("file://{}", folder.path().display());
        let archive = Archive::open(&StoreSettings::local(url.parse().unwrap(), 1 << 20)).unwrap();
        let [_, second] = two_snapshots(&archive).await;
        spoil(&folder.path().join(&second.manifest.snapshot.key), what);
        let older = timeout(Duration::from_secs(30), restored(&archive)).await.expect("it does not hang");
        assert_eq!(sequence(&older), Some(1), "{what}");
        assert_eq!(older.skipped[0].key, second.manifest.snapshot.key);
        for (arguments, code, part) in
            [(&["list"][..], 0, "2* "), (&["show", "1"], 0, "received"), (&["verify", "--all"], 1, "1 passed")]
        {
            let command = lifeboat(arguments).with("KONG_VERSION", "3.9.1");
            let done = command.with("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", &url).finish().await;
            assert!(done.code == Some(code) && done.stdout.contains(part), "{what}, {arguments:?}: {done}");
        }
        spoil(&folder.path().join(ObjectKeys::new(VERSION).manifest()), what);
        let command = lifeboat(["verify", "--all"]).with("KONG_VERSION", "3.9.1");
        let done = command.with("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", &url).finish().await;
        assert!(done.code == Some(1) && done.stdout.contains("1 passed"), "{what}: {done}");
    }
}
