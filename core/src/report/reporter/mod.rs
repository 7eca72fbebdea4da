//! The filter's state machine: one tick asks the Status API and the control plane, the next one sends what was learnt in
//! one report, and whatever goes wrong is told in the next report that arrives; all of it only where the filter may act.
//! Time, randomness and host calls are its caller's; what is known of the node is in `knowledge`.

mod knowledge;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use self::knowledge::{Knowledge, Round};
use super::flight::Flight;
use super::health::Health;
use super::metric::Gains;
use super::outcome::{self, Failure};
use super::permission::{Permission, Surroundings};
use super::stopwatch::Stopwatch;
use super::{
    Action, Answer, Call, CallFailure, CallKind, Counters, FORMAT, FilterSettings, LogLevel, LogLine, Metric,
    NamedHost, Reachability, Report, Upstream, status,
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
///
/// Before Kong 3.9 any call and any metric can end a worker, so nothing comes of ticks until it is known that the filter
/// [may act](Self::may_act) here. [`configure`](Self::configure) and requests lead to no call and no metric anywhere.
#[derive(Debug)]
pub struct Reporter {
    worker: String,
    surroundings: Surroundings,
    newest: Option<(u32, FilterSettings)>,
    configured_at: Option<SystemTime>,
    stopwatch: Stopwatch,
    last_question: Option<Duration>,
    last_probe: Option<Duration>,
    round: Round,
    knowledge: Knowledge,
    sequence: u64,
    since_acknowledged: Counters,
    gains: Gains,
    status_call: Flight<()>,
    probe_call: Flight<()>,
    report_call: Flight<Counters>,
    status_api: Health,
    control_plane: Health,
    companion: Health,
}

impl Reporter {
    /// The longest time that connecting, sending or a read may take.
    const MAX_TIMEOUT: Duration = Duration::from_secs(5);
    /// The shortest: some networks are slow, however short the interval is.
    const MIN_TIMEOUT: Duration = Duration::from_secs(1);
    /// How long a control plane that answers is left alone: each probe is a line in its access log.
    const PROBE_REST: Duration = Duration::from_secs(60);

    /// A reporter that says in its reports that it is `worker`, a number drawn at random.
    pub fn new(worker: u64) -> Self {
        Self {
            worker: format!("{worker:016x}"),
            surroundings: Surroundings::default(),
            newest: None,
            configured_at: None,
            stopwatch: Stopwatch::default(),
            last_question: None,
            last_probe: None,
            round: Round::default(),
            knowledge: Knowledge::default(),
            sequence: 0,
            since_acknowledged: Counters::default(),
            gains: Gains::default(),
            status_call: Flight::free(),
            probe_call: Flight::free(),
            report_call: Flight::free(),
            status_api: Health::default(),
            control_plane: Health::default(),
            companion: Health::default(),
        }
    }

    /// The root context `root` has these settings. From now on only it counts; what was asked for an older one is
    /// forgotten, but neither which configuration the node runs, nor how the same control plane was seen, nor what the
    /// filter runs in. A line for the log, if the settings are wrong and that matters here.
    pub fn configure(&mut self, root: u32, settings: FilterSettings) -> Option<LogLine> {
        let reasons: Vec<String> = settings.problems.iter().map(ToString::to_string).collect();
        if let Some((now, elapsed)) = self.stopwatch.last() {
            self.knowledge.settle(&self.round, now, elapsed);
        }

        // A chain that changes often must not make a line of each change in the control plane's access log.
        let is_same = self.settings().is_some_and(|before| before.control_plane == settings.control_plane);
        if !is_same {
            self.last_probe = None;
            self.knowledge.forget_control_plane();
        }

        self.newest = Some((root, settings));
        self.configured_at = None;
        self.last_question = None;
        self.round = Round::default();
        self.status_call = Flight::free();
        self.probe_call = Flight::free();
        self.report_call = Flight::free();
        self.status_api = Health::default();
        self.control_plane = Health::default();
        self.companion = Health::default();
        let is_passive = self.permission() == Permission::Denied;
        (!reasons.is_empty() && !is_passive).then(|| {
            let reasons = reasons.join("; ");
            let text = format!("these settings must be put right (traffic is not affected): {reasons}");
            LogLine { level: LogLevel::Warn, text }
        })
    }

    /// The root context `root` ticked. At most one report and one question to each place are to be dispatched, in this
    /// order, and metrics recorded. Nothing at all where the filter may not act.
    pub fn on_tick(&mut self, root: u32, now: SystemTime) -> Vec<Action> {
        let Some(interval) = self.interval_of(root).filter(|_| self.may_act()) else {
            return Vec::new();
        };
        self.configured_at.get_or_insert(now);
        let elapsed = self.stopwatch.tick(now, interval);
        let lines = self.give_up(elapsed, interval);
        self.knowledge.settle(&self.round, now, elapsed);
        let mut actions: Vec<Action> = lines.into_iter().flatten().map(Action::Log).collect();
        actions.extend(self.report(now, elapsed, interval).map(Action::Dispatch));
        actions.extend(self.questions(elapsed, interval).into_iter().flatten().map(Action::Dispatch));
        actions.extend(self.metrics(elapsed));
        actions
    }

    /// A call of this kind was dispatched under a token, or the host refused it. A line for the log, if there is news.
    pub fn on_dispatched(&mut self, kind: CallKind, token: Option<u32>) -> Option<LogLine> {
        let not_sent = || Failure::from(CallFailure::NotSent);

        match (kind, token) {
            (CallKind::Status, Some(token)) => self.status_call.boarded(token),
            (CallKind::Probe, Some(token)) => self.probe_call.boarded(token),
            (CallKind::Report, Some(token)) => {
                self.report_call.boarded(token);
                self.gains.one_more(Metric::ReportsSent);
            }
            (CallKind::Status, None) => {
                return self.status_call.end().and_then(|()| self.status_ended(Err(not_sent())));
            }
            (CallKind::Probe, None) => return self.probe_call.end().and_then(|()| self.probe_ended(Err(not_sent()))),
            (CallKind::Report, None) => return self.report_call.end().and_then(|_| self.report_ended(Err(not_sent()))),
        }
        None
    }

    /// The host called back for `token`. A line for the log, if there is news. A token that nobody waits for, or not
    /// any more, is ignored.
    pub fn on_answer(&mut self, token: u32, answer: &Answer) -> Option<LogLine> {
        if self.status_call.end_if(token).is_some() {
            let version = answer.server.as_deref().and_then(status::kong_version);
            self.knowledge.answered_by(version);
            let upstream = self.settings()?.status_api.clone()?;
            return self.status_ended(outcome::status(answer, &upstream));
        }
        if self.probe_call.end_if(token).is_some() {
            let upstream = self.settings()?.control_plane.clone()?;
            return self.probe_ended(outcome::probe(answer, &upstream));
        }
        let told = self.report_call.end_if(token)?;
        let upstream = self.settings()?.companion.clone()?;
        self.report_ended(outcome::accepted(answer, &upstream).map(|()| told))
    }

    /// Whether the filter may make calls, define metrics and set headers here. Until it may, and where it may not, only
    /// requests are asked what this is, and few of them.
    pub fn may_act(&self) -> bool {
        self.permission() == Permission::Granted
    }

    /// Whether the next request should be asked for `kong.version`, on which hangs whether the filter may act.
    pub fn wants_version(&self) -> bool {
        self.newest.is_some() && self.surroundings.want_version(self.host())
    }

    /// What a request has said of `kong.version`. A line for the log, if the filter stays passive.
    pub fn learn_version(&mut self, version: Option<&[u8]>) -> Option<LogLine> {
        self.knowledge.answered_by(version.and_then(status::version));
        self.surroundings.hear_version(version, self.host())
    }

    /// Whether the next request should be asked for `kong.node.id`.
    pub fn wants_node_id(&self) -> bool {
        self.may_act() && self.host() != Some(NamedHost::Envoy) && self.knowledge.wants_node_id()
    }

    /// What a request has said of `kong.node.id`.
    pub fn learn_node_id(&mut self, node_id: Option<Vec<u8>>) {
        self.knowledge.learn_node_id(node_id);
    }

    /// What a response says of the node, where that is asked for and the filter may act.
    pub fn header_value(&self) -> Option<String> {
        self.may_act().then(|| self.knowledge.in_one_line())
    }

    fn permission(&self) -> Permission {
        match &self.newest {
            Some((_, settings)) => self.surroundings.permission(settings.host),
            None => Permission::Awaited,
        }
    }

    fn host(&self) -> Option<NamedHost> {
        self.settings()?.host
    }

    fn interval_of(&self, root: u32) -> Option<Duration> {
        let (newest, settings) = self.newest.as_ref()?;
        (*newest == root).then_some(settings.interval)
    }

    fn settings(&self) -> Option<&FilterSettings> {
        self.newest.as_ref().map(|(_, settings)| settings)
    }

    /// Ends the calls whose callback never came.
    fn give_up(&mut self, elapsed: Duration, interval: Duration) -> [Option<LogLine>; 3] {
        let limit = quarters(interval, CALL_TIMEOUT);
        let no_answer = || Failure::from(CallFailure::NoAnswer);
        let report = self.report_call.end_if_older(elapsed, limit);
        let status = self.status_call.end_if_older(elapsed, limit);
        let probe = self.probe_call.end_if_older(elapsed, limit);
        [
            report.and_then(|_| self.report_ended(Err(no_answer()))),
            status.and_then(|()| self.status_ended(Err(no_answer()))),
            probe.and_then(|()| self.probe_ended(Err(no_answer()))),
        ]
    }

    /// The questions to the Status API and the control plane, if it is time for them, except where one is under way.
    fn questions(&mut self, elapsed: Duration, interval: Duration) -> [Option<Call>; 2] {
        let too_soon = |last| elapsed.saturating_sub(last) < quarters(interval, REST);
        let Some((_, settings)) = &self.newest else { return [None, None] };
        if self.last_question.is_some_and(too_soon) {
            return [None, None];
        }

        let control_plane = settings.control_plane.clone().filter(|_| self.probe_is_due(elapsed));
        let ask = |kind, upstream: &Option<Upstream>, flight: &mut Flight<()>| {
            let upstream = upstream.as_ref().filter(|_| flight.is_free())?;
            flight.begin(elapsed, ());
            Some(call(kind, upstream, interval))
        };
        let calls = [
            ask(CallKind::Status, &settings.status_api, &mut self.status_call),
            ask(CallKind::Probe, &control_plane, &mut self.probe_call),
        ];
        if let [_, Some(_)] = calls {
            self.last_probe = Some(elapsed);
        }

        let nothing_to_ask = settings.status_api.is_none() && control_plane.is_none();
        if nothing_to_ask || calls.iter().any(Option::is_some) {
            self.last_question = Some(elapsed);
            self.round.begin();
        }
        calls
    }

    /// A control plane that answered is asked again after a minute, one that didn't with each question.
    fn probe_is_due(&self, elapsed: Duration) -> bool {
        let answered = self.round.control_plane().or(self.knowledge.control_plane().map(|seen| seen.state));
        let is_resting = |last| elapsed.saturating_sub(last) < Self::PROBE_REST;
        !(answered.is_some_and(Reachability::is_reachable) && self.last_probe.is_some_and(is_resting))
    }

    fn status_ended(&mut self, result: Result<ConfigHash, Failure>) -> Option<LogLine> {
        let upstream = self.settings()?.status_api.clone()?;
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

        self.round.learn_config(result);
        change
    }

    fn probe_ended(&mut self, result: Result<Reachability, Failure>) -> Option<LogLine> {
        let upstream = self.settings()?.control_plane.clone()?;
        let count = &mut self.since_acknowledged.probes_failed;
        *count = count.saturating_add(u64::from(result.is_err()));

        let failure = result.as_ref().err().map(|failure| failure.class);
        let is_known = failure.is_none_or(|class| outcome::unreachable(class, &upstream).is_some());
        let change = self.control_plane.heard(
            &result,
            || format!("the control plane at {upstream} can be reached again"),
            |reason| {
                let what = if is_known { "can't be reached from this gateway" } else { "could not be looked for" };
                format!("the control plane at {upstream} {what}: {reason} (traffic is not affected)")
            },
        );
        let seen = result.map_or_else(|failure| outcome::unreachable(failure.class, &upstream), Some);
        self.round.learn_control_plane(seen);
        if seen.is_none() {
            self.knowledge.lose_sight_of_control_plane();
        }
        change
    }

    /// The report of what was learnt, if something was and no report is under way. What is still being asked is waited
    /// for until the next questions are due.
    fn report(&mut self, now: SystemTime, elapsed: Duration, interval: Duration) -> Option<Call> {
        let settings = self.newest.as_ref().map(|(_, settings)| settings)?;
        let companion = settings.companion.as_ref()?;
        let is_asking = !self.status_call.is_free() || !self.probe_call.is_free();
        let asked_lately =
            self.last_question.is_some_and(|last| elapsed.saturating_sub(last) < quarters(interval, REST));

        if !self.report_call.is_free() || !self.round.is_worth_a_report(is_asking) || (is_asking && asked_lately) {
            return None;
        }
        let sequence = self.sequence.saturating_add(1);
        let report = Report {
            format: FORMAT,
            node: settings.node.clone(),
            kong_node_id: self.knowledge.node_id().map(str::to_owned),
            worker: self.worker.clone(),
            sequence,
            sent_at_ms: milliseconds(now),
            interval_s: settings.interval.as_secs(),
            configured_at_ms: self.configured_at.map(milliseconds),
            filter_version: env!("CARGO_PKG_VERSION").to_owned(),
            kong_version: self.knowledge.version().map(str::to_owned),
            config_hash: self.round.config_hash(),
            status_api: self.round.status_failure().map(|failure| failure.class),
            control_plane: self.knowledge.control_plane(),
            problems: problems(settings, &self.round),
            since_acknowledged: self.since_acknowledged,
        };

        // A report is numbers and text: writing it can't fail, and if it did there would be nothing to send.
        let body = serde_json::to_vec(&report).ok()?;
        let signature = settings.report_key.as_ref().map(|key| key.signature(&body));
        let call = Call { body: Some(body), signature, ..call(CallKind::Report, companion, interval) };
        self.round = Round::default();
        self.sequence = sequence;
        self.report_call.begin(elapsed, self.since_acknowledged);
        Some(call)
    }

    fn report_ended(&mut self, result: Result<Counters, Failure>) -> Option<LogLine> {
        let upstream = self.settings()?.companion.clone()?;
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
            Err(failure) => {
                let count = &mut self.since_acknowledged.reports_failed;
                *count = count.saturating_add(1);
                self.gains.one_more(match failure.class {
                    CallFailure::BadStatus => Metric::ReportsRefused,
                    class => Metric::ReportsFailed(class),
                });
            }
        }
        change
    }

    /// What the gateway's metrics are to show. What isn't known isn't shown.
    fn metrics(&mut self, elapsed: Duration) -> Vec<Action> {
        let mut metrics = self.knowledge.metrics(elapsed);
        let problems = self.settings().map_or(0, |settings| settings.problems.len());
        metrics.push((Metric::SettingsProblems, u64::try_from(problems).unwrap_or(u64::MAX)));
        metrics.extend(self.gains.take());
        metrics.into_iter().map(|(metric, value)| Action::Record(metric, value)).collect()
    }
}

/// The least time between two questions, in quarters of an interval. Ticks come at halves of it; three quarters lie
/// between two of them, so that a late millisecond changes nothing.
const REST: u32 = 3;
/// How long a call may be under way, likewise: its time-out counts for connecting, for sending and for a read each, so
/// after three intervals the host has either called back or lost it.
const CALL_TIMEOUT: u32 = 13;

fn quarters(interval: Duration, quarters: u32) -> Duration {
    interval.checked_div(4).unwrap_or_default().saturating_mul(quarters)
}

/// A call that, where its time-out allows, has ended by the tick after the one that made it.
fn call(kind: CallKind, upstream: &Upstream, interval: Duration) -> Call {
    let timeout = interval.saturating_mul(2).checked_div(5).unwrap_or_default();
    let timeout = timeout.clamp(Reporter::MIN_TIMEOUT, Reporter::MAX_TIMEOUT);
    Call { kind, upstream: upstream.clone(), body: None, signature: None, timeout }
}

fn problems(settings: &FilterSettings, round: &Round) -> Vec<String> {
    let wrong = settings.problems.iter().map(ToString::to_string);
    let failed = round.status_failure().zip(settings.status_api.as_ref());
    let failed = failed.map(|(failure, upstream)| format!("status_api {upstream}: {}", failure.words));
    wrong.chain(failed).collect()
}

fn milliseconds(now: SystemTime) -> u64 {
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}
