//! The node's session as tables: no sockets, no clock.

use std::time::SystemTime;

use bytes::Bytes;
use proptest::prelude::*;

use super::fed::loading_time;
use super::*;
use crate::frame::CloseCode;
use crate::kong::message::ReconfigureMessage;
use crate::kong::ping::ping;
use crate::payload::Payload;
use crate::session::answer::{EarlyEnd, Refusal, Verdict};
use crate::session::own_certificate::CertificateRefusal;
use crate::session::reconnect::{NODE_RETRY, SECOND_LOOK};
use crate::time::WallTime;

mod answers;
mod following;
mod large;

const OUTAGE: Verdict = Verdict::Outage { retry_after: None };

const RULES: Rules =
    Rules { config_timeout: Duration::from_secs(10), on_refusal: OnRefusal::LeaveAlone, retry: NODE_RETRY };
const BASIC_INFO: &[u8] = br#"{"type":"basic_info","plugins":[],"process_conf":{"cluster_max_payload":4096}}"#;

struct Table {
    session: NodeSession,
    now: Moment,
}

fn hash(digit: char) -> ConfigHash {
    digit.to_string().repeat(32).parse().unwrap()
}

fn snapshot(padding: usize) -> Arc<ReadySnapshot> {
    let json = format!(r#"{{"services":[],"x":"{}"}}"#, (0..padding).map(|n| format!("{n:x}")).collect::<String>());
    let payload = Payload::compress(json.as_bytes());
    let message = ReconfigureMessage::around(&payload, hash('a'), None, WallTime::from_system(SystemTime::UNIX_EPOCH));
    Arc::new(ReadySnapshot { message, config_bytes: json.len() as u64, publication: None })
}

impl Table {
    fn begin(rules: Rules) -> Self {
        let (session, actions) = NodeSession::begin(rules, Moment::default());
        assert!(matches!(actions[..], [Action::ConnectControlPlane]));
        Self { session, now: Moment::default() }
    }

    /// A node that has said who it is and that it has nothing.
    fn empty_node() -> Self {
        let mut table = Self::begin(RULES);
        table.introduce(ConfigHash::EMPTY);
        table
    }

    fn introduce(&mut self, runs: ConfigHash) -> Vec<String> {
        let mut all = self.on(Event::FromNode(Frame::binary(BASIC_INFO)));
        all.extend(self.on(Event::FromNode(ping(runs))));
        all
    }

    fn on(&mut self, event: Event) -> Vec<String> {
        let actions = self.session.handle(event, self.now, 0.0);
        let all = actions.iter().filter(|action| !matches!(action, Action::Notify(Notice::Runs(_))));
        all.map(name).collect()
    }

    /// What is fed has gone as soon as it is asked for, unless a test says otherwise.
    fn deliver(&mut self, actions: Vec<String>) -> Vec<String> {
        if actions.iter().any(|action| action == "feed") {
            assert!(self.session.awaits_delivery());
            assert_eq!(self.on(Event::Delivered), ["notify Fed"]);
        }
        actions
    }

    fn fetched(&mut self, snapshot: Arc<ReadySnapshot>) -> Vec<String> {
        let actions = self.on(Event::Fetched(snapshot));
        self.deliver(actions)
    }

    fn after(&mut self, wait: Duration) -> Vec<String> {
        self.now = self.now + wait;
        self.on(Event::Tick)
    }

    fn after_seconds(&mut self, seconds: u64) -> Vec<String> {
        self.after(Duration::from_secs(seconds))
    }

    fn unreachable(&mut self) -> Vec<String> {
        self.on(Event::ControlPlaneFailed(OUTAGE))
    }

    fn ping(&mut self, runs: ConfigHash) -> Vec<String> {
        self.on(Event::FromNode(ping(runs)))
    }
}

fn name(action: &Action) -> String {
    match action {
        Action::ConnectControlPlane => "connect".into(),
        Action::DisconnectControlPlane => "disconnect".into(),
        Action::RaiseLimit(limit) => format!("take {limit} bytes"),
        Action::ToControlPlane(frame) => format!("to cp: {:?}", frame.opcode),
        Action::ToNode(frame) => format!("to node: {:?}", frame.opcode),
        Action::Fetch => "fetch".into(),
        Action::FetchPublished(publication) => format!("fetch published {}", publication.sequence),
        Action::Feed(_) => "feed".into(),
        Action::CloseNode(_) => "close node".into(),
        Action::Notify(notice) => {
            let text = format!("{notice:?}");
            format!("notify {}", text.split([' ', '(']).next().unwrap())
        }
    }
}

#[test]
fn while_the_control_plane_is_there_frames_pass_unchanged() {
    let mut table = Table::empty_node();
    assert_eq!(
        table.on(Event::ControlPlaneConnected),
        ["notify Spliced", "take 4096 bytes", "to cp: Binary", "to cp: Ping"]
    );
    assert_eq!(table.on(Event::FromControlPlane(Frame::empty_pong())), ["to node: Pong"]);
    let message = Frame::binary(&b"a configuration"[..]);
    let actions = table.session.handle(Event::FromControlPlane(message.clone()), table.now, 0.0);
    assert!(matches!(&actions[..], [Action::Notify(Notice::Given(15)), Action::ToNode(frame)] if *frame == message));
    assert_eq!(table.ping(hash('b')), ["to cp: Ping"]);
    assert_eq!(table.session.source(), Source::ControlPlane);
}

#[test]
fn an_empty_node_is_fed_as_soon_as_the_control_plane_is_known_to_be_gone() {
    let mut table = Table::empty_node();
    assert_eq!(table.unreachable(), ["notify Gone", "to node: Pong", "fetch"]);
    assert_eq!(table.on(Event::Fetched(snapshot(0))), ["feed"]);
    assert_eq!(table.ping(hash('a')), ["notify Adopted", "to node: Pong"]);
    assert_eq!(table.session.source(), Source::Store);
}

#[test]
fn the_snapshot_is_fetched_while_the_control_plane_is_still_being_asked() {
    let mut table = Table::empty_node();
    assert_eq!(table.after(HEAD_START), ["fetch"]);
    assert_eq!(table.on(Event::Fetched(snapshot(0))), Vec::<String>::new());
    assert_eq!(table.unreachable(), ["notify Gone", "to node: Pong", "feed"]);
}

#[test]
fn a_configuration_that_the_node_dropped_is_sent_again_after_a_second_and_a_half() {
    let mut table = Table::empty_node();
    table.unreachable();
    table.on(Event::Fetched(snapshot(0)));
    // The time begins when all of it has gone.
    assert_eq!(table.after_seconds(1), Vec::<String>::new());
    table.on(Event::Delivered);
    assert_eq!(table.after(FIRST_REPEAT - Duration::from_millis(1)), Vec::<String>::new());
    assert_eq!(table.after(Duration::from_millis(1)), ["feed"]);
    assert_eq!(table.after(FIRST_REPEAT), Vec::<String>::new());
}

#[test]
fn repeats_wait_longer_for_a_larger_configuration_and_are_reported() {
    let pause_for = |config_bytes| {
        let snapshot = ReadySnapshot { config_bytes, ..clone_of(&snapshot(0)) };
        Fed::new(Arc::new(snapshot)).pause.next_wait(1.0)
    };
    assert!(pause_for(58_000_000) > pause_for(2) + Duration::from_secs(10));
    let mut table = Table::empty_node();
    table.unreachable();
    table.fetched(snapshot(0));
    let (mut notices, mut attempts) = (0, Vec::new());
    for second in 0..400 {
        table.on(Event::ControlPlaneFailed(OUTAGE));
        table.ping(ConfigHash::EMPTY);
        let mut actions = table.after_seconds(1);
        if actions.iter().any(|action| action == "fetch") {
            actions.extend(table.fetched(snapshot(0)));
        } else {
            actions = table.deliver(actions);
        }
        notices += actions.iter().filter(|action| *action == "notify NotAdopted").count();
        attempts.extend(actions.iter().any(|action| action == "feed").then_some(second));
    }
    assert_eq!(notices, 1);
    assert!(matches!(table.session.trouble(), Some(Trouble::NotAdopted { attempts }) if attempts > 3));
    let pauses: Vec<i32> = attempts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.len() >= 4 && pauses.is_sorted(), "{pauses:?}");
}

#[test]
fn for_a_node_that_does_not_adopt_it_the_snapshot_is_fetched_again_and_another_one_begins_anew() {
    let mut table = Table::empty_node();
    table.unreachable();
    table.fetched(snapshot(0));
    for _ in 1..ATTEMPTS_BEFORE_NOTICE {
        table.now = table.session.wake_at().max(table.now);
        let actions = table.after(LONGEST_PAUSE.min(Duration::from_secs(20)));
        table.ping(ConfigHash::EMPTY);
        assert!(actions.contains(&"feed".to_owned()), "{actions:?}");
        table.deliver(actions);
    }
    let actions = table.after_seconds(30);
    assert!(actions.contains(&"fetch".to_owned()) && !actions.contains(&"feed".to_owned()), "{actions:?}");
    let payload = Payload::compress(b"{}");
    let message = ReconfigureMessage::around(&payload, hash('b'), None, WallTime::from_system(SystemTime::UNIX_EPOCH));
    let chosen = Arc::new(ReadySnapshot { message, config_bytes: 2, publication: None });
    // Nobody said again that it is not adopted: it is another one.
    assert_eq!(table.fetched(chosen), ["feed"]);
    assert_eq!(table.session.trouble(), None);
    assert!(table.ping(hash('b')).contains(&"notify Adopted".to_owned()));
}

fn clone_of(snapshot: &ReadySnapshot) -> ReadySnapshot {
    ReadySnapshot { message: snapshot.message.clone(), config_bytes: snapshot.config_bytes, publication: None }
}

#[test]
fn a_node_that_has_a_configuration_is_left_alone_and_its_pings_are_answered() {
    let mut table = Table::begin(RULES);
    table.introduce(hash('c'));
    assert_eq!(table.unreachable(), ["notify Gone", "to node: Pong"]);
    assert_eq!(table.ping(hash('c')), ["to node: Pong"]);
    assert_eq!(table.after_seconds(5), ["connect"]);
}

#[test]
fn a_control_plane_that_stays_silent_is_waited_for_and_then_the_node_is_fed() {
    let mut table = Table::empty_node();
    table.on(Event::ControlPlaneConnected);
    table.on(Event::FromControlPlane(Frame::empty_pong()));
    assert_eq!(table.after(HEAD_START), ["fetch"]);
    assert_eq!(table.on(Event::Fetched(snapshot(0))), Vec::<String>::new());
    assert_eq!(table.after(RULES.config_timeout - HEAD_START), ["notify Silent", "feed"]);
    assert!(table.session.is_spliced());
}

#[test]
fn a_control_plane_in_the_middle_of_a_long_message_is_neither_silent_nor_gone() {
    let mut table = Table::empty_node();
    table.on(Event::ControlPlaneConnected);
    assert_eq!(table.after(HEAD_START), ["fetch"]);
    table.on(Event::Fetched(snapshot(0)));
    for _ in 0..10 {
        table.after_seconds(4);
        assert_eq!(table.on(Event::ControlPlaneHeard), Vec::<String>::new());
        table.ping(ConfigHash::EMPTY);
        assert_eq!(table.session.link_state(), LinkState::Up);
    }
    // It has stopped in the middle.
    let actions = [table.after_seconds(9), table.after_seconds(1)].concat();
    assert!(actions.contains(&"feed".to_owned()), "{actions:?}");
}

#[test]
fn a_node_that_the_control_plane_has_given_something_is_never_fed_while_it_may_be_loading_it() {
    let mut table = Table::empty_node();
    table.on(Event::ControlPlaneConnected);
    table.on(Event::FromControlPlane(Frame::binary(vec![0; 1_000_000])));
    table.on(Event::ControlPlaneClosed);
    // Its pings still carry zeros while it loads.
    assert_eq!(table.ping(ConfigHash::EMPTY), ["to node: Pong"]);
    assert_eq!(table.after_seconds(3), Vec::<String>::new());
    // Long after, zeros mean that it is empty again.
    table.now = table.now + Duration::from_secs(30);
    assert!(table.ping(ConfigHash::EMPTY).contains(&"fetch".to_owned()));
}

#[test]
fn what_the_control_plane_sends_and_nobody_can_read_closes_the_node_and_feeds_nothing() {
    let mut table = Table::empty_node();
    table.on(Event::ControlPlaneConnected);
    assert_eq!(table.on(Event::ControlPlaneUnreadable), ["close node"]);
}

#[test]
fn a_node_for_which_no_link_can_be_opened_to_a_control_plane_that_is_there_is_sent_away_and_not_fed() {
    let mut table = Table::empty_node();
    table.unreachable();
    table.on(Event::Fetched(snapshot(0)));
    assert_eq!(table.after_seconds(5), ["connect"]);
    assert_eq!(table.on(Event::NoFileForLink), ["notify NoFileForLink", "close node"]);
}

#[test]
fn a_control_plane_that_does_not_answer_a_ping_within_10_seconds_is_gone() {
    let mut table = Table::begin(RULES);
    table.introduce(hash('c'));
    table.on(Event::ControlPlaneConnected);
    assert_eq!(table.after_seconds(9), Vec::<String>::new());
    assert_eq!(table.after_seconds(1), ["disconnect", "notify Gone", "to node: Pong"]);
}

#[test]
fn a_returned_control_plane_is_told_who_the_node_is_and_what_it_runs_and_its_pong_stays_here() {
    let mut table = Table::empty_node();
    table.unreachable();
    table.on(Event::Fetched(snapshot(0)));
    table.ping(hash('a'));
    assert_eq!(table.after_seconds(5), ["connect"]);
    assert_eq!(
        table.on(Event::ControlPlaneConnected),
        ["notify Spliced", "take 4096 bytes", "to cp: Binary", "to cp: Ping"]
    );
    assert_eq!(table.on(Event::FromControlPlane(Frame::empty_pong())), Vec::<String>::new());
    assert_eq!(table.on(Event::FromControlPlane(Frame::binary(&b"new"[..]))), ["notify Given", "to node: Binary"]);
}

#[test]
fn links_of_many_nodes_are_tried_again_between_5_and_10_seconds() {
    for (chance, wait) in [(0.0, 5_000), (0.5, 7_500), (1.0, 10_000)] {
        let (mut session, _) = NodeSession::begin(RULES, Moment::default());
        session.handle(Event::ControlPlaneFailed(OUTAGE), Moment::default(), chance);
        assert_eq!(session.wake_at(), Moment::after_start(Duration::from_millis(wait)));
    }
}

#[test]
fn a_snapshot_that_the_node_would_not_take_is_reported_and_not_sent() {
    let mut table = Table::empty_node();
    table.unreachable();
    assert_eq!(table.on(Event::Fetched(snapshot(20_000))), ["notify TooLarge"]);
    assert_eq!(table.after_seconds(3), Vec::<String>::new());
    assert!(matches!(table.session.trouble(), Some(Trouble::TooLarge { limit: 4096, .. })));
    // By and by it is looked whether there is a smaller one.
    assert_eq!(table.after_seconds(2), ["connect", "fetch"]);
    assert_eq!(table.on(Event::Fetched(snapshot(20_000))), Vec::<String>::new(), "it is said once");
}

#[test]
fn a_silent_node_is_let_go_after_45_seconds() {
    let mut table = Table::empty_node();
    table.on(Event::ControlPlaneConnected);
    table.on(Event::FromControlPlane(Frame::binary(&b"x"[..])));
    assert_eq!(table.after_seconds(45), ["notify NodeSilent", "close node"]);
}

#[test]
fn a_stranger_that_speaks_something_else_is_let_go() {
    let mut table = Table::begin(RULES);
    assert_eq!(table.on(Event::FromNode(Frame::binary(&b"hello"[..]))), ["notify NotANode", "close node"]);
}

#[test]
fn a_ping_before_the_first_message_says_nothing_yet_and_wakes_nobody_in_the_past() {
    for connected in [true, false] {
        let mut table = Table::begin(RULES);
        table.ping(ConfigHash::EMPTY);
        if connected {
            table.on(Event::ControlPlaneConnected);
        } else {
            table.unreachable();
        }
        for _ in 0..40 {
            assert!(!table.after_seconds(1).contains(&"fetch".to_owned()));
            assert!(table.session.wake_at() > table.now, "{:?}", table.session);
            table.on(Event::FromControlPlane(Frame::empty_pong()));
            if matches!(table.session.link, Link::Connecting { .. }) {
                table.unreachable();
            }
        }
        // Once it has said who it is, what it last said of its configuration counts.
        table.on(Event::FromNode(Frame::binary(BASIC_INFO)));
        table.now = table.now + HEAD_START;
        let fetched = table.session.fetch_at().is_some() || matches!(table.session.feeding, Feeding::Fetching(_));
        assert!(fetched, "{:?}", table.session);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Ping(char),
    Connected,
    Failed,
    Closed,
    Message,
    Pong,
    Fetched,
    FetchedLarge,
    Delivered,
    NodeError,
    Unclear,
    CertificateRefused,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u64..12_000).prop_map(Step::Wait),
        prop_oneof![Just('0'), Just('a'), Just('b')].prop_map(Step::Ping),
        Just(Step::Connected),
        Just(Step::Failed),
        Just(Step::Closed),
        Just(Step::Message),
        Just(Step::Pong),
        Just(Step::Fetched),
        Just(Step::FetchedLarge),
        Just(Step::Delivered),
        Just(Step::NodeError),
        Just(Step::Unclear),
        Just(Step::CertificateRefused),
    ]
}

proptest! {
    /// Whatever happens: only a node whose newest ping showed zeros is fed, never one that the control plane has just
    /// given something on a living link, and the session never asks to be woken in the past.
    #[test]
    fn no_order_of_events_feeds_a_node_that_must_not_be_fed(steps in prop::collection::vec(step(), 0..60)) {
        let mut table = Table::empty_node();
        let (mut runs, mut given_on_link, mut up, mut doubted) = ('0', false, false, false);
        for step in steps {
            let event = match step {
                Step::Wait(millis) => {
                    table.now = table.now + Duration::from_millis(millis);
                    Event::Tick
                }
                Step::Ping(digit) => {
                    runs = digit;
                    Event::FromNode(ping(hash(digit)))
                }
                // What a link can't do is not tried.
                Step::Connected if !up => { given_on_link = false; Event::ControlPlaneConnected }
                Step::Failed if !up => Event::ControlPlaneFailed(OUTAGE),
                Step::Closed if up => Event::ControlPlaneClosed,
                Step::Message if up => { given_on_link = true; Event::FromControlPlane(Frame::binary(Bytes::new())) }
                Step::Pong if up => Event::FromControlPlane(Frame::empty_pong()),
                Step::Fetched => Event::Fetched(snapshot(0)),
                Step::FetchedLarge => Event::Fetched(large::snapshot()),
                Step::NodeError => Event::FromNode(Frame::binary(large::NODE_ERROR)),
                Step::Unclear if !up => Event::ControlPlaneFailed(Verdict::Unclear),
                Step::CertificateRefused if !up => {
                    Event::ControlPlaneFailed(Verdict::RefusesCertificate(CertificateRefusal::EndedTwice))
                }
                Step::Delivered => Event::Delivered,
                _ => Event::Tick,
            };
            match &event {
                Event::ControlPlaneFailed(verdict) => doubted = *verdict != OUTAGE,
                Event::ControlPlaneConnected => doubted = false,
                _ => {}
            }
            let actions = table.session.handle(event, table.now, 0.3);
            up = table.session.is_spliced();
            if actions.iter().any(|action| matches!(action, Action::Feed(_))) {
                prop_assert_eq!(runs, '0');
                prop_assert!(!(up && given_on_link));
                prop_assert!(!doubted);
            }
            if actions.iter().any(|action| matches!(action, Action::CloseNode(_))) {
                break;
            }
            let _ = table.session.handle(Event::Tick, table.now, 0.3);
            up = table.session.is_spliced();
            let connecting_again = matches!(table.session.link, Link::Connecting { .. });
            prop_assert!(connecting_again || table.session.wake_at() > table.now, "{:?}", table.session);
        }
    }
}
