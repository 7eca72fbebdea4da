//! The golden snapshot that is sealed and signed: what is written stays this, and what was ever written stays readable.

use super::*;
use crate::keys::{SigningKey, TrustedKey, read_key};
use crate::manifest::Document;

const MANIFEST: &[u8] = include_bytes!("../../../tests/data/manifest-format-1-sealed-signed.json");
const PAYLOAD: &[u8] = include_bytes!("../../../tests/data/snapshot-format-1-sealed.json.gz");
const JSON: &[u8] = br#"{"_format_version":"3.0","_transform":false,"services":[{"name":"golden"}],"routes":[]}"#;

// Keys of this test alone, as the README of the data tells them.
const ENCRYPTION: &str = "golden-2026:ek1_ERERERERERERERERERERERERERERERERERERERERERE";
const SIGNING: &str = "golden-2026:sk1_IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiI";
const TRUSTED: &str = "golden-2026:pk1_oJql9HpnWYAv-VX43C0qFKXJnSO-l_hkEn_5ODRVpPA";

fn policy(encryption: Option<&str>, trusted: Option<&str>) -> Policy {
    let encryption: Vec<EncryptionKey> = encryption.map(|text| read_key(text).unwrap()).into_iter().collect();
    let trusted: Vec<TrustedKey> = trusted.map(|text| read_key(text).unwrap()).into_iter().collect();
    let keys = Arc::new(Keyring::new(encryption, None, trusted).unwrap());
    Policy { version: KongVersion::new(3, 9, 1), max_config: 1 << 20, keys }
}

#[test]
fn the_golden_sealed_and_signed_snapshot_stays_readable() {
    for policy in [policy(Some(ENCRYPTION), Some(TRUSTED)), policy(Some(ENCRYPTION), None)] {
        let document = Document::decode(MANIFEST).unwrap();
        let manifest = authenticate(&document, Place::Snapshot(document.claims().unwrap().id()), &policy).unwrap();
        let verified = verify(manifest, Bytes::from_static(PAYLOAD), &policy).unwrap();
        assert_eq!(verified.config_json().unwrap(), JSON);
    }
}

#[test]
fn what_is_sealed_and_signed_is_the_golden_form() {
    let keys = Keyring::new(vec![read_key(ENCRYPTION).unwrap()], Some(read_key(SIGNING).unwrap()), Vec::new()).unwrap();
    let golden = Manifest::decode(MANIFEST).unwrap();
    let unproven = Manifest { proofs: Vec::new(), ..golden.clone() };
    assert_eq!(unproven.proven_with(&keys), golden);
    assert_eq!(String::from_utf8(golden.encode()).unwrap(), String::from_utf8(MANIFEST.to_vec()).unwrap());
    let (nonce, binding) = (golden.snapshot.sealed.as_ref().unwrap().nonce, Binding::of(&golden));
    let plain = seal::open(Bytes::from_static(PAYLOAD), keys.sealing().unwrap(), nonce, &binding).unwrap();
    assert_eq!(seal::seal(plain, keys.sealing().unwrap(), nonce, &binding).0, PAYLOAD);
    let private: SigningKey = read_key(SIGNING).unwrap();
    assert_eq!(private.trusted().to_text(), TRUSTED);
}
