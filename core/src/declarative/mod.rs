//! Declarative configuration as people and other programs write it, made into the form that a control plane sends: every
//! entity in its kind's list, with an id, referring to others by their ids. A node checks a configuration in that form and
//! fills in defaults, so nothing is added here that only Kong knows.
//!
//! What is in that form already stays byte for byte what it is: a node's `config.cache.json.gz`, our own `config.json`,
//! `kong config db_export` as JSON.

mod flatten;
mod identity;
mod scalar;
mod yaml;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::json;
use crate::kong::entities::{Entities, Entity};
use crate::kong::inflate::{InflateError, inflate};
use crate::kong::schema::Kind;
use crate::kong::version::KongVersion;
use crate::kong::{Configuration, ConfigurationError};

/// The formats that Kong reads: 1.1 and 2.1 by all versions, 3.0 since Kong 3.0. Of the first two a node of 3.0 or later
/// converts paths itself, so what a file says stays.
const FORMATS: [&str; 3] = ["1.1", "2.1", "3.0"];

/// Why a file is not a declarative configuration that nodes would take.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It is compressed and can't be expanded.
    #[error("its gzip data {0}")]
    Gzip(&'static str),
    /// It is larger than allowed.
    #[error("it has more than LIFEBOAT_MAX_CONFIG ({limit} bytes): raise that if it really is so large")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// It isn't text.
    #[error("it is neither JSON nor YAML: it is not UTF-8 at byte {0}")]
    NotText(usize),
    /// It begins as JSON does and isn't.
    #[error("it is not JSON: {0}")]
    Json(json::Error),
    /// It isn't YAML, or not YAML as Kong reads it.
    #[error("it is not YAML that can be used: {0}")]
    Yaml(String),
    /// It is something else.
    #[error("it is not a declarative configuration, which is an object with _format_version and lists of entities")]
    NotDeclarative,
    /// Its format isn't one of Kong's, or not one of this version of Kong.
    #[error("its _format_version is {found}, and Kong {version} takes {} (in quotes)", formats_of(*version).join(", "))]
    Format {
        /// What it says, as JSON.
        found: String,
        /// For which Kong it is to be.
        version: KongVersion,
    },
    /// Something beside its entities can't be kept.
    #[error("{member}: {reason}")]
    Member {
        /// Its name.
        member: String,
        /// Why, and the cure.
        reason: String,
    },
    /// An entity can't be.
    #[error("{kind} {name:?}: {reason}")]
    Entity {
        /// The entity's kind.
        kind: String,
        /// What people call it.
        name: String,
        /// Why, and the cure.
        reason: String,
    },
}

/// The id that Kong would give to an entity without one, not nested, as it is written; none where it would choose one at
/// random.
pub(crate) fn id_without_one(kind: &Kind, entity: &Map<String, Value>) -> Option<String> {
    identity::kongs_own(kind, entity, None)
}

/// Reads a file of JSON or YAML, gzip of it too, that nodes of `version` are to get; `max_config` bounds it in bytes,
/// decompressed.
///
/// One that isn't in its final form already takes memory of about ten times its size while it is converted.
///
/// # Errors
/// What nodes wouldn't take, or would take for something else than it is meant to be.
pub fn read(file: &Bytes, version: KongVersion, max_config: usize) -> Result<Configuration, Refused> {
    let text = expand(file, max_config)?;
    let document = match Configuration::from_json(text.clone()) {
        Ok(configuration) if is_final(&configuration, version)? => return Ok(configuration),
        Ok(configuration) => parse_json(&configuration)?,
        Err(error) => parse_yaml(&text, error)?,
    };
    check_format(&document, version)?;
    let flat = flatten::flatten(document)?;
    let text = Bytes::from(Value::Object(flat).to_string());
    if text.len() > max_config {
        return Err(Refused::TooLarge { limit: max_config });
    }
    Configuration::from_json(text).map_err(|_| Refused::NotDeclarative)
}

fn expand(file: &Bytes, max_config: usize) -> Result<Bytes, Refused> {
    let too_large = Refused::TooLarge { limit: max_config };
    let text = match inflate(file, max_config) {
        Ok(text) => Bytes::from(text),
        Err(InflateError::NotGzip) if file.len() > max_config => return Err(too_large),
        Err(InflateError::NotGzip) => file.clone(),
        Err(InflateError::TooLarge) => return Err(too_large),
        Err(InflateError::Truncated) => return Err(Refused::Gzip("end too early: it is half-written")),
        Err(InflateError::WrongChecksum | InflateError::Damaged) => return Err(Refused::Gzip("are damaged")),
        Err(InflateError::Trailing) => return Err(Refused::Gzip("are followed by something else")),
    };
    // Some editors begin a file with a mark that is no part of it.
    Ok(if text.starts_with("\u{feff}".as_bytes()) { text.slice(3..) } else { text })
}

fn parse_json(configuration: &Configuration) -> Result<Map<String, Value>, Refused> {
    serde_json::from_slice(configuration.json()).map_err(|error| {
        Refused::Yaml(format!("{error}: it is more deeply nested than a configuration by hand may be"))
    })
}

fn parse_yaml(text: &Bytes, not_json: ConfigurationError) -> Result<Map<String, Value>, Refused> {
    let utf8 = std::str::from_utf8(text).map_err(|error| Refused::NotText(error.valid_up_to()))?;
    let begins_as_json = utf8.trim_start().starts_with(['{', '[']);
    match (yaml::parse(utf8), not_json) {
        (Ok(Value::Object(document)), _) => Ok(document),
        (Ok(_), _) => Err(Refused::NotDeclarative),
        // Flow style is YAML as well, but who writes it means JSON.
        (Err(_), ConfigurationError::Json(error)) if begins_as_json => Err(Refused::Json(error)),
        (Err(error), _) => Err(Refused::Yaml(error.to_string())),
    }
}

fn check_format(document: &Map<String, Value>, version: KongVersion) -> Result<(), Refused> {
    match document.get("_format_version") {
        None => Err(Refused::NotDeclarative),
        Some(Value::String(format)) if formats_of(version).contains(&format.as_str()) => Ok(()),
        Some(other) => Err(Refused::Format { found: other.to_string(), version }),
    }
}

fn formats_of(version: KongVersion) -> &'static [&'static str] {
    if version.major_minor() < (3, 0) { &FORMATS[..2] } else { &FORMATS }
}

/// Whether nothing is left to be done.
fn is_final(configuration: &Configuration, version: KongVersion) -> Result<bool, Refused> {
    let entities = Entities::of(configuration);
    check_format(entities.rest(), version)?;
    let meta_is_final = entities.rest().iter().all(|(name, value)| match name.as_str() {
        "_format_version" => true,
        "_transform" => value.is_boolean(),
        _ => false,
    });
    let mut kinds = entities.kinds.iter();
    Ok(meta_is_final
        && kinds.all(|(kind, of_kind)| of_kind.iter().all(|entity| is_final_entity(kind, entity, &entities))))
}

fn is_final_entity(kind: &str, entity: &Entity<'_>, entities: &Entities<'_>) -> bool {
    let members = entity.members();
    let Some(kind) = Kind::named(kind) else { return entity.id.is_some() };
    let refers = |field: &str, to: &str| match members.get(field) {
        Some(Value::String(id)) => entities.has(to, id),
        Some(Value::Null) | None => true,
        Some(_) => false,
    };
    members.get(kind.primary_key()).is_some_and(Value::is_string)
        && !members.contains_key("_comment")
        && !members.contains_key("_ignore")
        && kind.children().all(|(child, _)| !members.get(child.name).is_some_and(Value::is_array))
        && kind.references.iter().all(|reference| refers(reference.field, reference.kind))
}

#[cfg(test)]
mod tests;
