//! How the control plane is looked for: when, and what is told of it.

use super::*;

#[test]
fn a_control_plane_that_goes_is_reported_with_how_and_since_when_and_is_logged_once() {
    let mut reporter = acting();
    reporter.configure(ROOT, everything());
    let mut seconds = 0;
    let mut states = Vec::new();
    for reason in
        ["timeout", "timeout", "broken connection", "reader failure", "resolver failure", "something new", "", ""]
    {
        let report = next_report(&mut reporter, &mut seconds, |kind| match (kind, reason) {
            (CallKind::Probe, "") => answer("400", b""),
            (CallKind::Probe, reason) => failed(reason),
            _ => answer("200", STATUS),
        });
        let seen = report.control_plane.unwrap();
        states.push((seen.state, (report.sent_at_ms - seen.since_ms) / 1000, report.since_acknowledged.probes_failed));
    }
    use Reachability::*;
    assert_eq!(
        states,
        [
            (TimedOut, 0, 1),
            (TimedOut, 10, 1),
            (Refused, 0, 1),
            (AcceptedNoAnswer, 0, 1),
            (Unresolved, 0, 1),
            (Unreachable, 0, 1),
            (Reachable, 0, 0),
            (Reachable, 10, 0)
        ]
    );
}

/// The seconds at which a control plane is looked for, which answers until this second, then not, and from that one again.
fn probes(until: u64, from: u64, seconds: std::ops::Range<u64>) -> Vec<u64> {
    let mut reporter = acting();
    reporter.configure(ROOT, everything());
    let mut probed = Vec::new();
    for second in seconds.step_by(5) {
        let actions = tick(&mut reporter, ROOT, at(second));
        answer_all(&mut reporter, &actions, |kind| match kind {
            CallKind::Probe => {
                probed.push(second);
                if (until..from).contains(&second) { failed("broken connection") } else { answer("400", b"") }
            }
            _ => answer("200", STATUS),
        });
        let reports = calls(&actions).into_iter().filter(|call| call.kind == CallKind::Report).map(report_in);
        let expected = if (until..from).contains(probed.last().unwrap()) {
            Reachability::Refused
        } else {
            Reachability::Reachable
        };
        for report in reports {
            let told = report.control_plane.map(|seen| seen.state);
            assert_eq!(told, Some(expected), "each report tells what was seen last: {second}");
        }
    }
    probed
}

#[test]
fn a_control_plane_that_answers_is_looked_for_once_a_minute_and_one_that_stopped_in_each_interval() {
    assert_eq!(probes(u64::MAX, u64::MAX, 0..600), [0, 60, 120, 180, 240, 300, 360, 420, 480, 540]);
    assert_eq!(probes(100, 150, 0..300), [0, 60, 120, 130, 140, 150, 210, 270]);
    assert_eq!(probes(0, 20, 0..100), [0, 10, 20, 80], "one that was never seen is looked for likewise");
}

#[test]
fn a_chain_that_changes_often_does_not_make_the_control_plane_be_looked_for_more_often() {
    let mut reporter = acting();
    let mut probes = Vec::new();
    for second in (0..=120).step_by(5) {
        reporter.configure(ROOT, everything());
        let actions = tick(&mut reporter, ROOT, at(second));
        probes.extend(calls(&actions).iter().filter(|call| call.kind == CallKind::Probe).map(|_| second));
        answer_all(&mut reporter, &actions, |_| answer("400", b""));
    }
    assert_eq!(probes, [0, 60, 120]);

    let elsewhere = String::from_utf8_lossy(EVERYTHING).replace("10.0.0.9", "10.0.0.10");
    reporter.configure(ROOT, FilterSettings::read(elsewhere.as_bytes()));
    let actions = tick(&mut reporter, ROOT, at(125));
    assert!(calls(&actions).iter().any(|call| call.kind == CallKind::Probe), "another address is looked for at once");
    assert_eq!(reporter.header_value().as_deref(), Some("config=unknown, control-plane=unknown"));
}

#[test]
fn a_probe_that_the_gateway_never_makes_says_nothing_of_the_control_plane() {
    let mut reporter = acting();
    reporter.configure(ROOT, everything());
    let asked = tick(&mut reporter, ROOT, at(5));
    assert_eq!(calls(&asked).len(), 2);
    reporter.on_dispatched(CallKind::Status, Some(1));
    reporter.on_answer(1, &answer("200", STATUS));
    reporter.on_dispatched(CallKind::Probe, None);
    let report = report(&tick(&mut reporter, ROOT, at(10)));
    assert_eq!((report.control_plane, report.since_acknowledged.probes_failed), (None, 1));
    assert!(report.config_hash.is_some());
}

#[test]
fn a_probe_that_can_t_be_made_any_more_ends_what_was_known_and_is_tried_in_each_interval() {
    let mut reporter = acting();
    reporter.configure(ROOT, everything());
    let (mut told, mut probes) = (Vec::new(), 0);
    for second in (0..=150).step_by(5) {
        let actions = tick(&mut reporter, ROOT, at(second));
        for (token, call) in (100..).zip(calls(&actions)) {
            match call.kind {
                CallKind::Probe if probes > 0 => drop(reporter.on_dispatched(CallKind::Probe, None)),
                kind => {
                    reporter.on_dispatched(kind, Some(token));
                    reporter.on_answer(token, &answer("200", STATUS));
                }
            }
            probes += u32::from(call.kind == CallKind::Probe);
            told.extend((call.kind == CallKind::Report).then(|| report_in(call).control_plane.map(|seen| seen.state)));
        }
    }
    let expected = [vec![Some(Reachability::Reachable); 6], vec![None; 9]].concat();
    assert_eq!((told, probes), (expected, 11));
}

#[test]
fn a_probe_that_hangs_holds_the_report_up_for_an_interval_at_most() {
    let mut reporter = acting();
    reporter.configure(ROOT, everything());
    tick(&mut reporter, ROOT, at(5));
    reporter.on_dispatched(CallKind::Status, Some(1));
    reporter.on_dispatched(CallKind::Probe, Some(2));
    reporter.on_answer(1, &answer("200", STATUS));
    assert_eq!(tick(&mut reporter, ROOT, at(10)), [], "the probe may still end");
    let actions = tick(&mut reporter, ROOT, at(15));
    let report = report_in(calls(&actions)[0]);
    assert!(report.config_hash.is_some() && report.control_plane.is_none());
}
