//! When a dead man's switch is pinged: every five minutes while all is well, and after each drill that passed. Who leads, and
//! whether all is well, the caller knows.

use std::time::Duration;

use super::Attempt;
use crate::backoff::{Backoff, spread};
use crate::time::{Moment, WallTime};

const EVERY: Duration = Duration::from_secs(5 * 60);
/// How soon after the start the first one is due, at the latest.
const FIRST_WITHIN: Duration = Duration::from_secs(10);
/// A ping that got lost must not make the switch fire: it is sent again well before the next one.
const AGAIN: Backoff = Backoff::new(Duration::from_secs(30), Duration::from_secs(60));
/// After a drill the next ping may be a day away.
const AGAIN_AFTER_A_DRILL: Backoff = Backoff::new(Duration::from_secs(30), Duration::from_secs(15 * 60));
/// How often a ping after a drill is sent, at most: for about an hour and a half.
const MOST_AFTER_A_DRILL: u32 = 10;

/// The pings of what is led and well. Due it stays while it is not.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    due: Moment,
    /// When the ping after that one is due that is tried now.
    next: Moment,
    again: Backoff,
}

impl Heartbeat {
    /// One that begins now. `chance` lies in `0.0..1.0`.
    pub fn new(now: Moment, chance: f64) -> Self {
        let due = now + spread(Duration::ZERO, FIRST_WITHIN, chance);
        Self { due, next: due + EVERY, again: AGAIN }
    }

    /// Whether a ping is due, if all is well.
    pub fn is_due(&self, now: Moment) -> bool {
        now >= self.due
    }

    /// It was pinged at `now`.
    pub fn pinged(&mut self, attempt: Attempt, now: Moment, chance: f64) {
        // A first try sets the time of the next ping, and what is tried again doesn't put it off.
        if self.again.failures() == 0 {
            self.next = now + EVERY;
        }

        self.due = match attempt {
            Attempt::Delivered => self.next,
            Attempt::Failed => (now + self.again.next_wait(chance)).min(self.next),
        };
        if self.due == self.next {
            self.again.reset();
        }
    }
}

/// The pings after drills that passed: one for each, and only the newest where one could not be sent.
#[derive(Clone, Debug)]
pub struct DrillHeartbeat {
    newest: Option<WallTime>,
    pending: Option<Moment>,
    again: Backoff,
}

impl DrillHeartbeat {
    /// No drill is known yet.
    pub const fn new() -> Self {
        Self { newest: None, pending: None, again: AGAIN_AFTER_A_DRILL }
    }

    /// The newest drill has passed, and ended then. To be told so again changes nothing.
    pub fn passed(&mut self, ended: WallTime, now: Moment) {
        if self.newest.is_none_or(|newest| newest < ended) {
            (self.newest, self.pending) = (Some(ended), Some(now));
            self.again.reset();
        }
    }

    /// Whether a ping is due.
    pub fn is_due(&self, now: Moment) -> bool {
        self.pending.is_some_and(|due| now >= due)
    }

    /// It was pinged at `now`.
    pub fn pinged(&mut self, attempt: Attempt, now: Moment, chance: f64) {
        let is_last = self.again.failures() + 1 >= MOST_AFTER_A_DRILL;
        self.pending = match attempt {
            Attempt::Failed if !is_last => Some(now + self.again.next_wait(chance)),
            Attempt::Failed | Attempt::Delivered => None,
        };
    }
}

impl Default for DrillHeartbeat {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn after(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    fn wall(seconds: u64) -> WallTime {
        WallTime::from_system(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn a_ping_is_due_soon_after_the_start_and_then_every_five_minutes() {
        let mut heartbeat = Heartbeat::new(after(0), 1.0);
        assert!(!heartbeat.is_due(after(9)) && heartbeat.is_due(after(10)));
        heartbeat.pinged(Attempt::Delivered, after(10), 0.5);
        assert!(!heartbeat.is_due(after(309)) && heartbeat.is_due(after(310)));
        // Nobody led for an hour: the next one goes out as soon as somebody does.
        assert!(heartbeat.is_due(after(3_600)));
        heartbeat.pinged(Attempt::Delivered, after(3_600), 0.5);
        assert!(!heartbeat.is_due(after(3_899)) && heartbeat.is_due(after(3_900)));
    }

    #[test]
    fn a_ping_that_failed_is_sent_again_and_does_not_put_off_the_next() {
        let mut heartbeat = Heartbeat::new(after(0), 0.0);
        let (mut now, mut tries) = (0, Vec::new());
        while now < 900 {
            if heartbeat.is_due(after(now)) {
                tries.push(now);
                heartbeat.pinged(Attempt::Failed, after(now), 1.0);
            }
            now += 1;
        }
        assert_eq!(tries, [0, 30, 90, 150, 210, 270, 300, 330, 390, 450, 510, 570, 600, 630, 690, 750, 810, 870]);
    }

    #[test]
    fn each_drill_that_passed_is_pinged_once() {
        let mut heartbeat = DrillHeartbeat::new();
        assert!(!heartbeat.is_due(after(100)));
        heartbeat.passed(wall(5), after(100));
        assert!(heartbeat.is_due(after(100)));
        heartbeat.pinged(Attempt::Delivered, after(100), 0.5);
        heartbeat.passed(wall(5), after(105));
        assert!(!heartbeat.is_due(after(1_000_000)));
        heartbeat.passed(wall(6), after(110));
        assert!(heartbeat.is_due(after(110)));
    }

    #[test]
    fn a_ping_after_a_drill_is_tried_ten_times() {
        let mut heartbeat = DrillHeartbeat::new();
        heartbeat.passed(wall(5), after(0));
        let (mut now, mut tries) = (0, 0);
        while now < 1_000_000 {
            if heartbeat.is_due(after(now)) {
                tries += 1;
                heartbeat.pinged(Attempt::Failed, after(now), 1.0);
            }
            now += 10;
        }
        assert_eq!(tries, 10);
        // The next one that passes is another matter.
        heartbeat.passed(wall(6), after(1_000_000));
        assert!(heartbeat.is_due(after(1_000_000)));
    }
}
