//! Clocks that lie, as tables: what counts as time that has passed, and how much may go in a day.

use std::time::SystemTime;

use proptest::prelude::*;

use super::*;
use crate::digest::ConfigHash;
use crate::object_key::HistoryState;

const HOUR: i64 = 3600;
const NOON: i64 = 1_800_000_000;

fn wall(seconds: i64) -> WallTime {
    WallTime::from_system(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs()))
}

fn id(sequence: u64) -> SnapshotId {
    SnapshotId { sequence, config_hash: ConfigHash::from_bytes([7; 16]) }
}

/// A command on some host, of another process each time, whose clock shows this.
fn by_a_command(found: Found, shown: i64) -> Record {
    let reading = Reading::Host { wall: wall(NOON + shown), moment: Moment::default() };
    Record::now(found, reading, &mut Observed::default())
}

/// How much time has surely passed after commands whose clocks showed these hours.
fn counted(hours: &[f64]) -> f64 {
    let mut record = by_a_command(Found::Nothing, 0);
    for shown in hours {
        record = by_a_command(Found::decode(&record.encode()), (shown * HOUR as f64) as i64);
    }
    record.seconds() as f64 / HOUR as f64
}

#[test]
fn what_passes_from_hour_to_hour_counts_and_a_jump_counts_as_nothing() {
    for (what, hours, expected) in [
        ("an exporter that marks each hour", vec![1.0, 2.0, 3.0, 4.0], 4.0),
        ("a clock that is set 26 hours ahead", vec![1.0, 27.0], 1.0),
        ("it stays ahead, and that time passes once more", vec![1.0, 27.0, 28.0, 29.0], 3.0),
        ("and back", vec![1.0, 27.0, 1.1, 2.0], 1.9),
        ("a host that is days behind", vec![1.0, -71.0, 1.0], -71.0),
        ("a host that is days behind, used twice", vec![1.0, -71.0, 1.0, -71.0, 1.0], -71.0),
        ("two hosts, an hour and a half apart, in turns", vec![1.5, 0.0, 1.5, 0.0, 1.5], 1.5),
        ("four hosts, two hours apart and more, in turns", vec![1.9, 3.8, 7.7, 0.0, 1.9, 3.8, 7.7, 0.0], 0.0),
        ("a command a day proves nothing", vec![24.0, 48.0, 72.0], 0.0),
        ("a clock that is ten years ahead once", vec![1.0, 87_600.0, 1.5, 2.5], 2.0),
    ] {
        let found = counted(&hours);
        assert!((found - expected).abs() < 0.01, "{what}: {found} and not {expected}");
    }
}

#[test]
fn what_a_process_has_seen_pass_counts_whatever_the_wall_shows() {
    let mut observed = Observed::default();
    let mut at = |found: Found, hours: i64, shown: i64| {
        let moment = Moment::after_start(Duration::from_secs((hours * HOUR).unsigned_abs()));
        Record::now(found, Reading::Host { wall: wall(NOON + shown * HOUR), moment }, &mut observed)
    };
    let record = at(Found::Nothing, 0, 0);
    let record = at(Found::Record(record), 30, 1000);
    assert_eq!(record.seconds(), 30 * HOUR);
    let record = at(Found::Record(record), 60, -1000);
    assert_eq!(record.seconds(), 60 * HOUR);
    // What another one has marked meanwhile is taken where it is more.
    let another = by_a_command(Found::Record(record), -999 * HOUR);
    assert_eq!(at(Found::Record(another), 60, -998).seconds(), 62 * HOUR);
}

#[test]
fn in_a_folder_a_snapshot_is_as_old_as_it_is_known() {
    let past = |sequence| Past { id: id(sequence), state: HistoryState::Published };
    let mut record = by_a_command(Found::Nothing, 0);
    record.note(&[past(1)]);
    let mut record = by_a_command(Found::decode(&record.encode()), HOUR);
    record.note(&[past(1), past(2)]);
    let record = by_a_command(Found::Record(record), 3 * HOUR);
    // When they say that they were written is the word of some host's clock.
    for written in [wall(0), wall(2 * NOON)] {
        let ages = [1, 2, 3].map(|sequence| record.age(id(sequence), written).1.as_secs() / 3600);
        assert_eq!(ages, [3, 2, 0]);
    }
}

#[test]
fn where_the_store_tells_the_time_its_objects_are_as_old_as_it_says() {
    let reading = Reading::Store(wall(NOON));
    let record = Record::now(Found::Nothing, reading, &mut Observed::default());
    assert_eq!(record.age(id(1), wall(NOON - 100)), (NOON - 100, Duration::from_secs(100)));
    assert_eq!(record.age(id(1), wall(NOON + 100)).1, Duration::ZERO);
}

#[test]
fn a_tenth_goes_in_a_day_whoever_asks() {
    let at = |found, hours| Record::now(found, Reading::Store(wall(NOON + hours * HOUR)), &mut Observed::default());
    let mut record = at(Found::Nothing, 0);
    assert_eq!([1, 9, 10, 11, 30].map(|there| record.allowance(there)), [1, 1, 1, 2, 3]);
    record.spend(2);
    let mut record = at(Found::decode(&record.encode()), 1);
    assert_eq!(record.allowance(28), 1);
    record.spend(1);
    record.give_back(1);
    assert_eq!(record.allowance(28), 1, "what stayed is not counted");
    record.spend(1);
    assert_eq!(at(Found::Record(record.clone()), 23).allowance(27), 0);
    // Of each, a day must have passed.
    assert_eq!(at(Found::Record(record.clone()), 24).allowance(27), 2);
    assert_eq!(at(Found::Record(record), 25).allowance(27), 3);
}

#[test]
fn after_a_record_that_can_not_be_read_a_day_passes_before_anything_goes() {
    let later = Found::decode(br#"{"format":2,"time":{"store":{"seconds":1}}}"#);
    let of_a_folder = Found::Record(by_a_command(Found::Nothing, 0));
    for found in [Found::decode(b"{"), later, of_a_folder] {
        let at = |found, hours| Record::now(found, Reading::Store(wall(NOON + hours * HOUR)), &mut Observed::default());
        let record = at(found, 0);
        assert_eq!(record.allowance(1000), 0);
        let record = Found::decode(&record.encode());
        assert_eq!(at(record.clone(), 23).allowance(1000), 0);
        assert_eq!(at(record, 24).allowance(1000), 100);
    }
}

#[test]
fn a_record_is_written_in_the_form_that_other_versions_read() {
    let mut record = by_a_command(Found::Nothing, 0);
    record.note(&[Past { id: id(4), state: HistoryState::Published }]);
    record.spend(1);
    let form = r#"{"format":1,"time":{"confirmed":{"seconds":0,"shown":"2027-01-15T08:00:00.000Z","jumped":0}},"first_seen":{"4":0},"deleted":[{"at":0,"count":1}]}"#;
    assert_eq!(String::from_utf8(record.encode()).unwrap(), form);
    let later = form.replace(r#""deleted""#, r#""later":1,"deleted""#);
    assert_eq!(Found::decode(later.as_bytes()), Found::Record(record));
}

proptest! {
    // Of hosts whose clocks are off by any amount, in any turns: what is counted is never more than what has passed and
    // what their clocks are apart by less than a jump.
    #[test]
    fn no_turns_of_clocks_that_are_off_make_more_time_than_there_was(
        offsets in prop::collection::vec(-100 * HOUR..100 * HOUR, 1..3),
        turns in prop::collection::vec((0usize..3, 0i64..3 * HOUR), 1..60),
    ) {
        let (mut passed, mut most_apart) = (0, 0);
        let offset = |turn: usize| offsets[turn % offsets.len()];
        for one in &offsets {
            for other in &offsets {
                most_apart = most_apart.max((one - other).abs().min(2 * HOUR));
            }
        }
        let mut record = by_a_command(Found::Nothing, 1_000_000 + offset(turns[0].0));
        for (turn, step) in &turns {
            passed += step;
            record = by_a_command(Found::Record(record), 1_000_000 + passed + offset(*turn));
            prop_assert!(record.seconds() <= passed + most_apart, "{} of {passed}", record.seconds());
        }
    }
}
