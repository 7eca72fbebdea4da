//! The words for the state of a snapshot in `list`, `verify` and the page: one word for one thing.

use lifeboat_core::manifest::State;
use lifeboat_core::object_key::{HistoryState, SnapshotId};

use super::{History, Listed};

/// A payload without a manifest.
pub(crate) const UNPUBLISHED: &str = "unpublished";
/// What was held once, and published later.
pub(crate) const RELEASED: &str = "released";
/// A manifest that can't be read, or that no key accepts.
pub(crate) const REFUSED: &str = "refused";

/// What a manifest says about its snapshot; it depends on whether that is the published one.
pub(crate) fn state_word(state: State, is_published: bool) -> &'static str {
    match state {
        State::Confirmed => "confirmed",
        State::Received => "received",
        State::Held => "held",
        State::Pinned if is_published => "pinned",
        State::Pinned => "was pinned",
    }
}

/// Whether a held snapshot needs no decision any more, because the same configuration was published later.
pub(crate) fn is_released(
    id: SnapshotId,
    state: HistoryState,
    mut others: impl Iterator<Item = (SnapshotId, HistoryState)>,
) -> bool {
    let is_its_copy = |(other, state): (SnapshotId, HistoryState)| {
        other.config_hash == id.config_hash && other.sequence > id.sequence && state == HistoryState::Published
    };
    state.is_held() && others.any(is_its_copy)
}

impl History {
    /// Whether new nodes are restored from this one.
    pub(crate) fn is_published(&self, listed: &Listed) -> bool {
        self.published == Some(listed.id.sequence) && listed.manifest.is_some() && !listed.state.is_held()
    }

    /// The word for what became of one of its snapshots.
    pub(crate) fn state_of(&self, listed: &Listed) -> &'static str {
        let others = self.snapshots.iter().map(|other| (other.id, other.state));
        match &listed.manifest {
            _ if is_released(listed.id, listed.state, others) => RELEASED,
            None if listed.refused.is_some() => REFUSED,
            None => UNPUBLISHED,
            Some(manifest) => state_word(manifest.state, self.is_published(listed)),
        }
    }
}
