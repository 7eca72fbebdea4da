//! The headless data plane: a session that connects to the control plane as a node would, keeps what it is sent, and
//! proxies nothing.

use std::time::Duration;

use bytes::Bytes;

use super::{ConnectFailure, IDLE_LIMIT, PING_INTERVAL, REFUSAL_WINDOW};
use crate::backoff::Backoff;
use crate::digest::ConfigHash;
use crate::frame::{Frame, Opcode};
use crate::kong::ping::ping;
use crate::time::Moment;

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// Time has passed: at latest when [`Headless::wake_at`] said.
    Tick,
    /// The link is up.
    Connected,
    /// The link did not come up.
    ConnectFailed(ConnectFailure),
    /// Some bytes of a frame came: the control plane lives, even if the frame is long and the line slow.
    Heard,
    /// A frame came.
    Frame(Frame),
    /// What [`Action::Keep`] asked for is done: the message was a configuration with this name.
    Kept(ConfigHash),
    /// The message was none that can be kept; why is known to who tried.
    NotKept,
    /// The link is gone.
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
    /// Decode this message and keep its configuration.
    Keep(Bytes),
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
    /// The control plane closed the link right after our first message, or answered with this HTTP status.
    Refused(Option<u16>),
    /// The link was lost, and is tried again in this time.
    Lost {
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
    NotKept,
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
        // Kong's nodes try again after 5 to 10 s; one backup node may be a little more eager at first.
        let backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(10));
        Self { state: State::Waiting { until: now }, basic_info, config_timeout, backoff, runs: ConfigHash::EMPTY }
    }

    /// Takes one event. `chance` in `0.0..1.0` spreads reconnects.
    pub fn handle(&mut self, event: Event, now: Moment, chance: f64) -> Vec<Action> {
        match event {
            Event::Tick => self.tick(now, chance),
            Event::Connected => self.connected(now),
            Event::ConnectFailed(failure) => self.connect_failed(failure, now, chance),
            Event::Heard => {
                self.heard(now);
                Vec::new()
            }
            Event::Frame(frame) => self.frame(frame, now, chance),
            Event::Kept(hash) => self.kept(hash, now),
            Event::NotKept => {
                self.was_given();
                vec![Action::Notify(Notice::NotKept)]
            }
            Event::Closed => self.closed(now, chance),
            Event::GivenUp => self.wait(now, chance, |_, retry_in| Notice::Lost { retry_in }),
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
                actions.extend(self.wait(now, chance, |_, retry_in| Notice::Lost { retry_in }));
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
        let next_ping = now + PING_INTERVAL;
        self.state = State::Connected(Link { since: now, last_heard: now, next_ping, given: Given::Nothing });
        let first = Frame::binary(self.basic_info.clone());
        vec![Action::Notify(Notice::Connected), Action::Send(first), Action::Send(ping(self.runs))]
    }

    fn connect_failed(&mut self, failure: ConnectFailure, now: Moment, chance: f64) -> Vec<Action> {
        self.wait(now, chance, |failures, retry_in| match failure {
            ConnectFailure::Unreachable => Notice::Unreachable { failures, retry_in },
            ConnectFailure::Refused(status) => Notice::Refused(Some(status)),
        })
    }

    fn frame(&mut self, frame: Frame, now: Moment, chance: f64) -> Vec<Action> {
        self.heard(now);
        match frame.opcode {
            Opcode::Binary if frame.is_final => vec![Action::Keep(frame.payload)],
            Opcode::Binary | Opcode::Continuation => {
                let mut actions = vec![Action::Disconnect];
                actions.extend(self.wait(now, chance, |_, _| Notice::Fragment));
                actions
            }
            Opcode::Ping => vec![Action::Send(Frame { opcode: Opcode::Pong, ..frame })],
            Opcode::Close => {
                let mut actions = vec![Action::Disconnect];
                actions.extend(self.closed(now, chance));
                actions
            }
            Opcode::Text | Opcode::Pong => Vec::new(),
        }
    }

    fn kept(&mut self, hash: ConfigHash, now: Moment) -> Vec<Action> {
        self.runs = hash;
        self.backoff.reset();
        let State::Connected(link) = &mut self.state else {
            return Vec::new();
        };
        link.given = Given::Something;
        link.next_ping = now + PING_INTERVAL;
        vec![Action::Send(ping(hash))]
    }

    fn closed(&mut self, now: Moment, chance: f64) -> Vec<Action> {
        let State::Connected(link) = &self.state else {
            return Vec::new();
        };
        let refused = link.given != Given::Something && now - link.since < REFUSAL_WINDOW;
        self.wait(now, chance, |_, retry_in| if refused { Notice::Refused(None) } else { Notice::Lost { retry_in } })
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
        self.state = State::Waiting { until: now + retry_in };
        vec![Action::Notify(notice(self.backoff.failures(), retry_in))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(table.on(Event::Closed), [Action::Notify(Notice::Refused(None))]);
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
        assert_eq!(table.on(Event::Frame(Frame::binary(message.clone()))), [Action::Keep(message)]);
        assert_eq!(table.on(Event::Kept(hash())), [Action::Send(ping(hash()))]);
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
    fn a_link_that_is_silent_for_45_seconds_is_given_up_and_tried_again() {
        let mut table = Table::connected();
        table.on(Event::Kept(hash()));
        table.after(30);
        let retry_in = Duration::from_secs(2);
        assert_eq!(table.after(15), [Action::Disconnect, Action::Notify(Notice::Lost { retry_in })]);
        assert_eq!(table.after(1), []);
        assert_eq!(table.after(1), [Action::Connect]);
    }

    #[test]
    fn bytes_of_a_long_frame_keep_the_link_alive() {
        let mut table = Table::connected();
        table.on(Event::Kept(hash()));
        for _ in 0..10 {
            table.on(Event::Heard);
            assert!(!table.after(20).contains(&Action::Disconnect));
        }
    }

    #[test]
    fn being_dropped_at_once_is_a_refusal_and_later_a_loss() {
        let mut table = Table::connected();
        assert_eq!(table.on(Event::Closed), [Action::Notify(Notice::Refused(None))]);
        let mut table = Table::connected();
        table.after(5);
        assert!(matches!(table.on(Event::Closed)[..], [Action::Notify(Notice::Lost { .. })]));
        let mut table = Table::connected();
        table.on(Event::Kept(hash()));
        assert!(matches!(table.on(Event::Closed)[..], [Action::Notify(Notice::Lost { .. })]));
    }

    #[test]
    fn failures_wait_longer_each_time_and_a_configuration_starts_over() {
        let mut table = Table::new();
        for expected in [2, 4, 8, 10, 10] {
            assert_eq!(table.on(Event::Tick), [Action::Connect]);
            table.on(Event::ConnectFailed(ConnectFailure::Unreachable));
            assert_eq!(table.session.wake_at(), Some(table.now + Duration::from_secs(expected)));
            table.now = table.now + Duration::from_secs(expected);
        }
        table.on(Event::Tick);
        table.on(Event::Connected);
        table.on(Event::Kept(hash()));
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
