//! What is accepted, and each way in which something is refused.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::keys::{SigningKey, TrustedKey};
use crate::manifest::{Document, Nonce, Proof};
use crate::object_key::{ObjectKeys, SnapshotId};
use crate::seal::seal;

const GOLDEN: &[u8] = include_bytes!("../../../tests/data/manifest-format-1.json");
const JSON: &[u8] = br#"{"_format_version":"3.0","services":[],"routes":[]}"#;

fn signing(name: &str) -> SigningKey {
    let seed = Sha256Digest::of(name.as_bytes()).to_string();
    SigningKey::from_seed(name.parse().unwrap(), seed.as_bytes()[..32].try_into().unwrap())
}

fn trusted(name: &str) -> TrustedKey {
    signing(name).trusted()
}

fn encryption(name: &str) -> EncryptionKey {
    let secret = Sha256Digest::of(name.as_bytes()).to_string();
    EncryptionKey::from_secret(name.parse().unwrap(), secret.as_bytes()[..32].try_into().unwrap())
}

/// An importer's keys: those that it trusts, those that it opens with.
fn importer(trusts: &[&str], opens: &[&str]) -> Policy {
    let encryption = opens.iter().map(|name| encryption(name)).collect();
    let keys = Keyring::new(encryption, None, trusts.iter().map(|name| trusted(name)).collect()).unwrap();
    Policy { version: KongVersion::new(3, 9, 1), max_config: 1 << 20, keys: Arc::new(keys) }
}

/// An exporter's keys: the one that it signs with, the one that it seals with.
fn exporter(signs: Option<&str>, seals: Option<&str>) -> Keyring {
    Keyring::new(seals.map(encryption).into_iter().collect(), signs.map(signing), Vec::new()).unwrap()
}

fn described(payload: &[u8], json: &[u8]) -> Manifest {
    let mut manifest = Manifest::decode(GOLDEN).unwrap();
    manifest.snapshot.sha256 = Sha256Digest::of(payload);
    manifest.snapshot.bytes = payload.len() as u64;
    manifest.config.sha256 = Sha256Digest::of(json);
    manifest.config.bytes = json.len() as u64;
    manifest
}

/// What an exporter with these keys stores: manifest and payload.
fn stored(keys: &Keyring) -> (Vec<u8>, Bytes) {
    stored_as(keys, |_| {})
}

fn stored_as(keys: &Keyring, change: impl FnOnce(&mut Manifest)) -> (Vec<u8>, Bytes) {
    let plain = Payload::compress(JSON).into_bytes();
    let mut manifest = described(&plain, JSON);
    change(&mut manifest);
    manifest.snapshot.key = ObjectKeys::new(manifest.kong_version).snapshot(manifest.id());
    let payload = match keys.sealing() {
        None => plain,
        Some(key) => {
            let (sealed, how) = seal(plain, key, Nonce::from_random([3; 12]), &Binding::of(&manifest));
            manifest.snapshot.sha256 = Sha256Digest::of(&sealed);
            manifest.snapshot.bytes = sealed.len() as u64;
            manifest.snapshot.sealed = Some(how);
            sealed
        }
    };
    (manifest.proven_with(keys).encode(), payload)
}

fn restored(manifest: &[u8], payload: &Bytes, policy: &Policy) -> Result<Verified, Rejected> {
    let manifest = authenticate(&Document::decode(manifest)?, Place::Newest, policy)?;
    verify(manifest, payload.clone(), policy)
}

#[track_caller]
fn refused(result: Result<Verified, Rejected>, message: &str) {
    let rejected = result.unwrap_err().to_string();
    assert!(rejected.contains(message), "{message:?} is not in {rejected:?}");
}

fn changed(manifest: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut document = serde_json::from_slice(manifest).unwrap();
    change(&mut document);
    serde_json::to_vec_pretty(&document).unwrap()
}

#[test]
fn what_an_exporter_wrote_is_accepted_by_who_has_the_keys_for_it() {
    for (signs, seals, trusts, opens) in [
        (None, None, &[][..], &[][..]),
        // Whoever asks for nothing accepts what is signed too.
        (Some("s"), None, &[], &[]),
        (Some("s"), None, &["s"], &[]),
        // Signed before there was encryption.
        (Some("s"), None, &["s"], &["e"]),
        (None, Some("e"), &[], &["e"]),
        (Some("s"), Some("e"), &["s"], &["e"]),
        (Some("s"), Some("e"), &[], &["e"]),
        // Rotation: a second key.
        (Some("s"), Some("e"), &["next", "s"], &["next", "e"]),
    ] {
        let (manifest, payload) = stored(&exporter(signs, seals));
        let verified = restored(&manifest, &payload, &importer(trusts, opens)).unwrap();
        assert_eq!(verified.payload(), &Payload::compress(JSON), "{signs:?} {seals:?}");
        assert_eq!(verified.config_json().unwrap(), JSON);
        assert_eq!(seals.is_some(), payload[..2] != [0x1f, 0x8b], "{seals:?}");
    }
}

#[test]
fn it_is_known_who_wrote_what_is_accepted() {
    let (manifest, _) = stored(&exporter(Some("s"), Some("e")));
    let document = Document::decode(&manifest).unwrap();
    for (policy, writer) in [
        (importer(&[], &[]), Writer::Anybody),
        (importer(&["s"], &[]), Writer::Signer("s".parse().unwrap())),
        (importer(&["s"], &["e"]), Writer::Signer("s".parse().unwrap())),
        (importer(&[], &["e"]), Writer::KeyHolder("e".parse().unwrap())),
    ] {
        assert_eq!(authenticate(&document, Place::Newest, &policy).unwrap().writer(), &writer);
    }
}

#[test]
fn what_lacks_a_proof_is_refused_and_the_keys_are_named() {
    let plain = exporter(None, None);
    for (written, policy, message) in [
        (&plain, importer(&["s"], &[]), "not signed: LIFEBOAT_TRUSTED_KEYS accepts only what \"s\" has signed"),
        (&plain, importer(&["s", "t"], &["e"]), "accepts only what \"s\", \"t\" has signed"),
        (
            &plain,
            importer(&[], &["e"]),
            "not authenticated: LIFEBOAT_ENCRYPTION_KEYS accepts only what was written with \"e\"",
        ),
        // Everybody who reads sealed snapshots holds the encryption key: no proof where signatures are asked for.
        (&exporter(None, Some("e")), importer(&["s"], &["e"]), "not signed"),
        (
            &exporter(Some("x"), None),
            importer(&["s"], &[]),
            "signed by \"x\", and LIFEBOAT_TRUSTED_KEYS accepts only \"s\"",
        ),
        (&exporter(Some("s"), None), importer(&[], &["e"]), "not authenticated"),
        (
            &exporter(None, Some("x")),
            importer(&[], &["e"]),
            "authenticated with encryption key \"x\", and LIFEBOAT_ENCRYPTION_KEYS has only \"e\"",
        ),
        (
            &exporter(Some("s"), Some("x")),
            importer(&["s"], &["e"]),
            "sealed with encryption key \"x\", and LIFEBOAT_ENCRYPTION_KEYS has only \"e\"",
        ),
        (
            &exporter(Some("s"), Some("x")),
            importer(&["s"], &[]),
            "sealed with encryption key \"x\": set LIFEBOAT_ENCRYPTION_KEYS",
        ),
        (
            &exporter(None, Some("x")),
            importer(&[], &[]),
            "sealed with encryption key \"x\": set LIFEBOAT_ENCRYPTION_KEYS",
        ),
    ] {
        let (manifest, payload) = stored(written);
        refused(restored(&manifest, &payload, &policy), message);
    }
}

#[test]
fn another_key_of_a_known_name_is_no_substitute() {
    let other_signing = SigningKey::from_seed("s".parse().unwrap(), [9; 32]);
    let other_encryption = EncryptionKey::from_secret("e".parse().unwrap(), [9; 32]);
    let keys = Keyring::new(vec![other_encryption], Some(other_signing), Vec::new()).unwrap();
    let (manifest, payload) = stored(&keys);
    refused(restored(&manifest, &payload, &importer(&["s"], &[])), "signature by \"s\" is wrong");
    refused(restored(&manifest, &payload, &importer(&[], &["e"])), "authentication with encryption key \"e\" is wrong");
    // Signed rightly, sealed with another key: a mistake in a set-up.
    let keys =
        Keyring::new(vec![EncryptionKey::from_secret("e".parse().unwrap(), [9; 32])], Some(signing("s")), Vec::new());
    let (manifest, payload) = stored(&keys.unwrap());
    refused(restored(&manifest, &payload, &importer(&["s"], &["e"])), "does not open with encryption key \"e\"");
}

#[test]
fn a_bare_config_json_is_accepted_only_by_who_has_no_keys() {
    let json = Bytes::from_static(JSON);
    assert!(verify_bare(json.clone(), &importer(&[], &[])).is_ok());
    for policy in [importer(&["s"], &[]), importer(&[], &["e"]), importer(&["s"], &["e"])] {
        refused(verify_bare(json.clone(), &policy), "config.json without a manifest: none is accepted");
    }
}

#[test]
fn a_manifest_counts_only_where_it_belongs() {
    let keys = exporter(Some("s"), Some("e"));
    let policy = importer(&["s"], &["e"]);
    let (manifest, _) = stored(&keys);
    let document = Document::decode(&manifest).unwrap();
    let own = document.claims().unwrap().id();
    assert!(authenticate(&document, Place::Snapshot(own), &policy).is_ok());
    let other_version = Policy { version: KongVersion::new(3, 8, 1), ..policy.clone() };
    for (place, policy, message) in [
        (Place::Snapshot(SnapshotId { sequence: 8, ..own }), &policy, "that of snapshot 7"),
        (Place::Snapshot(SnapshotId { config_hash: ConfigHash::EMPTY, ..own }), &policy, "manifests were swapped"),
        (Place::Held(own), &policy, "the manifest does not say that snapshot 7 is held"),
        (Place::Newest, &other_version, "the manifest is for Kong 3.9.1, and this path is for Kong 3.8.1"),
        (Place::Snapshot(own), &other_version, "this path is for Kong 3.8.1"),
    ] {
        let rejected = authenticate(&document, place, policy).unwrap_err().to_string();
        assert!(rejected.contains(message), "{message}: {rejected}");
    }
    // Also where nothing is proven: what is held reaches no node.
    let (plain, payload) = stored(&exporter(None, None));
    let elsewhere = changed(&plain, |manifest| manifest["snapshot"]["key"] = json!("3.9.1/config.json"));
    refused(restored(&elsewhere, &payload, &importer(&[], &[])), "names the payload \"3.9.1/config.json\"");
    let held = changed(&plain, |manifest| manifest["state"] = json!("held"));
    refused(restored(&held, &payload, &importer(&[], &[])), "says that snapshot 7 is held");
    let endless = changed(&plain, |manifest| manifest["sequence"] = json!(u64::MAX));
    refused(restored(&endless, &payload, &importer(&[], &[])), "numbers end at 9999999999");
}

#[test]
fn a_payload_is_accepted_only_with_its_own_manifest() {
    let keys = exporter(Some("s"), Some("e"));
    let policy = importer(&["s"], &["e"]);
    let (manifest, payload) = stored(&keys);
    let (_, other) = stored_as(&keys, |manifest| manifest.sequence = 8);
    assert_eq!(payload.len(), other.len());
    refused(restored(&manifest, &other, &policy), "SHA-256 is");
    // One who may sign makes a manifest around another snapshot's payload: the seal knows better.
    let (manifest, _) = stored_as(&keys, |manifest| manifest.sequence = 9);
    let forged = Manifest::decode(&manifest).unwrap();
    let snapshot = crate::manifest::StoredObject { sha256: Sha256Digest::of(&other), ..forged.snapshot.clone() };
    let forged = Manifest { snapshot, ..forged }.proven_with(&keys);
    refused(restored(&forged.encode(), &other, &policy), "does not open with encryption key \"e\"");
}

#[test]
fn with_encryption_keys_alone_a_plain_payload_is_refused_even_from_who_holds_one() {
    let (manifest, payload) = stored(&exporter(None, None));
    let keys = exporter(None, Some("e"));
    let manifest = Manifest::decode(&manifest).unwrap().proven_with(&keys).encode();
    refused(restored(&manifest, &payload, &importer(&[], &["e"])), "not sealed");
}

#[test]
fn a_sealing_of_later_versions_is_named() {
    let keys = exporter(Some("s"), Some("e"));
    let (manifest, payload) = stored(&keys);
    let mut manifest = Manifest::decode(&manifest).unwrap();
    manifest.snapshot.sealed.as_mut().unwrap().algorithm = "ROT-13".into();
    let manifest = manifest.proven_with(&keys).encode();
    refused(restored(&manifest, &payload, &importer(&["s"], &["e"])), "sealed with \"ROT-13\", which this lifeboat");
}

#[test]
fn the_signature_covers_what_later_versions_add() {
    let (manifest, payload) = stored(&exporter(Some("s"), None));
    let policy = importer(&["s"], &[]);
    let added = changed(&manifest, |manifest| manifest["approved_by"] = json!("nobody"));
    refused(restored(&added, &payload, &policy), "signature by \"s\" is wrong");
    // A proof of a kind that this version doesn't know says nothing, and takes nothing from those that it does.
    let also = changed(&manifest, |manifest| {
        let proof = Proof { algorithm: "ml-dsa-65".into(), key: "s".parse().unwrap(), value: "AA==".into() };
        manifest["proofs"].as_array_mut().unwrap().insert(0, json!(proof));
    });
    assert!(restored(&also, &payload, &policy).is_ok());
    let alone = changed(&also, |manifest| manifest["proofs"].as_array_mut().unwrap().truncate(1));
    refused(restored(&alone, &payload, &policy), "not signed");
}

#[test]
fn a_member_that_stands_twice_does_not_mean_two_things() {
    let (manifest, payload) = stored(&exporter(Some("s"), None));
    let text = String::from_utf8(manifest).unwrap();
    let policy = importer(&["s"], &[]);
    // The first says what was signed, the last something else, and the last counts.
    let twice = text.replacen("\"state\": \"received\"", "\"state\": \"received\", \"state\": \"pinned\"", 1);
    assert_ne!(twice, text);
    refused(restored(twice.as_bytes(), &payload, &policy), "signature by \"s\" is wrong");
    let other = text.replacen("\"state\": \"received\"", "\"state\": \"pinned\", \"state\": \"received\"", 1);
    let verified = restored(other.as_bytes(), &payload, &policy).unwrap();
    let Provenance::Manifest(manifest) = verified.provenance() else { panic!("it has a manifest") };
    assert_eq!(manifest.state, crate::manifest::State::Received);
}

proptest! {
    /// Also one that changes the name of the key or the proof itself. What is between the members doesn't count.
    #[test]
    fn any_changed_byte_of_a_proven_manifest_is_refused(at: prop::sample::Index, change in 1u8..=255) {
        for (keys, policy) in [
            (exporter(Some("s"), None), importer(&["s"], &[])),
            (exporter(None, Some("e")), importer(&[], &["e"])),
            (exporter(Some("s"), Some("e")), importer(&["s"], &["e"])),
        ] {
            let (manifest, payload) = stored(&keys);
            let mut changed = manifest.clone();
            changed[at.index(manifest.len())] ^= change;
            let same = Document::decode(&changed).is_ok_and(|document| document == Document::decode(&manifest).unwrap());
            prop_assert_eq!(restored(&changed, &payload, &policy).is_ok(), same || only_an_idle_proof_differs(&changed, &manifest, &keys));
        }
    }

    #[test]
    fn any_changed_byte_of_a_payload_is_refused(at: prop::sample::Index, change in 1u8..=255, is_sealed: bool) {
        let (keys, policy) = if is_sealed {
            (exporter(None, Some("e")), importer(&[], &["e"]))
        } else {
            (exporter(None, None), importer(&[], &[]))
        };
        let (manifest, payload) = stored(&keys);
        let mut changed = payload.to_vec();
        changed[at.index(payload.len())] ^= change;
        let rejected = restored(&manifest, &changed.into(), &policy);
        let is_digest_mismatch = matches!(rejected, Err(Rejected::DigestMismatch { .. }));
        prop_assert!(is_digest_mismatch);
    }
}

// Where a signature is asked for, the authentication code beside it is of no account.
fn only_an_idle_proof_differs(changed: &[u8], original: &[u8], keys: &Keyring) -> bool {
    let (Ok(changed), Ok(original)) = (Document::decode(changed), Document::decode(original)) else { return false };
    keys.signing().is_some()
        && changed.proven_text() == original.proven_text()
        && changed.proofs().first() == original.proofs().first()
}

#[test]
fn half_a_payload_is_incomplete_at_every_length() {
    let (manifest, payload) = stored(&exporter(None, None));
    for length in 0..payload.len() {
        let rejected = restored(&manifest, &payload.slice(..length), &importer(&[], &[]));
        assert!(matches!(rejected, Err(Rejected::Truncated { .. })), "{length} bytes");
    }
}

#[test]
fn what_is_larger_than_allowed_is_rejected_before_it_is_expanded() {
    let (manifest, payload) = stored(&exporter(None, None));
    let small = Policy { max_config: 10, ..importer(&[], &[]) };
    refused(restored(&manifest, &payload, &small), "LIFEBOAT_MAX_CONFIG");
    refused(verify_bare(Bytes::from_static(JSON), &small), "LIFEBOAT_MAX_CONFIG");
}

fn gzip(json: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, json).unwrap();
    encoder.finish().unwrap().into()
}

#[test]
fn gzip_of_another_program_is_accepted_if_it_expands_to_what_the_manifest_promises() {
    let foreign = gzip(JSON);
    let policy = importer(&[], &[]);
    let verified = restored(&described(&foreign, JSON).encode(), &foreign, &policy).unwrap();
    assert_eq!(verified.payload(), &Payload::compress(JSON));
    for promised in [&JSON[1..], &[JSON, b" "].concat()[..]] {
        let rejected = restored(&described(&foreign, promised).encode(), &foreign, &policy);
        assert!(matches!(rejected, Err(Rejected::NotTheConfiguration(_))));
    }
}

#[test]
fn a_bare_config_json_must_be_whole() {
    for length in 0..JSON.len() {
        let part = Bytes::from_static(&JSON[..length]);
        assert!(verify_bare(part, &importer(&[], &[])).is_err(), "{length} bytes");
    }
}
