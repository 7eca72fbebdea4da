//! What strangers can cause as often as they like is logged at most once a minute, with how often it has happened since.

use std::time::Duration;

use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

/// One kind of event.
#[derive(Debug, Default)]
pub(crate) struct PerMinute {
    logged: Option<Instant>,
    unlogged: u64,
}

impl PerMinute {
    /// Counts one event. If it is to be logged, gives how many there were since that was last done, this one included.
    pub(crate) fn count(&mut self) -> Option<u64> {
        self.unlogged += 1;
        if self.logged.is_some_and(|when| when.elapsed() < MINUTE) {
            return None;
        }
        self.logged = Some(Instant::now());
        Some(std::mem::take(&mut self.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_is_logged_at_once_and_the_others_once_a_minute_with_their_number() {
        let mut events = PerMinute::default();
        assert_eq!(events.count(), Some(1));
        for _ in 0..1000 {
            assert_eq!(events.count(), None);
        }
        tokio::time::advance(MINUTE).await;
        assert_eq!(events.count(), Some(1001));
        assert_eq!(events.count(), None);
    }
}
