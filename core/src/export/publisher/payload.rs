//! What is known of the published payload: whether the store has it as the manifest names it, and if not, what was tried.

use super::event::PayloadState;

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
