//! What the decision has to know of the published manifest, and the operator's pin on it.

use serde::{Deserialize, Serialize};

use crate::digest::ConfigHash;
use crate::kong::EntityCounts;
use crate::manifest::State;

/// The snapshot that the manifest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its place in the history.
    pub sequence: u64,
    /// The leadership that wrote the manifest last.
    pub epoch: u64,
    /// Kong's name for its configuration.
    pub config_hash: ConfigHash,
    /// Why it is the published one.
    pub state: State,
    /// The operator's word on how long it stays.
    pub pin: Option<Pin>,
    /// What it contains: the measure for what would replace it.
    pub counts: EntityCounts,
}

/// An operator chose what is published (`lifeboat rollback`, `lifeboat pin`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "until")]
pub enum Pin {
    /// It stays until the control plane's configuration is another one than this.
    Change {
        /// What the control plane had when the operator chose.
        instead_of: ConfigHash,
    },
    /// It stays until `lifeboat unpin`.
    Unpin,
}
