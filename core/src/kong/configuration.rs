//! A whole configuration as JSON, its bytes untouched. Where it came from and whether it may be trusted is not known
//! here.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Unrunnable;
use super::config_hash::{Hasher, List, Member, SectionHashes, skip};
use crate::json::{self, Lexer};
use crate::payload::Payload;
use crate::sensitive::Sensitive;

/// The member that says how the others are to be read.
const FORMAT_VERSION: &str = "_format_version";

/// A declarative configuration: a well-formed JSON document, known to be an object.
///
/// It holds private keys and credentials in clear text.
#[derive(Clone, Debug)]
pub struct Configuration {
    json: Sensitive<Bytes>,
    outline: Outline,
    /// The same compressed, where it came so.
    compressed: Option<Payload>,
}

/// How it came is no part of what it is.
impl PartialEq for Configuration {
    fn eq(&self, other: &Self) -> bool {
        (&self.json, &self.outline) == (&other.json, &other.outline)
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

    /// How many services, for people: `1 service`, `2 services`.
    pub fn services(&self) -> String {
        counted(self.get("services"), "service")
    }

    /// How many routes, for people: `1 route`, `2 routes`.
    pub fn routes(&self) -> String {
        counted(self.get("routes"), "route")
    }

    /// All kinds that the configuration has a list of, sorted by name, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(kind, count)| (kind.as_str(), *count))
    }
}

/// What is noted of a configuration while it is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Outline {
    counts: EntityCounts,
    /// The members that are `null`, or have one among their elements.
    with_nulls: BTreeSet<String>,
    has_format_version: bool,
}

impl Outline {
    /// The last of members with the same name is the one that counts.
    fn note(&mut self, name: &[u8], member: Member) {
        let name = String::from_utf8_lossy(name).into_owned();
        if name == FORMAT_VERSION {
            self.has_format_version = member != Member::Null;
        }
        let has_null = matches!(member, Member::Null | Member::List(List { has_null: true, .. }));

        // What begins so is about the document, and no kind of entity.
        if has_null && !name.starts_with('_') {
            self.with_nulls.insert(name.clone());
        } else {
            self.with_nulls.remove(&name);
        }
        match member {
            Member::List(List { length, .. }) => self.counts.0.insert(name, length),
            Member::Null | Member::Other => self.counts.0.remove(&name),
        };
    }
}

/// So many of something, for people: `1 service`, `2 services`.
pub fn counted(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
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
        let outline = outline(&mut lexer)?;
        lexer.end()?;
        Ok(Self { json: json.into(), outline, compressed: None })
    }

    /// The same with Kong's hashes, in one pass: faster than [`from_json`](Self::from_json) and
    /// [`hashes`](Self::hashes) one after the other.
    ///
    /// # Errors
    /// As `from_json`.
    pub fn from_json_with_hashes(json: Bytes) -> Result<(Self, SectionHashes), ConfigurationError> {
        let mut lexer = start(&json)?;
        let (outline, hashes) = outline_and_hash(&mut lexer)?;
        lexer.end()?;
        Ok((Self { json: json.into(), outline, compressed: None }, hashes))
    }

    /// What was cut out of a message whose reader has checked it.
    pub(super) fn cut_out(json: Bytes, outline: Outline) -> Self {
        Self { json: json.into(), outline, compressed: None }
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
        &self.outline.counts
    }

    /// What of it keeps every data plane from running it, if anything does.
    pub fn unrunnable(&self) -> Option<Unrunnable> {
        let Outline { with_nulls, has_format_version, .. } = &self.outline;
        if !has_format_version {
            return Some(Unrunnable::NoFormatVersion);
        }
        with_nulls.first().map(|kind| Unrunnable::NullEntities { kind: kind.clone() })
    }

    /// Kong's hashes of it, computed anew with each call: a few milliseconds per megabyte.
    pub fn hashes(&self) -> SectionHashes {
        let hashes = start(&self.json).and_then(|mut lexer| Ok(outline_and_hash(&mut lexer)?.1));
        hashes.expect("a configuration is known to be JSON since it was made")
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

/// Consumes an object and notes what its members contain.
pub(super) fn outline(lexer: &mut Lexer<'_>) -> Result<Outline, json::Error> {
    let mut outline = Outline::default();
    lexer.members(|lexer, name| {
        outline.note(&name.content(), skip(lexer)?);
        Ok(())
    })?;
    Ok(outline)
}

/// The same, and hashes it.
fn outline_and_hash(lexer: &mut Lexer<'_>) -> Result<(Outline, SectionHashes), json::Error> {
    let mut outline = Outline::default();
    let mut hasher = Hasher::default();
    lexer.members(|lexer, name| {
        let name = name.content();
        outline.note(&name, hasher.member(&name, lexer)?);
        Ok(())
    })?;
    Ok((outline, hasher.finish()?))
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
    fn what_no_node_can_run_is_noticed_and_nothing_else_is() {
        let null = |kind: &str| Some(Unrunnable::NullEntities { kind: kind.to_owned() });
        for (json, expected) in [
            (r#"{"services":[{}]}"#, Some(Unrunnable::NoFormatVersion)),
            (r#"{"_format_version":null,"services":[]}"#, Some(Unrunnable::NoFormatVersion)),
            (r#"{"_format_version":"3.0","services":null}"#, null("services")),
            (r#"{"_format_version":"3.0","routes":[{}, null ,{}]}"#, null("routes")),
            (r#"{"_format_version":"3.0","of_a_plugin":[null]}"#, null("of_a_plugin")),
            (r#"{"_format_version":"3.0","consumers":[null]}"#, null("consumers")),
            (r#"{"_format_version":"3.0"}"#, None),
            // An empty list, as Lua has it.
            (r#"{"_format_version":"3.0","_transform":null,"services":{},"routes":[]}"#, None),
            (r#"{"services":[{"path":null,"tags":[null]}],"_format_version":"1.1"}"#, None),
            (r#"{"_format_version":"3.0","services":null,"services":[]}"#, None),
            (r#"{"_format_version":"3.0","services":[],"services":[null]}"#, null("services")),
        ] {
            assert_eq!(configuration(json).unwrap().unrunnable(), expected, "{json}");
        }
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
