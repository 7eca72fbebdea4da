//! Manifests and payloads as anyone may have written them who can write to the store: only the genuine ones are taken.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use lifeboat_core::digest::Sha256Digest;
use lifeboat_core::keys::{Keyring, read_key};
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::{DOMAIN, Document, Manifest};
use lifeboat_core::verify::{Place, Policy, Verified, authenticate, verify, verify_bare};
use serde_json::Value;
use serde_json::value::RawValue;

use super::choices::Choices;
use super::files::has_fractions;

const PLAIN: &[u8] = include_bytes!("../../tests/data/manifest-format-1.json");
const SIGNED: &[u8] = include_bytes!("../../tests/data/manifest-format-1-sealed-signed.json");
const PAYLOAD: &[u8] = include_bytes!("../../tests/data/snapshot-format-1-sealed.json.gz");
const JSON: &[u8] = br#"{"_format_version":"3.0","_transform":false,"services":[{"name":"golden"}],"routes":[]}"#;
/// More than the golden one has.
const MAX_CONFIG: usize = 4_096;

// Keys of tests alone, as the README of the data tells them.
const ENCRYPTION: &str = "golden-2026:ek1_ERERERERERERERERERERERERERERERERERERERERERE";
const TRUSTED: &str = "golden-2026:pk1_oJql9HpnWYAv-VX43C0qFKXJnSO-l_hkEn_5ODRVpPA";

static POLICIES: LazyLock<[Policy; 3]> = LazyLock::new(|| {
    let encryption = || vec![read_key(ENCRYPTION).expect("it is a key")];
    let trusted = vec![read_key(TRUSTED).expect("it is a key")];
    let keyrings = [
        Keyring::default(),
        Keyring::new(encryption(), None, trusted).expect("no two have the same name"),
        Keyring::new(encryption(), None, Vec::new()).expect("no two have the same name"),
    ];
    let version = KongVersion::new(3, 9, 1);
    keyrings.map(|keys| Policy { version, max_config: MAX_CONFIG, keys: Arc::new(keys) })
});

/// Plays what these bytes say.
///
/// # Panics
/// When something that must hold doesn't: a manifest or a payload is accepted that the holder of the key hasn't written, or
/// something of which the bytes aren't what the manifest describes.
pub fn play_manifests(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let genuine = if choices.byte().is_multiple_of(2) { SIGNED } else { PLAIN };
    let (manifest, payload) = match choices.byte() % 4 {
        0 => (choices.rest().to_vec(), PAYLOAD.to_vec()),
        1 => (genuine.to_vec(), choices.changed(PAYLOAD, 8)),
        2 => (choices.changed(genuine, 8), PAYLOAD.to_vec()),
        _ => (with_other_values(genuine, &mut choices), choices.bytes().to_vec()),
    };

    let Ok(document) = Document::decode(&manifest) else { return };
    proven_text_is_the_document(&document, &manifest);
    if let Ok(claims) = document.claims() {
        let again = Manifest::decode(&claims.encode()).expect("what was written can be read");
        assert_eq!(again, claims);
    }
    let [without_keys, with_keys @ ..] = &*POLICIES;
    for policy in with_keys {
        only_the_genuine_one_is_taken(&document, &payload, policy);
    }
    what_is_taken_is_as_described(&document, &payload, without_keys);
    bare(&payload, without_keys);
}

/// A document whose members have other values, of the same kind or of another.
fn with_other_values(genuine: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
    let mut document: Value = serde_json::from_slice(genuine).expect("it is JSON");
    for _ in 0..1 + choices.byte() % 4 {
        let mut path = String::new();
        while let Some(members) = document.pointer(&path).and_then(Value::as_object)
            && !members.is_empty()
        {
            let which = usize::from(choices.byte()) % members.len();
            let name = members.keys().nth(which).map(|name| name.replace('~', "~0").replace('/', "~1"));
            path.push('/');
            path.push_str(&name.unwrap_or_default());
        }
        let Some(place) = document.pointer_mut(&path) else { continue };
        *place = match choices.byte() % 6 {
            0 => choices.number().into(),
            1 => Value::Null,
            2 => String::from_utf8_lossy(choices.bytes()).into(),
            3 => Value::Array(vec![Value::from(choices.byte())]),
            4 => serde_json::from_slice(choices.bytes()).unwrap_or_default(),
            // A number that is near one that counts.
            _ => (1_u64 << (choices.byte() % 64)).wrapping_add(u64::from(choices.byte())).wrapping_sub(128).into(),
        };
    }
    document.to_string().into_bytes()
}

/// The text that is signed says the same as the document, and nothing of how it was written.
fn proven_text_is_the_document(document: &Document, manifest: &[u8]) {
    let text = document.proven_text();
    let text = text.strip_prefix(DOMAIN.as_bytes()).expect("it begins so");
    let proven: Value = serde_json::from_slice(text).expect("it is JSON");
    let mut members: BTreeMap<String, Value> = serde_json::from_slice(manifest).expect("it was read before");
    members.remove("proofs");
    // Its numbers are whole: others may be read a little off.
    if members.values().any(has_fractions) {
        return;
    }
    assert_eq!(proven, serde_json::to_value(&members).expect("it was JSON"));
    let again = Document::decode(text).expect("it has no proofs");
    assert_eq!(again.proven_text(), document.proven_text());
}

fn only_the_genuine_one_is_taken(document: &Document, payload: &[u8], policy: &Policy) {
    let genuine = Document::decode(SIGNED).expect("it is the golden one");
    let claims = genuine.claims().expect("it is the golden one");
    for place in [Place::Newest, Place::Snapshot(claims.id()), Place::Held(claims.id())] {
        let Ok(authentic) = authenticate(document, place, policy) else { continue };
        assert_eq!(document.proven_text(), genuine.proven_text(), "somebody else has written that");
        assert_eq!(
            Manifest { proofs: Vec::new(), ..(*authentic).clone() },
            Manifest { proofs: Vec::new(), ..claims.clone() }
        );
        assert!(!matches!(place, Place::Held(_)), "it is not held");

        match verify(authentic, Bytes::copy_from_slice(payload), policy) {
            Ok(verified) => {
                assert_eq!(payload, PAYLOAD);
                assert_eq!(verified.config_json().expect("it was expanded before"), JSON);
            }
            Err(_) => assert_ne!(payload, PAYLOAD),
        }
    }
    assert!(verify_bare(Bytes::copy_from_slice(payload), policy).is_err());
}

/// Without keys everything is believed, and yet the bytes must be those that the manifest describes.
fn what_is_taken_is_as_described(document: &Document, payload: &[u8], policy: &Policy) {
    let Ok(authentic) = authenticate(document, Place::Newest, policy) else { return };
    let config = authentic.config;
    let Ok(verified) = verify(authentic, Bytes::copy_from_slice(payload), policy) else { return };
    assert!(verified.config_bytes() == config.bytes && config.bytes <= MAX_CONFIG as u64);
    match verified.config_json() {
        Ok(json) => assert_eq!((Sha256Digest::of(&json), json.len() as u64), (config.sha256, config.bytes)),
        // A payload in our own layout is expanded only where somebody wants its JSON.
        Err(_) => assert!(payload.starts_with(b"\x1f\x8b\x08\x10")),
    }
}

fn bare(json: &[u8], policy: &Policy) {
    let verified = verify_bare(Bytes::copy_from_slice(json), policy);
    let is_object = serde_json::from_slice::<BTreeMap<String, &RawValue>>(json).is_ok();
    if let Ok(verified) = &verified {
        assert!(json.len() <= MAX_CONFIG);
        assert_eq!(expanded(verified), json);
    }
    if !is_object && serde_json::from_slice::<Value>(json).is_ok() {
        assert!(verified.is_err());
    }
}

fn expanded(verified: &Verified) -> Vec<u8> {
    assert_eq!(verified.config_bytes(), verified.config_json().expect("it is whole").len() as u64);
    verified.config_json().expect("it is whole")
}
