//! The headless data plane: a session that connects to the control plane as a node would, receives configurations, and
//! proxies nothing.

use std::time::Duration;

use bytes::Bytes;

use super::answer::{ConnectFailure, EarlyEnd, REFUSAL_WINDOW, Refusal, Verdict, early_end};
use super::own_certificate::{CertificateRefusal, OwnCertificate};
use super::reconnect::HEADLESS_RETRY;
use super::{IDLE_LIMIT, PING_INTERVAL};
use crate::backoff::Backoff;
use crate::digest::{ConfigHash, Sha256Digest};
use crate::frame::{Frame, Opcode};
use crate::kong::ping::ping;
use crate::sensitive::Sensitive;
use crate::time::Moment;

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// Time has passed: at latest when [`Headless::wake_at`] said.
    Tick,
    /// The link is up.
    Connected,
    /// The link did not come up.
    ConnectFailed {
        /// Why, as far as it can be seen.
        failure: ConnectFailure,
        /// The certificate that was shown, or would have been.
        shown: Sha256Digest,
    },
    /// Some bytes of a frame came. So the control plane is there, even if the frame is long and the line slow.
    Heard,
    /// A frame came.
    Frame(Frame),
    /// [`Action::Receive`] is done: the message was a configuration with this name.
    Received(ConfigHash),
    /// [`Action::Receive`] has failed: the message is no configuration that can be exported. The driver logs why.
    NotReceived,
    /// The link is gone, without a close frame.
    Closed,
    /// What came can't be read, or we could not send: the link was given up from this side.
    GivenUp,
}

/// Something to do.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Connect to the control plane.
    Connect,
    /// Send this frame.
    Send(Frame),
    /// Decode this message and hand its configuration to the exporter.
    Receive(Sensitive<Bytes>),
    /// Close the link; no [`Event::Closed`] is needed.
    Disconnect,
    /// Tell the operator.
    Notify(Notice),
}

/// What an operator should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The link is up.
    Connected,
    /// The link is up and the control plane has sent nothing for this long.
    Silent(Duration),
    /// The control plane refused the node.
    Refused(Refusal),
    /// It does not accept our certificate.
    CertificateRefused(CertificateRefusal),
    /// It may not accept our certificate. That is known after another attempt.
    Unclear {
        /// Until then.
        retry_in: Duration,
    },
    /// The link was lost, and is tried again in this time.
    Lost {
        /// How it ended, if it did so right after our first message.
        early: Option<EarlyEnd>,
        /// Until the next try.
        retry_in: Duration,
    },
    /// The control plane can't be reached, and is tried again in this time.
    Unreachable {
        /// How often that happened in a row.
        failures: u32,
        /// Until the next try.
        retry_in: Duration,
    },
    /// It sent a message that can't be kept.
    NotReceived,
    /// It sent a message in pieces, which no control plane of Kong does.
    Fragment,
}

/// The session.
#[derive(Debug)]
pub struct Headless {
    state: State,
    basic_info: Bytes,
    config_timeout: Duration,
    backoff: Backoff,
    own_certificate: OwnCertificate,
    runs: ConfigHash,
}

#[derive(Debug)]
enum State {
    Waiting { until: Moment },
    Connecting,
    Connected(Link),
}

#[derive(Debug)]
struct Link {
    since: Moment,
    last_heard: Moment,
    next_ping: Moment,
    given: Given,
}

#[derive(Debug, PartialEq, Eq)]
enum Given {
    Nothing,
    NothingAndSaidSo,
    Something,
}

impl Headless {
    /// A session that begins to connect at its first tick. `basic_info` is its first message; `config_timeout` is how
    /// long the control plane may be silent before that is reported.
    pub fn new(basic_info: Bytes, config_timeout: Duration, now: Moment) -> Self {
        Self {
            state: State::Waiting { until: now },
            basic_info,
            config_timeout,
            backoff: HEADLESS_RETRY,
            own_certificate: OwnCertificate::default(),
            runs: ConfigHash::EMPTY,
        }
    }

    /// Takes one event. `chance` in `0.0..1.0` spreads reconnects.
    pub fn handle(&mut self, event: Event, now: Moment, chance: f64) -> Vec<Action> {
        match event {
            Event::Tick => self.tick(now, chance),
            Event::Connected => self.connected(now),
            Event::ConnectFailed { failure, shown } => {
                let verdict = self.own_certificate.judge(failure, shown, now);
                self.connect_failed(verdict, now, chance)
            }
            Event::Heard => {
                self.heard(now);
                Vec::new()
            }
            Event::Frame(frame) => self.frame(frame, now, chance),
            Event::Received(hash) => self.received(hash, now),
            Event::NotReceived => {
                self.was_given();
                vec![Action::Notify(Notice::NotReceived)]
            }
            Event::Closed => self.closed(None, now, chance),
            Event::GivenUp => self.wait(now, chance, |_, retry_in| Notice::Lost { early: None, retry_in }),
        }
    }

    /// When the next tick is due.
    pub fn wake_at(&self) -> Option<Moment> {
        match &self.state {
            State::Waiting { until } => Some(*until),
            State::Connecting => None,
            State::Connected(link) => {
                let idle = link.last_heard + IDLE_LIMIT;
                let silent = (link.given == Given::Nothing).then(|| link.since + self.config_timeout);
                silent.into_iter().chain([idle, link.next_ping]).min()
            }
        }
    }

    /// Another first message from the next connection on: the control plane's list of plugins has changed.
    pub fn set_basic_info(&mut self, basic_info: Bytes) {
        self.basic_info = basic_info;
    }

    fn tick(&mut self, now: Moment, chance: f64) -> Vec<Action> {
        match &mut self.state {
            State::Waiting { until } if *until <= now => {
                self.state = State::Connecting;
                vec![Action::Connect]
            }
            State::Connected(link) if now - link.last_heard >= IDLE_LIMIT => {
                let mut actions = vec![Action::Disconnect];
                actions.extend(self.wait(now, chance, |_, retry_in| Notice::Lost { early: None, retry_in }));
                actions
            }
            State::Connected(link) => {
                let mut actions = Vec::new();
                if link.given == Given::Nothing && now - link.since >= self.config_timeout {
                    link.given = Given::NothingAndSaidSo;
                    actions.push(Action::Notify(Notice::Silent(now - link.since)));
                }

                if link.next_ping <= now {
                    link.next_ping = now + PING_INTERVAL;
                    actions.push(Action::Send(ping(self.runs)));
                }
                actions
            }
            State::Waiting { .. } | State::Connecting => Vec::new(),
        }
    }

    fn connected(&mut self, now: Moment) -> Vec<Action> {
        self.own_certificate.linked();
        let next_ping = now + PING_INTERVAL;
        self.state = State::Connected(Link { since: now, last_heard: now, next_ping, given: Given::Nothing });
        let first = Frame::binary(self.basic_info.clone());
        vec![Action::Notify(Notice::Connected), Action::Send(first), Action::Send(ping(self.runs))]
    }

    fn connect_failed(&mut self, verdict: Verdict, now: Moment, chance: f64) -> Vec<Action> {
        let retry_in = verdict.retry_in(self.backoff.next_wait(chance), chance);
        self.wait_for(retry_in, now, |failures| match verdict {
            Verdict::RefusesNode(refusal) => Notice::Refused(refusal),
            Verdict::RefusesCertificate(refusal) => Notice::CertificateRefused(refusal),
            Verdict::Unclear => Notice::Unclear { retry_in },
            Verdict::Outage { .. } => Notice::Unreachable { failures, retry_in },
        })
    }

    fn frame(&mut self, frame: Frame, now: Moment, chance: f64) -> Vec<Action> {
        let State::Connected(_) = self.state else {
            return Vec::new();
        };

        self.heard(now);

        match frame.opcode {
            Opcode::Binary if frame.is_final => vec![Action::Receive(frame.payload.into())],
            Opcode::Binary | Opcode::Continuation => {
                let mut actions = vec![Action::Disconnect];
                actions.extend(self.wait(now, chance, |_, _| Notice::Fragment));
                actions
            }
            Opcode::Ping => vec![Action::Send(Frame { opcode: Opcode::Pong, ..frame })],
            Opcode::Close => {
                let mut actions = vec![Action::Disconnect];
                actions.extend(self.closed(Some(&frame), now, chance));
                actions
            }
            Opcode::Text | Opcode::Pong => Vec::new(),
        }
    }

    fn received(&mut self, hash: ConfigHash, now: Moment) -> Vec<Action> {
        self.runs = hash;
        self.backoff.reset();
        let State::Connected(link) = &mut self.state else {
            return Vec::new();
        };
        link.given = Given::Something;
        link.next_ping = now + PING_INTERVAL;
        vec![Action::Send(ping(hash))]
    }

    fn closed(&mut self, close: Option<&Frame>, now: Moment, chance: f64) -> Vec<Action> {
        let State::Connected(link) = &self.state else {
            return Vec::new();
        };
        let is_early = link.given != Given::Something && now - link.since < REFUSAL_WINDOW;
        self.wait(now, chance, |_, retry_in| match early_end(close) {
            Ok(refusal) if is_early => Notice::Refused(refusal),
            Err(early) if is_early => Notice::Lost { early: Some(early), retry_in },
            _ => Notice::Lost { early: None, retry_in },
        })
    }

    fn was_given(&mut self) {
        if let State::Connected(link) = &mut self.state {
            link.given = Given::Something;
        }
    }

    fn heard(&mut self, now: Moment) {
        if let State::Connected(link) = &mut self.state {
            link.last_heard = now;
        }
    }

    fn wait(&mut self, now: Moment, chance: f64, notice: impl FnOnce(u32, Duration) -> Notice) -> Vec<Action> {
        let retry_in = self.backoff.next_wait(chance);
        self.wait_for(retry_in, now, |failures| notice(failures, retry_in))
    }

    fn wait_for(&mut self, retry_in: Duration, now: Moment, notice: impl FnOnce(u32) -> Notice) -> Vec<Action> {
        self.state = State::Waiting { until: now + retry_in };
        vec![Action::Notify(notice(self.backoff.failures()))]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::answer::{AnswerBody, HttpAnswer};
    use super::*;
    use crate::frame::CloseCode;

    const TIMEOUT: Duration = Duration::from_secs(10);

    struct Table {
        session: Headless,
        now: Moment,
    }

    impl Table {
        fn new() -> Self {
            let now = Moment::default();
            Self { session: Headless::new(Bytes::from_static(b"{}"), TIMEOUT, now), now }
        }

        fn connected() -> Self {
            let mut table = Self::new();
            assert_eq!(table.on(Event::Tick), [Action::Connect]);
            table.on(Event::Connected);
            table
        }

        fn on(&mut self, event: Event) -> Vec<Action> {
            self.session.handle(event, self.now, 1.0)
        }

        fn after(&mut self, seconds: u64) -> Vec<Action> {
            self.now = self.now + Duration::from_secs(seconds);
            self.on(Event::Tick)
        }
    }

    fn hash() -> ConfigHash {
        "3ff47162e7a7ce1344f336316b66484e".parse().unwrap()
    }

    #[test]
    fn a_link_that_this_side_gave_up_is_lost_and_not_refused() {
        let mut table = Table::connected();
        let actions = table.on(Event::GivenUp);
        assert!(matches!(actions[..], [Action::Notify(Notice::Lost { .. })]), "{actions:?}");
        let mut table = Table::connected();
        let empty = Frame { payload: Bytes::new(), ..Frame::close(0) };
        let refused = Action::Notify(Notice::Refused(Refusal::Closed(CloseCode::Absent)));
        assert_eq!(table.on(Event::Frame(empty)), [Action::Disconnect, refused]);
    }

    #[test]
    fn it_introduces_itself_and_pings_at_once() {
        let mut table = Table::new();
        assert_eq!(table.on(Event::Tick), [Action::Connect]);
        assert_eq!(
            table.on(Event::Connected),
            [
                Action::Notify(Notice::Connected),
                Action::Send(Frame::binary(&b"{}"[..])),
                Action::Send(ping(ConfigHash::EMPTY)),
            ]
        );
    }

    #[test]
    fn it_pings_what_it_has_kept_right_after_and_every_30_seconds() {
        let mut table = Table::connected();
        let message = Bytes::from_static(b"gzip");
        assert_eq!(table.on(Event::Frame(Frame::binary(message.clone()))), [Action::Receive(message.into())]);
        assert_eq!(table.on(Event::Received(hash())), [Action::Send(ping(hash()))]);
        assert_eq!(table.after(29), []);
        assert_eq!(table.after(1), [Action::Send(ping(hash()))]);
    }

    #[test]
    fn a_control_plane_that_sends_nothing_is_reported_once() {
        let mut table = Table::connected();
        assert_eq!(table.session.wake_at(), Some(table.now + TIMEOUT));
        assert_eq!(table.after(10), [Action::Notify(Notice::Silent(TIMEOUT))]);
        table.on(Event::Frame(Frame::empty_pong()));
        assert_eq!(table.after(10), []);
    }

    #[test]
    fn a_control_plane_that_sends_in_time_is_not_reported() {
        let mut table = Table::connected();
        assert_eq!(table.after(9), []);
        table.on(Event::Frame(Frame::binary(&b"gzip"[..])));
        table.on(Event::Received(hash()));
        assert_eq!(table.after(1), []);
        assert_eq!(table.after(10), []);
    }

    #[test]
    fn a_link_that_is_silent_for_45_seconds_is_given_up_and_tried_again() {
        let mut table = Table::connected();
        table.on(Event::Received(hash()));
        table.after(30);
        let lost = Notice::Lost { early: None, retry_in: Duration::from_secs(2) };
        assert_eq!(table.after(15), [Action::Disconnect, Action::Notify(lost)]);
        assert_eq!(table.after(1), []);
        assert_eq!(table.after(1), [Action::Connect]);
    }

    #[test]
    fn bytes_of_a_long_frame_keep_the_link_alive() {
        let mut table = Table::connected();
        table.on(Event::Received(hash()));
        for _ in 0..10 {
            table.on(Event::Heard);
            assert!(!table.after(20).contains(&Action::Disconnect));
        }
    }

    #[test]
    fn being_closed_at_once_is_a_refusal_by_its_code_and_later_or_without_a_frame_a_loss() {
        let close = |code| Event::Frame(Frame::close(code));
        for code in [1000, 1008] {
            let refused = Notice::Refused(Refusal::Closed(CloseCode::Given(code)));
            assert_eq!(Table::connected().on(close(code))[1..], [Action::Notify(refused)]);
        }
        let lost = |early| Action::Notify(Notice::Lost { early, retry_in: Duration::from_secs(2) });
        for code in [1001, 1011, 1012, 1013] {
            let early = EarlyEnd::Closed(CloseCode::Given(code));
            assert_eq!(Table::connected().on(close(code))[1..], [lost(Some(early))]);
        }
        assert_eq!(Table::connected().on(Event::Closed), [lost(Some(EarlyEnd::WithoutCloseFrame))]);

        let mut late = Table::connected();
        late.after(5);
        assert_eq!(late.on(close(1000))[1..], [lost(None)]);
        let mut given = Table::connected();
        given.on(Event::Received(hash()));
        assert_eq!(given.on(close(1000))[1..], [lost(None)]);
    }

    fn failed(failure: ConnectFailure) -> Event {
        Event::ConnectFailed { failure, shown: Sha256Digest::of(b"ours") }
    }

    fn answered(status: u16, retry_after: Option<u64>) -> ConnectFailure {
        let retry_after = retry_after.map(Duration::from_secs);
        ConnectFailure::Answered(HttpAnswer { status, body: AnswerBody::Else, retry_after })
    }

    #[test]
    fn retry_after_puts_the_next_dial_off() {
        let mut table = Table::new();
        table.on(Event::Tick);
        assert!(matches!(table.on(failed(answered(429, Some(60))))[..], [Action::Notify(Notice::Unreachable { .. })]));
        assert_eq!(table.after(59), []);
        assert_eq!(table.after(11), [Action::Connect]);
        // A refusal is asked again as usual.
        assert_eq!(table.on(failed(answered(403, Some(60)))), [Action::Notify(Notice::Refused(Refusal::Status(403)))]);
        assert_eq!(table.after(4), [Action::Connect]);
    }

    #[test]
    fn a_connection_that_ends_without_an_answer_is_looked_at_again_before_it_means_something() {
        let mut table = Table::new();
        table.on(Event::Tick);
        let ended = || failed(ConnectFailure::EndedWithoutAnswer);
        assert!(matches!(table.on(ended())[..], [Action::Notify(Notice::Unclear { .. })]));
        assert_eq!(table.after(4), []);
        assert_eq!(table.after(2), [Action::Connect]);
        let refused = Notice::CertificateRefused(CertificateRefusal::EndedTwice);
        assert_eq!(table.on(ended()), [Action::Notify(refused)]);
        table.after(60);
        table.on(Event::Connected);
        table.on(Event::Closed);
        table.after(60);
        assert!(matches!(table.on(ended())[..], [Action::Notify(Notice::Unclear { .. })]));
    }

    proptest! {
        /// The first frame on each link is the node's basic_info: a control plane of 3.10 and later could crash else.
        #[test]
        fn nothing_is_sent_before_the_first_message(steps in prop::collection::vec(0u8..8, 0..60)) {
            let (mut table, mut introduced) = (Table::new(), false);
            for step in steps {
                let event = match step {
                    0 => Event::Connected,
                    1 => failed(ConnectFailure::Unreachable),
                    2 => Event::Frame(Frame::ping(Bytes::new())),
                    3 => Event::Frame(Frame::binary(Bytes::new())),
                    4 => Event::Received(hash()),
                    5 => Event::Closed,
                    6 => Event::Heard,
                    _ => {
                        table.now = table.now + Duration::from_secs(31);
                        Event::Tick
                    }
                };
                introduced &= !matches!(event, Event::Connected);
                for action in table.on(event) {
                    if let Action::Send(frame) = action {
                        prop_assert!(introduced || frame.payload[..] == *b"{}", "{frame:?}");
                        introduced = true;
                    }
                }
            }
        }
    }

    #[test]
    fn failures_wait_longer_each_time_and_a_configuration_starts_over() {
        let mut table = Table::new();
        for expected in [2, 4, 8, 10, 10] {
            assert_eq!(table.on(Event::Tick), [Action::Connect]);
            table.on(failed(ConnectFailure::Unreachable));
            assert_eq!(table.session.wake_at(), Some(table.now + Duration::from_secs(expected)));
            table.now = table.now + Duration::from_secs(expected);
        }
        table.on(Event::Tick);
        table.on(Event::Connected);
        table.on(Event::Received(hash()));
        table.on(Event::Closed);
        assert_eq!(table.session.wake_at(), Some(table.now + Duration::from_secs(2)));
    }

    #[test]
    fn a_fragment_ends_the_link_with_its_own_message() {
        let mut table = Table::connected();
        let fragment = Frame { is_final: false, ..Frame::binary(&b"half"[..]) };
        assert_eq!(table.on(Event::Frame(fragment)), [Action::Disconnect, Action::Notify(Notice::Fragment)]);
    }
}
