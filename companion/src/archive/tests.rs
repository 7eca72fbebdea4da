//! What an archive does about damage, leftovers and others, in memory. What every store must do is in
//! `tests/support/archive_contract.rs`.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use lifeboat_core::export::Received;
use lifeboat_core::kong::reconfigure::decode;
use lifeboat_core::manifest::{Exporter, Held, State};
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::AgeLimit;
use lifeboat_node_cache::{CacheId, Image, NodePrefix, Patience};
use lifeboat_storage::Write;
use object_store::memory::InMemory;

use super::*;
use crate::settings::{Prefer, RestoreRules};

pub(crate) const FIRST: &[u8] = include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-first.json.gz");
pub(crate) const CHANGED: &[u8] = include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-after-change.json.gz");
const LIMIT: usize = 1 << 20;
const TERMS: Terms = Terms { epoch: 1, state: State::Received, pin: None, last_seen: None };

pub(crate) fn version() -> KongVersion {
    KongVersion::new(3, 9, 1)
}

pub(crate) fn author() -> Author {
    let exporter = Exporter { node_id: "n".into(), hostname: "h".into(), lifeboat: "0".into() };
    Author { exporter, version: version() }
}

pub(crate) fn now() -> WallTime {
    WallTime::from_system(SystemTime::now())
}

pub(crate) fn received(message: &[u8]) -> Received {
    let message = decode(message, LIMIT).unwrap();
    Received {
        configuration: message.configuration,
        config_hash: message.config_hash,
        hashes: message.hashes,
        at: now(),
        source: None,
    }
}

pub(crate) async fn publish(archive: &Archive, message: &[u8]) -> Published {
    let over = archive.current_manifest(version()).await.unwrap();
    archive.publish(&author(), &received(message), &over, &TERMS, now()).await.unwrap()
}

pub(crate) fn in_memory() -> Archive {
    Archive::over(Storage::over(Arc::new(InMemory::new()), "memory://"), LIMIT)
}

impl Archive {
    /// What somebody does who may write there, but has no key.
    pub(crate) async fn put_back(&self, published: &Published) {
        let key = ObjectKeys::new(version()).manifest();
        self.storage.write(&key, published.document.clone(), Write::Replace).await.unwrap();
    }

    pub(crate) async fn lose_payload(&self, published: &Published) {
        self.storage.delete(&published.manifest.snapshot.key).await.unwrap();
    }

    /// Of the right size.
    pub(crate) async fn damage_payload(&self, published: &Published) {
        let object = &published.manifest.snapshot;
        let damaged = vec![b'x'; object.bytes as usize];
        self.storage.write(&object.key, damaged.into(), Write::Replace).await.unwrap();
    }
}

/// An image of the cache of a Kong 3.9.1 that runs what [`CHANGED`] sends.
pub(crate) fn recorded_image() -> Image {
    let folder = tempfile::tempdir().unwrap();
    let prefix = NodePrefix::new(folder.path().to_owned());
    std::fs::create_dir(prefix.lmdb_folder()).unwrap();
    std::fs::write(prefix.data_file(), include_bytes!("../../../tests/data/kong-3.9.1/dbless.lmdb/data.mdb")).unwrap();

    let id = CacheId { version: version(), config_hash: "3ff47162e7a7ce1344f336316b66484e".parse().unwrap() };
    Image::take(&prefix, &id, folder.path(), Patience::default()).unwrap()
}

#[tokio::test]
async fn a_stale_manifest_is_not_replaced() {
    let archive = in_memory();
    let first = publish(&archive, FIRST).await;
    publish(&archive, CHANGED).await;
    let stale =
        archive.publish(&author(), &received(FIRST), &CurrentManifest::Published(Box::new(first)), &TERMS, now()).await;
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
    let history = archive.history(version(), 10, Extent::Whole).await.unwrap();
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

#[tokio::test]
async fn what_manifest_json_names_counts_as_published_before_it_has_a_manifest_of_its_own() {
    let archive = in_memory();
    publish(&archive, FIRST).await;
    let over = archive.current_manifest(version()).await.unwrap();
    archive.hold(&author(), &received(CHANGED), &over, &Held::Refused, 1, now()).await.unwrap();
    let published = publish(&archive, CHANGED).await;
    // A crash has come between the two.
    let own = ObjectKeys::new(version()).snapshot_manifest(published.manifest.id());
    archive.storage.delete(&own).await.unwrap();

    let history = archive.history(version(), 1, Extent::Whole).await.unwrap();
    assert_eq!((history.published, history.older), (Some(3), Some(2)));
    assert_eq!(history.snapshots[0].manifest.as_ref(), Some(&*published.manifest));
    let picked = archive.pick(version(), Pick::Sequence(3)).await.unwrap();
    assert_eq!(picked.manifest, published.manifest);
    let released = Operator::new(archive.clone()).release(&author(), None, now()).await;
    assert!(matches!(released, Err(ReleaseError::NothingHeld { .. })), "3 was published after it: {released:?}");

    Operator::new(archive.clone()).roll_back(&author(), 1, Stay::UntilUnpinned, now()).await.unwrap();
    assert!(archive.storage.written_at(&own).await.unwrap().is_some(), "3 is lost to the history");
    assert_eq!(archive.snapshots(version()).await.unwrap().len(), 3);
}

#[tokio::test]
async fn the_published_one_is_in_a_history_that_is_shorter_than_what_came_after_it() {
    let archive = in_memory();
    publish(&archive, FIRST).await;
    let over = archive.current_manifest(version()).await.unwrap();
    for _ in 0..2 {
        archive.hold(&author(), &received(CHANGED), &over, &Held::Refused, 1, now()).await.unwrap();
    }
    let history = archive.history(version(), 1, Extent::Whole).await.unwrap();
    let sequences: Vec<u64> = history.snapshots.iter().map(|listed| listed.id.sequence).collect();
    assert_eq!((sequences, history.older, history.published), (vec![3, 1], Some(1), Some(1)));
}

#[tokio::test]
async fn what_is_damaged_is_not_pinned() {
    let archive = in_memory();
    let published = publish(&archive, FIRST).await;
    archive.storage.write(&published.manifest.snapshot.key, Bytes::from_static(b"half"), Write::Replace).await.unwrap();
    let error = Operator::new(archive.clone()).pin(&author(), None, now()).await.unwrap_err().to_string();
    assert!(error.contains(&published.manifest.snapshot.key), "{error}");
    assert_eq!(archive.published(version()).await.unwrap().unwrap().manifest.pin, None);
}

#[tokio::test]
async fn where_another_exporter_has_written_since_the_operator_says_what_is_restored() {
    let archive = in_memory();
    let published = publish(&archive, FIRST).await;
    let newest = RestoreRules { prefer: Prefer::Newest, ..RestoreRules::default() };
    let restored = archive.restore_by(version(), newest, now()).await.unwrap();
    assert_eq!((restored.verified.config_hash(), restored.instead_of), (published.manifest.config_hash, None));

    // The store's clock has to go on a little.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let key = ObjectKeys::new(version()).config_json();
    let anothers = received(CHANGED);
    archive.storage.write(&key, anothers.configuration.json().clone(), Write::Replace).await.unwrap();
    let of_manifest = archive.restore(version()).await.unwrap();
    assert_eq!(of_manifest.verified.config_hash(), published.manifest.config_hash);
    let restored = archive.restore_by(version(), newest, now()).await.unwrap();
    assert_eq!(restored.verified.config_hash(), anothers.config_hash);
    assert_eq!(restored.instead_of, Some(published.manifest.id()));
    let chosen = Stores::of(archive.reader(), newest).restore(version(), now()).await.unwrap();
    assert_eq!(chosen.verified.config_hash(), anothers.config_hash);
    // What is no configuration is of no use to anybody.
    archive.storage.write(&key, Bytes::from_static(b"half"), Write::Replace).await.unwrap();
    let restored = archive.restore_by(version(), newest, now()).await.unwrap();
    assert_eq!(restored.verified.config_hash(), published.manifest.config_hash);
}

#[tokio::test]
async fn what_is_older_than_a_restore_allows_backs_no_node() {
    let hour = std::time::Duration::from_secs(60 * 60);
    let (bounded, later) = (AgeLimit(Some(hour)), now() + 2 * hour);
    let archive = in_memory();
    publish(&archive, FIRST).await;
    let is_backed = async |age, now| archive.backing(version(), age, now).await.unwrap() != Backing::Absent;
    assert!(is_backed(bounded, now()).await);
    assert!(is_backed(AgeLimit::default(), later).await);
    assert!(!is_backed(bounded, later).await);

    // Of a config.json without a manifest it is not known.
    let keys = ObjectKeys::new(version());
    archive.storage.delete(&keys.manifest()).await.unwrap();
    let json = received(FIRST).configuration.json().clone();
    archive.storage.write(&keys.config_json(), json, Write::Replace).await.unwrap();
    assert!(is_backed(AgeLimit::default(), later).await);
    assert!(!is_backed(bounded, now()).await);
}
