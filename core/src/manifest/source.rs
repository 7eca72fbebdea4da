//! Where a configuration came from that no control plane sent.

use serde::{Deserialize, Serialize};

/// Where a configuration came from that no control plane sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// What was read.
    pub from: SourceKind,
    /// The operator's reason for publishing what Kong's schemas, or a check of Lifeboat's, refuse: so it counts as not
    /// checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
}

/// What a configuration was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// A file that a person or a program has written.
    File,
    /// The Admin API of a node without a database.
    DblessNode,
    /// Something that a later Lifeboat reads.
    #[serde(other)]
    Other,
}
