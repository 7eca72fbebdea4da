//! What becomes of a payload that was lost, in memory: what is put back, as what, and what is not.

use lifeboat_core::keys::{EncryptionKey, Keyring, SigningKey};
use lifeboat_core::manifest::{Pin, State};

use super::super::tests::{CHANGED, FIRST, author, in_memory, now, publish, received, version};
use super::*;
use crate::archive::{Operator, Stay};
use crate::settings::KeySource;

fn key_of(published: &Published) -> &str {
    &published.manifest.snapshot.key
}

async fn state(archive: &Archive, published: &Published) -> PayloadState {
    archive.look_at_payload(published, published.payload.as_ref()).await.unwrap().state
}

async fn put_back(archive: &Archive, published: &Published, others: &[Archive]) -> PutBack {
    let others: Vec<_> = others.iter().map(Archive::reader).collect();
    archive.put_back_payload(&author(), published, None, &others, 7, now()).await.unwrap()
}

async fn restored(archive: &Archive) -> Vec<u8> {
    let restored = archive.restore(version()).await.unwrap();
    assert!(restored.skipped.is_empty(), "{:?}", restored.skipped);
    restored.verified.config_json().unwrap()
}

/// Both signed and sealed.
fn with_keys(archive: Archive) -> Archive {
    let encryption = EncryptionKey::from_secret("prod".parse().unwrap(), [1; 32]);
    let signing = SigningKey::from_seed("ops".parse().unwrap(), [2; 32]);
    archive.with_keys(KeySource::fixed(Keyring::new(vec![encryption], Some(signing), Vec::new()).unwrap()))
}

#[tokio::test]
async fn a_look_tells_what_is_missing_what_is_altered_and_what_is_whole() {
    let archive = in_memory();
    let published = publish(&archive, FIRST).await;
    assert_eq!(state(&archive, &published).await, PayloadState::Whole);
    archive.storage.write(key_of(&published), Bytes::from_static(b"half"), Write::Replace).await.unwrap();
    assert_eq!(state(&archive, &published).await, PayloadState::Altered);
    // Of the right size: a caller that knows the tag sees the change by it, a reader by the bytes.
    archive.damage_payload(&published).await;
    assert_eq!(archive.look_at_payload(&published, None).await.unwrap().state, PayloadState::Whole);
    assert_eq!(state(&archive, &published).await, PayloadState::Altered);
    assert_eq!(archive.read_payload(&published).await.unwrap().state, PayloadState::Altered);
    archive.lose_payload(&published).await;
    assert_eq!(state(&archive, &published).await, PayloadState::Missing);
    assert_eq!(archive.read_payload(&published).await.unwrap().state, PayloadState::Missing);
}

#[tokio::test]
async fn what_was_written_anew_with_the_same_bytes_is_whole() {
    let archive = in_memory();
    let published = publish(&archive, FIRST).await;
    let (bytes, _) = archive.storage.read(key_of(&published), 1 << 20).await.unwrap();
    archive.storage.write(key_of(&published), bytes, Write::Replace).await.unwrap();
    let look = archive.look_at_payload(&published, published.payload.as_ref()).await.unwrap();
    // It was read, and is known as this version from now on.
    let kept = look.kept.unwrap();
    assert_eq!(look.state, PayloadState::Whole);
    assert!(archive.look_at_payload(&published, Some(&kept)).await.unwrap().kept.is_none());
}

#[tokio::test]
async fn the_same_bytes_come_back_from_memory_sealed_or_not() {
    for archive in [in_memory(), with_keys(in_memory())] {
        let published = publish(&archive, FIRST).await;
        let (bytes, _) = archive.storage.read(key_of(&published), 1 << 20).await.unwrap();
        archive.lose_payload(&published).await;
        let kept = published.payload.as_ref();
        let back = archive.put_back_payload(&author(), &published, kept, &[], 7, now()).await.unwrap();
        assert!(matches!(back, PutBack::Same { .. }), "{back:?}");
        assert_eq!(archive.storage.read(key_of(&published), 1 << 20).await.unwrap().0, bytes);
        assert_eq!(restored(&archive).await, &received(FIRST).configuration.json()[..]);
    }
}

#[tokio::test]
async fn the_memory_of_another_snapshot_is_of_no_use() {
    let archive = with_keys(in_memory());
    let first = publish(&archive, FIRST).await;
    let second = publish(&archive, CHANGED).await;
    archive.lose_payload(&second).await;
    let kept = first.payload.as_ref();
    let back = archive.put_back_payload(&author(), &second, kept, &[], 7, now()).await.unwrap();
    assert!(matches!(&back, PutBack::Nowhere { .. }), "{back:?}");
    assert_eq!(state(&archive, &second).await, PayloadState::Missing);
}

#[tokio::test]
async fn the_same_bytes_come_back_from_another_store_and_damaged_ones_do_not() {
    let (first, broken, other) = (with_keys(in_memory()), with_keys(in_memory()), with_keys(in_memory()));
    let published = publish(&first, FIRST).await;
    first.mirror(&published, &broken).await.unwrap();
    first.mirror(&published, &other).await.unwrap();
    let damaged = vec![b'x'; published.manifest.snapshot.bytes as usize];
    broken.storage.write(key_of(&published), damaged.into(), Write::Replace).await.unwrap();
    first.storage.write(key_of(&published), Bytes::from_static(b"half"), Write::Replace).await.unwrap();
    let back = put_back(&first, &published, std::slice::from_ref(&broken)).await;
    let PutBack::Nowhere { reasons } = back else { panic!("{back:?}") };
    assert!(reasons[0].contains("is something else"), "{reasons:?}");
    assert!(matches!(put_back(&first, &published, &[broken, other]).await, PutBack::Same { .. }));
    assert_eq!(restored(&first).await, &received(FIRST).configuration.json()[..]);
}

#[tokio::test]
async fn a_config_json_comes_back_only_if_the_manifest_proves_it() {
    let archive = in_memory();
    publish(&archive, CHANGED).await;
    let published = publish(&archive, FIRST).await;
    let config_json = ObjectKeys::new(version()).config_json();
    let (json, _) = archive.storage.read(&config_json, 1 << 20).await.unwrap();
    archive.lose_payload(&published).await;
    let others = received(CHANGED).configuration.json().clone();
    archive.storage.write(&config_json, others, Write::Replace).await.unwrap();
    let back = put_back(&archive, &published, &[]).await;
    let PutBack::Nowhere { reasons } = back else { panic!("{back:?}") };
    assert!(reasons[0].contains("is another configuration"), "{reasons:?}");
    archive.storage.write(&config_json, json.clone(), Write::Replace).await.unwrap();
    let back = put_back(&archive, &published, &[]).await;
    assert!(matches!(back, PutBack::Same { .. }), "{back:?}");
    assert_eq!(restored(&archive).await, json);
}

#[tokio::test]
async fn what_makes_other_bytes_is_a_snapshot_of_the_same_state_pin_and_times() {
    let archive = in_memory();
    publish(&archive, CHANGED).await;
    let published = publish(&archive, FIRST).await;
    let json = received(FIRST).configuration.json().clone();
    archive.lose_payload(&published).await;
    let anew = archive.publish_anew(&author(), &published, json.clone(), 7, now()).await.unwrap();
    let (before, after) = (&published.manifest, &anew.manifest);
    assert_eq!((after.sequence, after.epoch, after.config), (before.sequence + 1, 7, before.config));
    assert_eq!((after.state, after.pin, after.config_hash), (before.state, before.pin, before.config_hash));
    assert_eq!((&after.hashes, after.times.last_seen), (&before.hashes, before.times.last_seen));
    assert_eq!(restored(&archive).await, json);
}

#[tokio::test]
async fn a_signed_manifest_proves_a_config_json_too_and_its_pin_stays() {
    let signing = SigningKey::from_seed("ops".parse().unwrap(), [2; 32]);
    let keys = KeySource::fixed(Keyring::new(Vec::new(), Some(signing), Vec::new()).unwrap());
    let archive = in_memory().with_keys(keys);
    publish(&archive, FIRST).await;
    publish(&archive, CHANGED).await;
    let pinned = Operator::new(archive.clone()).roll_back(&author(), 1, Stay::UntilUnpinned, now()).await.unwrap();
    archive.lose_payload(&pinned).await;
    let back = put_back(&archive, &pinned, &[]).await;
    assert!(matches!(back, PutBack::Same { .. }), "{back:?}");
    let published = archive.published(version()).await.unwrap().unwrap();
    assert_eq!((published.manifest.state, published.manifest.pin), (State::Pinned, Some(Pin::Unpin)));
    assert_eq!(restored(&archive).await, &received(FIRST).configuration.json()[..]);
}

#[test]
fn what_is_kept_in_memory_does_not_print() {
    let bytes = Bytes::from_static(b"-----BEGIN SECRET");
    let storage = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        let archive = in_memory();
        archive.storage.write("a", bytes.clone(), Write::Replace).await.unwrap()
    });
    let shown = format!("{:?}", KeptPayload::new(bytes, storage));
    assert!(shown.contains("bytes: ..") && !shown.contains("SECRET"), "{shown}");
}
