//! What the reporter does, told as what a host does to it.

mod any_order;
mod control_plane;
mod permission;

use super::*;
use crate::report::{AnswerBody, ReportKey};

const STATUS: &[u8] = include_bytes!("../../../../tests/data/kong-3.9.1/status.json");
const ROOT: u32 = 1;

fn settings() -> FilterSettings {
    FilterSettings::read(br#"{"companion":"10.0.0.5:8115","status_api":"127.0.0.1:8100","node":"dp-1"}"#)
}

const EVERYTHING: &[u8] =
    br#"{"companion":"10.0.0.5:8115","status_api":"127.0.0.1:8100","control_plane":"10.0.0.9:8005",
    "node":"dp-1","report_key":"0123456789abcdef","response_header":"x-lifeboat"}"#;

/// Settings with all that can be set.
fn everything() -> FilterSettings {
    let settings = FilterSettings::read(EVERYTHING);
    assert_eq!(settings.problems, []);
    settings
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_169_515 + seconds)
}

fn answer(status: &str, body: &[u8]) -> Answer {
    Answer {
        status: Some(status.into()),
        server: Some(b"kong/3.9.1".to_vec()),
        body: AnswerBody::Whole(body.to_vec()),
        ..Answer::default()
    }
}

fn failed(reason: &str) -> Answer {
    Answer { dispatch_status: Some(reason.into()), ..Answer::default() }
}

/// One that a request has told to be in Kong 3.9.1.
fn acting() -> Reporter {
    let mut reporter = Reporter::new(0xff);
    assert_eq!(reporter.learn_version(Some(b"3.9.1")), None);
    reporter
}

fn reporter() -> Reporter {
    let mut reporter = acting();
    reporter.configure(ROOT, settings());
    reporter
}

/// What a tick leads to, metrics aside.
fn tick(reporter: &mut Reporter, root: u32, now: SystemTime) -> Vec<Action> {
    let mut actions = reporter.on_tick(root, now);
    actions.retain(|action| !matches!(action, Action::Record(..)));
    actions
}

fn calls(actions: &[Action]) -> Vec<&Call> {
    let dispatched = actions.iter().filter_map(|action| match action {
        Action::Dispatch(call) => Some(call),
        Action::Log(_) | Action::Record(..) => None,
    });
    dispatched.collect()
}

fn report(actions: &[Action]) -> Report {
    let [call] = calls(actions)[..] else { panic!("not one call: {actions:?}") };
    report_in(call)
}

fn report_in(call: &Call) -> Report {
    assert_eq!(call.kind, CallKind::Report);
    serde_json::from_slice(call.body.as_deref().unwrap()).unwrap()
}

/// A tick that asks, whose status call gets `status_answer`; gives the line that this leads to.
fn ask(reporter: &mut Reporter, seconds: u64, token: u32, status_answer: &Answer) -> Option<LogLine> {
    let actions = tick(reporter, ROOT, at(seconds));
    let [Action::Dispatch(call)] = &actions[..] else { panic!("not one question: {actions:?}") };
    assert_eq!(call.kind, CallKind::Status);
    assert_eq!(reporter.on_dispatched(CallKind::Status, Some(token)), None);
    reporter.on_answer(token, status_answer)
}

#[test]
fn one_tick_asks_and_the_next_reports_what_the_node_runs() {
    let mut reporter = reporter();
    assert_eq!(ask(&mut reporter, 5, 7, &answer("200", STATUS)), None);
    let report = report(&tick(&mut reporter, ROOT, at(10)));
    assert_eq!(report.config_hash.unwrap().to_string(), "3ff47162e7a7ce1344f336316b66484e");
    assert_eq!((report.format, report.sequence, report.interval_s), (1, 1, 10));
    assert_eq!((report.worker.as_str(), report.node.as_deref()), ("00000000000000ff", Some("dp-1")));
    assert_eq!(report.kong_version.as_deref(), Some("3.9.1"));
    assert_eq!(report.sent_at_ms, 1_795_169_525_000, "when it was sent, not when it was learnt");
    assert_eq!((report.status_api, report.problems.len()), (None, 0));
    reporter.on_dispatched(CallKind::Report, Some(8));
    reporter.on_answer(8, &answer("204", b""));
    let next = tick(&mut reporter, ROOT, at(15));
    assert_eq!(calls(&next)[0].kind, CallKind::Status, "what was told is not told again");
    assert_eq!(next.len(), 1);
}

#[test]
fn a_status_api_that_fails_is_reported_and_no_hash_is_guessed() {
    let mut reporter = reporter();
    ask(&mut reporter, 5, 1, &answer("200", STATUS));
    tick(&mut reporter, ROOT, at(10));
    reporter.on_dispatched(CallKind::Report, Some(2));
    reporter.on_answer(2, &answer("204", b""));
    let line = ask(&mut reporter, 15, 3, &failed("timeout")).unwrap();
    assert!(line.text.contains("127.0.0.1:8100"), "{line:?}");
    let report = report(&tick(&mut reporter, ROOT, at(20)));
    assert_eq!((report.config_hash, report.status_api), (None, Some(CallFailure::Timeout)));
    assert_eq!(report.problems, ["status_api 127.0.0.1:8100: it did not answer in time"]);
    assert_eq!(report.since_acknowledged.status_failed, 1);
}

#[test]
fn what_an_unreachable_companion_missed_is_counted_until_it_answers() {
    let mut reporter = reporter();
    let mut token = 0;
    for (second, lost) in [(5, 0), (15, 1), (25, 2)] {
        ask(&mut reporter, second, token, &answer("200", STATUS));
        let sent = report(&tick(&mut reporter, ROOT, at(second + 5)));
        assert_eq!(sent.since_acknowledged.reports_failed, lost);
        reporter.on_dispatched(CallKind::Report, Some(token + 1));
        let line = reporter.on_answer(token + 1, &failed("broken connection"));
        assert_eq!(line.is_some(), second == 5, "an outage is logged once");
        token += 2;
    }
    ask(&mut reporter, 35, token, &answer("200", STATUS));
    let sent = report(&tick(&mut reporter, ROOT, at(40)));
    assert_eq!((sent.sequence, sent.since_acknowledged.reports_failed), (4, 3));
    reporter.on_dispatched(CallKind::Report, Some(99));
    let line = reporter.on_answer(99, &answer("204", b"")).unwrap();
    assert!(line.text.contains("again"), "{line:?}");
    ask(&mut reporter, 45, 100, &answer("200", STATUS));
    let next = report(&tick(&mut reporter, ROOT, at(50)));
    assert_eq!(next.since_acknowledged, Counters::default());
}

#[test]
fn what_is_learnt_while_a_report_is_under_way_waits_and_only_the_newest_does() {
    let mut reporter = reporter();
    ask(&mut reporter, 5, 1, &failed("timeout"));
    report(&tick(&mut reporter, ROOT, at(10)));
    reporter.on_dispatched(CallKind::Report, Some(2));
    ask(&mut reporter, 15, 3, &failed("timeout"));
    assert_eq!(tick(&mut reporter, ROOT, at(20)), [], "a report is under way");
    ask(&mut reporter, 25, 4, &answer("200", STATUS));
    reporter.on_answer(2, &answer("204", b""));
    let waited = report(&tick(&mut reporter, ROOT, at(30)));
    assert_eq!((waited.sequence, waited.status_api), (2, None));
    assert_eq!(waited.config_hash.unwrap().to_string(), "3ff47162e7a7ce1344f336316b66484e");
    assert_eq!(waited.since_acknowledged.status_failed, 1, "of the two, one was told");
}

#[test]
fn at_most_one_call_of_a_kind_is_under_way_and_a_lost_callback_wedges_nothing() {
    let mut reporter = reporter();
    assert_eq!(calls(&tick(&mut reporter, ROOT, at(5))).len(), 1);
    reporter.on_dispatched(CallKind::Status, Some(1));
    for second in [10, 15, 20, 25, 30, 35] {
        assert_eq!(tick(&mut reporter, ROOT, at(second)), [], "the status call is under way");
    }
    let actions = tick(&mut reporter, ROOT, at(40));
    let [lost, question] = calls(&actions)[..] else { panic!("not two calls: {actions:?}") };
    assert_eq!(report_in(lost).status_api, Some(CallFailure::NoAnswer));
    assert_eq!(question.kind, CallKind::Status);
    assert_eq!(reporter.on_answer(1, &answer("200", STATUS)), None);
    reporter.on_dispatched(CallKind::Report, Some(2));
    reporter.on_answer(2, &answer("204", b""));
    assert_eq!(tick(&mut reporter, ROOT, at(45)), [], "an answer that came too late is not told");
}

#[test]
fn a_report_whose_callback_was_lost_is_counted_and_the_next_one_sent() {
    let mut reporter = reporter();
    ask(&mut reporter, 5, 1, &answer("200", STATUS));
    report(&tick(&mut reporter, ROOT, at(10)));
    reporter.on_dispatched(CallKind::Report, Some(2));
    for (second, token) in [(15, 3), (25, 4), (35, 5)] {
        ask(&mut reporter, second, token, &answer("200", STATUS));
        if second < 35 {
            assert_eq!(tick(&mut reporter, ROOT, at(second + 5)), [], "the report is under way");
        }
    }
    assert_eq!(tick(&mut reporter, ROOT, at(40)), [], "three intervals are not too many");
    let actions = tick(&mut reporter, ROOT, at(45));
    let [next, question] = calls(&actions)[..] else { panic!("not two calls: {actions:?}") };
    assert_eq!(report_in(next).since_acknowledged.reports_failed, 1);
    assert_eq!(question.kind, CallKind::Status);
}

#[test]
fn a_call_that_the_host_refuses_is_reported_once() {
    let mut reporter = reporter();
    tick(&mut reporter, ROOT, at(5));
    assert!(reporter.on_dispatched(CallKind::Status, None).is_some());
    let actions = tick(&mut reporter, ROOT, at(10));
    assert_eq!(report(&actions).status_api, Some(CallFailure::NotSent));
    assert!(reporter.on_dispatched(CallKind::Report, None).is_some());
    assert_eq!(reporter.on_dispatched(CallKind::Report, None), None);
    assert_eq!(tick(&mut reporter, ROOT, at(11)), [], "a refused report is not tried again");
    ask(&mut reporter, 15, 1, &answer("200", STATUS));
    let next = report(&tick(&mut reporter, ROOT, at(20)));
    assert_eq!(next.since_acknowledged, Counters { status_failed: 1, reports_failed: 1, ..Counters::default() });
}

#[test]
fn only_the_newest_root_works_and_what_an_old_one_asked_or_learnt_is_forgotten() {
    let mut reporter = reporter();
    tick(&mut reporter, ROOT, at(5));
    reporter.on_dispatched(CallKind::Status, Some(1));
    reporter.configure(2, settings());
    assert_eq!(reporter.on_answer(1, &answer("200", STATUS)), None);
    assert_eq!(tick(&mut reporter, ROOT, at(10)), []);
    let actions = tick(&mut reporter, 2, at(10));
    assert_eq!((calls(&actions).len(), calls(&actions)[0].kind), (1, CallKind::Status));
    reporter.on_dispatched(CallKind::Status, Some(2));
    reporter.on_answer(2, &answer("200", STATUS));
    reporter.configure(3, settings());
    let actions = tick(&mut reporter, 3, at(15));
    assert_eq!((calls(&actions).len(), calls(&actions)[0].kind), (1, CallKind::Status));
}

#[test]
fn a_clock_set_back_stops_neither_questions_nor_reports_nor_patience() {
    let mut reporter = reporter();
    ask(&mut reporter, 50_000, 1, &answer("200", STATUS));
    assert_eq!(report(&tick(&mut reporter, ROOT, at(100))).sequence, 1);
    reporter.on_dispatched(CallKind::Report, Some(2));
    ask(&mut reporter, 105, 3, &answer("200", STATUS));
    for (second, token) in [(5, 4), (15, 5)] {
        assert_eq!(tick(&mut reporter, ROOT, at(second - 5)), [], "the report is under way");
        ask(&mut reporter, second, token, &answer("200", STATUS));
    }
    assert_eq!(tick(&mut reporter, ROOT, at(20)), [], "the report is under way");
    assert_eq!(calls(&tick(&mut reporter, ROOT, at(25))).len(), 2, "a report after a lost one, and a question");
}

/// Ends the calls of a tick, each with what is said here for its kind, under the tokens 100 and up.
fn answer_all(reporter: &mut Reporter, actions: &[Action], mut reply: impl FnMut(CallKind) -> Answer) {
    for (token, call) in (100..).zip(calls(actions)) {
        reporter.on_dispatched(call.kind, Some(token));
        reporter.on_answer(token, &reply(call.kind));
    }
}

/// Ticks until a report is sent, answering questions, and gives it.
fn next_report(reporter: &mut Reporter, seconds: &mut u64, mut reply: impl FnMut(CallKind) -> Answer) -> Report {
    for _ in 0..4 {
        *seconds += 5;
        let actions = tick(reporter, ROOT, at(*seconds));
        answer_all(reporter, &actions, &mut reply);
        if let Some(call) = calls(&actions).into_iter().find(|call| call.kind == CallKind::Report) {
            return report_in(call);
        }
    }
    panic!("no report within two intervals");
}

#[test]
fn one_tick_asks_both_and_the_next_reports_both_signed() {
    let mut reporter = acting();
    assert_eq!(reporter.configure(ROOT, everything()), None);
    let asked = tick(&mut reporter, ROOT, at(5));
    assert_eq!(calls(&asked).iter().map(|call| call.kind).collect::<Vec<_>>(), [CallKind::Status, CallKind::Probe]);
    answer_all(&mut reporter, &asked, |kind| match kind {
        CallKind::Probe => failed("reader failure"),
        _ => answer("200", STATUS),
    });
    let actions = tick(&mut reporter, ROOT, at(10));
    let [call] = calls(&actions)[..] else { panic!("not one call: {actions:?}") };
    let key = ReportKey::new("0123456789abcdef").unwrap();
    assert!(key.has_signed(call.body.as_deref().unwrap(), call.signature.as_deref().unwrap().as_bytes()));
    let report = report_in(call);
    let seen = report.control_plane.unwrap();
    assert_eq!((seen.state, seen.since_ms), (Reachability::AcceptedNoAnswer, report.sent_at_ms));
    assert!(report.config_hash.is_some());
}

#[test]
fn wrong_settings_are_told_to_the_companion_when_that_much_is_known() {
    let mut reporter = acting();
    let settings = FilterSettings::read(br#"{"companion":"10.0.0.5:8115","status_api":"localhost:8100"}"#);
    let line = reporter.configure(ROOT, settings).unwrap();
    assert!(line.text.contains("status_api is \"localhost:8100\""), "{line:?}");
    let mut seconds = 0;
    for sequence in 1..4 {
        let report = next_report(&mut reporter, &mut seconds, |_| answer("204", b""));
        assert_eq!((report.sequence, report.problems.len(), report.config_hash), (sequence, 1, None));
        assert!(report.problems[0].contains("localhost:8100"), "{report:?}");
    }
    assert_eq!(seconds, 30, "one in each interval");
}

#[test]
fn without_a_companion_metrics_are_still_recorded() {
    let mut reporter = acting();
    let line = reporter.configure(ROOT, FilterSettings::read(br#"{"status_api":"127.0.0.1:8100"}"#));
    assert!(line.unwrap().text.contains("companion is not set"));
    let asked = reporter.on_tick(ROOT, at(5));
    answer_all(&mut reporter, &asked, |_| answer("200", STATUS));
    let actions = reporter.on_tick(ROOT, at(35));
    assert_eq!(calls(&actions).len(), 1, "a question, no report: {actions:?}");
    for (metric, value) in [(Metric::ConfigEmpty, 0), (Metric::ConfigAge, 0), (Metric::SettingsProblems, 1)] {
        assert!(actions.contains(&Action::Record(metric, value)), "{metric:?}: {actions:?}");
    }
}

#[test]
fn metrics_show_what_is_known_and_count_what_happened() {
    let mut reporter = acting();
    reporter.configure(ROOT, everything());
    let recorded = |actions: &[Action]| -> Vec<(Metric, u64)> {
        let records = actions.iter().filter_map(|action| match action {
            Action::Record(metric, value) => Some((*metric, *value)),
            _ => None,
        });
        records.collect()
    };
    let first = reporter.on_tick(ROOT, at(5));
    assert_eq!(recorded(&first), [(Metric::SettingsProblems, 0)], "nothing else is known");
    answer_all(&mut reporter, &first, |kind| match kind {
        CallKind::Probe => failed("timeout"),
        _ => answer("200", STATUS),
    });
    let second = reporter.on_tick(ROOT, at(10));
    answer_all(&mut reporter, &second, |_| answer("503", b""));
    let gauges = [(Metric::ControlPlaneReachable, 0), (Metric::ConfigEmpty, 0), (Metric::ConfigAge, 0)];
    assert_eq!(recorded(&second)[..3], gauges);
    let third = reporter.on_tick(ROOT, at(15));
    let counters = [(Metric::ReportsSent, 1), (Metric::ReportsRefused, 1)];
    assert_eq!(
        recorded(&third)[2..],
        [&[(Metric::ConfigAge, 5), (Metric::SettingsProblems, 0)], &counters[..]].concat()
    );
    answer_all(&mut reporter, &third, |_| answer("200", STATUS));
    let fourth = reporter.on_tick(ROOT, at(20));
    answer_all(&mut reporter, &fourth, |_| failed("timeout"));
    let fifth = recorded(&reporter.on_tick(ROOT, at(25)));
    assert!(fifth.contains(&(Metric::ReportsFailed(CallFailure::Timeout), 1)), "{fifth:?}");
    assert!(fifth.contains(&(Metric::ControlPlaneReachable, 1)) && fifth.contains(&(Metric::ReportsSent, 1)));
}

#[test]
fn who_the_node_is_is_learnt_from_a_request_and_kept() {
    let mut reporter = reporter();
    assert!(!reporter.wants_version() && reporter.wants_node_id());
    reporter.learn_node_id(None);
    assert!(reporter.wants_node_id(), "another request may know");
    reporter.learn_node_id(Some(b"0b1c6b0c-7b1a".to_vec()));
    assert!(!reporter.wants_node_id());
    reporter.configure(ROOT, settings());
    let mut seconds = 0;
    let silent = |kind| Answer { server: None, ..answer("200", if kind == CallKind::Status { STATUS } else { b"" }) };
    let report = next_report(&mut reporter, &mut seconds, silent);
    assert_eq!(
        (report.kong_version.as_deref(), report.kong_node_id.as_deref()),
        (Some("3.9.1"), Some("0b1c6b0c-7b1a"))
    );
}

#[test]
fn a_gateway_that_does_not_know_who_it_is_is_not_asked_for_ever() {
    let mut reporter = reporter();
    for _ in 0..3 {
        reporter.learn_node_id(Some(vec![b'x'; 65]));
    }
    assert!(!reporter.wants_node_id());
}

#[test]
fn a_report_says_since_when_it_has_its_settings() {
    let mut reporter = reporter();
    let mut seconds = 0;
    let mut configured = |reporter: &mut Reporter| {
        next_report(reporter, &mut seconds, |_| answer("200", STATUS)).configured_at_ms.unwrap()
    };
    let first = configured(&mut reporter);
    assert_eq!(configured(&mut reporter), first);
    reporter.configure(ROOT, settings());
    assert!(configured(&mut reporter) > first);
}

#[test]
fn a_response_header_says_what_is_known_in_plain_text() {
    let mut reporter = acting();
    reporter.configure(ROOT, everything());
    assert_eq!(reporter.header_value().as_deref(), Some("config=unknown, control-plane=unknown"));
    let mut seconds = 0;
    next_report(&mut reporter, &mut seconds, |kind| match kind {
        CallKind::Probe => failed("timeout"),
        _ => answer("200", STATUS),
    });
    let expected = "config=3ff47162e7a7ce1344f336316b66484e, control-plane=timed_out";
    assert_eq!(reporter.header_value().as_deref(), Some(expected));
}
