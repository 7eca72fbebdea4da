//! How long a store may take: to connect, to answer, to send a body, to list. How often a failed request is tried again
//! is in `retry`.

use std::time::Duration;

/// Until the connection is made, TLS included.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// A listing has any number of pages; all of them together may take this long.
pub(crate) const LISTING_WITHIN: Duration = Duration::from_secs(300);
/// Until the answer begins, once the request is sent.
const FIRST_BYTE: Duration = Duration::from_secs(30);
/// Between two pieces of a body.
pub(super) const BETWEEN_PIECES: Duration = Duration::from_secs(30);
/// The time that a body may take in addition to the time for its bytes.
const BODY_GRACE: Duration = Duration::from_secs(60);
/// The least bytes per second of an honest, slow line. An even slower one is given up.
const HONEST_RATE: u64 = 256 * 1024;

/// Until the answer to a request of this size must have begun.
pub(super) fn answer_within(request_bytes: u64) -> Duration {
    FIRST_BYTE + at_honest_rate(request_bytes)
}

/// When, after a body's begin, more than this must have come.
pub(super) fn more_than(received: u64) -> Duration {
    BODY_GRACE + at_honest_rate(received)
}

fn at_honest_rate(bytes: u64) -> Duration {
    Duration::from_millis(bytes.saturating_mul(1000) / HONEST_RATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_body_on_a_slow_line_has_its_time_and_a_small_one_no_more_than_it_needs() {
        assert_eq!(answer_within(0), Duration::from_secs(30));
        assert_eq!(answer_within(64 << 20), Duration::from_secs(30 + 256));
        assert_eq!(more_than(0), Duration::from_secs(60));
        assert_eq!(more_than(64 << 20), Duration::from_secs(60 + 256));
    }
}
