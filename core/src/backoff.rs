//! How long to wait before the next try. Pure: chance is an argument, so bounds can be tested.

use std::time::Duration;

/// Waiting times that double from `first` up to `longest`, each shortened at random by up to half, so that many who
/// failed together don't come back together.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// A backoff whose first wait is at most `first` and whose every wait is at most `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// The wait after one more failure. `chance` lies in `0.0..1.0`.
    pub fn next_wait(&mut self, chance: f64) -> Duration {
        let doubled = self.first.saturating_mul(2u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        let ceiling = doubled.min(self.longest);
        ceiling.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
    }

    /// How often it has failed since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Starts over after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A wait drawn evenly from nine tenths of `longest` to `longest`, for what is done regularly: so many that began
/// together don't stay together.
pub fn shortened(longest: Duration, chance: f64) -> Duration {
    spread(longest.mul_f64(0.9), longest, chance)
}

/// A wait drawn evenly from `shortest..=longest`: how Kong's data planes spread their reconnects (5 to 10 s).
pub fn spread(shortest: Duration, longest: Duration, chance: f64) -> Duration {
    shortest + longest.saturating_sub(shortest).mul_f64(chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(10);

    proptest! {
        #[test]
        fn every_wait_lies_between_its_bounds(chances in prop::collection::vec(0.0f64..1.0, 1..80)) {
            let mut backoff = Backoff::new(FIRST, LONGEST);
            for chance in chances {
                let wait = backoff.next_wait(chance);
                prop_assert!(wait >= FIRST / 2 && wait <= LONGEST, "{wait:?}");
            }
        }

        #[test]
        fn a_spread_lies_between_its_bounds(chance in -1.0f64..2.0) {
            let wait = spread(FIRST, LONGEST, chance);
            prop_assert!((FIRST..=LONGEST).contains(&wait));
        }
    }

    #[test]
    fn waits_double_until_the_longest_and_start_over_after_a_success() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        let waits: Vec<u64> = (0..7).map(|_| backoff.next_wait(1.0).as_millis() as u64).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        assert_eq!(backoff.failures(), 7);
        backoff.reset();
        assert_eq!(backoff.next_wait(1.0), FIRST);
    }
}
