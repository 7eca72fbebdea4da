//! What is known of the published payload: whether the store has it as the manifest names it, and if not, what was tried.

use std::time::Duration;

use super::event::PayloadState;
use super::facts::Facts;
use crate::digest::ConfigHash;
use crate::export::Named;

/// How often the published manifest is looked at for what others did to it, such as an operator's `rollback` or another
/// leader, and its payload's size with it.
pub const GLANCE_INTERVAL: Duration = Duration::from_secs(60);
/// How often the published payload is read whole.
pub const READ_BACK_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// What is known of it since the manifest names this snapshot.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Payload {
    state: PayloadState,
    /// How many checks in a row have found it missing or damaged.
    looks: u32,
    attempt: Attempt,
}

/// What was done about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Attempt {
    /// Nothing since it was last looked at.
    #[default]
    None,
    /// What the manifest names was found nowhere. The next check is a reason to try again.
    InVain { is_over: bool },
}

impl Payload {
    /// The result of a check.
    pub(super) fn found(&mut self, state: PayloadState) {
        if state == PayloadState::Whole {
            *self = Self::default();
            return;
        }
        self.state = state;
        self.looks += 1;
        if let Attempt::InVain { is_over } = &mut self.attempt {
            *is_over = true;
        }
    }

    /// It could not be put back.
    pub(super) fn not_put_back(&mut self) {
        self.attempt = Attempt::InVain { is_over: false };
    }

    pub(super) fn state(self) -> PayloadState {
        self.state
    }

    pub(super) fn is_whole(self) -> bool {
        self.state == PayloadState::Whole
    }

    /// Whether to try to put it back.
    pub(super) fn must_be_put_back(self) -> bool {
        !self.is_whole() && matches!(self.attempt, Attempt::None | Attempt::InVain { is_over: true })
    }

    /// Whether the last attempt to put it back has failed.
    pub(super) fn is_lost(self) -> bool {
        !self.is_whole() && matches!(self.attempt, Attempt::InVain { .. })
    }

    /// Whether the leader has not put it back, although it had the time between two checks.
    pub(super) fn is_neglected(self) -> bool {
        self.looks > 1
    }
}

impl Facts {
    /// The published snapshot, if it is this configuration and its payload is lost. Then the control plane's bytes can replace
    /// the lost ones.
    pub(super) fn lost_as(&self, hash: ConfigHash) -> Option<&Named> {
        let named = self.store.published.as_ref()?;
        (named.config_hash == hash && self.store.payload.is_lost()).then_some(named)
    }
}
