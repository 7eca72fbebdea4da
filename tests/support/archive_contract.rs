//! What every kind of store must do for Lifeboat: one contract, run on memory, a folder, and every real server at hand.

use std::time::SystemTime;

use bytes::Bytes;
use lifeboat::archive::{Archive, Author, Beside, CurrentManifest, Extent, Published, RestoreError, Terms, Timekeeper};
use lifeboat::settings::HistoryLimit;
use lifeboat_core::export::Received;
use lifeboat_core::kong::reconfigure::decode;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::{Exporter, State};
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::Provenance;
use lifeboat_fakes::recorded;
use lifeboat_storage::{Storage, StorageError, Write};

const LIMIT: usize = 1 << 20;
const TERMS: Terms = Terms { epoch: 1, state: State::Received, pin: None, last_seen: None };

fn version() -> KongVersion {
    KongVersion::new(3, 9, 1)
}

/// Who writes in the contract.
pub fn author() -> Author {
    let exporter = Exporter { node_id: "n".into(), hostname: "h".into(), lifeboat: "0".into() };
    Author { exporter, version: version() }
}

fn now() -> WallTime {
    WallTime::from_system(SystemTime::now())
}

fn received(message: &[u8]) -> Received {
    let message = decode(message, LIMIT).expect("a recorded message");
    Received {
        configuration: message.configuration,
        config_hash: message.config_hash,
        hashes: message.hashes,
        at: now(),
        source: None,
    }
}

async fn publish(archive: &Archive, message: &[u8]) -> Published {
    let over = archive.current_manifest(version()).await.unwrap();
    archive.publish(&author(), &received(message), &over, &TERMS, now()).await.unwrap()
}

async fn object(storage: &Storage, key: &str) -> Option<Bytes> {
    storage.read_optional(key, LIMIT as u64).await.unwrap().map(|(bytes, _)| bytes)
}

/// Publishes, restores, lists, repairs and thins in an empty store.
///
/// # Panics
/// When the store doesn't keep the contract.
pub async fn archive_contract(storage: &Storage) {
    let archive = &Archive::over(storage.clone(), LIMIT);
    let (first_message, changed_message) = (&recorded::first(), &recorded::after_change());
    let keys = ObjectKeys::new(version());
    assert!(matches!(archive.restore(version()).await, Err(RestoreError::NoBackup { .. })));
    assert!(archive.versions().await.unwrap().is_empty());

    let first = publish(archive, first_message).await;
    let second = publish(archive, changed_message).await;
    let first_id = first.manifest.id();
    assert_eq!((first.manifest.sequence, second.manifest.sequence), (1, 2));
    assert_eq!(second.manifest.state, State::Received);

    // What lies there is what the control plane sent.
    let sent = received(changed_message);
    assert_eq!(object(storage, &keys.config_json()).await.unwrap(), sent.configuration.json());
    let restored = archive.restore(version()).await.unwrap();
    assert!(restored.skipped.is_empty());
    assert_eq!(restored.verified.config_json().unwrap(), &sent.configuration.json()[..]);
    assert!(matches!(restored.verified.provenance(), Provenance::Manifest(manifest) if **manifest == second.manifest));

    // A stale manifest can't be replaced where the store compares; a number is never used twice anywhere.
    let over_first = CurrentManifest::Published(Box::new(first));
    let third = archive.publish(&author(), &received(first_message), &over_first, &TERMS, now()).await;
    assert!(third.is_ok() || matches!(third, Err(StorageError::Conflict { .. })));
    let fourth = publish(archive, first_message).await;
    assert_eq!(fourth.manifest.sequence, 4);

    // A damaged config.json is repaired, a good one left alone.
    let newest = archive.published(version()).await.unwrap().unwrap();
    assert!(matches!(archive.settle_config_json(&newest, None).await.unwrap(), Beside::AsPublished(_)));
    storage.write(&keys.config_json(), Bytes::from_static(b"{"), Write::Replace).await.unwrap();
    assert!(matches!(archive.settle_config_json(&newest, None).await.unwrap(), Beside::Repaired(_)));
    assert_eq!(object(storage, &keys.config_json()).await.unwrap(), received(first_message).configuration.json());

    for extent in [Extent::Whole, Extent::Newest] {
        let history = archive.history(version(), 3, extent).await.unwrap();
        let sequences: Vec<u64> = history.snapshots.iter().map(|listed| listed.id.sequence).collect();
        assert_eq!((sequences, history.older, history.published), (vec![4, 3, 2], Some(1), Some(4)));
    }
    assert_eq!(archive.versions().await.unwrap(), [version()]);

    // The oldest go first, with all that belongs to them. What the third try left may still be somebody's work.
    let thinning = archive.clone().with_history(HistoryLimit::AtMost(2));
    let gone = thinning.prune_expired(version(), None, &mut Timekeeper::begin(now())).await.unwrap().gone;
    assert_eq!(gone, [first_id], "a tenth a day");
    let again = thinning.prune_expired(version(), None, &mut Timekeeper::begin(now())).await.unwrap().gone;
    assert_eq!(again, [], "whoever asks");
    for key in [keys.snapshot(first_id), keys.snapshot_manifest(first_id)] {
        assert_eq!(object(storage, &key).await, None, "{key}");
    }
    let left = archive.past(version()).await.unwrap();
    assert!(left.iter().any(|past| past.id == fourth.manifest.id()) && left.len() <= 3, "{left:?}");
    assert!(archive.restore(version()).await.unwrap().skipped.is_empty());
}
