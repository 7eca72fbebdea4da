//! When an exporter rehearses an outage by itself (`LIFEBOAT_DRILL_EVERY`). The election decides who leads; the
//! companion rehearses.

use std::time::Duration;

use crate::time::Moment;

/// The first drill comes soon after the start, so that a person who has just made a wrong setting finds it.
const FIRST_WITHIN: Duration = Duration::from_secs(10 * 60);
/// A failed drill is repeated within this time: a store that was away for a minute is no reason for an alert of 24 h.
const AGAIN_WITHIN: Duration = Duration::from_secs(15 * 60);

/// When the next drill is due. It stays due until it is done: an exporter that becomes the leader later does it then.
#[derive(Clone, Debug)]
pub struct DrillSchedule {
    every: Duration,
    due: Moment,
}

/// How a drill ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrillOutcome {
    /// All nodes were restored.
    Passed,
    /// One was not.
    Failed,
    /// The result is unknown: the store was away, or there was no time.
    Inconclusive,
}

impl DrillSchedule {
    /// A schedule that begins now. `chance` is from 0 to 1: exporters that start together don't drill together.
    pub fn new(every: Duration, now: Moment, chance: f64) -> Self {
        let first = every.min(FIRST_WITHIN).mul_f64(0.1 + 0.9 * bounded(chance));
        Self { every, due: now + first }
    }

    /// Whether a drill is due.
    pub fn is_due(&self, now: Moment) -> bool {
        now >= self.due
    }

    /// A drill has just ended with this outcome. The next one is due after the interval, a tenth of it more or less.
    pub fn ended(&mut self, outcome: DrillOutcome, now: Moment, chance: f64) {
        let wait = match outcome {
            DrillOutcome::Passed => self.every,
            DrillOutcome::Failed | DrillOutcome::Inconclusive => self.every.min(AGAIN_WITHIN),
        };
        self.due = now + wait.mul_f64(0.9 + 0.2 * bounded(chance));
    }
}

fn bounded(chance: f64) -> f64 {
    if chance.is_finite() { chance.clamp(0.0, 1.0) } else { 0.5 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn after(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    #[test]
    fn the_first_one_is_due_within_ten_minutes_and_not_at_once() {
        for (chance, seconds) in [(0.0, 60), (1.0, 600)] {
            let schedule = DrillSchedule::new(DAY, after(0), chance);
            assert!(!schedule.is_due(after(seconds - 1)) && schedule.is_due(after(seconds)), "{chance}");
        }
        let schedule = DrillSchedule::new(Duration::from_secs(20), after(0), 1.0);
        assert!(!schedule.is_due(after(19)) && schedule.is_due(after(20)));
    }

    #[test]
    fn it_stays_due_until_it_was_made() {
        let mut schedule = DrillSchedule::new(DAY, after(0), 0.0);
        assert!(schedule.is_due(after(60)) && schedule.is_due(after(1_000_000)));
        schedule.ended(DrillOutcome::Passed, after(1_000_000), 0.5);
        assert!(!schedule.is_due(after(1_000_000)));
        assert!(!schedule.is_due(after(1_000_000 + 86_399)) && schedule.is_due(after(1_000_000 + 86_401)));
    }

    #[test]
    fn after_a_failure_it_is_tried_again_soon_but_never_more_often_than_asked() {
        for (every, latest) in [(DAY, 990), (Duration::from_secs(60), 66)] {
            let mut schedule = DrillSchedule::new(every, after(0), 0.0);
            schedule.ended(DrillOutcome::Failed, after(0), 1.0);
            assert!(!schedule.is_due(after(latest - 1)) && schedule.is_due(after(latest)), "{every:?}");
        }
    }

    #[test]
    fn a_chance_that_is_none_is_taken_for_the_middle() {
        let mut schedule = DrillSchedule::new(DAY, after(0), f64::NAN);
        schedule.ended(DrillOutcome::Passed, after(0), f64::INFINITY);
        assert!(schedule.is_due(after(86_400)));
    }
}
