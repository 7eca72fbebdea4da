//! What an archive does about damage, leftovers and others, in memory. What every store must do is in
//! `tests/support/archive_contract.rs`.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use lifeboat_core::keep::Received;
use lifeboat_core::kong::reconfigure::decode;
use lifeboat_core::manifest::{Exporter, State};
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_core::time::WallTime;
use object_store::memory::InMemory;

use super::*;
use crate::storage::Write;

pub(super) const FIRST: &[u8] = include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-first.json.gz");
pub(super) const CHANGED: &[u8] = include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-after-change.json.gz");
const LIMIT: usize = 1 << 20;
const TERMS: Terms = Terms { epoch: 1, state: State::Received, pin: None };

pub(super) fn version() -> KongVersion {
    KongVersion::new(3, 9, 1)
}

pub(super) fn author() -> Author {
    let exporter = Exporter { node_id: "n".into(), hostname: "h".into(), lifeboat: "0".into() };
    Author { exporter, version: version() }
}

pub(super) fn now() -> WallTime {
    WallTime::from_system(SystemTime::now())
}

pub(super) fn received(message: &[u8]) -> Received {
    let message = decode(message, LIMIT).unwrap();
    Received {
        configuration: message.configuration,
        config_hash: message.config_hash,
        hashes: message.hashes,
        at: now(),
    }
}

pub(super) async fn publish(archive: &Archive, message: &[u8]) -> Published {
    let over = archive.standing(version()).await.unwrap();
    archive.publish(&author(), &received(message), &over, &TERMS, now()).await.unwrap()
}

pub(super) fn in_memory() -> Archive {
    Archive::over(Storage::over(Arc::new(InMemory::new()), "memory://"), LIMIT)
}

#[tokio::test]
async fn a_stale_manifest_is_not_replaced() {
    let archive = in_memory();
    let first = publish(&archive, FIRST).await;
    publish(&archive, CHANGED).await;
    let stale =
        archive.publish(&author(), &received(FIRST), &Standing::Published(Box::new(first)), &TERMS, now()).await;
    assert!(matches!(stale, Err(StorageError::Conflict { .. })));
    assert_eq!(archive.restore(version()).await.unwrap().verified.config_hash(), received(CHANGED).config_hash);
}

#[tokio::test]
async fn a_damaged_snapshot_is_skipped_with_its_reason_for_the_one_before() {
    for damage in [&b""[..], b"half"] {
        let archive = in_memory();
        let first = publish(&archive, FIRST).await;
        let second = publish(&archive, CHANGED).await;
        let key = &second.manifest.snapshot.key;
        archive.storage.write(key, Bytes::copy_from_slice(damage), Write::Replace).await.unwrap();
        let restored = archive.restore(version()).await.unwrap();
        assert_eq!(restored.verified.config_hash(), first.manifest.config_hash);
        assert_eq!(&restored.skipped[0].key, key);
        assert!(restored.skipped[0].reason.contains("incomplete"), "{:?}", restored.skipped);
    }
}

#[tokio::test]
async fn a_half_written_manifest_is_skipped_and_never_overwritten() {
    let archive = in_memory();
    publish(&archive, FIRST).await;
    archive
        .storage
        .write(&ObjectKeys::new(version()).manifest(), Bytes::from_static(b"{\"form"), Write::Replace)
        .await
        .unwrap();
    assert_eq!(archive.restore(version()).await.unwrap().verified.config_hash(), received(FIRST).config_hash);
    let error = archive.published(version()).await.unwrap_err().to_string();
    assert!(error.contains("3.9.1/lifeboat/manifest.json"), "{error}");
    let history = archive.history(version(), 10).await.unwrap();
    assert_eq!((history.snapshots.len(), history.published), (1, None));
    assert!(history.problem.unwrap().contains("3.9.1/lifeboat/manifest.json"));
}

#[tokio::test]
async fn a_bare_config_json_of_kongs_own_exporter_is_restored_under_its_computed_hash() {
    let archive = in_memory();
    let sent = received(CHANGED);
    let key = ObjectKeys::new(version()).config_json();
    archive.storage.write(&key, sent.configuration.json().clone(), Write::Replace).await.unwrap();
    let restored = archive.restore(version()).await.unwrap();
    assert_eq!(restored.verified.config_hash(), sent.config_hash);
    assert_eq!(restored.verified.config_json().unwrap(), &sent.configuration.json()[..]);
    archive.storage.write(&key, sent.configuration.json().slice(..1000), Write::Replace).await.unwrap();
    let error = archive.restore(version()).await.unwrap_err().to_string();
    assert!(error.contains("3.9.1/config.json"), "{error}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named_with_the_cure() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let url = format!("file://{}/below", file.path().display()).parse().unwrap();
    let error = Archive::open(&StoreSettings::local(url, LIMIT)).unwrap_err().to_string();
    assert!(
        error.contains("the folder can't be used") && error.contains("a file is where a folder must be"),
        "{error}"
    );
}
