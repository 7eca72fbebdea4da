//! Kong's own description of its entities and plugins, and what it says of a configuration. A node checks a whole
//! configuration against it before it takes any of it, unknown fields included (KONG.md section 6).
//!
//! What is refused here is refused by Kong: where a schema, or this reader of it, leaves a doubt, a configuration passes,
//! and a note says what was not checked.

mod address;
mod canonical;
mod check;
mod complete;
mod finding;
mod known;
mod language;
mod lua_pattern;
mod perl_regex;
mod read;
mod recorded;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub use canonical::canonical_json;
pub use check::{CheckScope, Published, UnknownPlugins};
pub use finding::{Findings, Unchecked, Violation};
pub use read::UnreadableSchemas;

use crate::kong::version::KongVersion;
use language::Record;

/// How many bytes a set of schemas may have as JSON. Those of 3.9.1 with all its plugins have a tenth of a megabyte.
pub const SCHEMAS_LIMIT: usize = 8 << 20;

/// The schemas of one Kong: of its entities and of the plugins that it has.
#[derive(Debug)]
pub struct SchemaSet {
    source: SchemaSource,
    entities: BTreeMap<String, Record>,
    plugins: BTreeMap<String, Record>,
}

/// Whose schemas they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaSource {
    /// Those of this version of open-source Kong, which are in the program.
    Recorded(KongVersion),
    /// Those of a control plane, custom plugins included.
    ControlPlane,
}

impl SchemaSet {
    /// The schemas in the program for nodes of `version`: those of open-source Kong's same minor version. None of
    /// Enterprise, which has other fields, entities and plugins.
    ///
    /// Its [`source`](Self::source) tells which patch version they were recorded from: it may be another one.
    pub fn recorded(version: KongVersion) -> Option<&'static Self> {
        recorded::of(version)
    }

    /// The schemas of a control plane: `{"entities": {name: schema}, "plugins": {name: schema}}`, as its Admin API
    /// answers at `/schemas/<entity>` and `/schemas/plugins/<name>`.
    ///
    /// # Errors
    /// What isn't that. A field that can't be understood is no error: it is only not checked.
    pub fn from_json(json: &[u8]) -> Result<Self, UnreadableSchemas> {
        if json.len() > SCHEMAS_LIMIT {
            return Err(UnreadableSchemas::TooLarge);
        }
        read::set(json, SchemaSource::ControlPlane)
    }

    /// Whose schemas they are.
    pub fn source(&self) -> SchemaSource {
        self.source
    }

    /// Whether there is a schema of this plugin.
    pub fn has_plugin(&self, name: &str) -> bool {
        self.plugins.contains_key(name)
    }

    /// Whether there is a schema of this kind of entities.
    pub fn has_entity(&self, kind: &str) -> bool {
        self.entities.contains_key(kind)
    }

    /// Whether a field of an entity may hold a secret: Kong encrypts it in its database, or allows a vault's reference in
    /// its place. `plugin` is the plugin's name where `kind` is `plugins`; `path` names the field and what is around it,
    /// a map's keys included and a list's places left out.
    pub fn marks_secret(&self, kind: &str, plugin: Option<&str>, path: &[&str]) -> bool {
        let records = [plugin.and_then(|name| self.plugins.get(name)), self.entities.get(kind)];
        records.into_iter().flatten().any(|record| record.marks_secret(path))
    }

    /// The same by the recorded schemas of any version. A certificate may be a reference, too, and is public all the same.
    pub fn any_marks_secret(kind: &str, plugin: Option<&str>, path: &[&str]) -> bool {
        let is_public = matches!((kind, path), ("certificates", ["cert" | "cert_alt"]));
        !is_public && recorded::all().any(|set| set.marks_secret(kind, plugin, path))
    }

    /// What a node would refuse in a declarative configuration, all of it, and what could not be checked.
    ///
    /// The configuration may be as people write it, nested and referring by name, or as a control plane sends it. It takes
    /// time in proportion to its size whatever the schemas say.
    pub fn check(&self, document: &Map<String, Value>, scope: &CheckScope<'_>) -> Findings {
        check::document(self, document, scope)
    }
}

#[cfg(test)]
mod tests;
