//! What a node of incremental sync has in LMDB: it outlives a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::entities;
use crate::message::Configuration;
use crate::node::EMPTY_HASH;

/// The workspace under which an entity is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Workspace {
    /// This one.
    Id(String),
    /// `null`, with which nothing can be read any more.
    Null,
}

/// One entity.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) workspace: Workspace,
    pub(super) entity: Arc<Value>,
}

/// The content of LMDB.
#[derive(Debug, Clone)]
pub struct Database {
    pub(super) rows: BTreeMap<(String, String), Row>,
    pub(super) hash: String,
    /// `declarative_config:default_workspace`, which a full sync may lose.
    pub(super) default_workspace: Option<String>,
}

impl Default for Database {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), hash: EMPTY_HASH.to_owned(), default_workspace: None }
    }
}

impl Database {
    /// As a node leaves it that took this configuration over `/v1/outlet`: with an MD5 for the hash.
    ///
    /// # Panics
    /// When the configuration isn't a JSON object.
    pub fn from_v1(configuration: &Configuration) -> Self {
        let table: Value = serde_json::from_slice(&configuration.table).expect("a configuration is JSON");
        let workspace = entities::default_workspace(&table).unwrap_or(entities::FALLBACK_WORKSPACE).to_owned();
        let mut database =
            Self { hash: configuration.hash.clone(), default_workspace: Some(workspace.clone()), ..Self::default() };
        for (kind, entity) in entities::of_table(table.as_object().expect("a configuration is an object")) {
            let key = entity[entities::key_of(&kind)].as_str().unwrap_or_default().to_owned();
            let row = Row { workspace: Workspace::Id(workspace.clone()), entity: Arc::new(entity) };
            database.rows.insert((kind, key), row);
        }
        database
    }

    /// What a node runs with it that was started again with sync off: it asks for `/v1/outlet` with this hash.
    pub fn cached(&self) -> Configuration {
        let mut table = serde_json::Map::new();
        for ((kind, _), row) in &self.rows {
            let list = table.entry(kind.clone()).or_insert_with(|| Value::Array(Vec::new()));
            list.as_array_mut()
                .expect("it was just made")
                .push(entities::with_plain_ids(kind, Value::clone(&row.entity)));
        }
        Configuration { hash: self.hash.clone(), table: Value::Object(table).to_string().into() }
    }

    /// The text in `/status`: a version with 32 digits, or the MD5 of `/v1/outlet`.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// What it says when it asks: Lua's `tonumber(hash) or 0`.
    pub(super) fn version(&self) -> f64 {
        let is_number = self.hash.strip_prefix('-').unwrap_or(&self.hash).bytes().all(|byte| byte.is_ascii_digit());
        self.hash.parse().ok().filter(|_| is_number).unwrap_or(0.0)
    }

    pub(super) fn set_version(&mut self, version: f64) {
        self.hash = format!("{:032}", version.trunc());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The entities of a kind.
    pub fn entities(&self, kind: &str) -> impl Iterator<Item = &Arc<Value>> {
        self.of_kind(kind).map(|row| &row.entity)
    }

    pub(super) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Row> {
        let range = (kind.to_owned(), String::new())..(format!("{kind}\0"), String::new());
        self.rows.range(range).map(|(_, row)| row)
    }

    /// Whether a key-auth credential is found by a worker that looks in this workspace.
    pub(super) fn has_key(&self, workspace: &str, key: &str) -> bool {
        let is_here = |row: &Row| row.workspace == Workspace::Id(workspace.to_owned()) && row.entity["key"] == key;
        self.of_kind("keyauth_credentials").any(is_here)
    }

    pub(super) fn get(&self, kind: &str, key: &str) -> Option<&Row> {
        self.rows.get(&(kind.to_owned(), key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_written_with_32_characters_and_read_again() {
        for (version, hash) in [
            (-999_999_990.0, "-0000000000000000000000999999990"),
            (16.0, "00000000000000000000000000000016"),
            (0.0, EMPTY_HASH),
            (-1.5, "-0000000000000000000000000000001"),
        ] {
            let mut database = Database::default();
            database.set_version(version);
            assert_eq!((database.hash(), database.version()), (hash, version.trunc()));
        }
    }

    #[test]
    fn a_hash_of_v1_is_version_0() {
        let hash = "c71fb99ef5692e02210908bdbd0092b9".to_owned();
        assert_eq!(Database { hash, ..Database::default() }.version(), 0.0);
    }
}
