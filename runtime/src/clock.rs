//! The program's clock. `main` starts it; everything else is told the time, or asks the one that it was given. Another one is
//! started only to measure how long something takes.

use std::time::{Duration, SystemTime};

use lifeboat_core::time::{Moment, WallTime};
use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// A monotonic clock and the wall's.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    /// How long the machine had slept before the start.
    slept: Duration,
    wall: Wall,
}

#[derive(Clone, Copy, Debug)]
enum Wall {
    System,
    /// It showed this at the start.
    Simulated(WallTime),
}

impl Clock {
    /// Starts a clock.
    pub fn start() -> Self {
        Self { start: Instant::now(), slept: slept(), wall: Wall::System }
    }

    /// Starts a clock whose wall shows `wall` now and goes as tokio's clock does: for a simulation.
    pub fn simulated(wall: WallTime) -> Self {
        Self { wall: Wall::Simulated(wall), ..Self::start() }
    }

    /// The time since the start, also that which the machine slept (tokio's clock, so that a test may pause it; that one
    /// stands still while the machine is suspended, and a lease of ours does not).
    pub fn now(&self) -> Moment {
        Moment::after_start(self.start.elapsed() + slept().saturating_sub(self.slept))
    }

    /// What the wall clock shows.
    pub fn wall(&self) -> WallTime {
        match self.wall {
            Wall::System => WallTime::from_system(SystemTime::now()),
            Wall::Simulated(wall) => wall + self.start.elapsed(),
        }
    }

    /// Waits until `moment`.
    pub async fn reach(&self, moment: Moment) {
        let now = self.now();
        tokio::time::sleep(moment.since(now)).await;
    }
}

// In whole seconds: the two clocks are not read at the same moment.
fn slept() -> Duration {
    let read = |id| Duration::try_from(clock_gettime(id)).unwrap_or_default();
    let slept = read(ClockId::Boottime).saturating_sub(read(ClockId::Monotonic));
    Duration::from_secs(slept.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_simulated_wall_goes_with_the_paused_clock() {
        let begin = WallTime::from_system(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let clock = Clock::simulated(begin);
        clock.reach(Moment::after_start(Duration::from_secs(3600))).await;
        assert_eq!(clock.now(), Moment::after_start(Duration::from_secs(3600)));
        assert_eq!(clock.wall(), begin + Duration::from_secs(3600));
    }
}
