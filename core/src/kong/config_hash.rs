//! Kong's hash of a configuration, as Kong 3.9.1 computes it (source: the Apache-2.0 file
//! `kong/clustering/config_helper.lua` at tag 3.9.1). It names a configuration and protects nothing.
//!
//! Five sections are hashed each for itself, all other members of the configuration together as a sixth; the
//! configuration's hash is that of the six hashes in hexadecimal. A node compares the sections to see what changed.

use std::collections::BTreeMap;

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use super::canonical::Canonical;
use super::fold::Fold;
use crate::digest::ConfigHash;
use crate::json::{Error, Lexer};

/// The sections that have a hash of their own, in the order in which these are hashed together.
const SECTIONS: [&[u8]; 5] = [b"routes", b"services", b"plugins", b"upstreams", b"targets"];

/// Kong's hash of a configuration and of its sections: the `hashes` of a `reconfigure` message.
///
/// A section that the configuration lacks has the hash [`ConfigHash::EMPTY`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionHashes {
    /// Of the whole configuration: its `config_hash`.
    pub config: ConfigHash,
    /// Of the routes.
    pub routes: ConfigHash,
    /// Of the services.
    pub services: ConfigHash,
    /// Of the plugins.
    pub plugins: ConfigHash,
    /// Of the upstreams.
    pub upstreams: ConfigHash,
    /// Of the targets.
    pub targets: ConfigHash,
}

/// Hashes a configuration's members while they are read.
#[derive(Default)]
pub(super) struct Hasher<'a> {
    canonical: Canonical<'a>,
    sections: [Option<[u8; 16]>; SECTIONS.len()],
    /// All other members. Their names have to be sorted before the first can be hashed, so they are read again then:
    /// mostly these are few.
    rest: BTreeMap<Vec<u8>, Lexer<'a>>,
}

impl<'a> Hasher<'a> {
    /// Consumes the value of the member `name`.
    pub(super) fn member(&mut self, name: &[u8], lexer: &mut Lexer<'a>) -> Result<Member, Error> {
        let Some(section) = SECTIONS.iter().position(|section| *section == name) else {
            self.rest.insert(name.to_vec(), lexer.clone());
            return skip(lexer);
        };
        let mut fold = Fold::new();
        let count = write(&mut self.canonical, lexer, &mut fold)?;
        self.sections[section] = Some(fold.finish());
        Ok(count)
    }

    /// The hashes, when all members have been read.
    pub(super) fn finish(mut self) -> Result<SectionHashes, Error> {
        let rest = self.hash_rest()?;
        let sections = self.sections.map(Option::unwrap_or_default);
        let mut all = Md5::new();
        for section in sections.iter().chain([&rest]) {
            all.update(hex::encode(section));
        }
        let [routes, services, plugins, upstreams, targets] = sections.map(ConfigHash::from_bytes);
        let config = ConfigHash::from_bytes(all.finalize().into());
        Ok(SectionHashes { config, routes, services, plugins, upstreams, targets })
    }

    fn hash_rest(&mut self) -> Result<[u8; 16], Error> {
        let mut fold = Fold::new();
        if self.rest.is_empty() {
            fold.put(b"{}");
        }
        for (name, lexer) in &mut self.rest {
            fold.put(name);
            fold.put(b":");
            write(&mut self.canonical, lexer, &mut fold)?;
            fold.put(b";");
        }
        Ok(fold.finish())
    }
}

/// A member of a configuration, as far as entities may stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    List(List),
    Null,
    Other,
}

/// An array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct List {
    pub(super) length: u64,
    /// Whether one of its elements is `null`.
    pub(super) has_null: bool,
}

/// Consumes a value.
pub(super) fn skip(lexer: &mut Lexer<'_>) -> Result<Member, Error> {
    let member = other(lexer)?;
    if lexer.peek()? != b'[' {
        lexer.value(&mut ())?;
        return Ok(member);
    }
    let mut has_null = false;
    let length = lexer.elements(|lexer| {
        has_null |= lexer.peek()? == b'n';
        lexer.value(&mut ()).map(drop)
    })?;
    Ok(Member::List(List { length, has_null }))
}

/// Consumes a value and writes it.
fn write<'a>(canonical: &mut Canonical<'a>, lexer: &mut Lexer<'a>, fold: &mut Fold) -> Result<Member, Error> {
    let member = other(lexer)?;
    if lexer.peek()? == b'[' {
        return canonical.write_array(lexer, fold).map(Member::List);
    }
    canonical.write(lexer, fold)?;
    Ok(member)
}

// Of JSON's values only null begins with this letter.
fn other(lexer: &mut Lexer<'_>) -> Result<Member, Error> {
    Ok(if lexer.peek()? == b'n' { Member::Null } else { Member::Other })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use bytes::Bytes;
    use flate2::read::GzDecoder;
    use serde_json::value::RawValue;

    use super::*;
    use crate::json::MAX_DEPTH;
    use crate::kong::Configuration;

    fn hashes(json: impl Into<Bytes>) -> SectionHashes {
        let (configuration, hashes) = Configuration::from_json_with_hashes(json.into()).unwrap();
        assert_eq!(configuration.hashes(), hashes);
        hashes
    }

    fn gunzip(compressed: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        GzDecoder::new(compressed).read_to_end(&mut text).unwrap();
        text
    }

    #[test]
    fn the_hashes_are_those_that_kong_computes() {
        #[derive(Deserialize)]
        struct Vector {
            input: String,
            hashes: SectionHashes,
            config_hash: ConfigHash,
        }
        let vectors = include_str!("../../../tests/data/config-hash-vectors.json");
        let vectors: Vec<Vector> = serde_json::from_str(vectors).unwrap();
        assert_eq!(vectors.len(), 40);
        for vector in vectors {
            let computed = hashes(vector.input.clone());
            assert_eq!(computed, vector.hashes, "{}", vector.input);
            assert_eq!(computed.config, vector.config_hash);
        }
    }

    #[test]
    fn a_section_of_more_than_a_million_bytes_hashes_as_kong_hashes_it() {
        let json = gunzip(include_bytes!("../../../tests/data/config-1500-services.json.gz"));
        assert_eq!(hashes(json).config.to_string(), "c71fb99ef5692e02210908bdbd0092b9");
    }

    #[test]
    fn recorded_messages_carry_the_hashes_that_are_computed() {
        #[derive(Deserialize)]
        struct Message<'a> {
            hashes: SectionHashes,
            config_hash: ConfigHash,
            #[serde(borrow)]
            config_table: &'a RawValue,
        }
        for recorded in [
            include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-first.json.gz").as_slice(),
            include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-after-change.json.gz"),
            include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-last.json.gz"),
            include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-lost-database.json.gz"),
        ] {
            let text = gunzip(recorded);
            let message: Message = serde_json::from_slice(&text).unwrap();
            let computed = hashes(message.config_table.get().to_owned());
            assert_eq!(computed, message.hashes);
            assert_eq!(computed.config, message.config_hash);
        }
    }

    #[test]
    fn what_is_adapted_to_an_older_node_has_another_hash_than_its_message_says() {
        let text = gunzip(include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-for-dp-3.4.0.json.gz"));
        let message: BTreeMap<&str, &RawValue> = serde_json::from_slice(&text).unwrap();
        assert_eq!(message["config_hash"].get(), "\"3ff47162e7a7ce1344f336316b66484e\"");
        let computed = hashes(message["config_table"].get().to_owned());
        assert_eq!(computed.config.to_string(), "0c942bf4be9b73d873122b4a8cd60c6c");
    }

    #[test]
    fn a_section_that_is_missing_has_the_empty_hash_and_one_that_is_null_has_not() {
        let hashes = hashes(r#"{"routes":null,"services":{},"plugins":[]}"#);
        let md5 = |text: &str| ConfigHash::from_bytes(Md5::digest(text).into());
        assert_eq!(hashes.routes, md5("/null/"));
        assert_eq!(hashes.services, md5("{}"));
        assert_eq!(hashes.plugins, md5("{}"));
        assert_eq!(hashes.upstreams, ConfigHash::EMPTY);
    }

    #[test]
    fn of_members_with_the_same_name_the_last_one_counts() {
        let last = r#"{"services":[{"a":2,"b":1}],"vaults":[4]}"#;
        let repeated = r#"{"services":[7],"vaults":[3,3],"services":[{"a":1,"b":1,"\u0061":2}],"va\u0075lts":[4]}"#;
        assert_eq!(hashes(repeated), hashes(last));
    }

    #[test]
    fn nesting_as_deep_as_kong_allows_fits_into_a_small_stack() {
        // Two levels are the configuration's own object and the section's array.
        let nested = |levels: usize| format!("{{\"services\":[{}1{}]}}", "{\"a\":".repeat(levels), "}".repeat(levels));
        let thread = std::thread::Builder::new().stack_size(2 << 20);
        let thread = thread.spawn(move || {
            let deep = hashes(nested(MAX_DEPTH - 2));
            assert_ne!(deep, hashes(nested(MAX_DEPTH - 3)));
            Configuration::from_json_with_hashes(nested(100_000).into()).unwrap_err().to_string()
        });
        let error = thread.unwrap().join().unwrap();
        assert_eq!(error, "the configuration is not JSON: more than 1000 nested arrays and objects at byte 5003");
    }
}
