//! The filter's state machine: on a tick it asks the Status API, with the answer it sends one report, and whatever
//! goes wrong is told in the next report that arrives. Time, randomness and host calls are its caller's.

use std::time::{Duration, SystemTime};

use super::flight::Flight;
use super::health::Health;
use super::outcome::{self, Failure};
use super::{Answer, Call, CallFailure, CallKind, Counters, FORMAT, FilterSettings, Report, Upstream, status};
use crate::digest::ConfigHash;

/// What the filter does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Dispatch this call, and tell [`Reporter::on_dispatched`] how that went.
    Dispatch(Call),
    /// Write this line to the gateway's log.
    Log(LogLevel, String),
}

/// How loud a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Something is as it should be again.
    Info,
    /// Someone should look at this; traffic is not affected.
    Warn,
}

/// Reports for one worker of the gateway.
///
/// Kong never frees a root context: after each change of the filter's settings the old one goes on ticking beside the
/// new one, and after a trap timers are doubled (KONG.md section 4, points 5 and 6). So there is one reporter for all
/// roots of a worker, only the root that was configured last makes it work, and a tick that comes too soon is ignored.
#[derive(Debug)]
pub struct Reporter {
    worker: String,
    newest: Option<(u32, Option<FilterSettings>)>,
    last_tick: Option<SystemTime>,
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
            last_tick: None,
            sequence: 0,
            since_acknowledged: Counters::default(),
            kong_version: None,
            status_call: Flight::free(),
            report_call: Flight::free(),
            status_api: Health::default(),
            companion: Health::default(),
        }
    }

    /// The root context `root` has these settings, or none that are valid. From now on only it counts; answers to
    /// what was asked for an older one are ignored.
    pub fn configure(&mut self, root: u32, settings: Option<FilterSettings>) {
        self.newest = Some((root, settings));
        self.last_tick = None;
        self.status_call = Flight::free();
        self.report_call = Flight::free();
        self.status_api = Health::default();
        self.companion = Health::default();
    }

    /// The root context `root` ticked.
    pub fn on_tick(&mut self, root: u32, now: SystemTime) -> Vec<Action> {
        let Some(interval) = self.interval_of(root) else {
            return Vec::new();
        };
        if self.too_soon(now, interval) {
            return Vec::new();
        }
        self.last_tick = Some(now);
        let mut actions = Vec::new();
        if self.report_call.tick().is_some() {
            self.report_ended(Err(CallFailure::NoAnswer.into()), &mut actions);
        }
        if self.status_call.tick().is_some() {
            self.status_ended(Err(CallFailure::NoAnswer.into()), now, &mut actions);
        }
        self.ask_status(&mut actions);
        actions
    }

    /// A call of this kind was dispatched under a token, or the host refused it.
    pub fn on_dispatched(&mut self, kind: CallKind, token: Option<u32>, now: SystemTime) -> Vec<Action> {
        let mut actions = Vec::new();
        match (kind, token) {
            (CallKind::Status, Some(token)) => self.status_call.boarded(token),
            (CallKind::Report, Some(token)) => self.report_call.boarded(token),
            (CallKind::Status, None) if self.status_call.end().is_some() => {
                self.status_ended(Err(CallFailure::NotSent.into()), now, &mut actions);
            }
            (CallKind::Report, None) if self.report_call.end().is_some() => {
                self.report_ended(Err(CallFailure::NotSent.into()), &mut actions);
            }
            (_, None) => {}
        }
        actions
    }

    /// The host called back for `token`. A token that nobody waits for is ignored.
    pub fn on_answer(&mut self, token: u32, answer: &Answer, now: SystemTime) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.status_call.end_if(token).is_some() {
            let version = answer.server.as_deref().and_then(status::kong_version);
            self.kong_version = version.or(self.kong_version.take());
            self.status_ended(outcome::status(answer), now, &mut actions);
        } else if let Some(told) = self.report_call.end_if(token) {
            self.report_ended(outcome::accepted(answer).map(|()| told), &mut actions);
        }
        actions
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

    /// A wall clock that was set back makes no tick too soon.
    fn too_soon(&self, now: SystemTime, interval: Duration) -> bool {
        let elapsed = self.last_tick.and_then(|last| now.duration_since(last).ok());
        elapsed.is_some_and(|elapsed| elapsed < interval / 2)
    }

    fn ask_status(&mut self, actions: &mut Vec<Action>) {
        let Some(settings) = self.settings() else {
            return;
        };
        if !self.status_call.is_free() {
            return;
        }
        let call = call(CallKind::Status, &settings.status_api, None, settings.interval);
        self.status_call.begin(());
        actions.push(Action::Dispatch(call));
    }

    fn status_ended(&mut self, result: Result<ConfigHash, Failure>, now: SystemTime, actions: &mut Vec<Action>) {
        let Some(upstream) = self.settings().map(|settings| settings.status_api.clone()) else {
            return;
        };
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
        actions.extend(change);
        self.send_report(result.map_err(|failure| (upstream, failure)), now, actions);
    }

    /// Sends what was learnt. While a report is still under way it is dropped: the next one is newer.
    fn send_report(
        &mut self,
        learnt: Result<ConfigHash, (Upstream, Failure)>,
        now: SystemTime,
        actions: &mut Vec<Action>,
    ) {
        let Some(settings) = self.settings() else {
            return;
        };
        if !self.report_call.is_free() {
            return;
        }
        let problem = |(upstream, failure): &(Upstream, Failure)| format!("status_api {upstream}: {}", failure.words);
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
            status_api: learnt.as_ref().err().map(|(_, failure)| failure.class),
            problems: learnt.as_ref().err().map(problem).into_iter().collect(),
            since_acknowledged: self.since_acknowledged,
        };
        // A report is numbers and text: writing it can't fail, and if it did there would be nothing to send.
        let Ok(body) = serde_json::to_vec(&report) else {
            return;
        };
        let call = call(CallKind::Report, &settings.companion, Some(body), settings.interval);
        self.sequence = sequence;
        self.report_call.begin(self.since_acknowledged);
        actions.push(Action::Dispatch(call));
    }

    fn report_ended(&mut self, result: Result<Counters, Failure>, actions: &mut Vec<Action>) {
        let Some(upstream) = self.settings().map(|settings| settings.companion.clone()) else {
            return;
        };
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
        actions.extend(change);
        match result {
            Ok(told) => self.since_acknowledged = self.since_acknowledged.without(told),
            Err(_) => {
                let count = &mut self.since_acknowledged.reports_failed;
                *count = count.saturating_add(1);
            }
        }
    }
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
            Action::Log(..) => None,
        });
        dispatched.collect()
    }

    fn logged(actions: &[Action]) -> Vec<&str> {
        let lines = actions.iter().filter_map(|action| match action {
            Action::Log(_, text) => Some(text.as_str()),
            Action::Dispatch(_) => None,
        });
        lines.collect()
    }

    fn report(actions: &[Action]) -> Report {
        let [call] = calls(actions)[..] else { panic!("not one call: {actions:?}") };
        assert_eq!(call.kind, CallKind::Report);
        serde_json::from_slice(call.body.as_deref().unwrap()).unwrap()
    }

    /// A tick whose status call gets `status_answer`; gives what the reporter does with that.
    fn round(reporter: &mut Reporter, seconds: u64, token: u32, status_answer: &Answer) -> Vec<Action> {
        let actions = reporter.on_tick(ROOT, at(seconds));
        assert_eq!(calls(&actions)[0].kind, CallKind::Status, "{actions:?}");
        assert_eq!(reporter.on_dispatched(CallKind::Status, Some(token), at(seconds)), []);
        reporter.on_answer(token, status_answer, at(seconds))
    }

    #[test]
    fn a_tick_leads_to_one_report_of_what_the_node_runs() {
        let mut reporter = reporter();
        let report = report(&round(&mut reporter, 10, 7, &answer("200", STATUS)));
        assert_eq!(report.config_hash.unwrap().to_string(), "3ff47162e7a7ce1344f336316b66484e");
        assert_eq!((report.format, report.sequence, report.interval_s), (1, 1, 10));
        assert_eq!((report.worker.as_str(), report.node.as_deref()), ("00000000000000ff", Some("dp-1")));
        assert_eq!(report.kong_version.as_deref(), Some("3.9.1"));
        assert_eq!(report.sent_at_ms, 1_795_169_525_000);
        assert_eq!((report.status_api, report.problems.len()), (None, 0));
    }

    #[test]
    fn a_status_api_that_fails_is_reported_and_no_hash_is_guessed() {
        let mut reporter = reporter();
        round(&mut reporter, 10, 1, &answer("200", STATUS));
        reporter.on_dispatched(CallKind::Report, Some(2), at(10));
        reporter.on_answer(2, &answer("204", b""), at(10));
        let actions = round(&mut reporter, 20, 3, &failed("timeout"));
        assert!(logged(&actions)[0].contains("127.0.0.1:8100"), "{actions:?}");
        let report = report(&actions);
        assert_eq!((report.config_hash, report.status_api), (None, Some(CallFailure::Timeout)));
        assert_eq!(report.problems, ["status_api 127.0.0.1:8100: it did not answer in time"]);
        assert_eq!(report.since_acknowledged.status_failed, 1);
    }

    #[test]
    fn what_an_unreachable_companion_missed_is_counted_until_it_answers() {
        let mut reporter = reporter();
        let mut token = 0;
        for (second, lost) in [(10, 0), (20, 1), (30, 2)] {
            let sent = report(&calls_only(round(&mut reporter, second, token, &answer("200", STATUS))));
            assert_eq!(sent.since_acknowledged.reports_failed, lost);
            reporter.on_dispatched(CallKind::Report, Some(token + 1), at(second));
            let actions = reporter.on_answer(token + 1, &failed("broken connection"), at(second));
            assert_eq!(logged(&actions).len(), usize::from(second == 10), "an outage is logged once");
            token += 2;
        }
        let actions = round(&mut reporter, 40, token, &answer("200", STATUS));
        assert_eq!((report(&actions).sequence, report(&actions).since_acknowledged.reports_failed), (4, 3));
        reporter.on_dispatched(CallKind::Report, Some(99), at(40));
        let actions = reporter.on_answer(99, &answer("204", b""), at(40));
        assert!(logged(&actions)[0].contains("again"), "{actions:?}");
        let next = report(&round(&mut reporter, 50, 100, &answer("200", STATUS)));
        assert_eq!(next.since_acknowledged, Counters::default());
    }

    fn calls_only(actions: Vec<Action>) -> Vec<Action> {
        actions.into_iter().filter(|action| matches!(action, Action::Dispatch(_))).collect()
    }

    #[test]
    fn at_most_one_call_of_a_kind_is_under_way_and_a_lost_callback_wedges_nothing() {
        let mut reporter = reporter();
        assert_eq!(calls(&reporter.on_tick(ROOT, at(10))).len(), 1);
        reporter.on_dispatched(CallKind::Status, Some(1), at(10));
        for second in [20, 30, 40] {
            assert_eq!(reporter.on_tick(ROOT, at(second)), [], "the status call is under way");
        }
        let actions = calls_only(reporter.on_tick(ROOT, at(50)));
        assert_eq!(calls(&actions).len(), 2, "{actions:?}");
        let lost = report(&actions[..1]);
        assert_eq!(lost.status_api, Some(CallFailure::NoAnswer));
        assert_eq!(calls(&actions)[1].kind, CallKind::Status);
        assert_eq!(reporter.on_answer(1, &answer("200", STATUS), at(51)), [], "too late");
    }

    #[test]
    fn a_call_that_the_host_refuses_is_reported_once() {
        let mut reporter = reporter();
        reporter.on_tick(ROOT, at(10));
        let actions = calls_only(reporter.on_dispatched(CallKind::Status, None, at(10)));
        assert_eq!(report(&actions).status_api, Some(CallFailure::NotSent));
        let actions = reporter.on_dispatched(CallKind::Report, None, at(10));
        assert!(calls(&actions).is_empty());
        assert_eq!(reporter.on_dispatched(CallKind::Report, None, at(10)), []);
    }

    #[test]
    fn only_the_newest_root_works_and_what_an_old_one_asked_is_forgotten() {
        let mut reporter = reporter();
        reporter.on_tick(ROOT, at(10));
        reporter.on_dispatched(CallKind::Status, Some(1), at(10));
        reporter.configure(2, settings());
        assert_eq!(reporter.on_answer(1, &answer("200", STATUS), at(11)), []);
        assert_eq!(reporter.on_tick(ROOT, at(20)), []);
        assert_eq!(calls(&reporter.on_tick(2, at(20))).len(), 1);
        reporter.configure(3, None);
        assert_eq!(reporter.on_tick(2, at(30)), []);
        assert_eq!(reporter.on_tick(3, at(30)), []);
    }

    #[test]
    fn doubled_timers_do_not_double_reports_and_a_clock_set_back_stops_none() {
        let mut reporter = reporter();
        round(&mut reporter, 100, 1, &answer("200", STATUS));
        assert_eq!(reporter.on_tick(ROOT, at(104)), [], "a doubled timer");
        let actions = round(&mut reporter, 0, 2, &answer("200", STATUS));
        assert_eq!(actions, [], "the first report is still under way");
        assert_eq!(calls(&reporter.on_tick(ROOT, at(10))).len(), 1);
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
                let actions = match event {
                    Event::Configure(root, valid) => {
                        reporter.configure(root, settings().filter(|_| valid));
                        Vec::new()
                    }
                    Event::Tick(root, time) => reporter.on_tick(root, at(time)),
                    Event::Dispatched(true, token) => reporter.on_dispatched(CallKind::Status, token, at(0)),
                    Event::Dispatched(false, token) => reporter.on_dispatched(CallKind::Report, token, at(0)),
                    Event::Answer(token, status, body) => {
                        let body = crate::report::AnswerBody::Whole(body);
                        reporter.on_answer(token, &Answer { status, body, ..Answer::default() }, at(0))
                    }
                };
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
    }
}
