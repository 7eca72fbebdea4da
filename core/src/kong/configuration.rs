//! A whole configuration as JSON, its bytes untouched. Where it came from and whether it may be trusted is not known
//! here.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::config_hash::{Hasher, SectionHashes, skip};
use crate::json::{self, Lexer};
use crate::payload::Payload;

/// A declarative configuration: a well-formed JSON document, known to be an object.
///
/// It holds private keys and credentials in clear text, so its `Debug` shows only size and counts.
#[derive(Clone)]
pub struct Configuration {
    json: Bytes,
    counts: EntityCounts,
    /// The same compressed, where it came so.
    compressed: Option<Payload>,
}

/// How it came is no part of what it is.
impl PartialEq for Configuration {
    fn eq(&self, other: &Self) -> bool {
        (&self.json, &self.counts) == (&other.json, &other.counts)
    }
}

impl Eq for Configuration {}

/// How many entities of each kind a configuration has: the number of elements of each member that is an array.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntityCounts(BTreeMap<String, u64>);

impl EntityCounts {
    /// How many entities of this kind (`services`, `routes` …) there are: 0 also for those that aren't mentioned.
    pub fn get(&self, kind: &str) -> u64 {
        self.0.get(kind).copied().unwrap_or_default()
    }

    /// All kinds that the configuration has a list of, sorted by name, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(kind, count)| (kind.as_str(), *count))
    }

    /// The last of members with the same name is the one that counts.
    fn insert(&mut self, name: &[u8], count: Option<u64>) {
        let name = String::from_utf8_lossy(name).into_owned();
        match count {
            Some(count) => self.0.insert(name, count),
            None => self.0.remove(&name),
        };
    }
}

impl From<EntityCounts> for BTreeMap<String, u64> {
    fn from(counts: EntityCounts) -> Self {
        counts.0
    }
}

impl<const N: usize> From<[(&str, u64); N]> for EntityCounts {
    fn from(counts: [(&str, u64); N]) -> Self {
        Self(counts.into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect())
    }
}

/// Why a text is no configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// It isn't JSON.
    #[error("the configuration is not JSON: {0}")]
    Json(json::Error),
    /// It is JSON, but an array, a string …
    #[error("the configuration is not a JSON object, which a declarative configuration is")]
    NotAnObject,
}

impl From<json::Error> for ConfigurationError {
    fn from(error: json::Error) -> Self {
        Self::Json(error)
    }
}

impl Configuration {
    /// From a file that holds nothing else, such as `config.json`.
    ///
    /// # Errors
    /// It isn't one JSON document, or not an object.
    pub fn from_json(json: Bytes) -> Result<Self, ConfigurationError> {
        let mut lexer = start(&json)?;
        let counts = count(&mut lexer)?;
        lexer.end()?;
        Ok(Self { json, counts, compressed: None })
    }

    /// The same with Kong's hashes, in one pass: faster than [`from_json`](Self::from_json) and
    /// [`hashes`](Self::hashes) one after the other.
    ///
    /// # Errors
    /// As `from_json`.
    pub fn from_json_with_hashes(json: Bytes) -> Result<(Self, SectionHashes), ConfigurationError> {
        let mut lexer = start(&json)?;
        let (counts, hashes) = count_and_hash(&mut lexer)?;
        lexer.end()?;
        Ok((Self { json, counts, compressed: None }, hashes))
    }

    /// What was cut out of a message whose reader has checked and counted it.
    pub(super) fn cut_out(json: Bytes, counts: EntityCounts) -> Self {
        Self { json, counts, compressed: None }
    }

    /// The same, which is known to be this payload when it is compressed.
    pub(super) fn compressed_as(self, compressed: Option<Payload>) -> Self {
        Self { compressed, ..self }
    }

    /// The configuration's JSON, byte for byte as it was received.
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// The configuration compressed. It takes a second for 58 MB, and nothing where it came compressed.
    pub fn payload(&self) -> Payload {
        self.compressed.clone().unwrap_or_else(|| Payload::compress(&self.json))
    }

    /// How many entities of each kind it has.
    pub fn counts(&self) -> &EntityCounts {
        &self.counts
    }

    /// Kong's hashes of it, computed anew with each call: a few milliseconds per megabyte.
    pub fn hashes(&self) -> SectionHashes {
        let hashes = start(&self.json).and_then(|mut lexer| Ok(count_and_hash(&mut lexer)?.1));
        hashes.expect("a configuration is known to be JSON since it was made")
    }
}

impl fmt::Debug for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.json.len();
        f.debug_struct("Configuration").field("bytes", &bytes).field("counts", &self.counts.0).finish()
    }
}

fn start(json: &[u8]) -> Result<Lexer<'_>, ConfigurationError> {
    let mut lexer = Lexer::new(json)?;
    if lexer.peek()? != b'{' {
        // Broken JSON is called that, not an object's lack.
        lexer.value(&mut ())?;
        return Err(ConfigurationError::NotAnObject);
    }
    Ok(lexer)
}

/// Consumes an object and counts what its members contain.
pub(super) fn count(lexer: &mut Lexer<'_>) -> Result<EntityCounts, json::Error> {
    let mut counts = EntityCounts::default();
    lexer.members(|lexer, name| {
        counts.insert(&name.content(), skip(lexer)?);
        Ok(())
    })?;
    Ok(counts)
}

/// The same, and hashes it.
fn count_and_hash(lexer: &mut Lexer<'_>) -> Result<(EntityCounts, SectionHashes), json::Error> {
    let mut counts = EntityCounts::default();
    let mut hasher = Hasher::default();
    lexer.members(|lexer, name| {
        let name = name.content();
        counts.insert(&name, hasher.member(&name, lexer)?);
        Ok(())
    })?;
    Ok((counts, hasher.finish()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(json: &'static str) -> Result<Configuration, ConfigurationError> {
        let read = Configuration::from_json(Bytes::from_static(json.as_bytes()));
        let hashed = Configuration::from_json_with_hashes(Bytes::from_static(json.as_bytes()));
        assert_eq!(read, hashed.map(|(configuration, _)| configuration));
        read
    }

    #[test]
    fn lists_are_counted_by_their_elements_and_nothing_else_is() {
        let json = r#" {"services":[{},{}],"routes":[],"plugins":{},"_format_version":"3.0","t\u0061gs":[[1,2,3]]}"#;
        let counts = configuration(json).unwrap().counts().clone();
        assert_eq!(counts, EntityCounts::from([("services", 2), ("routes", 0), ("tags", 1)]));
        assert_eq!(counts.iter().collect::<Vec<_>>(), [("routes", 0), ("services", 2), ("tags", 1)]);
        assert_eq!(serde_json::to_string(&counts).unwrap(), r#"{"routes":0,"services":2,"tags":1}"#);
    }

    #[test]
    fn of_lists_with_the_same_name_the_last_one_is_counted() {
        assert_eq!(configuration(r#"{"services":[1,2],"services":[3]}"#).unwrap().counts().get("services"), 1);
        assert_eq!(configuration(r#"{"services":[1,2],"services":null}"#).unwrap().counts(), &EntityCounts::default());
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        for other in ["[]", "null", "\"{}\""] {
            assert_eq!(configuration(other), Err(ConfigurationError::NotAnObject), "{other}");
        }
        for broken in ["", "{", "[", "{}x", "{\"services\":[1}", "{\"vaults\":[1}"] {
            assert!(matches!(configuration(broken), Err(ConfigurationError::Json(_))), "{broken}");
        }
    }
}
