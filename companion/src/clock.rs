//! The program's clock. Only `main` starts one; everything else is told the time, or asks the one that it was given.

use std::time::SystemTime;

use lifeboat_core::time::{Moment, WallTime};
use tokio::time::Instant;

/// A monotonic clock and the wall's.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts a clock.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// The time since the start, by the monotonic clock (tokio's, so that a test may pause it).
    pub fn now(&self) -> Moment {
        Moment::after_start(self.start.elapsed())
    }

    /// What the wall clock shows.
    pub fn wall(&self) -> WallTime {
        WallTime::from_system(SystemTime::now())
    }

    /// Waits until `moment`.
    pub async fn reach(&self, moment: Moment) {
        tokio::time::sleep_until(self.start + moment.since(Moment::default())).await;
    }
}
