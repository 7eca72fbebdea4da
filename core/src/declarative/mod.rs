//! Declarative configuration as people and other programs write it, made into the form that a control plane sends: every
//! entity in its kind's list, with an id, referring to others by their ids. A node checks a configuration in that form and
//! fills in defaults, so nothing is added here that only Kong knows.
//!
//! What is in that form already stays byte for byte what it is: a node's `config.cache.json.gz`, our own `config.json`,
//! `kong config db_export` as JSON.

mod by_schemas;
mod examine;
mod finding;
mod flatten;
mod judgement;
mod meta;
mod once;
mod placeholder;
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

pub use by_schemas::{Examined, Yardstick};
pub use finding::{Authority, Finding, Severity};
pub use judgement::Judgement;

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
    /// It doesn't say which format it has.
    #[error("it has no _format_version, without which Kong refuses it: add _format_version: \"{}\"", newest_of(*version))]
    NoFormat {
        /// For which Kong it is to be.
        version: KongVersion,
    },
    /// A name stands twice in an object of JSON.
    #[error(
        "{path} stands there twice, and only one of them would count: take one of them out. Kong itself takes it without \
         a word"
    )]
    Twice {
        /// Where, from the top.
        path: String,
    },
    /// Its format isn't one of Kong's, or not one of this version of Kong.
    #[error("its _format_version is {found}, and Kong {version} takes {} (in quotes)", formats_of(*version).join(", "))]
    Format {
        /// What it says, as JSON.
        found: String,
        /// For which Kong it is to be.
        version: KongVersion,
    },
}

/// What a file says, in the form that a control plane sends, and what there is to say of it.
#[derive(Debug)]
pub struct Written {
    /// The configuration.
    pub configuration: Configuration,
    /// What was noticed on the way, besides what [`Examined`] finds in it.
    pub findings: Vec<Finding>,
}

/// Reads a file of JSON or YAML, gzip of it too, that nodes of `version` are to get; `max_config` bounds it in bytes,
/// decompressed.
///
/// One that isn't in its final form already takes memory of about ten times its size while it is converted.
///
/// # Errors
/// It can't be read, or can't be read in one way only.
pub fn read(file: &Bytes, version: KongVersion, max_config: usize) -> Result<Written, Refused> {
    let text = expand(file, max_config)?;
    let (document, mut findings) = match Configuration::from_json(text.clone()) {
        Ok(configuration) => {
            once::check(&text).map_err(|path| Refused::Twice { path })?;
            if is_final(&configuration, version)? {
                return Ok(Written { configuration, findings: Vec::new() });
            }
            (parse_json(&configuration)?, Vec::new())
        }
        Err(error) => parse_yaml(&text, error)?,
    };

    check_format(&document, version)?;
    let (flat, noticed) = flatten::flatten(document, version);
    let text = Bytes::from(Value::Object(flat).to_string());
    if text.len() > max_config {
        return Err(Refused::TooLarge { limit: max_config });
    }
    let configuration = Configuration::from_json(text).map_err(|_| Refused::NotDeclarative)?;
    findings.extend(noticed);
    Ok(Written { configuration, findings })
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

fn parse_yaml(text: &Bytes, not_json: ConfigurationError) -> Result<(Map<String, Value>, Vec<Finding>), Refused> {
    let utf8 = std::str::from_utf8(text).map_err(|error| Refused::NotText(error.valid_up_to()))?;
    let begins_as_json = utf8.trim_start().starts_with(['{', '[']) && !utf8.trim_start().starts_with("{{");
    let parsed = yaml::parse(utf8).map(|yaml::Parsed { document, has_more }| (document.into_inner(), has_more));

    match (parsed, not_json) {
        (Ok((Value::Object(document), has_more)), _) => {
            let only_first = "the file has several documents, and Kong reads the first one only";
            let more = has_more.then(|| Finding::of_member(Severity::Warning, "---", only_first));
            Ok((document, more.into_iter().collect()))
        }
        (Ok(_), _) => Err(Refused::NotDeclarative),
        // Flow style is YAML as well, but a file that begins so is meant as JSON.
        (Err(_), ConfigurationError::Json(error)) if begins_as_json => Err(Refused::Json(error)),
        (Err(error), _) if utf8.contains("{{") => Err(Refused::Yaml(format!(
            "{error}. There are templates in it ({{{{ }}}}) that were not filled in: render the file first (deck file \
             render, helm template)"
        ))),
        (Err(error), _) => Err(Refused::Yaml(error.to_string())),
    }
}

fn check_format(document: &Map<String, Value>, version: KongVersion) -> Result<(), Refused> {
    match document.get("_format_version") {
        None | Some(Value::Null) => Err(Refused::NoFormat { version }),
        Some(Value::String(format)) if formats_of(version).contains(&format.as_str()) => Ok(()),
        Some(other) => Err(Refused::Format { found: other.to_string(), version }),
    }
}

fn newest_of(version: KongVersion) -> &'static str {
    formats_of(version).last().copied().unwrap_or_default()
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

    // What a running Kong has written down has its ids, where a kind has ids at all.
    let is_dumped = entities.rest().get("_transform") == Some(&Value::Bool(false));
    let mut kinds = entities.kinds.iter();
    Ok(meta_is_final
        && kinds.all(|(kind, of_kind)| match Kind::named(kind) {
            Some(kind) => of_kind.iter().all(|entity| is_final_entity(kind, entity, &entities, version)),
            None => {
                let with_id = of_kind.iter().filter(|entity| entity.has_id()).count();
                !flatten::is_refused(kind, version) && (with_id == of_kind.len() || is_dumped && with_id == 0)
            }
        }))
}

fn is_final_entity(kind: &Kind, entity: &Entity<'_>, entities: &Entities<'_>, version: KongVersion) -> bool {
    let members = entity.members();
    let refers = |field: &str, to: &str| match members.get(field) {
        Some(Value::String(id)) => entities.has(to, id),
        Some(Value::Null) | None => true,
        Some(_) => false,
    };
    let is_set = |field: &str| members.get(field).is_some_and(|value| !value.is_null());
    let is_nested = |child: &Kind| {
        let nested = members.get(child.name);
        nested.is_some_and(|nested| nested.is_array() || nested.as_object().is_some_and(Map::is_empty))
    };
    // Said by whatever brings entities into their final form.
    let is_in_a_group = (kind.name == "consumers" && is_set("groups"))
        || !version.is_enterprise() && (kind.name == "consumer_groups" || is_set("consumer_group"));

    members.get(kind.primary_key()).is_some_and(Value::is_string)
        && !is_in_a_group
        && !members.contains_key("_comment")
        && !members.contains_key("_ignore")
        && kind.children().all(|(child, _)| !is_nested(child))
        && kind.references.iter().all(|reference| refers(reference.field, reference.kind))
}

#[cfg(test)]
mod tests;
