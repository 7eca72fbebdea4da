//! How far this host's clock and a store's are apart. Stores refuse requests whose time is some minutes off.

use std::fmt;
use std::time::{Duration, SystemTime};

/// Two clocks at one moment. The store's has seconds only, so less than two mean nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    store: SystemTime,
    own: SystemTime,
}

impl Skew {
    /// What the store's clock and ours showed at one moment.
    pub fn new(store: SystemTime, own: SystemTime) -> Self {
        Self { store, own }
    }

    /// By how much the two differ.
    pub fn size(&self) -> Duration {
        self.store.duration_since(self.own).unwrap_or_else(|earlier| earlier.duration())
    }

    /// Whether ours is the one that is behind.
    pub fn is_behind(&self) -> bool {
        self.own < self.store
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = humantime::format_duration(Duration::from_secs(self.size().as_secs()));
        let direction = if self.is_behind() { "behind" } else { "ahead of" };
        write!(f, "this host's clock is {size} {direction} the store's")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skew_says_by_how_much_and_in_which_direction() {
        let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let later = noon + Duration::from_millis(17 * 60_000 + 5_300);
        assert_eq!(Skew::new(later, noon).to_string(), "this host's clock is 17m 5s behind the store's");
        assert_eq!(Skew::new(noon, later).to_string(), "this host's clock is 17m 5s ahead of the store's");
        assert_eq!(Skew::new(noon, later).size(), Duration::from_millis(17 * 60_000 + 5_300));
    }
}
