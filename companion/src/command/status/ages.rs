//! How long ago something was, where that is shown at all.

use lifeboat_core::time::WallTime;

use crate::command::table::age;

/// Whether what changes all the time is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ages {
    Shown,
    Hidden,
}

impl Ages {
    /// How long ago it was, by the clock that has shown both.
    pub(super) fn of(self, then: WallTime, now: WallTime) -> String {
        match self {
            Self::Shown => age(then, now),
            Self::Hidden => String::new(),
        }
    }
}
