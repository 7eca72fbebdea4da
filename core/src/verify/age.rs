//! How old a snapshot may be (`LIFEBOAT_MAX_AGE`): by the time at which its control plane last had it, which is under the
//! manifest's proofs. Whoever can write to a store and has no key can put an older signed snapshot back; this bounds how
//! old.

use std::time::Duration;

use super::{Authentic, Rejected};
use crate::time::WallTime;

/// A bound on the age, if there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgeLimit(pub Option<Duration>);

impl AgeLimit {
    /// Whether what its control plane last had at this time may be used now. What says nothing of its age may be used only
    /// without a bound.
    pub fn allows(self, last_seen: Option<WallTime>, now: WallTime) -> bool {
        self.0.is_none_or(|limit| last_seen.is_some_and(|seen| now.since(seen) <= limit))
    }

    /// Whether this snapshot is young enough now.
    ///
    /// # Errors
    /// [`Rejected::TooOld`].
    pub fn check(self, manifest: &Authentic, now: WallTime) -> Result<(), Rejected> {
        let last_seen = manifest.times.last_seen;
        match self.0 {
            Some(limit) if !self.allows(Some(last_seen), now) => {
                Err(Rejected::TooOld { last_seen, age: whole(now.since(last_seen)), limit: whole(limit) })
            }
            _ => Ok(()),
        }
    }

    /// Whether what says nothing of its age may be used.
    ///
    /// # Errors
    /// [`Rejected::OfUnknownAge`].
    pub fn check_bare(self) -> Result<(), Rejected> {
        if self.0.is_some() { Err(Rejected::OfUnknownAge) } else { Ok(()) }
    }
}

// For a person, milliseconds are noise.
fn whole(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs())
}
