//! What Kong keeps in its LMDB cache beside the entities: the tag of the version that wrote it, and which configuration it
//! is (KONG.md section 2). Entities are LuaJIT's and stay as they are.

use std::fs::File;

use lifeboat_core::digest::ConfigHash;

use super::lmdb::{LmdbError, Pages, Row, Table};
use super::{CacheError, CacheForm, CacheId};

const TAG: &[u8] = b"validation_tag";
const DEFAULT_TABLE: &[u8] = b"_default";
const CONFIG_HASH: &[u8] = b"declarative_config:hash";

/// What a cache holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Major and minor version of the Kong that wrote it; Kong has written this since 3.6.
    pub tag: Option<String>,
    /// Kong's name for the configuration, if there is one.
    pub config_hash: Option<ConfigHash>,
    /// How many entities and references to them there are.
    pub rows: u64,
}

impl Contents {
    /// Reads all of a file that nobody else changes: what is found is whole.
    pub fn read(file: &File) -> Result<Self, LmdbError> {
        let (mut contents, mut hash, mut table) = (Self::default(), None, None);
        let mut pages = Pages::open(file)?;
        let main = pages.meta().main;

        main.for_each(&mut pages, &mut |key, row| match (key, row) {
            (TAG, Row::Value(tag)) => contents.tag = Some(text(tag)),
            (DEFAULT_TABLE, Row::Table(found)) => table = Some(found),
            _ => {}
        })?;
        let table: Table = table.unwrap_or(Table::EMPTY);
        table.for_each(&mut pages, &mut |key, row| match (key, row) {
            (CONFIG_HASH, Row::Value(value)) => hash = Some(text(value)),
            // Where Kong keeps it has changed between versions.
            (TAG, Row::Value(tag)) => contents.tag = Some(text(tag)),
            _ => contents.rows += 1,
        })?;
        if let Some(hash) = hash {
            let hash = hash.parse().map_err(|error| LmdbError::Damaged(format!("its {error}")))?;
            contents.config_hash = Some(hash);
        }
        Ok(contents)
    }

    /// Whether a node that starts with this has nothing: what a fresh Kong makes of its own.
    pub fn is_empty(&self) -> bool {
        match self.config_hash {
            Some(hash) => hash.is_empty(),
            None => self.rows == 0,
        }
    }

    /// Checks that this is `wanted`, and that a node takes it. `what` it is stands in the error.
    pub fn check(&self, what: &str, wanted: &CacheId) -> Result<(), CacheError> {
        let CacheId { version, config_hash: expected } = *wanted;
        let CacheForm::Lmdb { tag } = CacheForm::of(version)? else {
            return Err(CacheError::WrongForm { version, form: "LMDB" });
        };
        if self.tag != tag {
            return Err(CacheError::OtherTag { path: what.into(), version, found: self.tag.clone(), expected: tag });
        }
        let found = self.config_hash.unwrap_or(ConfigHash::EMPTY);
        if found != expected || found.is_empty() {
            return Err(CacheError::OtherConfiguration { path: what.into(), found, expected });
        }
        Ok(())
    }
}

impl std::fmt::Display for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.config_hash {
            Some(hash) => write!(f, "configuration {hash}")?,
            None => write!(f, "{} rows of a configuration without a hash", self.rows)?,
        }
        match &self.tag {
            Some(tag) => write!(f, ", written by Kong {tag}"),
            None => Ok(()),
        }
    }
}

// For people and for comparing: a tag of another Kong may be anything.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned()
}
