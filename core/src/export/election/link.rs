//! Whether an exporter's own link to the control plane counts as dead: a leader that reconnects within a few seconds
//! stays the leader.

use std::time::Duration;

use super::record::LinkHealth;
use crate::time::Moment;

/// How long a link may be down before other exporters are told.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

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
            Self::Down { since } if now - since >= PATIENCE => LinkHealth::Dead,
            Self::Up | Self::Down { .. } => LinkHealth::Alive,
        }
    }

    /// When it will count as dead, if it stays as it is.
    pub(super) fn dies_at(self, now: Moment) -> Option<Moment> {
        match self {
            Self::Down { since } if now - since < PATIENCE => Some(since + PATIENCE),
            Self::Up | Self::Down { .. } => None,
        }
    }
}
