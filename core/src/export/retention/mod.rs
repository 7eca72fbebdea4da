//! Retention: which snapshots of the history may be deleted. All of the last day stay, then one an hour for a week,
//! then one a day, and no more than the operator wants. Whatever their age and number, these stay: the published one
//! and later ones, the last good one before it, the last good one before each held one, and held ones of the
//! configuration that the control plane has now. How many are deleted at once, and how often, is said here, too. How
//! old snapshots certainly are is in [`record`]. The archive deletes them.

pub mod record;

use std::time::Duration;

use super::history::Past;
use crate::digest::ConfigHash;
use crate::object_key::{HistoryState, SnapshotId};
use crate::time::WallTime;

/// How many snapshots stay at most unless `LIFEBOAT_HISTORY` says otherwise: one an hour for a week beside one a day
/// for most of a year.
pub const DEFAULT_LIMIT: usize = 500;
/// The pause after an exporter has pruned.
pub const PRUNE_INTERVAL: Duration = HOUR;
/// How many snapshots an exporter deletes in one turn at most. If more are due, that takes several turns.
pub const MOST_A_TURN: usize = 100;
/// The pause if something is left for another turn.
pub const BETWEEN_TURNS: Duration = Duration::from_secs(15);
/// An exporter deletes at most one of so many snapshots in a day.
const ONE_A_DAY_OF: usize = 10;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Until which age one snapshot an hour stays.
const HOURLY: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A snapshot and its age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aged {
    /// The snapshot, and what became of it.
    pub past: Past,
    /// When it was written, by the clock of the store or of the host that wrote it.
    pub written: WallTime,
    /// When it was first seen, in seconds of the scale by which ages are measured.
    pub first_seen: i64,
    /// The age that it certainly has.
    pub age: Duration,
}

/// The snapshots that may be deleted, oldest first.
///
/// `history` is sorted by sequence, oldest first, and may lack what a listing doesn't show yet. `published` is the
/// sequence that the manifest names. `newest` is the configuration that the control plane has now, if that is known: a
/// held snapshot of it stays, because it is not stored again, and an operator may release it. At most `limit` other
/// snapshots stay (`LIFEBOAT_HISTORY`); leftovers of a crash are not counted. If nothing is published, nothing is
/// deleted, because it is unknown which snapshots are good.
pub fn expendable(
    history: &[Aged],
    published: Option<u64>,
    newest: Option<ConfigHash>,
    limit: usize,
) -> Vec<SnapshotId> {
    let Some(published) = published else { return Vec::new() };
    let spared = spared(history, published);
    let mut stays = after_periods(history, &spared);
    let counts = |index: usize| history[index].past.state != HistoryState::Leftover;

    let mut too_many = (0..stays.len()).filter(|index| stays[*index] && counts(*index)).count().saturating_sub(limit);
    for index in 0..stays.len() {
        if too_many > 0 && stays[index] && counts(index) && !spared[index] {
            stays[index] = false;
            too_many -= 1;
        }
    }

    let goes = history.iter().zip(&stays).filter(|(_, stays)| !**stays).map(|(aged, _)| aged.past);
    let may_be_released = |past: &Past| past.state.is_held() && newest == Some(past.id.config_hash);
    goes.filter(|past| !may_be_released(past)).map(|past| past.id).collect()
}

/// The snapshots that stay whatever their age: the published one and all later ones; the newest good one before it,
/// which is the fallback if it is damaged; and the newest good one before each held one, with which an operator
/// compares that.
fn spared(history: &[Aged], published: u64) -> Vec<bool> {
    let mut spared: Vec<bool> = history.iter().map(|aged| aged.past.id.sequence >= published).collect();
    // The one before the published one is found by its number, because a listing may not show the published one yet.
    let is_good_before = |aged: &Aged| aged.past.state == HistoryState::Published && aged.past.id.sequence < published;
    if let Some(good) = history.iter().rposition(is_good_before) {
        spared[good] = true;
    }
    let mut newest_good = None;

    for (index, aged) in history.iter().enumerate() {
        if aged.past.state.is_held()
            && let Some(good) = newest_good
        {
            let spare: &mut bool = &mut spared[good];
            *spare = true;
        }
        if aged.past.state == HistoryState::Published {
            newest_good = Some(index);
        }
    }
    spared
}

/// The snapshots that stay because of their age: the newest of each period. A leftover of a crash stays for a day, because
/// another exporter may still be working on it.
fn after_periods(history: &[Aged], spared: &[bool]) -> Vec<bool> {
    let mut stays = vec![false; history.len()];
    let mut newer_period = None;

    for (index, aged) in history.iter().enumerate().rev() {
        if spared[index] || aged.age < DAY {
            stays[index] = true;
        } else if aged.past.state != HistoryState::Leftover {
            // Periods are hours and days of the calendar, not of the age. Otherwise each run would choose other
            // snapshots.
            let length = if aged.age < HOURLY { HOUR } else { DAY };
            let written = (aged.written.unix_seconds() / length.as_secs_f64()) as u64;
            // Two snapshots are of one period only if both scales say so. Neither is enough: all that are older than the
            // record were first seen at the same time, and a host's clock may be wrong.
            let period = (length, written, aged.first_seen.div_euclid(length.as_secs() as i64));
            stays[index] = newer_period != Some(period);
            newer_period = Some(period);
        }
    }
    stays
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use proptest::prelude::*;

    use super::*;
    use crate::digest::ConfigHash;

    const NOW: u64 = 1_800_000_000;

    fn at(seconds_ago: u64) -> WallTime {
        WallTime::from_system(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW - seconds_ago))
    }

    fn aged(sequence: u64, state: HistoryState, seconds_ago: u64) -> Aged {
        let id = SnapshotId { sequence, config_hash: ConfigHash::from_bytes([7; 16]) };
        let (written, age) = (at(seconds_ago), Duration::from_secs(seconds_ago));
        Aged { past: Past { id, state }, written, first_seen: written.unix_seconds() as i64, age }
    }

    /// The sequences that stay of a history of these ages, the last of which is published.
    fn staying(history: &[Aged], limit: usize) -> Vec<u64> {
        let published = history.last().map(|aged| aged.past.id.sequence);
        let gone = expendable(history, published, None, limit);
        history.iter().map(|aged| aged.past.id).filter(|id| !gone.contains(id)).map(|id| id.sequence).collect()
    }

    fn every(step: u64, count: u64) -> Vec<Aged> {
        (0..count).map(|index| aged(index + 1, HistoryState::Published, (count - 1 - index) * step)).collect()
    }

    #[test]
    fn all_of_a_day_stay_then_one_an_hour_then_one_a_day() {
        // One each ten minutes for thirty days.
        let history = every(600, 30 * 144);
        let stay = staying(&history, 100_000);
        let ages = |from: u64, to: u64| {
            let is_within = |sequence: &&u64| {
                let age = (30 * 144 - **sequence) * 600;
                (from * 86_400..to * 86_400).contains(&age)
            };
            stay.iter().filter(is_within).count()
        };
        assert_eq!(ages(0, 1), 144);
        assert!((6 * 24..=6 * 24 + 1).contains(&ages(1, 7)), "{}", ages(1, 7));
        assert!((23..=24).contains(&ages(7, 30)), "{}", ages(7, 30));
    }

    #[test]
    fn the_oldest_go_first_when_there_are_too_many() {
        assert_eq!(staying(&every(60, 10), 4), [7, 8, 9, 10]);
        // What is spared stays even then.
        assert_eq!(staying(&every(60, 10), 0), [9, 10]);
    }

    #[test]
    fn the_newest_good_one_before_a_held_one_and_before_the_published_one_stay() {
        let old = 40 * 86_400;
        let history = [
            aged(1, HistoryState::Published, old),
            aged(2, HistoryState::Published, old - 60),
            aged(3, HistoryState::HeldAsShrunk, old - 120),
            aged(4, HistoryState::Published, old - 180),
            aged(5, HistoryState::Leftover, old - 240),
            aged(6, HistoryState::Published, old - 300),
        ];
        assert_eq!(staying(&history, 0), [2, 4, 6]);
    }

    #[test]
    fn a_leftover_stays_for_a_day() {
        let leftover = |age| [aged(1, HistoryState::Leftover, age), aged(2, HistoryState::Published, 0)];
        assert_eq!(staying(&leftover(86_399), 9), [1, 2]);
        assert_eq!(staying(&leftover(86_400), 9), [2]);
    }

    #[test]
    fn what_may_still_be_somebodys_work_neither_goes_nor_counts_when_there_are_too_many() {
        let mut history = every(60, 6);
        history[1].past.state = HistoryState::Leftover;
        history[3].past.state = HistoryState::Leftover;
        assert_eq!(staying(&history, 3), [2, 3, 4, 5, 6]);
        assert_eq!(staying(&history, 2), [2, 4, 5, 6]);
    }

    #[test]
    fn the_one_before_the_published_one_stays_also_where_the_listing_lacks_the_published_one() {
        let history = [
            aged(4, HistoryState::Published, 300),
            aged(5, HistoryState::Published, 200),
            aged(6, HistoryState::Leftover, 100),
        ];
        let gone = expendable(&history, Some(7), None, 0);
        assert_eq!(gone.iter().map(|id| id.sequence).collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn a_held_one_of_what_the_control_plane_has_now_stays_until_that_changes() {
        let old = |sequence, state| aged(sequence, state, 30 * 86_400 + 100 - sequence);
        let history = [
            old(1, HistoryState::Published),
            old(2, HistoryState::HeldAsShrunk),
            old(3, HistoryState::Published),
            aged(4, HistoryState::Published, 0),
        ];
        let newest = ConfigHash::from_bytes([7; 16]);
        for (newest, expected) in [(Some(newest), vec![]), (Some(ConfigHash::EMPTY), vec![2]), (None, vec![2])] {
            let gone = expendable(&history, Some(4), newest, 0);
            assert_eq!(gone.iter().map(|id| id.sequence).collect::<Vec<_>>(), expected, "{newest:?}");
        }
    }

    #[test]
    fn clocks_of_hosts_neither_make_a_snapshot_old_nor_put_two_into_one_period() {
        // All say that they are a year old, and all were first seen within a minute.
        let young = |sequence| Aged { age: DAY / 2, ..aged(sequence, HistoryState::Published, 365 * 86_400) };
        assert_eq!(staying(&[young(1), young(2), young(3), young(4)], 9), [1, 2, 3, 4]);
        // Known for two days, one after the other; the clocks put all into one hour, or the record did.
        let known = |sequence: u64, seen: u64, written| Aged {
            first_seen: (NOW - seen) as i64,
            age: Duration::from_secs(seen),
            ..aged(sequence, HistoryState::Published, written)
        };
        let one_hour_of_clocks =
            [known(1, 190_000, 500), known(2, 180_000, 500), known(3, 100_000, 500), known(4, 0, 0)];
        assert_eq!(staying(&one_hour_of_clocks, 9), [1, 2, 3, 4]);
        let one_hour_of_the_record = [190_000, 180_000, 100_000].map(|written| known(1, 180_000, written));
        let numbered = [1, 2, 3].map(|sequence| {
            let aged = one_hour_of_the_record[sequence as usize - 1];
            Aged { past: known(sequence, 0, 0).past, ..aged }
        });
        assert_eq!(staying(&[&numbered[..], &[known(4, 0, 0)]].concat(), 9), [1, 2, 3, 4]);
    }

    #[test]
    fn nothing_goes_while_it_is_not_known_what_is_published() {
        assert_eq!(expendable(&every(86_400, 100), None, None, 0), []);
    }

    fn states() -> impl Strategy<Value = HistoryState> {
        prop_oneof![
            Just(HistoryState::Published),
            Just(HistoryState::HeldAsShrunk),
            Just(HistoryState::HeldAsRefused),
            Just(HistoryState::Leftover)
        ]
    }

    proptest! {
        #[test]
        fn what_is_published_newer_of_the_last_day_or_compared_with_a_held_one_is_not_touched(
            steps in prop::collection::vec((states(), 0u64..200_000), 1..80), chosen in any::<prop::sample::Index>(),
            limit in 0usize..100,
        ) {
            let mut age: u64 = steps.iter().map(|(_, step)| step).sum();
            let history: Vec<Aged> = steps
                .iter()
                .enumerate()
                .map(|(index, (state, step))| {
                    age -= step;
                    aged(index as u64 + 1, *state, age)
                })
                .collect();
            let published = history[chosen.index(history.len())].past.id.sequence;
            let gone = expendable(&history, Some(published), None, limit);
            let rest: Vec<Aged> = history.iter().filter(|aged| !gone.contains(&aged.past.id)).copied().collect();
            let mut good = None;
            for aged in &history {
                let is_recent = aged.age < DAY;
                let is_wanted = limit >= history.len() || aged.past.state == HistoryState::Leftover;
                let must_stay = is_recent && is_wanted || aged.past.id.sequence >= published;
                prop_assert!(!must_stay || rest.contains(aged), "{aged:?}");
                if aged.past.state.is_held() && rest.contains(aged) {
                    prop_assert!(good.is_none_or(|good| rest.contains(good)), "{good:?} before {aged:?}");
                }
                good = if aged.past.state == HistoryState::Published { Some(aged) } else { good };
            }
        }
    }
}
