//! What is known of the published payload: whether the store has it as the manifest names it, and what was tried if not.

use super::event::PayloadState;

/// What is known of it since the manifest names this snapshot.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Payload {
    state: PayloadState,
    /// How many looks in a row have found it not whole.
    looks: u32,
    attempt: Attempt,
}

/// What was done about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Attempt {
    /// Nothing since it was last looked at.
    #[default]
    None,
    /// Nobody had what the manifest names. The next look is a reason to try again.
    InVain { is_over: bool },
}

impl Payload {
    /// Somebody has looked.
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

    /// Whether it should be tried to put it back.
    pub(super) fn must_be_put_back(self) -> bool {
        !self.is_whole() && matches!(self.attempt, Attempt::None | Attempt::InVain { is_over: true })
    }

    /// Whether nobody had it when that was last tried.
    pub(super) fn is_lost(self) -> bool {
        !self.is_whole() && matches!(self.attempt, Attempt::InVain { .. })
    }

    /// Whether whoever leads has had the time to put it back between two looks.
    pub(super) fn is_neglected(self) -> bool {
        self.looks > 1
    }
}
