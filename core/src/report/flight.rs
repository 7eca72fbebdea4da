//! One call that may be under way, and since when. Not here: what the call is, and how long one waits for it.

use std::time::Duration;

/// Room for one call of a kind. Times are those of a [`Stopwatch`](super::stopwatch::Stopwatch).
#[derive(Debug)]
pub(super) struct Flight<T> {
    under_way: Option<UnderWay<T>>,
}

#[derive(Debug)]
struct UnderWay<T> {
    token: Option<u32>,
    since: Duration,
    memo: T,
}

impl<T> Flight<T> {
    pub(super) const fn free() -> Self {
        Self { under_way: None }
    }

    pub(super) fn is_free(&self) -> bool {
        self.under_way.is_none()
    }

    /// A call sets out; `memo` comes back when it ends.
    pub(super) fn begin(&mut self, since: Duration, memo: T) {
        self.under_way = Some(UnderWay { token: None, since, memo });
    }

    /// The host gave the call this token.
    pub(super) fn boarded(&mut self, token: u32) {
        if let Some(call) = &mut self.under_way {
            call.token = Some(token);
        }
    }

    /// The call ends, however it does.
    pub(super) fn end(&mut self) -> Option<T> {
        self.under_way.take().map(|call| call.memo)
    }

    /// The call ends if this is its token.
    pub(super) fn end_if(&mut self, token: u32) -> Option<T> {
        let its_own = self.under_way.as_ref().is_some_and(|call| call.token == Some(token));
        if its_own { self.end() } else { None }
    }

    /// The call ends if it has been under way for longer than `patience`.
    pub(super) fn end_if_older(&mut self, now: Duration, patience: Duration) -> Option<T> {
        let lost = self.under_way.as_ref().is_some_and(|call| now.saturating_sub(call.since) > patience);
        if lost { self.end() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn only_its_own_token_ends_a_call_and_only_once() {
        let mut flight = Flight::free();
        flight.begin(SECOND, "memo");
        assert_eq!(flight.end_if(0), None);
        flight.boarded(7);
        assert_eq!(flight.end_if(8), None);
        assert_eq!(flight.end_if(7), Some("memo"));
        assert_eq!(flight.end_if(7), None);
        assert!(flight.is_free());
    }

    #[test]
    fn a_call_without_an_answer_ends_when_patience_does() {
        let mut flight = Flight::free();
        flight.begin(10 * SECOND, ());
        let ended = [10, 11, 13, 14, 15].map(|now| flight.end_if_older(now * SECOND, 3 * SECOND).is_some());
        assert_eq!(ended, [false, false, false, true, false]);
    }
}
