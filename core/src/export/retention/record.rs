//! `lifeboat/thinning.json`: how much time has certainly passed, since when each snapshot is known, and how many were deleted
//! in the last day. It makes sure that a clock that is wrong, or that jumps, deletes nothing.
//!
//! If the store tells its own time (`Date`), ages are those of its objects. A folder has no clock except those of the hosts
//! that write into it. There, time counts if a process has seen it pass, or if it lies between two marks in the record, which
//! are an hour apart while an exporter runs. A step of more than [`LONGEST_STEP`] between two marks counts as nothing, because
//! somebody may have set the clock; that time has to pass once more. A step back takes back what was counted.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::history::Past;
use super::{DAY, ONE_A_DAY_OF};
use crate::object_key::SnapshotId;
use crate::time::{Moment, WallTime};

/// The format that this code writes.
const FORMAT: u32 = 1;
/// A longer step between two marks proves nothing.
pub const LONGEST_STEP: Duration = Duration::from_secs(2 * 60 * 60);

/// What the clocks show when a history is pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The store's own, in its newest answer.
    Store(WallTime),
    /// This host's alone.
    Host {
        /// On the wall.
        wall: WallTime,
        /// Since this process began.
        moment: Moment,
    },
}

/// What this process has seen itself: the record's time at one moment of its own monotonic clock. Time that passes by that
/// clock has certainly passed, whatever the wall clock shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed(Option<(i64, Moment)>);

/// The record as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// There is none.
    Nothing,
    /// There is one that can't be read.
    Unusable,
    /// This one.
    Record(Record),
}

/// The record. All its times are seconds on one scale: that of `time`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    format: u32,
    time: Time,
    /// When each snapshot was first seen, by its number. Empty for a store that tells its own time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    first_seen: BTreeMap<u64, i64>,
    /// What was deleted in the last day.
    #[serde(default)]
    deleted: Vec<Deleted>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Time {
    /// Seconds since 1970 by the store's clock.
    Store { seconds: i64 },
    /// Seconds that have certainly passed since the record was begun.
    Confirmed {
        seconds: i64,
        /// What a host's clock showed then.
        shown: WallTime,
        /// How far that clock had jumped ahead the last time it did, in seconds. A jump back by as much only undoes that one.
        jumped: i64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Deleted {
    at: i64,
    count: usize,
}

impl Found {
    /// What lies in the store.
    pub fn decode(bytes: &[u8]) -> Self {
        match serde_json::from_slice(bytes) {
            Ok(record @ Record { format: FORMAT, .. }) => Self::Record(record),
            Ok(_) | Err(_) => Self::Unusable,
        }
    }
}

impl Record {
    /// The record as it is now, by what the clocks show.
    pub fn now(found: Found, reading: Reading, observed: &mut Observed) -> Self {
        let is_of_this_kind = |record: &Self| {
            matches!(
                (record.time, reading),
                (Time::Store { .. }, Reading::Store(_)) | (Time::Confirmed { .. }, Reading::Host { .. })
            )
        };
        let mut record = match found {
            Found::Record(record) if is_of_this_kind(&record) => record,
            Found::Nothing => Self::begin(reading, Vec::new()),
            // It is unknown how many were deleted in the last day, so this assumes that all that may be deleted were.
            Found::Record(_) | Found::Unusable => {
                let at = Self::begin(reading, Vec::new()).seconds();
                Self::begin(reading, vec![Deleted { at, count: usize::MAX / 2 }])
            }
        };

        record.advance(reading, observed);
        record.deleted.retain(|deleted| record.time.seconds() < deleted.at.saturating_add(DAY.as_secs() as i64));
        record
    }

    /// As it lies in the store.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a record always has a JSON form")
    }

    /// Takes note of the snapshots that there are.
    pub fn note(&mut self, history: &[Past]) {
        if let Time::Confirmed { seconds, .. } = self.time {
            let known = |past: &Past| {
                let sequence = past.id.sequence;
                (sequence, self.first_seen.get(&sequence).copied().unwrap_or(seconds))
            };
            self.first_seen = history.iter().map(known).collect();
        }
    }

    /// When a snapshot that was `written` at this time was first seen, and how old it is.
    pub fn age(&self, id: SnapshotId, written: WallTime) -> (i64, Duration) {
        let first_seen = match self.time {
            Time::Store { .. } => seconds(written),
            Time::Confirmed { seconds, .. } => self.first_seen.get(&id.sequence).copied().unwrap_or(seconds),
        };
        let age = self.seconds().saturating_sub(first_seen).max(0);
        (first_seen, Duration::from_secs(age.unsigned_abs()))
    }

    /// How many snapshots may be deleted now, of the so many that there are: a tenth a day, but at least one.
    pub fn allowance(&self, there: usize) -> usize {
        let gone = self.deleted.iter().fold(0_usize, |sum, deleted| sum.saturating_add(deleted.count));
        there.saturating_add(gone).div_ceil(ONE_A_DAY_OF).saturating_sub(gone)
    }

    /// So many are about to be deleted.
    pub fn spend(&mut self, count: usize) {
        let at = self.seconds();
        match self.deleted.last_mut() {
            Some(last) if last.at == at => last.count = last.count.saturating_add(count),
            _ => self.deleted.push(Deleted { at, count }),
        }
    }

    /// So many of those that were just counted stay after all.
    pub fn give_back(&mut self, count: usize) {
        if let Some(last) = self.deleted.last_mut() {
            last.count = last.count.saturating_sub(count);
        }
    }

    fn begin(reading: Reading, deleted: Vec<Deleted>) -> Self {
        let time = match reading {
            Reading::Store(time) => Time::Store { seconds: seconds(time) },
            Reading::Host { wall, .. } => Time::Confirmed { seconds: 0, shown: wall, jumped: 0 },
        };
        Self { format: FORMAT, time, first_seen: BTreeMap::new(), deleted }
    }

    fn advance(&mut self, reading: Reading, observed: &mut Observed) {
        self.time = match (self.time, reading) {
            (_, Reading::Store(time)) => Time::Store { seconds: seconds(time) },
            (Time::Confirmed { seconds, shown, jumped }, Reading::Host { wall, moment }) => {
                let (mut seconds, jumped) = stepped(seconds, jumped, shown, wall);
                if let Some((then, at)) = observed.0 {
                    seconds = seconds.max(then.saturating_add(whole_seconds(moment - at)));
                }
                *observed = Observed(Some((seconds, moment)));
                Time::Confirmed { seconds, shown: wall, jumped }
            }
            (time @ Time::Store { .. }, Reading::Host { .. }) => time,
        };
    }

    fn seconds(&self) -> i64 {
        self.time.seconds()
    }
}

impl Time {
    fn seconds(self) -> i64 {
        match self {
            Self::Store { seconds } | Self::Confirmed { seconds, .. } => seconds,
        }
    }
}

/// The time that has certainly passed, and the last jump, after a clock has gone from `shown` to `wall`. If hosts whose clocks
/// differ take turns, the step back to the slower clock takes back what the faster one has counted too much.
fn stepped(counted: i64, jumped: i64, shown: WallTime, wall: WallTime) -> (i64, i64) {
    let (ahead, back) = (whole_seconds(wall.since(shown)), whole_seconds(shown.since(wall)));
    if back > 0 {
        let undone = back.min(jumped);
        (counted.saturating_sub(back - undone), jumped - undone)
    } else if ahead <= whole_seconds(LONGEST_STEP) {
        (counted.saturating_add(ahead), jumped)
    } else {
        (counted, ahead)
    }
}

fn seconds(time: WallTime) -> i64 {
    time.unix_seconds() as i64
}

fn whole_seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
