//! When a control plane that is gone, or that refused, is dialled again. What its answer means is in
//! [`answer`](super::answer).

use std::time::Duration;

use super::answer::Verdict;
use crate::backoff::{Backoff, spread};

/// The pauses of Kong's nodes, and of the relay for each of them, drawn evenly from 5 to 10 s. Also for all nodes with
/// incremental sync together, while the control plane is there but refuses this relay: somebody has to change something
/// first.
pub const NODE_RETRY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(10));
/// The exporter's pauses: they double from 2 to 10 s, each shortened at random by up to half, and begin anew with each
/// configuration that is received. One backup node may be a little more eager at first.
pub(super) const HEADLESS_RETRY: Backoff = Backoff::new(Duration::from_secs(2), NODE_RETRY.1);
/// The pauses for all nodes with incremental sync together, while the control plane is gone.
pub const RPC_WHILE_GONE: (Duration, Duration) = (Duration::from_millis(1500), Duration::from_millis(2500));

/// Two connections that ended without an answer mean that our certificate is refused if they ended at least this far apart:
/// in that time a crashed worker is back.
pub const SECOND_LOOK: Duration = Duration::from_secs(5);
/// The additional time over which second looks are spread.
const SECOND_LOOK_SPREAD: Duration = Duration::from_secs(1);
/// The longest time by which `Retry-After` delays the next dial.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);
/// The time over which the dials are spread that were put off together.
const RETRY_AFTER_SPREAD: Duration = Duration::from_secs(10);

impl Verdict {
    /// How long to wait until the next dial, at least `usual`. `chance` in `0.0..1.0` spreads dials that were put off together.
    pub fn retry_in(&self, usual: Duration, chance: f64) -> Duration {
        let (least, within) = match self {
            Self::Unclear => (SECOND_LOOK, SECOND_LOOK_SPREAD),
            Self::Outage { retry_after: Some(asked) } => (bounded_retry_after(*asked), RETRY_AFTER_SPREAD),
            Self::Outage { retry_after: None } | Self::RefusesNode(_) | Self::RefusesCertificate(_) => return usual,
        };
        usual.max(spread(least, least + within, chance))
    }
}

/// How long nobody dials a control plane that asks for this. It leaves room to spread the next dials and still keep to
/// [`LONGEST_RETRY_AFTER`].
pub fn bounded_retry_after(asked: Duration) -> Duration {
    asked.min(LONGEST_RETRY_AFTER - RETRY_AFTER_SPREAD)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_dial_is_put_off_as_asked_and_for_five_minutes_at_most(
            asked in 0u64..100_000, usual in 0u64..10_000, chance in 0.0f64..1.0
        ) {
            let (asked, usual) = (Duration::from_secs(asked), Duration::from_millis(usual));
            let wait = Verdict::Outage { retry_after: Some(asked) }.retry_in(usual, chance);
            prop_assert!(wait >= usual && wait <= LONGEST_RETRY_AFTER);
            prop_assert!(wait >= asked.min(LONGEST_RETRY_AFTER - RETRY_AFTER_SPREAD));
            prop_assert_eq!(Verdict::Outage { retry_after: None }.retry_in(usual, chance), usual);
            prop_assert!(Verdict::Unclear.retry_in(usual, chance) >= SECOND_LOOK);
        }
    }
}
