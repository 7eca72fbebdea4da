//! What the decision must know about the published manifest, and about the operator's pin on it.

use crate::digest::ConfigHash;
use crate::keys::Keyring;
use crate::kong::EntityCounts;
use crate::manifest::{Manifest, Pin, State};
use crate::object_key::SnapshotId;

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
    /// How long it stays, if an operator has decided that.
    pub pin: Option<Pin>,
    /// How many entities it has. A configuration that would replace it is compared with this.
    pub counts: EntityCounts,
    /// With whose keys it is sealed and signed.
    pub keys: Keys,
}

/// With whose keys a manifest and its payload were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// With those that this exporter would use now.
    Current,
    /// With others: the same configuration is published again.
    Others,
}

impl Named {
    /// What a manifest names, seen by an exporter that writes with `keys`.
    pub fn of(manifest: &Manifest, keys: &Keyring) -> Self {
        Self {
            sequence: manifest.sequence,
            epoch: manifest.epoch,
            config_hash: manifest.config_hash,
            state: manifest.state,
            pin: manifest.pin,
            counts: manifest.counts.clone(),
            keys: if manifest.is_as_written_with(keys) { Keys::Current } else { Keys::Others },
        }
    }

    /// Which snapshot it is.
    pub fn id(&self) -> SnapshotId {
        SnapshotId { sequence: self.sequence, config_hash: self.config_hash }
    }

    /// Whether this configuration is the named one, and is written as it would be written now.
    pub fn is(&self, hash: ConfigHash) -> bool {
        self.config_hash == hash && self.keys == Keys::Current
    }
}
