//! What `list` and `verify` call the state of a snapshot: one word for one thing.

use lifeboat_core::manifest::State;
use lifeboat_core::object_key::{HistoryState, SnapshotId};

/// A payload without a manifest.
pub(super) const UNPUBLISHED: &str = "unpublished";
/// What was held once, and published later.
pub(super) const RELEASED: &str = "released";
/// A manifest that can't be read, or that no key accepts.
pub(super) const REFUSED: &str = "refused";

/// What a manifest says of its snapshot, seen from what is published now.
pub(super) fn state_word(state: State, is_published: bool) -> &'static str {
    match state {
        State::Confirmed => "confirmed",
        State::Received => "received",
        State::Held => "held",
        State::Pinned if is_published => "pinned",
        State::Pinned => "was pinned",
    }
}

/// Whether a held snapshot waits for nobody: the same configuration was published later.
pub(super) fn is_released(
    id: SnapshotId,
    state: HistoryState,
    mut others: impl Iterator<Item = (SnapshotId, HistoryState)>,
) -> bool {
    let is_its_copy = |(other, state): (SnapshotId, HistoryState)| {
        other.config_hash == id.config_hash && other.sequence > id.sequence && state == HistoryState::Published
    };
    state.is_held() && others.any(is_its_copy)
}
