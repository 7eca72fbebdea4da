//! The filter's state machine: one tick asks the Status API, the next one sends what was learnt in one report, and
//! whatever goes wrong is told in the next report that arrives. Time, randomness and host calls are its caller's.

use std::time::{Duration, SystemTime};

use super::flight::Flight;
use super::health::Health;
use super::outcome::{self, Failure};
use super::stopwatch::Stopwatch;
use super::{
    Action, Answer, Call, CallFailure, CallKind, Counters, FORMAT, FilterSettings, LogLine, Report, Upstream, status,
};
use crate::digest::ConfigHash;

/// Reports for one worker of the gateway.
///
/// Only [`on_tick`](Self::on_tick) leads to calls; what is learnt in between waits for the next tick.
///
/// Kong never frees a root context: after each change of the filter's settings the old one goes on ticking beside the
/// new one, and after a trap timers are doubled (KONG.md section 4, points 5 and 6). So there is one reporter for all
/// roots of a worker, only the root that was configured last makes it work, and what a tick leads to depends on the
/// time that has passed, not on how many ticks there were.
#[derive(Debug)]
pub struct Reporter {
    worker: String,
    newest: Option<(u32, Option<FilterSettings>)>,
    stopwatch: Stopwatch,
    last_question: Option<Duration>,
    learnt: Option<Result<ConfigHash, Failure>>,
    sequence: u64,
    since_acknowledged: Counters,
    kong_version: Option<String>,
    status_call: Flight<()>,
    report_call: Flight<Counters>,
    status_api: Health,
    companion: Health,
}

impl Reporter {
    /// The longest time that connecting, sending or a read may take.
    const MAX_TIMEOUT: Duration = Duration::from_secs(5);

    /// A reporter that says in its reports that it is `worker`, a number drawn at random.
    pub fn new(worker: u64) -> Self {
        Self {
            worker: format!("{worker:016x}"),
            newest: None,
            stopwatch: Stopwatch::default(),
            last_question: None,
            learnt: None,
            sequence: 0,
            since_acknowledged: Counters::default(),
            kong_version: None,
            status_call: Flight::free(),
            report_call: Flight::free(),
            status_api: Health::default(),
            companion: Health::default(),
        }
    }

    /// The root context `root` has these settings, or none that are valid. From now on only it counts; what was asked
    /// or learnt for an older one is forgotten.
    pub fn configure(&mut self, root: u32, settings: Option<FilterSettings>) {
        self.newest = Some((root, settings));
        self.stopwatch = Stopwatch::default();
        self.last_question = None;
        self.learnt = None;
        self.status_call = Flight::free();
        self.report_call = Flight::free();
        self.status_api = Health::default();
        self.companion = Health::default();
    }

    /// The root context `root` ticked. At most one report and one question are to be dispatched, in this order.
    pub fn on_tick(&mut self, root: u32, now: SystemTime) -> Vec<Action> {
        let Some(interval) = self.interval_of(root) else {
            return Vec::new();
        };
        let elapsed = self.stopwatch.tick(now, interval);
        let lines = self.give_up(elapsed, interval);
        let mut actions: Vec<Action> = lines.into_iter().flatten().map(Action::Log).collect();
        actions.extend(self.report(now, elapsed).map(Action::Dispatch));
        actions.extend(self.question(elapsed, interval).map(Action::Dispatch));
        actions
    }

    /// A call of this kind was dispatched under a token, or the host refused it. A line for the log, if there is news.
    pub fn on_dispatched(&mut self, kind: CallKind, token: Option<u32>) -> Option<LogLine> {
        let not_sent = || Failure::from(CallFailure::NotSent);
        match (kind, token) {
            (CallKind::Status, Some(token)) => self.status_call.boarded(token),
            (CallKind::Report, Some(token)) => self.report_call.boarded(token),
            (CallKind::Status, None) => {
                return self.status_call.end().and_then(|()| self.status_ended(Err(not_sent())));
            }
            (CallKind::Report, None) => return self.report_call.end().and_then(|_| self.report_ended(Err(not_sent()))),
        }
        None
    }

    /// The host called back for `token`. A line for the log, if there is news. A token that nobody waits for is
    /// ignored.
    pub fn on_answer(&mut self, token: u32, answer: &Answer) -> Option<LogLine> {
        if self.status_call.end_if(token).is_some() {
            let version = answer.server.as_deref().and_then(status::kong_version);
            self.kong_version = version.or(self.kong_version.take());
            return self.status_ended(outcome::status(answer));
        }
        let told = self.report_call.end_if(token)?;
        self.report_ended(outcome::accepted(answer).map(|()| told))
    }

    fn interval_of(&self, root: u32) -> Option<Duration> {
        match &self.newest {
            Some((newest, Some(settings))) if *newest == root => Some(settings.interval),
            _ => None,
        }
    }

    fn settings(&self) -> Option<&FilterSettings> {
        self.newest.as_ref()?.1.as_ref()
    }

    /// Ends the calls whose callback never came.
    fn give_up(&mut self, elapsed: Duration, interval: Duration) -> [Option<LogLine>; 2] {
        let patience = patience(interval);
        let no_answer = || Failure::from(CallFailure::NoAnswer);
        let report = self.report_call.end_if_older(elapsed, patience);
        let status = self.status_call.end_if_older(elapsed, patience);
        [
            report.and_then(|_| self.report_ended(Err(no_answer()))),
            status.and_then(|()| self.status_ended(Err(no_answer()))),
        ]
    }

    /// The question to the Status API, if it is time for one and none is under way.
    fn question(&mut self, elapsed: Duration, interval: Duration) -> Option<Call> {
        let too_soon = |last| elapsed.saturating_sub(last) < rest(interval);
        if self.last_question.is_some_and(too_soon) || !self.status_call.is_free() {
            return None;
        }
        let call = call(CallKind::Status, &self.settings()?.status_api, None, interval);
        self.status_call.begin(elapsed, ());
        self.last_question = Some(elapsed);
        Some(call)
    }

    /// The question was answered, or wasn't. What that tells waits for a tick; something older that still waits is
    /// dropped.
    fn status_ended(&mut self, result: Result<ConfigHash, Failure>) -> Option<LogLine> {
        let upstream = self.settings()?.status_api.clone();
        let count = &mut self.since_acknowledged.status_failed;
        *count = count.saturating_add(u64::from(result.is_err()));
        let change = self.status_api.heard(
            &result,
            || format!("the Status API at {upstream} answers again"),
            |reason| {
                format!(
                    "the Status API at {upstream} did not tell the node's configuration: {reason}; check status_api \
                     against Kong's status_listen (traffic is not affected)"
                )
            },
        );
        self.learnt = Some(result);
        change
    }

    /// The report of what was learnt, if something was and no report is under way.
    fn report(&mut self, now: SystemTime, elapsed: Duration) -> Option<Call> {
        if !self.report_call.is_free() {
            return None;
        }
        let learnt = self.learnt.take()?;
        let settings = self.settings()?;
        let problem = |failure: &Failure| format!("status_api {}: {}", settings.status_api, failure.words);
        let sequence = self.sequence.saturating_add(1);
        let report = Report {
            format: FORMAT,
            node: settings.node.clone(),
            worker: self.worker.clone(),
            sequence,
            sent_at_ms: milliseconds(now),
            interval_s: settings.interval.as_secs(),
            filter_version: env!("CARGO_PKG_VERSION").to_owned(),
            kong_version: self.kong_version.clone(),
            config_hash: learnt.as_ref().ok().copied(),
            status_api: learnt.as_ref().err().map(|failure| failure.class),
            problems: learnt.as_ref().err().map(problem).into_iter().collect(),
            since_acknowledged: self.since_acknowledged,
        };
        // A report is numbers and text: writing it can't fail, and if it did there would be nothing to send.
        let body = serde_json::to_vec(&report).ok()?;
        let call = call(CallKind::Report, &settings.companion, Some(body), settings.interval);
        self.sequence = sequence;
        self.report_call.begin(elapsed, self.since_acknowledged);
        Some(call)
    }

    fn report_ended(&mut self, result: Result<Counters, Failure>) -> Option<LogLine> {
        let upstream = self.settings()?.companion.clone();
        let change = self.companion.heard(
            &result,
            || format!("reports reach the companion at {upstream} again"),
            |reason| {
                format!(
                    "a report did not reach the companion at {upstream}: {reason}; the next one that does says how \
                     many were lost (traffic is not affected)"
                )
            },
        );
        match result {
            Ok(told) => self.since_acknowledged = self.since_acknowledged.without(told),
            Err(_) => {
                let count = &mut self.since_acknowledged.reports_failed;
                *count = count.saturating_add(1);
            }
        }
        change
    }
}

/// The least time between two questions. Ticks come at halves of an interval; three quarters lie between two of them,
/// so that a late millisecond changes nothing.
fn rest(interval: Duration) -> Duration {
    (interval / 4).saturating_mul(3)
}

/// How long a call may be under way: its time-out is at most one interval and counts for connecting, for sending and
/// for a read each, so after three intervals the host has either called back or lost it. A quarter more, as in
/// [`rest`].
fn patience(interval: Duration) -> Duration {
    (interval / 4).saturating_mul(13)
}

fn call(kind: CallKind, upstream: &Upstream, body: Option<Vec<u8>>, interval: Duration) -> Call {
    let timeout = interval.min(Reporter::MAX_TIMEOUT);
    Call { kind, upstream: upstream.clone(), body, timeout }
}

fn milliseconds(now: SystemTime) -> u64 {
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STATUS: &[u8] = include_bytes!("../../../tests/data/kong-3.9.1/status.json");
    const ROOT: u32 = 1;

    fn settings() -> Option<FilterSettings> {
        let json = br#"{"companion":"10.0.0.5:8115","status_api":"127.0.0.1:8100","node":"dp-1"}"#;
        Some(FilterSettings::parse(json).unwrap())
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_169_515 + seconds)
    }

    fn answer(status: &str, body: &[u8]) -> Answer {
        Answer {
            status: Some(status.into()),
            server: Some(b"kong/3.9.1".to_vec()),
            body: crate::report::AnswerBody::Whole(body.to_vec()),
            ..Answer::default()
        }
    }

    fn failed(reason: &str) -> Answer {
        Answer { dispatch_status: Some(reason.into()), ..Answer::default() }
    }

    fn reporter() -> Reporter {
        let mut reporter = Reporter::new(0xff);
        reporter.configure(ROOT, settings());
        reporter
    }

    fn calls(actions: &[Action]) -> Vec<&Call> {
        let dispatched = actions.iter().filter_map(|action| match action {
            Action::Dispatch(call) => Some(call),
            Action::Log(_) => None,
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
        let actions = reporter.on_tick(ROOT, at(seconds));
        let [Action::Dispatch(call)] = &actions[..] else { panic!("not one question: {actions:?}") };
        assert_eq!(call.kind, CallKind::Status);
        assert_eq!(reporter.on_dispatched(CallKind::Status, Some(token)), None);
        reporter.on_answer(token, status_answer)
    }

    #[test]
    fn one_tick_asks_and_the_next_reports_what_the_node_runs() {
        let mut reporter = reporter();
        assert_eq!(ask(&mut reporter, 5, 7, &answer("200", STATUS)), None);
        let report = report(&reporter.on_tick(ROOT, at(10)));
        assert_eq!(report.config_hash.unwrap().to_string(), "3ff47162e7a7ce1344f336316b66484e");
        assert_eq!((report.format, report.sequence, report.interval_s), (1, 1, 10));
        assert_eq!((report.worker.as_str(), report.node.as_deref()), ("00000000000000ff", Some("dp-1")));
        assert_eq!(report.kong_version.as_deref(), Some("3.9.1"));
        assert_eq!(report.sent_at_ms, 1_795_169_525_000, "when it was sent, not when it was learnt");
        assert_eq!((report.status_api, report.problems.len()), (None, 0));
        reporter.on_dispatched(CallKind::Report, Some(8));
        reporter.on_answer(8, &answer("204", b""));
        let next = reporter.on_tick(ROOT, at(15));
        assert_eq!(calls(&next)[0].kind, CallKind::Status, "what was told is not told again");
        assert_eq!(next.len(), 1);
    }

    #[test]
    fn a_status_api_that_fails_is_reported_and_no_hash_is_guessed() {
        let mut reporter = reporter();
        ask(&mut reporter, 5, 1, &answer("200", STATUS));
        reporter.on_tick(ROOT, at(10));
        reporter.on_dispatched(CallKind::Report, Some(2));
        reporter.on_answer(2, &answer("204", b""));
        let line = ask(&mut reporter, 15, 3, &failed("timeout")).unwrap();
        assert!(line.text.contains("127.0.0.1:8100"), "{line:?}");
        let report = report(&reporter.on_tick(ROOT, at(20)));
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
            let sent = report(&reporter.on_tick(ROOT, at(second + 5)));
            assert_eq!(sent.since_acknowledged.reports_failed, lost);
            reporter.on_dispatched(CallKind::Report, Some(token + 1));
            let line = reporter.on_answer(token + 1, &failed("broken connection"));
            assert_eq!(line.is_some(), second == 5, "an outage is logged once");
            token += 2;
        }
        ask(&mut reporter, 35, token, &answer("200", STATUS));
        let sent = report(&reporter.on_tick(ROOT, at(40)));
        assert_eq!((sent.sequence, sent.since_acknowledged.reports_failed), (4, 3));
        reporter.on_dispatched(CallKind::Report, Some(99));
        let line = reporter.on_answer(99, &answer("204", b"")).unwrap();
        assert!(line.text.contains("again"), "{line:?}");
        ask(&mut reporter, 45, 100, &answer("200", STATUS));
        let next = report(&reporter.on_tick(ROOT, at(50)));
        assert_eq!(next.since_acknowledged, Counters::default());
    }

    #[test]
    fn what_is_learnt_while_a_report_is_under_way_waits_and_only_the_newest_does() {
        let mut reporter = reporter();
        ask(&mut reporter, 5, 1, &failed("timeout"));
        report(&reporter.on_tick(ROOT, at(10)));
        reporter.on_dispatched(CallKind::Report, Some(2));
        ask(&mut reporter, 15, 3, &failed("timeout"));
        assert_eq!(reporter.on_tick(ROOT, at(20)), [], "a report is under way");
        ask(&mut reporter, 25, 4, &answer("200", STATUS));
        reporter.on_answer(2, &answer("204", b""));
        let waited = report(&reporter.on_tick(ROOT, at(30)));
        assert_eq!((waited.sequence, waited.status_api), (2, None));
        assert_eq!(waited.config_hash.unwrap().to_string(), "3ff47162e7a7ce1344f336316b66484e");
        assert_eq!(waited.since_acknowledged.status_failed, 1, "of the two, one was told");
    }

    #[test]
    fn at_most_one_call_of_a_kind_is_under_way_and_a_lost_callback_wedges_nothing() {
        let mut reporter = reporter();
        assert_eq!(calls(&reporter.on_tick(ROOT, at(5))).len(), 1);
        reporter.on_dispatched(CallKind::Status, Some(1));
        for second in [10, 15, 20, 25, 30, 35] {
            assert_eq!(reporter.on_tick(ROOT, at(second)), [], "the status call is under way");
        }
        let actions = reporter.on_tick(ROOT, at(40));
        let [lost, question] = calls(&actions)[..] else { panic!("not two calls: {actions:?}") };
        assert_eq!(report_in(lost).status_api, Some(CallFailure::NoAnswer));
        assert_eq!(question.kind, CallKind::Status);
        assert_eq!(reporter.on_answer(1, &answer("200", STATUS)), None);
        reporter.on_dispatched(CallKind::Report, Some(2));
        reporter.on_answer(2, &answer("204", b""));
        assert_eq!(reporter.on_tick(ROOT, at(45)), [], "an answer that came too late is not told");
    }

    #[test]
    fn a_report_whose_callback_was_lost_is_counted_and_the_next_one_sent() {
        let mut reporter = reporter();
        ask(&mut reporter, 5, 1, &answer("200", STATUS));
        report(&reporter.on_tick(ROOT, at(10)));
        reporter.on_dispatched(CallKind::Report, Some(2));
        for (second, token) in [(15, 3), (25, 4), (35, 5)] {
            ask(&mut reporter, second, token, &answer("200", STATUS));
            if second < 35 {
                assert_eq!(reporter.on_tick(ROOT, at(second + 5)), [], "the report is under way");
            }
        }
        assert_eq!(reporter.on_tick(ROOT, at(40)), [], "three intervals are not too many");
        let actions = reporter.on_tick(ROOT, at(45));
        let [next, question] = calls(&actions)[..] else { panic!("not two calls: {actions:?}") };
        assert_eq!(report_in(next).since_acknowledged.reports_failed, 1);
        assert_eq!(question.kind, CallKind::Status);
    }

    #[test]
    fn a_call_that_the_host_refuses_is_reported_once() {
        let mut reporter = reporter();
        reporter.on_tick(ROOT, at(5));
        assert!(reporter.on_dispatched(CallKind::Status, None).is_some());
        let actions = reporter.on_tick(ROOT, at(10));
        assert_eq!(report(&actions).status_api, Some(CallFailure::NotSent));
        assert!(reporter.on_dispatched(CallKind::Report, None).is_some());
        assert_eq!(reporter.on_dispatched(CallKind::Report, None), None);
        assert_eq!(reporter.on_tick(ROOT, at(11)), [], "a refused report is not tried again");
        ask(&mut reporter, 15, 1, &answer("200", STATUS));
        let next = report(&reporter.on_tick(ROOT, at(20)));
        assert_eq!(next.since_acknowledged, Counters { status_failed: 1, reports_failed: 1 });
    }

    #[test]
    fn only_the_newest_root_works_and_what_an_old_one_asked_or_learnt_is_forgotten() {
        let mut reporter = reporter();
        reporter.on_tick(ROOT, at(5));
        reporter.on_dispatched(CallKind::Status, Some(1));
        reporter.configure(2, settings());
        assert_eq!(reporter.on_answer(1, &answer("200", STATUS)), None);
        assert_eq!(reporter.on_tick(ROOT, at(10)), []);
        let actions = reporter.on_tick(2, at(10));
        assert_eq!((calls(&actions).len(), calls(&actions)[0].kind), (1, CallKind::Status));
        reporter.on_dispatched(CallKind::Status, Some(2));
        reporter.on_answer(2, &answer("200", STATUS));
        reporter.configure(3, settings());
        let actions = reporter.on_tick(3, at(15));
        assert_eq!((calls(&actions).len(), calls(&actions)[0].kind), (1, CallKind::Status));
        reporter.configure(4, None);
        assert_eq!(reporter.on_tick(3, at(25)), []);
        assert_eq!(reporter.on_tick(4, at(25)), []);
    }

    #[test]
    fn a_clock_set_back_stops_neither_questions_nor_reports_nor_patience() {
        let mut reporter = reporter();
        ask(&mut reporter, 50_000, 1, &answer("200", STATUS));
        assert_eq!(report(&reporter.on_tick(ROOT, at(100))).sequence, 1);
        reporter.on_dispatched(CallKind::Report, Some(2));
        ask(&mut reporter, 105, 3, &answer("200", STATUS));
        for (second, token) in [(5, 4), (15, 5)] {
            assert_eq!(reporter.on_tick(ROOT, at(second - 5)), [], "the report is under way");
            ask(&mut reporter, second, token, &answer("200", STATUS));
        }
        assert_eq!(reporter.on_tick(ROOT, at(20)), [], "the report is under way");
        assert_eq!(calls(&reporter.on_tick(ROOT, at(25))).len(), 2, "a report after a lost one, and a question");
    }

    /// Anything that a host can do, in any order.
    #[derive(Debug, Clone)]
    enum Event {
        Configure(u32, bool),
        Tick(u32, u64),
        Dispatched(bool, Option<u32>),
        Answer(u32, Option<Vec<u8>>, Vec<u8>),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            (0u32..3, any::<bool>()).prop_map(|(root, valid)| Event::Configure(root, valid)),
            (0u32..3, any::<u32>()).prop_map(|(root, time)| Event::Tick(root, time.into())),
            (any::<bool>(), proptest::option::of(0u32..4)).prop_map(|(status, token)| Event::Dispatched(status, token)),
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
                match event {
                    Event::Configure(root, valid) => reporter.configure(root, settings().filter(|_| valid)),
                    Event::Tick(root, time) => actions = reporter.on_tick(root, at(time)),
                    Event::Dispatched(true, token) => drop(reporter.on_dispatched(CallKind::Status, token)),
                    Event::Dispatched(false, token) => drop(reporter.on_dispatched(CallKind::Report, token)),
                    Event::Answer(token, status, body) => {
                        let body = crate::report::AnswerBody::Whole(body);
                        reporter.on_answer(token, &Answer { status, body, ..Answer::default() });
                    }
                }
                for call in calls(&actions).into_iter().filter(|call| call.kind == CallKind::Report) {
                    let body = call.body.as_deref().unwrap();
                    let report: Report = serde_json::from_slice(body).unwrap();
                    prop_assert!(body.len() < 2048);
                    prop_assert_eq!(report.sequence, sequence + 1);
                    prop_assert!(report.config_hash.is_some() != report.status_api.is_some());
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
            for tick in ticks {
                for call in calls(&reporter.on_tick(ROOT, at(0) + Duration::from_millis(tick))) {
                    reporter.on_dispatched(call.kind, Some(1));
                    let body = match call.kind {
                        CallKind::Status => STATUS,
                        CallKind::Report => b"",
                    };
                    reporter.on_answer(1, &answer("200", body));
                    match call.kind {
                        CallKind::Status => questions.push(tick),
                        CallKind::Report => reports += 1,
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
                let actions = reporter.on_tick(ROOT, at(second));
                let asked = calls(&actions).iter().any(|call| call.kind == CallKind::Status);
                silent = if asked { 0 } else { silent + 1 };
                prop_assert!(silent <= 1);
                for kind in [CallKind::Status, CallKind::Report] {
                    reporter.on_dispatched(kind, None);
                }
            }
        }
    }
}
