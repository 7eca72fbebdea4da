//! What the ledger takes, refuses and forgets.

use std::time::SystemTime;

use proptest::prelude::*;

use super::*;
use crate::report::{ControlPlane, Counters, FORMAT, Reachability};

const KEY: &str = "0123456789abcdef";
const WALL_MS: u64 = 1_795_169_515_000;

fn keys() -> Vec<ReportKey> {
    ReportKey::list(KEY).unwrap()
}

fn wall() -> WallTime {
    WallTime::from_system(SystemTime::UNIX_EPOCH + Duration::from_millis(WALL_MS))
}

fn at(seconds: u64) -> Moment {
    Moment::after_start(Duration::from_secs(seconds))
}

fn report(worker: u64, sequence: u64) -> Report {
    Report {
        format: FORMAT,
        node: Some("dp-1".to_owned()),
        kong_node_id: None,
        worker: format!("{worker:016x}"),
        sequence,
        sent_at_ms: WALL_MS,
        interval_s: 10,
        configured_at_ms: None,
        filter_version: "0.1.0".to_owned(),
        kong_version: Some("3.9.1".to_owned()),
        config_hash: Some("3ff47162e7a7ce1344f336316b66484e".parse().unwrap()),
        status_api: None,
        control_plane: None,
        problems: Vec::new(),
        since_acknowledged: Counters::default(),
    }
}

fn take(ledger: &mut Ledger, report: &Report, seconds: u64) -> Result<Taken, Refusal> {
    let body = serde_json::to_vec(report).unwrap();
    let signature = keys()[0].signature(&body);
    ledger.take(&body, Some(signature.as_bytes()), &keys(), wall(), at(seconds))
}

fn shown(ledger: &Ledger) -> Vec<(String, u64)> {
    ledger.workers().map(|(name, newest)| (name.worker.clone(), newest.report.sequence)).collect()
}

#[test]
fn the_newest_of_each_worker_is_kept() {
    let mut ledger = Ledger::default();
    for (worker, sequence) in [(1, 1), (2, 1), (1, 2)] {
        assert!(matches!(take(&mut ledger, &report(worker, sequence), 0), Ok(Taken::Kept(_))));
    }
    assert_eq!(shown(&ledger), [(format!("{:016x}", 1), 2), (format!("{:016x}", 2), 1)]);
    assert_eq!((ledger.tally().accepted, ledger.tally().refused.len()), (3, 0));
}

#[test]
fn a_report_that_comes_again_is_refused_even_after_its_worker_was_forgotten() {
    let mut ledger = Ledger::default();
    let fast = Report { interval_s: 1, ..report(1, 7) };
    take(&mut ledger, &fast, 0).unwrap();
    assert_eq!(take(&mut ledger, &fast, 1), Err(Refusal::Replayed));
    assert_eq!(take(&mut ledger, &Report { sequence: 6, ..fast.clone() }, 1), Err(Refusal::Replayed));
    assert_eq!(ledger.fall_silent(at(5)).len(), 1);
    assert_eq!(take(&mut ledger, &fast, 200), Err(Refusal::Replayed));
    assert_eq!(ledger.tally().refused, BTreeMap::from([("replayed", 3)]));
}

#[test]
fn a_worker_is_forgotten_after_five_intervals_of_silence_and_said_once() {
    let mut ledger = Ledger::default();
    take(&mut ledger, &report(1, 1), 0).unwrap();
    take(&mut ledger, &report(2, 1), 30).unwrap();
    assert_eq!(ledger.fall_silent(at(49)), []);
    let silent = ledger.fall_silent(at(50));
    assert_eq!((silent.len(), silent[0].worker.as_str()), (1, "0000000000000001"));
    assert_eq!(ledger.fall_silent(at(51)), []);
    assert_eq!(shown(&ledger), [(format!("{:016x}", 2), 1)]);
    take(&mut ledger, &report(1, 2), 60).unwrap();
    assert_eq!(shown(&ledger).len(), 2, "one that reports again is there again");
    ledger.fall_silent(at(10_000));
    assert_eq!(ledger.workers.len(), 0, "nothing is remembered for ever");
}

/// A report of an instance in a Kong with this id.
fn report_of(node: &str, worker: u64, sequence: u64) -> Report {
    Report { kong_node_id: Some(node.to_owned()), ..report(worker, sequence) }
}

fn sees(state: Reachability) -> Option<ControlPlane> {
    Some(ControlPlane { state, since_ms: WALL_MS })
}

/// Kong's instances of a chain that was deleted and made anew: one in each of two workers, and one of before, which goes
/// on with the settings of before, its own name for the node among them.
#[test]
fn a_node_counts_once_and_the_instance_with_the_newest_settings_speaks_for_it() {
    let mut ledger = Ledger::default();
    let old = Report {
        node: Some("before".to_owned()),
        configured_at_ms: Some(WALL_MS - 90_000),
        control_plane: sees(Reachability::Refused),
        ..report_of("0b1c", 1, 1)
    };
    let new = |worker| Report {
        configured_at_ms: Some(WALL_MS - 10_000),
        control_plane: sees(Reachability::Reachable),
        ..report_of("0b1c", worker, 1)
    };
    for report in [new(2), new(3), old, report_of("another", 4, 1)] {
        take(&mut ledger, &report, 0).unwrap();
    }
    let nodes: Vec<_> = ledger.nodes().map(|node| (node.name, node.instances)).collect();
    assert_eq!(nodes, [("0b1c".to_owned(), 3), ("another".to_owned(), 1)]);
    let node = ledger.node("0b1c").unwrap();
    assert_eq!(node.control_plane, sees(Reachability::Reachable), "the old one came last and doesn't count");
    assert_eq!((node.kong_version.as_deref(), ledger.node("0b")), (Some("3.9.1"), None));
    assert_eq!(ledger.workers().count(), 4);
}

#[test]
fn what_a_node_runs_is_what_its_newest_report_says_that_knows() {
    let mut ledger = Ledger::default();
    let mut take_later = |report: &Report, later: u64| {
        let body = serde_json::to_vec(report).unwrap();
        let signature = keys()[0].signature(&body);
        ledger
            .take(&body, Some(signature.as_bytes()), &keys(), wall() + Duration::from_secs(later), at(later))
            .unwrap();
        ledger.node("0b1c").unwrap().config_hash.map(|hash| hash.to_string()[..1].to_owned())
    };
    let runs = |worker, digit: &str| Report {
        config_hash: Some(digit.repeat(32).parse().unwrap()),
        ..report_of("0b1c", worker, 1)
    };
    let unknown = Report { config_hash: None, configured_at_ms: Some(WALL_MS), ..report_of("0b1c", 9, 1) };
    assert_eq!(take_later(&unknown, 1), None);
    assert_eq!(take_later(&runs(1, "1"), 2).as_deref(), Some("1"));
    assert_eq!(take_later(&runs(2, "2"), 3).as_deref(), Some("2"));
    let unknown = Report { sequence: 2, ..unknown };
    assert_eq!(take_later(&unknown, 4).as_deref(), Some("2"), "one that doesn't know takes nothing back");
}

#[test]
fn a_node_is_there_as_long_as_one_of_its_instances_reports() {
    let mut ledger = Ledger::default();
    take(&mut ledger, &report_of("0b1c", 1, 1), 0).unwrap();
    take(&mut ledger, &report_of("0b1c", 2, 1), 30).unwrap();
    ledger.fall_silent(at(50));
    assert_eq!(ledger.node("0b1c").map(|node| node.instances), Some(1));
    ledger.fall_silent(at(80));
    assert_eq!((ledger.node("0b1c"), ledger.nodes().count()), (None, 0));
}

#[test]
fn an_instance_that_claims_to_be_configured_in_the_future_does_not_speak_for_ever() {
    let mut ledger = Ledger::default();
    let claims = |worker, configured_at_ms, state| Report {
        configured_at_ms: Some(configured_at_ms),
        control_plane: sees(state),
        ..report_of("0b1c", worker, 1)
    };
    take(&mut ledger, &claims(1, u64::MAX, Reachability::Refused), 0).unwrap();
    let later = Report { sent_at_ms: WALL_MS + 1000, ..claims(2, WALL_MS + 1000, Reachability::Reachable) };
    take(&mut ledger, &later, 1).unwrap();
    assert_eq!(ledger.node("0b1c").unwrap().control_plane, sees(Reachability::Reachable));
}

/// An Envoy has no id; two of the same name can't be told apart, and one without a name can't be put together.
#[test]
fn a_gateway_without_an_id_goes_by_its_name_and_else_by_its_instances() {
    let mut ledger = Ledger::default();
    for report in [report(1, 1), report(2, 1)] {
        take(&mut ledger, &report, 0).unwrap();
        take(&mut ledger, &Report { node: None, worker: report.worker.replace('0', "a"), ..report.clone() }, 0)
            .unwrap();
    }
    let counted: Vec<_> = ledger.nodes().map(|node| (node.name.len(), node.instances)).collect();
    assert_eq!(counted, [(16, 1), (16, 1), (4, 2)]);
}

#[test]
fn only_what_a_key_has_signed_is_believed() {
    let mut ledger = Ledger::default();
    let body = serde_json::to_vec(&report(1, 1)).unwrap();
    let wrong = ReportKey::new("fedcba9876543210").unwrap().signature(&body);
    let mut result = |signature: Option<&[u8]>, keys: &[ReportKey]| ledger.take(&body, signature, keys, wall(), at(0));
    assert_eq!(result(None, &keys()), Err(Refusal::Unsigned));
    assert_eq!(result(Some(wrong.as_bytes()), &keys()), Err(Refusal::BadSignature));
    assert_eq!(result(None, &[]), Ok(Taken::Counted));
    assert_eq!(result(Some(wrong.as_bytes()), &[]), Ok(Taken::Counted));
    assert_eq!((ledger.tally().counted_only, ledger.tally().accepted, shown(&ledger).len()), (2, 0, 0));
    assert_eq!(ledger.tally().refused, BTreeMap::from([("unsigned", 1), ("bad_signature", 1)]));
}

#[test]
fn a_time_that_is_more_than_five_minutes_off_is_refused() {
    let mut ledger = Ledger::default();
    for (sequence, sent_at_ms, accepted) in [
        (1, WALL_MS - 300_000, true),
        (2, WALL_MS + 300_000, true),
        (3, WALL_MS - 300_001, false),
        (4, WALL_MS + 300_001, false),
        (5, 0, false),
        (6, u64::MAX, false),
    ] {
        let taken = take(&mut ledger, &Report { sent_at_ms, ..report(1, sequence) }, 0);
        assert_eq!(taken.is_ok(), accepted, "{sent_at_ms}: {taken:?}");
    }
}

#[test]
fn what_is_too_long_or_no_report_or_of_another_format_is_refused() {
    let mut ledger = Ledger::default();
    let mut result = |body: &[u8]| {
        let signature = keys()[0].signature(body);
        ledger.take(body, Some(signature.as_bytes()), &keys(), wall(), at(0)).unwrap_err()
    };
    assert_eq!(result(&vec![b' '; MAX_REPORT + 1]), Refusal::TooLarge);
    assert_eq!(result(br#"{"format":2,"other":true}"#), Refusal::UnknownFormat(2));
    let one = report(1, 1);
    for wrong in [
        Report { worker: "1".to_owned(), ..one.clone() },
        Report { interval_s: 0, ..one.clone() },
        Report { interval_s: 3601, ..one.clone() },
        Report { node: Some("x".repeat(129)), ..one.clone() },
        Report { kong_version: Some("3.9\n".to_owned()), ..one },
    ] {
        assert!(matches!(result(&serde_json::to_vec(&wrong).unwrap()), Refusal::Malformed(_)), "{wrong:?}");
    }
    for wrong in ["", "{}", "[]", "null", r#"{"format":1}"#] {
        assert!(matches!(result(wrong.as_bytes()), Refusal::Malformed(_)), "{wrong}");
    }
}

#[test]
fn workers_beyond_the_bound_are_refused_and_known_ones_are_not() {
    let mut ledger = Ledger::default();
    for worker in 0..MOST_WORKERS as u64 {
        take(&mut ledger, &report(worker, 1), 0).unwrap();
    }
    assert_eq!(take(&mut ledger, &report(u64::MAX, 1), 0), Err(Refusal::Full));
    assert!(take(&mut ledger, &report(5, 2), 0).is_ok());
    ledger.fall_silent(at(3600));
    assert!(take(&mut ledger, &report(u64::MAX, 1), 3600).is_ok());
}

#[test]
fn of_a_report_only_so_much_is_kept() {
    let mut ledger = Ledger::default();
    let problems = vec!["x\u{1b}".repeat(500); 10];
    let name = match take(&mut ledger, &Report { problems, ..report(1, 1) }, 0) {
        Ok(Taken::Kept(name)) => name,
        other => panic!("{other:?}"),
    };
    let kept = &ledger.newest(&name).unwrap().report.problems;
    assert_eq!(kept.len(), 8);
    assert!(kept.iter().all(|problem| problem.len() == 400 && !problem.contains('\u{1b}')));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(body: Vec<u8>, signature: Option<Vec<u8>>) {
        let mut ledger = Ledger::default();
        prop_assert!(ledger.take(&body, signature.as_deref(), &keys(), wall(), at(0)).is_err());
        let signature = keys()[0].signature(&body);
        let _ = ledger.take(&body, Some(signature.as_bytes()), &keys(), wall(), at(0));
    }

    #[test]
    fn a_report_with_any_byte_changed_is_refused(position: prop::sample::Index, bit in 0u32..8) {
        let mut body = serde_json::to_vec(&report(1, 1)).unwrap();
        let signature = keys()[0].signature(&body);
        let position = position.index(body.len());
        body[position] ^= 1 << bit;
        let refused = Ledger::default().take(&body, Some(signature.as_bytes()), &keys(), wall(), at(0));
        prop_assert_eq!(refused, Err(Refusal::BadSignature));
    }
}
