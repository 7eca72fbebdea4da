//! A control plane's configurations: compressed in whatever way, damaged on their way, and long enough for their compressed
//! blocks to be taken over as they are.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use lifeboat_core::digest::Sha256Digest;
use lifeboat_core::json::Problem;
use lifeboat_core::keys::Keyring;
use lifeboat_core::kong::reconfigure::{DecodeError, Reconfigure, decode, decode_json};
use lifeboat_core::kong::{Configuration, stated_hash};
use lifeboat_core::manifest::{Document, Manifest};
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_core::payload::Payload;
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::{Place, Policy, authenticate, verify};
use serde_json::value::RawValue;

use super::choices::Choices;

/// How large a configuration may be here: larger than any that is made here.
const LIMIT: usize = 1 << 20;
const GOLDEN: &[u8] = include_bytes!("../../tests/data/manifest-format-1.json");

/// Plays what these bytes say.
///
/// # Panics
/// When something that must hold doesn't: another reader of gzip or of JSON finds something else in the message, or a node
/// would be given something else than the control plane has sent.
pub fn play_reconfigure(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    match choices.byte() % 4 {
        0 => message(choices.rest(), LIMIT),
        1 => {
            let limit = 1 + choices.below(4_096);
            message(choices.rest(), limit);
        }
        2 => {
            let (level, every) = (choices.byte(), 1 + choices.below(8_192));
            text(choices.rest(), level, every);
        }
        _ => long_message(&mut choices),
    }
}

/// A message as it came.
fn message(gzip: &[u8], limit: usize) {
    let decoded = decode(gzip, limit);
    let mut expanded = Vec::new();
    let mut decoder = flate2::bufread::GzDecoder::new(gzip);
    let expands = decoder.by_ref().take(limit as u64 + 1).read_to_end(&mut expanded);
    let has_more = !decoder.into_inner().is_empty();

    match &decoded {
        Err(DecodeError::NotGzip) => assert!(!gzip.starts_with(b"\x1f\x8b")),
        Err(DecodeError::Truncated | DecodeError::WrongChecksum | DecodeError::Damaged) => {
            assert!(expands.is_err() || expanded.len() > limit, "{decoded:?}");
        }
        Err(DecodeError::TooLarge { .. }) => assert!(expands.is_err() || expanded.len() > limit),
        Err(DecodeError::TrailingBytes) => assert!(has_more),
        Ok(_) | Err(_) => {
            assert!(expands.is_ok() && expanded.len() <= limit && !has_more, "{expands:?}");
            assert_eq!(decoded, decode_json(&expanded.clone().into()));
            agrees_with_serde(&expanded, &decoded);
        }
    }
    if let Ok(reconfigure) = &decoded {
        is_given_as_it_came(reconfigure);
    }
    // The relay looks at messages that nobody has checked.
    let stated = stated_hash(gzip, limit);
    if let (Ok(reconfigure), Some(stated)) = (&decoded, stated) {
        assert!(expanded.len() > limit || is_stated(&expanded, reconfigure, &stated.to_string()));
    }
}

// The relay's look goes no further than to the first of two members of the same name, of which the last one counts.
fn is_stated(text: &[u8], reconfigure: &Reconfigure, stated: &str) -> bool {
    let named = text.windows(b"config_hash".len()).filter(|part| part == b"config_hash").count();
    reconfigure.config_hash.to_string() == stated || named > 1 || text.contains(&b'\\')
}

/// A message of which only its text is drawn, compressed in blocks of so many bytes.
fn text(text: &[u8], level: u8, every: usize) {
    let gzip = compressed(text, level, every);
    let decoded = decode(&gzip, LIMIT);
    assert_eq!(decoded, decode_json(&text.to_vec().into()));
    agrees_with_serde(text, &decoded);
    message(&gzip, text.len());
    message(&gzip, text.len().saturating_sub(1));
}

/// A message with some hundred kilobytes of text: so much that its blocks are taken over.
fn long_message(choices: &mut Choices<'_>) {
    // Thousands of blocks at most: hundreds of thousands would take seconds.
    let (level, every) = (choices.byte(), 512 + 64 * choices.below(4_096));
    let (services, width) = (choices.below(1_500), 1 + choices.below(400));
    let (before, after) = (choices.below(4_096), choices.below(4_096));
    let mut noise = choices.number() | 1;
    let mut services: Vec<String> = (0..services)
        .map(|number| {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            let name: String = format!("{noise:016x}").chars().cycle().take(width).collect();
            format!("{{\"id\":{number},\"name\":\"{name}\"}}")
        })
        .collect();
    // What is there twice is referred to from afar.
    let rotated = choices.below(64).min(services.len());
    services.rotate_left(rotated);
    let table = format!("{{\"_format_version\":\"3.0\",\"services\":[{}]}}", services.join(","));
    let text = format!(
        "{{\"{}\":1,\"config_table\":{table},\"type\":\"reconfigure\",\"x\":\"{}\"}}",
        "b".repeat(before),
        "a".repeat(after)
    );

    let gzip = compressed(text.as_bytes(), level, every);
    if text.len() <= LIMIT {
        let decoded = decode(&gzip, LIMIT).expect("it is a configuration");
        assert_eq!(&decoded.configuration.json()[..], table.as_bytes());
        is_given_as_it_came(&decoded);
    }
    message(&choices.changed(&gzip, 16), LIMIT);
}

fn compressed(text: &[u8], level: u8, every: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(u32::from(level % 10)));
    for piece in text.chunks(every) {
        encoder.write_all(piece).expect("memory takes everything");
        if level >= 128 {
            encoder.flush().expect("memory takes everything");
        }
    }
    encoder.finish().expect("memory takes everything")
}

/// Two readers of JSON find the same configuration, where both take the text.
fn agrees_with_serde(text: &[u8], decoded: &Result<Reconfigure, DecodeError>) {
    let read = serde_json::from_slice::<BTreeMap<String, &RawValue>>(text);
    let (members, decoded) = match (read, decoded) {
        (Ok(members), decoded) => (members, decoded),
        // It takes fewer levels than Kong, and is told apart from an object that isn't one.
        (Err(_), _) => return,
    };
    let (kind, table) = (members.get("type"), members.get("config_table"));
    let is_one = kind.is_some_and(|kind| kind.get() == "\"reconfigure\"");
    match decoded {
        Ok(reconfigure) => {
            assert!(is_one);
            assert_eq!(reconfigure.configuration.json(), table.expect("it has one").get().as_bytes());
        }
        Err(DecodeError::WrongType { .. }) => assert!(!is_one),
        Err(DecodeError::NoConfiguration) => assert!(table.is_none()),
        Err(DecodeError::ConfigurationNotAnObject) => {
            assert!(!table.is_some_and(|table| table.get().starts_with('{')));
        }
        Err(DecodeError::MalformedConfigHash(_)) => assert!(members.contains_key("config_hash")),
        // It skips over broken surrogate pairs in strings, and over any depth.
        Err(DecodeError::Json(error)) => assert!(matches!(error.problem, Problem::Escape | Problem::Depth), "{error}"),
        Err(other) => panic!("{other}"),
    }
}

/// What is kept of a configuration is what came, and what a node is given is that.
fn is_given_as_it_came(received: &Reconfigure) {
    let configuration = &received.configuration;
    let json = configuration.json();
    let (again, hashes) = Configuration::from_json_with_hashes(json.clone()).expect("it was read before");
    assert_eq!((&again, &hashes), (configuration, &configuration.hashes()));
    let payload = configuration.payload();
    let mut expanded = Vec::new();
    GzDecoder::new(&payload.bytes()[..]).read_to_end(&mut expanded).expect("a payload is gzip");
    assert!(expanded == json[..], "the payload expands to something else");
    assert_eq!(Payload::from_gzip(payload.bytes().clone()).as_ref(), Some(&payload));

    let manifest = described(received, &payload);
    let policy = Policy { version: manifest.kong_version, max_config: LIMIT, keys: Arc::new(Keyring::default()) };
    let document = Document::decode(&manifest.encode()).expect("it was written here");
    let authentic = authenticate(&document, Place::Newest, &policy).expect("nobody has to prove anything");
    let verified = verify(authentic, payload.into_bytes(), &policy).expect("it is what the manifest describes");
    assert!(verified.config_json().expect("it was expanded before") == json[..]);
    let now = WallTime::from_system(SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_169_515_922));
    let message = verified.message(now);
    assert_eq!(message.len() as usize, message.pieces().concat().len());

    let given = decode(&message.pieces().concat(), 2 * LIMIT).expect("a node can read it");
    assert!(given.configuration.json() == json, "a node is given something else");
    assert_eq!(given.config_hash, received.config_hash);
    assert_eq!(stated_hash(&message.pieces().concat(), LIMIT), Some(received.config_hash));
}

fn described(received: &Reconfigure, payload: &Payload) -> Manifest {
    let mut manifest = Manifest::decode(GOLDEN).expect("it is the golden one");
    let json = received.configuration.json();
    (manifest.config_hash, manifest.hashes) = (received.config_hash, received.hashes.clone());
    manifest.snapshot.sha256 = Sha256Digest::of(payload.bytes());
    manifest.snapshot.bytes = payload.bytes().len() as u64;
    (manifest.config.sha256, manifest.config.bytes) = (Sha256Digest::of(json), json.len() as u64);
    manifest.snapshot.key = ObjectKeys::new(manifest.kong_version).snapshot(manifest.id());
    manifest
}
