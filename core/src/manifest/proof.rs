//! What proves who wrote a manifest, and about which bytes. Whose proof is believed is decided in `verify`.
//!
//! A proof is about the whole document as it was read, members of later versions included, but for the member `proofs`
//! itself: [`DOMAIN`], then the document as JSON without blanks, the members of each object sorted by the bytes of their
//! names, strings escaped no more than JSON demands. All numbers of this format are whole. (In Python:
//! `json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)`.)

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::Sha256;

use crate::keys::{EncryptionKey, Key, KeyName, Keyring, SigningKey, TrustedKey};

/// A signature by an exporter's private key.
pub const SIGNATURE: &str = "ed25519";
/// A proof by who holds an encryption key.
pub const AUTHENTICATION: &str = "hmac-sha256";

/// What every proven text begins with, so that it can't be taken for anything else that the same key signs.
pub const DOMAIN: &str = "lifeboat manifest 1\n";

/// A proof of who wrote a document. Kinds that this version doesn't know are carried along and prove nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// [`SIGNATURE`] or [`AUTHENTICATION`].
    pub algorithm: String,
    /// The name of the key: a claim until it is checked.
    pub key: KeyName,
    /// The signature or code in base64.
    pub value: String,
}

impl Proof {
    /// A signature of a text.
    pub fn signature(key: &SigningKey, text: &[u8]) -> Self {
        let value = STANDARD.encode(key.sign(text));
        Self { algorithm: SIGNATURE.to_owned(), key: key.name().clone(), value }
    }

    /// An authentication code of a text.
    pub fn authentication(key: &EncryptionKey, text: &[u8]) -> Self {
        let value = STANDARD.encode(code(key, text).finalize().into_bytes());
        Self { algorithm: AUTHENTICATION.to_owned(), key: key.name().clone(), value }
    }

    /// All the proofs that an exporter with these keys gives.
    pub fn all(keys: &Keyring, text: &[u8]) -> Vec<Self> {
        let signature = keys.signing().map(|key| Self::signature(key, text));
        let authentication = keys.sealing().map(|key| Self::authentication(key, text));
        signature.into_iter().chain(authentication).collect()
    }

    /// Whether it is this key's signature of this text.
    pub fn is_signature(&self, key: &TrustedKey, text: &[u8]) -> bool {
        STANDARD.decode(&self.value).is_ok_and(|signature| key.has_signed(text, &signature))
    }

    /// Whether it is this key's authentication code of this text; compared in constant time.
    pub fn is_authentication(&self, key: &EncryptionKey, text: &[u8]) -> bool {
        STANDARD.decode(&self.value).is_ok_and(|expected| code(key, text).verify_slice(&expected).is_ok())
    }
}

fn code(key: &EncryptionKey, text: &[u8]) -> Hmac<Sha256> {
    let mut code = Hmac::<Sha256>::new_from_slice(&*key.for_manifests()).expect("HMAC takes keys of any length");
    code.update(text);
    code
}

/// The text that proofs of this document are about.
pub(super) fn proven_text(document: &Map<String, Value>) -> Vec<u8> {
    let mut text = DOMAIN.as_bytes().to_vec();
    write_object(document, &mut text);
    text
}

// Sorted here and not by the map, whose order is a feature of serde_json that any dependency may switch on.
fn write_object(members: &Map<String, Value>, text: &mut Vec<u8>) {
    let mut members: Vec<(&String, &Value)> = members.iter().collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    text.push(b'{');
    for (index, (name, value)) in members.into_iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        write_scalar(name, text);
        text.push(b':');
        write_value(value, text);
    }
    text.push(b'}');
}

fn write_value(value: &Value, text: &mut Vec<u8>) {
    match value {
        Value::Object(members) => write_object(members, text),
        Value::Array(elements) => {
            text.push(b'[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                write_value(element, text);
            }
            text.push(b']');
        }
        scalar => write_scalar(scalar, text),
    }
}

fn write_scalar(scalar: &impl Serialize, text: &mut Vec<u8>) {
    serde_json::to_writer(text, scalar).expect("a string, number or word always has a JSON form");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> String {
        let document: Map<String, Value> = serde_json::from_str(json).unwrap();
        String::from_utf8(proven_text(&document)).unwrap()
    }

    #[test]
    fn the_proven_text_is_sorted_and_has_no_blanks() {
        let json =
            "{ \"b\" : [ 1, {\"z\":null, \"a\":-1} ],\n \"a\\n\": \"\\u00e4\\u0001\\/\", \"B\": 18446744073709551615 }";
        let expected = r#"{"B":18446744073709551615,"a\n":"ä\u0001/","b":[1,{"a":-1,"z":null}]}"#;
        assert_eq!(text(json), format!("lifeboat manifest 1\n{expected}"));
        assert_eq!(text(json), text(&expected.replace(",\"b\":", " , \"b\" :\t")));
    }

    #[test]
    fn two_documents_that_differ_have_two_texts() {
        for (one, other) in [
            (r#"{"a":1}"#, r#"{"a":"1"}"#),
            (r#"{"a":[1,2]}"#, r#"{"a":[12]}"#),
            (r#"{"a":{},"b":[]}"#, r#"{"a":[],"b":{}}"#),
            (r#"{"a":1,"b":2}"#, r#"{"a":1,"c":2}"#),
        ] {
            assert_ne!(text(one), text(other));
        }
    }

    #[test]
    fn a_proof_fits_its_text_and_its_key_only() {
        let signing = |seed| SigningKey::from_seed("s".parse().unwrap(), [seed; 32]);
        let encryption = |byte| EncryptionKey::from_secret("e".parse().unwrap(), [byte; 32]);
        let keys = Keyring::new(vec![encryption(1)], Some(signing(1)), Vec::new()).unwrap();
        let proofs = Proof::all(&keys, b"text");
        let kinds: Vec<&str> = proofs.iter().map(|proof| proof.algorithm.as_str()).collect();
        assert_eq!(kinds, [SIGNATURE, AUTHENTICATION]);
        assert!(proofs[0].is_signature(&signing(1).trusted(), b"text"));
        assert!(!proofs[0].is_signature(&signing(2).trusted(), b"text"));
        assert!(!proofs[0].is_signature(&signing(1).trusted(), b"test"));
        assert!(proofs[1].is_authentication(&encryption(1), b"text"));
        assert!(!proofs[1].is_authentication(&encryption(2), b"text"));
        assert!(!proofs[1].is_authentication(&encryption(1), b"test"));
        let empty = Proof { value: String::new(), ..proofs[1].clone() };
        assert!(
            !empty.is_authentication(&encryption(1), b"text") && !empty.is_signature(&signing(1).trusted(), b"text")
        );
    }
}
