//! Whether an exporter's own link to the control plane counts as dead: a leader that reconnects within a few seconds
//! stays the leader.

use super::record::LinkHealth;
use super::times::LINK_DEATH;
use crate::time::Moment;

/// An exporter's own link.
#[derive(Clone, Copy, Debug)]
pub(super) enum OwnLink {
    Up,
    Down { since: Moment },
}

impl OwnLink {
    pub(super) fn down(self, now: Moment) -> Self {
        match self {
            Self::Up => Self::Down { since: now },
            Self::Down { .. } => self,
        }
    }

    pub(super) fn health(self, now: Moment) -> LinkHealth {
        match self {
            Self::Down { since } if now - since >= LINK_DEATH => LinkHealth::Dead,
            Self::Up | Self::Down { .. } => LinkHealth::Alive,
        }
    }

    /// When it will count as dead, if it stays as it is.
    pub(super) fn dies_at(self, now: Moment) -> Option<Moment> {
        match self {
            Self::Down { since } if now - since < LINK_DEATH => Some(since + LINK_DEATH),
            Self::Up | Self::Down { .. } => None,
        }
    }
}
