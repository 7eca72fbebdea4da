//! An operator's choice, as the manifest says it.

use serde::{Deserialize, Serialize};

use crate::digest::ConfigHash;

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
