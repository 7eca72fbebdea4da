//! Time as an argument: [`Moment`] for measuring and waiting, [`WallTime`] for what is written down. Neither reads a
//! clock; the program's edge does.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// A reading of a monotonic clock: the time since some fixed moment of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(Duration);

impl Moment {
    /// The moment that lies `elapsed` after the clock's start.
    pub const fn after_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later))
    }
}

impl Sub for Moment {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

/// A reading of the wall clock, to the millisecond. Written as RFC 3339 in UTC: `2026-11-20T10:54:33.123Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WallTime(SystemTime);

impl WallTime {
    /// The wall time that a clock showed.
    pub fn from_system(time: SystemTime) -> Self {
        let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(SystemTime::UNIX_EPOCH + Duration::from_millis(since_epoch.as_millis() as u64))
    }

    /// As the system writes it.
    pub fn to_system(self) -> SystemTime {
        self.0
    }

    /// Seconds since 1970-01-01T00:00:00Z, as Kong's `timestamp` counts them.
    pub fn unix_seconds(self) -> f64 {
        self.0.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
    }

    /// How long after `earlier` this is; zero if it is before.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.duration_since(earlier.0).unwrap_or_default()
    }
}

impl Add<Duration> for WallTime {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self::from_system(self.0 + later)
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_millis(self.0).fmt(f)
    }
}

impl fmt::Debug for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<WallTime> for SystemTime {
    fn from(time: WallTime) -> Self {
        time.0
    }
}

impl From<WallTime> for String {
    fn from(time: WallTime) -> Self {
        time.to_string()
    }
}

impl TryFrom<String> for WallTime {
    type Error = humantime::TimestampError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        humantime::parse_rfc3339(&text).map(Self::from_system)
    }
}

/// Seconds to the millisecond, for people and for programs.
pub fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_time_is_read_back_as_it_was_written() {
        let time = WallTime::from_system(SystemTime::UNIX_EPOCH + Duration::from_micros(1_795_169_515_922_499));
        assert_eq!(time.to_string(), "2026-11-20T10:11:55.922Z");
        assert_eq!(WallTime::try_from(time.to_string()).unwrap(), time);
    }

    #[test]
    fn time_that_runs_backwards_counts_as_none() {
        let (early, late) = (Moment::default(), Moment::after_start(Duration::from_secs(5)));
        assert_eq!(late - early, Duration::from_secs(5));
        assert_eq!(early - late, Duration::ZERO);
    }
}
