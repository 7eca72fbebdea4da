//! A host that does anything to the filter's reporter, in any order, and a companion that is sent whatever comes of it, and
//! whatever else.

use std::time::{Duration, SystemTime};

use lifeboat_core::report::{
    Action, Answer, AnswerBody, Call, CallKind, FilterSettings, Ledger, MAX_REPORT, Report, ReportKey, Reporter,
    ResponseHeaders, Taken,
};
use lifeboat_core::time::{Moment, WallTime};

use super::choices::Choices;

const KEY: &str = "0123456789abcdef";
const STATUS: &[u8] = br#"{"configuration_hash":"3ff47162e7a7ce1344f336316b66484e"}"#;

/// The filter's reporter, the host around it and the companion at the other end.
struct Scene {
    reporter: Reporter,
    headers: ResponseHeaders,
    ledger: Ledger,
    under_way: Vec<(u32, Call)>,
    tokens: u32,
    sequence: u64,
    now: SystemTime,
    passed: Duration,
}

/// Plays what these bytes say.
///
/// # Panics
/// When something that must hold doesn't: a report that is too long or out of order, one that the companion refuses
/// although it is genuine, or takes although it isn't.
pub fn play_reports(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let mut scene = Scene {
        reporter: Reporter::new(choices.number()),
        headers: ResponseHeaders::default(),
        ledger: Ledger::default(),
        under_way: Vec::new(),
        tokens: 0,
        sequence: 0,
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_169_515),
        passed: Duration::ZERO,
    };
    while !choices.0.is_empty() {
        scene.step(&mut choices);
    }
}

impl Scene {
    fn step(&mut self, choices: &mut Choices<'_>) {
        let root = u32::from(choices.byte() % 4);
        match choices.byte() % 8 {
            0 => self.configure(root, choices),
            1 | 2 => self.tick(root, choices),
            3 => self.answer_a_call(choices),
            4 => {
                let token = u32::from(choices.byte());
                drop(self.reporter.on_answer(token, &answer(choices)));
            }
            5 => {
                let token = choices.byte().is_multiple_of(2).then(|| u32::from(choices.byte()));
                drop(self.reporter.on_dispatched(kind(choices), token));
            }
            6 => self.request(root, choices),
            _ => self.stranger(choices),
        }
    }

    fn configure(&mut self, root: u32, choices: &mut Choices<'_>) {
        let settings = match choices.byte() % 3 {
            0 => FilterSettings::read(choices.bytes()),
            1 => FilterSettings::read(br#"{"companion":"10.0.0.5:8115","status_api":"127.0.0.1:8100","interval_s":1}"#),
            _ => FilterSettings::read(
                br#"{"companion":"10.0.0.5:8115","status_api":"127.0.0.1:8100","control_plane":"10.0.0.9:8005",
                     "report_key":"0123456789abcdef","node":"dp-1","response_header":"x-lifeboat"}"#,
            ),
        };
        self.headers.configure(root, settings.response_header.clone());
        drop(self.reporter.configure(root, settings));
    }

    fn tick(&mut self, root: u32, choices: &mut Choices<'_>) {
        let step = Duration::from_millis(u64::from(choices.byte()) * 100);
        self.passed += step;
        // Sometimes the wall clock is set.
        self.now = match choices.byte() {
            0 => SystemTime::UNIX_EPOCH + Duration::from_millis(choices.number() >> 16),
            _ => self.now + step,
        };
        let may_act = self.reporter.may_act();

        for action in self.reporter.on_tick(root, self.now) {
            assert!(may_act, "something is done where nothing is known to be harmless: {action:?}");
            if let Action::Dispatch(call) = action {
                self.dispatch(call, choices);
            }
        }
        self.ledger.fall_silent(Moment::after_start(self.passed));
    }

    fn dispatch(&mut self, call: Call, choices: &mut Choices<'_>) {
        let is_refused = choices.byte() % 8 == 1;
        if call.kind == CallKind::Report {
            self.arrives(&call);
        }
        self.tokens = self.tokens.wrapping_add(1);
        let token = (!is_refused).then_some(self.tokens);
        drop(self.reporter.on_dispatched(call.kind, token));
        if self.under_way.len() < 16 && !is_refused {
            self.under_way.push((self.tokens, call));
        }
    }

    /// A genuine report at the companion: taken if it is signed, but only once.
    fn arrives(&mut self, call: &Call) {
        let body = call.body.as_deref().expect("a report has a body");
        let report: Report = serde_json::from_slice(body).expect("a report can be read");
        assert!(body.len() < MAX_REPORT / 4, "{} bytes", body.len());
        assert_eq!(report.sequence, self.sequence + 1);
        assert!(report.config_hash.is_none() || report.status_api.is_none());
        self.sequence = report.sequence;
        let keys = [ReportKey::new(KEY).expect("it is one")];
        let signature = call.signature.as_deref().map(str::as_bytes);
        let is_ours = signature.is_some_and(|signature| keys[0].has_signed(body, signature));
        let (wall, now) = (WallTime::from_system(self.now), Moment::after_start(self.passed));
        let taken = self.ledger.take(body, signature, &keys, wall, now);
        assert_eq!(matches!(taken, Ok(Taken::Kept(_))), is_ours, "{taken:?}");
        assert!(self.ledger.take(body, signature, &keys, wall, now).is_err(), "the same again");
    }

    fn answer_a_call(&mut self, choices: &mut Choices<'_>) {
        let index = usize::from(choices.byte());
        if let Some(index) = index.checked_rem(self.under_way.len()) {
            let (token, call) = match choices.byte() % 4 {
                // It will be answered again.
                0 => self.under_way[index].clone(),
                _ => self.under_way.swap_remove(index),
            };
            let good =
                Answer { status: Some(b"200".to_vec()), body: AnswerBody::Whole(STATUS.to_vec()), ..answer(choices) };
            let answer = if call.kind == CallKind::Status { good } else { answer(choices) };
            drop(self.reporter.on_answer(token, &answer));
        }
    }

    fn request(&mut self, root: u32, choices: &mut Choices<'_>) {
        let request = u32::from(choices.byte());
        self.headers.begin(request, root);
        if self.reporter.wants_version() {
            let version = match choices.byte() % 4 {
                0 => choices.bytes(),
                1 => b"3.4.2",
                _ => b"3.9.1",
            };
            drop(self.reporter.learn_version(Some(version)));
        }

        if self.reporter.wants_node_id() {
            self.reporter.learn_node_id(Some(choices.bytes().to_vec()));
        }
        if self.headers.of(request).is_some()
            && let Some(value) = self.reporter.header_value()
        {
            assert!(value.len() < 100 && value.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{value:?}");
        }
        if choices.byte().is_multiple_of(2) {
            self.headers.end(request);
        }
    }

    /// Somebody else at the companion: without the key nothing is taken, with it only what is a report.
    fn stranger(&mut self, choices: &mut Choices<'_>) {
        let keys = [ReportKey::new(KEY).expect("it is one")];
        let (wall, now) = (WallTime::from_system(self.now), Moment::after_start(self.passed));
        let accepted = self.ledger.tally().accepted;
        let (body, signature) = (choices.bytes(), choices.bytes());
        assert!(self.ledger.take(body, Some(signature), &keys, wall, now).is_err());
        assert!(self.ledger.take(body, None, &keys, wall, now).is_err());
        assert_eq!(self.ledger.tally().accepted, accepted);
        let genuine = keys[0].signature(body);
        if self.ledger.take(body, Some(genuine.as_bytes()), &keys, wall, now).is_ok() {
            let report: Report = serde_json::from_slice(body).expect("what is taken is a report");
            assert!(report.worker.len() == 16 && report.format == 1);
        }
        assert_eq!(self.ledger.take(body, Some(signature), &[], wall, now).is_ok(), body.len() <= MAX_REPORT);
    }
}

fn kind(choices: &mut Choices<'_>) -> CallKind {
    [CallKind::Status, CallKind::Probe, CallKind::Report][usize::from(choices.byte() % 3)]
}

fn answer(choices: &mut Choices<'_>) -> Answer {
    let mut some = |present: bool| present.then(|| choices.bytes().to_vec());
    let (status, dispatch_status) = (some(true), some(true));
    let which = choices.byte();
    let keep = |bit: u8, value: Option<Vec<u8>>| value.filter(|_| which & bit != 0);
    Answer {
        status: keep(1, status),
        dispatch_status: keep(2, dispatch_status),
        server: keep(4, Some(choices.bytes().to_vec())),
        upstream_time: keep(8, Some(Vec::new())),
        body: match which & 16 {
            0 => AnswerBody::Whole(choices.bytes().to_vec()),
            _ => AnswerBody::TooLarge(usize::from(choices.byte())),
        },
    }
}
