//! A configuration as the control plane sent it, or as it was read elsewhere.

use crate::digest::ConfigHash;
use crate::kong::{Configuration, SectionHashes, Unrunnable};
use crate::manifest::Source;
use crate::time::WallTime;

/// A configuration as the control plane sent it, or as it was read elsewhere.
#[derive(Clone, Debug)]
pub struct Received {
    /// The configuration.
    pub configuration: Configuration,
    /// Kong's name for it.
    pub config_hash: ConfigHash,
    /// The hashes of its sections, if the control plane sent them.
    pub hashes: Option<SectionHashes>,
    /// When it came. This is only for people: the clocks of two exporters may differ by minutes, so nothing depends on it.
    pub at: WallTime,
    /// Where it came from, if no control plane sent it.
    pub source: Option<Source>,
}

impl Received {
    /// What keeps every data plane from running it, if anything does.
    pub fn unrunnable(&self) -> Option<Unrunnable> {
        if self.config_hash.is_empty() {
            return Some(Unrunnable::EmptyHash);
        }
        self.configuration.unrunnable()
    }
}
