//! A configuration as the control plane sent it.

use crate::digest::ConfigHash;
use crate::kong::{Configuration, SectionHashes};
use crate::time::WallTime;

/// A configuration as the control plane sent it.
#[derive(Clone, Debug)]
pub struct Received {
    /// The configuration.
    pub configuration: Configuration,
    /// Kong's name for it.
    pub config_hash: ConfigHash,
    /// The hashes of its sections, if the control plane sent them.
    pub hashes: Option<SectionHashes>,
    /// When it came. For people: nothing is decided by it, because the clocks of two exporters may differ by minutes.
    pub at: WallTime,
}
