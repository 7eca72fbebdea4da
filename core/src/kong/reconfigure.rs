//! The message in which a control plane sends a configuration (KONG.md section 1). Reading only: what becomes of the
//! configuration is decided elsewhere.

use std::ops::Range;

use bytes::Bytes;

use super::config_hash::SectionHashes;
use super::configuration::{Configuration, Outline, outline};
use super::inflate::{InflateError, inflate};
use crate::digest::ConfigHash;
use crate::json::{self, Lexer};
use crate::payload::Payload;
use crate::payload::moved::Moved;

/// How large a message may be when decompressed, in bytes, unless `LIFEBOAT_MAX_CONFIG` says otherwise: 512 MiB, some
/// 440,000 services and as many routes.
pub const DEFAULT_MAX_CONFIG: usize = 512 << 20;

/// A configuration as a control plane sent it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reconfigure {
    /// The `config_table`.
    pub configuration: Configuration,
    /// The name under which nodes will say that they run it.
    pub config_hash: ConfigHash,
    /// Who says so.
    pub config_hash_source: HashSource,
    /// The hashes of its sections; none if the message has none, or in a shape that isn't known:
    /// [`Configuration::hashes`] gives them then.
    pub hashes: Option<SectionHashes>,
    /// When the control plane made the message, by its own clock: seconds since 1970.
    pub timestamp: Option<f64>,
}

/// Where a configuration's hash comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashSource {
    /// From the message. It may be another one than ours: a control plane adapts a configuration to an older node
    /// without changing its hash.
    ControlPlane,
    /// Computed here, since the message has none.
    Computed,
}

/// Why a message is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It isn't compressed.
    #[error(
        "the message is not gzip, which a control plane's configurations are: \
         check that LIFEBOAT_CONTROL_PLANE or cluster_control_plane names the cluster_listen of a Kong control plane"
    )]
    NotGzip,
    /// It is only the beginning of one.
    #[error("the message ends before its gzip data do: it was cut off on its way and has to be sent again")]
    Truncated,
    /// What it contains isn't what its checksum was made of.
    #[error("the message does not have its gzip checksum: it was damaged on its way and has to be sent again")]
    WrongChecksum,
    /// It contains what no compressor writes.
    #[error("the message's gzip data are damaged: it has to be sent again")]
    Damaged,
    /// Something follows the compressed data.
    #[error("something follows the message's gzip data: it has to be sent again, alone")]
    TrailingBytes,
    /// It is larger than what is allowed.
    #[error(
        "the message expands beyond LIFEBOAT_MAX_CONFIG ({limit} bytes): \
         raise LIFEBOAT_MAX_CONFIG if the control plane's configuration really is that large"
    )]
    TooLarge {
        /// The bound, in bytes.
        limit: usize,
    },
    /// What was compressed isn't JSON.
    #[error("the message is not JSON: {0}")]
    Json(json::Error),
    /// It is JSON, but an array, a string …
    #[error("the message is JSON but not an object")]
    NotAnObject,
    /// It is another message.
    #[error("the message's type is {found}, not \"reconfigure\"")]
    WrongType {
        /// The beginning of what it says instead, as JSON.
        found: String,
    },
    /// It contains no configuration.
    #[error("the message lacks config_table, the configuration")]
    NoConfiguration,
    /// Its configuration is an array, a string …
    #[error("the message's config_table is not an object, which a configuration is")]
    ConfigurationNotAnObject,
    /// Its hash isn't one.
    #[error("the message's config_hash is malformed: {0}")]
    MalformedConfigHash(String),
}

impl From<json::Error> for DecodeError {
    fn from(error: json::Error) -> Self {
        Self::Json(error)
    }
}

/// Reads a `reconfigure` message, which may have at most `max_config` bytes when decompressed.
///
/// All of the message is checked: gzip's checksum, JSON, UTF-8. The configuration is cut out of it without being
/// copied. Its hash is computed only if the message lacks one.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn decode(message: &[u8], max_config: usize) -> Result<Reconfigure, DecodeError> {
    if let Some((text, moved)) = Moved::inflate(message, max_config) {
        let json = Bytes::from(text);
        return read(&json, |place| moved.payload(&json, place));
    }
    let json = Bytes::from(inflate(message, max_config).map_err(|error| match error {
        InflateError::NotGzip => DecodeError::NotGzip,
        InflateError::Truncated => DecodeError::Truncated,
        InflateError::WrongChecksum => DecodeError::WrongChecksum,
        InflateError::Damaged => DecodeError::Damaged,
        InflateError::TooLarge => DecodeError::TooLarge { limit: max_config },
        InflateError::Trailing => DecodeError::TrailingBytes,
    })?);
    decode_json(&json)
}

/// Reads a `reconfigure` message that has been decompressed.
///
/// # Errors
/// As [`decode`].
pub fn decode_json(json: &Bytes) -> Result<Reconfigure, DecodeError> {
    read(json, |_| None)
}

/// Reads a message; `compressed` gives a part of its text compressed, if that can be had.
fn read(json: &Bytes, compressed: impl FnOnce(Range<usize>) -> Option<Payload>) -> Result<Reconfigure, DecodeError> {
    let members = Members::read(json)?;
    match members.kind {
        Some(b"\"reconfigure\"") => {}
        other => {
            return Err(DecodeError::WrongType { found: beginning(other.unwrap_or(b"missing")) });
        }
    }

    let (place, outline) = match members.table {
        Table::Missing => return Err(DecodeError::NoConfiguration),
        Table::NotAnObject => return Err(DecodeError::ConfigurationNotAnObject),
        Table::At(place, outline) => (place, outline),
    };
    let configuration = Configuration::cut_out(json.slice(place.clone()), outline);
    let given: Option<ConfigHash> = serde_json::from_slice(members.config_hash)
        .map_err(|error| DecodeError::MalformedConfigHash(error.to_string()))?;
    let (config_hash, config_hash_source, hashes) = match given {
        Some(hash) => (hash, HashSource::ControlPlane, serde_json::from_slice(members.hashes).unwrap_or_default()),
        None => {
            let hashes = configuration.hashes();
            (hashes.config, HashSource::Computed, Some(hashes))
        }
    };
    let timestamp = serde_json::from_slice(members.timestamp).unwrap_or_default();
    let configuration = configuration.compressed_as(compressed(place));
    Ok(Reconfigure { configuration, config_hash, config_hash_source, hashes, timestamp })
}

/// What is of interest in a message, still as JSON. What is missing is as good as `null`.
struct Members<'a> {
    kind: Option<&'a [u8]>,
    timestamp: &'a [u8],
    config_hash: &'a [u8],
    hashes: &'a [u8],
    table: Table,
}

enum Table {
    Missing,
    NotAnObject,
    At(Range<usize>, Outline),
}

impl<'a> Members<'a> {
    /// Reads to the end of the message whatever comes first: Kong's order of members differs from send to send.
    fn read(json: &'a [u8]) -> Result<Self, DecodeError> {
        let null = b"null".as_slice();
        let mut members = Self { kind: None, timestamp: null, config_hash: null, hashes: null, table: Table::Missing };
        let mut lexer = Lexer::new(json)?;

        if lexer.peek()? != b'{' {
            lexer.value(&mut ())?;
            lexer.end()?;
            return Err(DecodeError::NotAnObject);
        }
        lexer.members(|lexer, name| {
            match &*name.content() {
                b"config_table" => members.table = Table::read(lexer)?,
                b"type" => members.kind = Some(lexer.value(&mut ())?),
                b"timestamp" => members.timestamp = lexer.value(&mut ())?,
                b"config_hash" => members.config_hash = lexer.value(&mut ())?,
                b"hashes" => members.hashes = lexer.value(&mut ())?,
                _ => drop(lexer.value(&mut ())?),
            }
            Ok(())
        })?;
        lexer.end()?;
        Ok(members)
    }
}

impl Table {
    fn read(lexer: &mut Lexer<'_>) -> Result<Self, json::Error> {
        if lexer.peek()? != b'{' {
            lexer.value(&mut ())?;
            return Ok(Self::NotAnObject);
        }
        let start = lexer.offset();
        let outline = outline(lexer)?;
        Ok(Self::At(start..lexer.offset(), outline))
    }
}

/// Enough of a value to recognise it by, and not so much that it floods a log.
fn beginning(value: &[u8]) -> String {
    String::from_utf8_lossy(value).chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    const FIRST: &[u8] = include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-first.json.gz");
    const LAST: &[u8] = include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-last.json.gz");
    const LOST: &[u8] = include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-lost-database.json.gz");
    const HASH: &str = "3ff47162e7a7ce1344f336316b66484e";

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn decode_text(text: &str) -> Result<Reconfigure, DecodeError> {
        decode(&gzip(text.as_bytes()), DEFAULT_MAX_CONFIG)
    }

    #[test]
    fn a_recorded_message_is_read() {
        let first = decode(FIRST, DEFAULT_MAX_CONFIG).unwrap();
        assert_eq!(first.config_hash.to_string(), "384134637443dc79d772bc1ee8e72d62");
        assert_eq!(first.config_hash_source, HashSource::ControlPlane);
        assert_eq!(first.timestamp, Some(1_795_169_514.844));
        assert_eq!(first.hashes, Some(first.configuration.hashes()));
        let counts = first.configuration.counts();
        assert_eq!((counts.get("services"), counts.get("plugins"), counts.get("no such thing")), (2, 4, 0));
    }

    #[test]
    fn recorded_messages_can_all_be_run() {
        let adapted = include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-for-dp-3.4.0.json.gz");
        for message in [FIRST, LAST, LOST, adapted] {
            assert_eq!(decode(message, DEFAULT_MAX_CONFIG).unwrap().configuration.unrunnable(), None);
        }
    }

    #[test]
    fn the_configuration_is_cut_out_byte_for_byte() {
        let text = inflate(FIRST, DEFAULT_MAX_CONFIG).unwrap();
        let text = std::str::from_utf8(&text).unwrap();
        let json = decode(FIRST, DEFAULT_MAX_CONFIG).unwrap().configuration.json().clone();
        let json = std::str::from_utf8(&json).unwrap();
        assert!(text.contains(&format!("\"config_table\":{json},")), "{json}");
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(json).unwrap();
    }

    #[test]
    fn a_lost_database_is_a_configuration_without_services() {
        let lost = decode(LOST, DEFAULT_MAX_CONFIG).unwrap();
        assert!(!lost.config_hash.is_empty());
        assert_eq!(lost.configuration.counts().get("services"), 0);
        assert_eq!(lost.configuration.counts().get("workspaces"), 1);
    }

    #[test]
    fn a_message_without_a_hash_gets_the_one_that_kong_would_compute() {
        let last = decode(LAST, DEFAULT_MAX_CONFIG).unwrap();
        let json = std::str::from_utf8(last.configuration.json()).unwrap();
        for rest in ["", ",\"config_hash\":null,\"hashes\":null,\"timestamp\":null"] {
            let bare = decode_text(&format!("{{\"type\":\"reconfigure\",\"config_table\":{json}{rest}}}")).unwrap();
            assert_eq!(bare.config_hash.to_string(), HASH);
            assert_eq!(bare.config_hash_source, HashSource::Computed);
            assert_eq!(bare.hashes, last.hashes);
            assert_eq!(bare.timestamp, None);
        }
    }

    #[test]
    fn hashes_of_an_unknown_shape_do_not_spoil_a_configuration() {
        let text = format!(r#"{{"hashes":[1],"config_table":{{}},"config_hash":"{HASH}","type":"reconfigure"}}"#);
        assert_eq!(decode_text(&text).unwrap().hashes, None);
    }

    #[test]
    fn what_is_no_configuration_is_refused_with_what_is_wrong() {
        for (text, error) in [
            ("[]", "the message is JSON but not an object"),
            ("{}", "the message's type is missing, not \"reconfigure\""),
            (r#"{"type":"ping","config_table":{}}"#, "the message's type is \"ping\", not \"reconfigure\""),
            (r#"{"type":"reconfigure"}"#, "the message lacks config_table, the configuration"),
            (
                r#"{"type":"reconfigure","config_table":[1]}"#,
                "the message's config_table is not an object, which a configuration is",
            ),
            (
                r#"{"type":"reconfigure","config_table":{]}"#,
                "the message is not JSON: expected a member name in double quotes at byte 38",
            ),
            (r#"{"type":"reconfigure","config_table":{}} "#, ""),
            (
                r#"{"type":"reconfigure","config_table":{}}}"#,
                "the message is not JSON: something follows the end of the document at byte 40",
            ),
            (
                r#"{"type":"reconfigure","config_table":{},"config_hash":"3FF4"}"#,
                "the message's config_hash is malformed: a configuration hash must be 32 lower-case hexadecimal digits, not \"3FF4\"",
            ),
        ] {
            let told = decode_text(text).map_or_else(|error| error.to_string(), |_| String::new());
            assert_eq!(told, error, "{text}");
        }
        let number = decode_text(r#"{"type":"reconfigure","config_table":{},"config_hash":7}"#).unwrap_err();
        assert!(matches!(number, DecodeError::MalformedConfigHash(_)), "{number}");
    }

    #[test]
    fn what_expands_beyond_the_limit_is_refused_with_the_setting_to_raise() {
        let bomb = gzip(&vec![b' '; 10_000_000]);
        let error = decode(&bomb, 1_000_000).unwrap_err();
        assert_eq!(error, DecodeError::TooLarge { limit: 1_000_000 });
        assert!(error.to_string().contains("LIFEBOAT_MAX_CONFIG (1000000 bytes)"), "{error}");
    }

    #[test]
    fn no_beginning_of_a_message_passes_for_the_message() {
        for length in 0..LAST.len() {
            let error = decode(&LAST[..length], DEFAULT_MAX_CONFIG).unwrap_err();
            let expected = if length < 2 { DecodeError::NotGzip } else { DecodeError::Truncated };
            assert_eq!(error, expected, "{length} bytes");
        }
    }

    #[test]
    fn a_changed_byte_never_yields_another_configuration() {
        let whole = decode(LAST, DEFAULT_MAX_CONFIG).unwrap();
        for at in 0..LAST.len() {
            let mut changed = LAST.to_vec();
            changed[at] ^= 0x10;
            // Gzip's header, which says when and where it was made, has no checksum.
            if let Ok(read) = decode(&changed, DEFAULT_MAX_CONFIG) {
                assert!(at < 10 && read == whole, "byte {at}");
            }
        }
    }

    #[test]
    fn a_configuration_does_not_print_its_content() {
        let table = r#"{"type":"reconfigure","config_table":{"certificates":[{"key":"-----BEGIN SECRET"}]}}"#;
        let shown = format!("{:?}", decode_text(table).unwrap());
        assert!(!shown.contains("SECRET"), "{shown}");
        assert!(shown.contains("\"certificates\": 1"), "{shown}");
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 8, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                proptest::collection::hash_map(any::<String>(), inner, 0..8)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_configuration_is_what_was_sent(
            members in proptest::collection::hash_map(any::<String>(), json(), 0..8),
            pretty: bool,
            order in Just(["type", "config_table", "timestamp", "something new"]).prop_shuffle(),
        ) {
            let table = serde_json::Value::Object(members.into_iter().collect());
            let table = if pretty { format!("{table:#}") } else { table.to_string() };
            let member = |name: &str| match name {
                "type" => r#""type":"reconfigure""#.to_owned(),
                "config_table" => format!("\"config_table\" : {table} "),
                name => format!("{name:?}:1.5"),
            };
            let read = decode_text(&format!("{{{}}}", order.map(member).join(","))).unwrap();
            prop_assert_eq!(read.configuration.json(), table.as_bytes());
            prop_assert_eq!(&read.configuration, &Configuration::from_json(table.into()).unwrap());
            prop_assert_eq!(read.timestamp, Some(1.5));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode(&bytes, 10_000).is_err());
            prop_assert!(decode(&[&[0x1f, 0x8b, 8, 0], &bytes[..]].concat(), 10_000).is_err());
            prop_assert!(decode(&gzip(&bytes), 10_000).is_err());
        }
    }
}
