//! What holds for every order of events, however a host's clock and timers behave.

use proptest::prelude::*;

use super::*;

/// Anything that a host can do, in any order.
#[derive(Debug, Clone)]
enum Event {
    Configure(u32, bool),
    Tick(u32, u64),
    Dispatched(CallKind, Option<u32>),
    Request(Option<Vec<u8>>, Option<Vec<u8>>),
    Answer(u32, Option<Vec<u8>>, Vec<u8>),
}

fn event() -> impl Strategy<Value = Event> {
    let kind = prop_oneof![Just(CallKind::Status), Just(CallKind::Probe), Just(CallKind::Report)];
    prop_oneof![
        (0u32..3, any::<bool>()).prop_map(|(root, valid)| Event::Configure(root, valid)),
        (0u32..3, any::<u32>()).prop_map(|(root, time)| Event::Tick(root, time.into())),
        (kind, proptest::option::of(0u32..4)).prop_map(|(kind, token)| Event::Dispatched(kind, token)),
        any::<(Option<Vec<u8>>, Option<Vec<u8>>)>().prop_map(|(version, id)| Event::Request(version, id)),
        Just(Event::Request(Some(b"3.9.1".to_vec()), None)),
        (0u32..4, proptest::option::of(Just(b"200".to_vec())), any::<Vec<u8>>())
            .prop_map(|(token, status, body)| Event::Answer(token, status, body)),
        (0u32..4).prop_map(|token| Event::Answer(token, Some(b"200".to_vec()), STATUS.to_vec())),
    ]
}

proptest! {
    #[test]
    fn no_order_of_events_breaks_it_or_makes_a_large_report(events in proptest::collection::vec(event(), 0..60)) {
        let mut reporter = Reporter::new(1);
        let mut sequence = 0;
        for event in events {
            let mut actions = Vec::new();
            let may_act = reporter.may_act();
            match event {
                Event::Configure(root, true) => drop(reporter.configure(root, everything())),
                Event::Configure(root, false) => drop(reporter.configure(root, FilterSettings::read(b"{}"))),
                Event::Tick(root, time) => actions = reporter.on_tick(root, at(time)),
                Event::Dispatched(kind, token) => drop(reporter.on_dispatched(kind, token)),
                Event::Request(version, id) => {
                    drop(reporter.learn_version(version.as_deref()));
                    reporter.learn_node_id(id);
                }
                Event::Answer(token, status, body) => {
                    let body = AnswerBody::Whole(body);
                    reporter.on_answer(token, &Answer { status, body, ..Answer::default() });
                }
            }
            prop_assert!(may_act || actions.is_empty());
            for call in calls(&actions).into_iter().filter(|call| call.kind == CallKind::Report) {
                let body = call.body.as_deref().unwrap();
                let report: Report = serde_json::from_slice(body).unwrap();
                prop_assert!(body.len() < 2048);
                prop_assert_eq!(report.sequence, sequence + 1);
                prop_assert!(report.config_hash.is_none() || report.status_api.is_none());
                sequence = report.sequence;
            }
        }
    }

    /// Timers of the same root, begun at any time, and callbacks that come at once.
    #[test]
    fn doubled_timers_double_neither_questions_nor_reports(
        starts in proptest::collection::vec(0u64..20_000, 1..4)
    ) {
        let mut reporter = reporter();
        let ticks = starts.iter().flat_map(|start| (0..200).map(move |tick| start + 5000 * tick));
        let mut ticks: Vec<u64> = ticks.filter(|tick| (20_000..1_000_000).contains(tick)).collect();
        ticks.sort_unstable();
        let (mut questions, mut reports) = (Vec::new(), 0);
        for moment in ticks {
            for call in calls(&tick(&mut reporter, ROOT, at(0) + Duration::from_millis(moment))) {
                reporter.on_dispatched(call.kind, Some(1));
                let body = match call.kind {
                    CallKind::Status => STATUS,
                    CallKind::Probe | CallKind::Report => b"",
                };
                reporter.on_answer(1, &answer("200", body));
                match call.kind {
                    CallKind::Status => questions.push(moment),
                    CallKind::Probe | CallKind::Report => reports += 1,
                }
            }
            prop_assert!(questions.len() - reports <= 1, "one report per question, by the next tick");
        }
        prop_assert!(questions.len() >= 97, "{}", questions.len());
        for pair in questions.windows(2) {
            prop_assert!((7500..=10_000).contains(&(pair[1] - pair[0])), "{pair:?}");
        }
    }

    /// However the wall clock is set between two ticks, back or ahead, every second tick asks at the latest.
    #[test]
    fn a_clock_that_is_set_stops_no_question(
        steps in proptest::collection::vec(prop_oneof![-100_000i64..0, 5i64..100_000], 2..50)
    ) {
        let mut reporter = reporter();
        let (mut second, mut silent) = (10_000_000_u64, 0);
        for step in steps {
            second = second.saturating_add_signed(step);
            let actions = tick(&mut reporter, ROOT, at(second));
            let asked = calls(&actions).iter().any(|call| call.kind == CallKind::Status);
            silent = if asked { 0 } else { silent + 1 };
            prop_assert!(silent <= 1);
            for kind in [CallKind::Status, CallKind::Report] {
                reporter.on_dispatched(kind, None);
            }
        }
    }
}
