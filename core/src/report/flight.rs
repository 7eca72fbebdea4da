//! One call that may be under way, and how many ticks it has been. Not here: what the call is.

/// Room for one call of a kind. A callback that never comes frees it after [`PATIENCE`] ticks.
#[derive(Debug)]
pub(super) struct Flight<T> {
    under_way: Option<UnderWay<T>>,
}

/// How many ticks a call may last: a call's time-out is at most one interval and counts for connecting, for sending
/// and for a read each, so after three intervals the host has either called back or lost it.
pub(super) const PATIENCE: u32 = 3;

#[derive(Debug)]
struct UnderWay<T> {
    token: Option<u32>,
    ticks: u32,
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
    pub(super) fn begin(&mut self, memo: T) {
        self.under_way = Some(UnderWay { token: None, ticks: 0, memo });
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

    /// One tick passes; the call ends if it was one too many.
    pub(super) fn tick(&mut self) -> Option<T> {
        let call = self.under_way.as_mut()?;
        call.ticks = call.ticks.saturating_add(1);
        if call.ticks > PATIENCE { self.end() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_token_ends_a_call_and_only_once() {
        let mut flight = Flight::free();
        flight.begin("memo");
        assert_eq!(flight.end_if(0), None);
        flight.boarded(7);
        assert_eq!(flight.end_if(8), None);
        assert_eq!(flight.end_if(7), Some("memo"));
        assert_eq!(flight.end_if(7), None);
        assert!(flight.is_free());
    }

    #[test]
    fn a_call_without_an_answer_ends_after_its_ticks() {
        let mut flight = Flight::free();
        flight.begin(());
        let ended: Vec<bool> = (0..=PATIENCE).map(|_| flight.tick().is_some()).collect();
        assert_eq!(ended, [false, false, false, true]);
    }
}
