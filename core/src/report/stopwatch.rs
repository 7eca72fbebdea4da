//! How much time has passed, as ticks tell it: the gateway's wall clock may be set at any moment, and timers may be
//! doubled (KONG.md section 4, point 5). Not here: what is due when.

use std::time::{Duration, SystemTime};

/// Time since the first tick. It never goes back, and a clock that is set moves it by one interval at most.
#[derive(Debug, Default)]
pub(super) struct Stopwatch {
    last_tick: Option<SystemTime>,
    elapsed: Duration,
}

impl Stopwatch {
    /// A tick at `now`; ticks come twice in an `interval`, or more often. The time since the first one.
    pub(super) fn tick(&mut self, now: SystemTime, interval: Duration) -> Duration {
        let step = match self.last_tick.replace(now) {
            None => Duration::ZERO,
            Some(last) => match now.duration_since(last) {
                Ok(step) => step.min(interval),
                // The clock was set back. What ticks are apart is the best guess at what passed meanwhile.
                Err(_) => interval.checked_div(2).unwrap_or_default(),
            },
        };
        self.elapsed = self.elapsed.saturating_add(step);
        self.elapsed
    }

    /// The last tick and the time since the first one until then, if there was one.
    pub(super) fn last(&self) -> Option<(SystemTime, Duration)> {
        self.last_tick.map(|tick| (tick, self.elapsed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_moves_it_by_one_interval_at_most_and_never_back() {
        let mut stopwatch = Stopwatch::default();
        let elapsed = [1000, 1005, 1010, 3, 8, 90_000, 90_001].map(|second| {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            stopwatch.tick(now, Duration::from_secs(10)).as_secs()
        });
        assert_eq!(elapsed, [0, 5, 10, 15, 20, 30, 31]);
    }
}
