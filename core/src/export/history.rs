//! What the history says about a configuration: whether it was there before, and what became of it.

use std::collections::BTreeMap;

use crate::digest::ConfigHash;
use crate::object_key::{HistoryState, SnapshotId};

/// The newest snapshot of each configuration in the history of one version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History(BTreeMap<ConfigHash, Past>);

/// A snapshot in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// Which one.
    pub id: SnapshotId,
    /// What became of it.
    pub state: HistoryState,
}

impl History {
    /// What became of a configuration last, if it was there before.
    pub fn of(&self, hash: ConfigHash) -> Option<&Past> {
        self.0.get(&hash)
    }

    /// Adds a snapshot, unless a newer one of the same configuration is known.
    pub fn add(&mut self, past: Past) {
        let newest = self.0.entry(past.id.config_hash).or_insert(past);
        if newest.id.sequence <= past.id.sequence {
            *newest = past;
        }
    }
}

impl FromIterator<Past> for History {
    fn from_iter<I: IntoIterator<Item = Past>>(snapshots: I) -> Self {
        let mut history = Self::default();
        snapshots.into_iter().for_each(|past| history.add(past));
        history
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_configuration_the_newest_snapshot_counts() {
        let hash = ConfigHash::from_bytes([7; 16]);
        let past = |sequence, state| Past { id: SnapshotId { sequence, config_hash: hash }, state };
        let history: History =
            [past(3, HistoryState::HeldAsShrunk), past(9, HistoryState::Published), past(5, HistoryState::Leftover)]
                .into_iter()
                .collect();
        assert_eq!(history.of(hash), Some(&past(9, HistoryState::Published)));
        assert_eq!(history.of(ConfigHash::EMPTY), None);
    }
}
