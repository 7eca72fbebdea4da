//! What each kind of answer of a control plane means for a node, and what reaches a control plane first.

use super::*;

fn empty_close() -> Frame {
    Frame { payload: Bytes::new(), ..Frame::close(0) }
}

fn fed_on_refusal() -> Table {
    let mut table = Table::begin(Rules { on_refusal: OnRefusal::Feed, ..RULES });
    table.introduce(ConfigHash::EMPTY);
    table
}

#[test]
fn a_refusal_closes_the_node_and_feeds_nothing() {
    for close in [empty_close(), Frame::close(1000), Frame::close(1008)] {
        let mut table = Table::empty_node();
        table.on(Event::ControlPlaneConnected);
        let actions = table.on(Event::FromControlPlane(close));
        assert!(actions.contains(&"notify Refused".into()) && actions.contains(&"close node".into()), "{actions:?}");
        assert!(!actions.contains(&"fetch".into()));
    }
    let mut table = Table::empty_node();
    let actions = table.on(Event::ControlPlaneFailed(Verdict::RefusesNode(Refusal::Status(403))));
    assert!(actions.contains(&"close node".into()) && !actions.contains(&"fetch".into()), "{actions:?}");
}

#[test]
fn a_refused_node_is_fed_where_the_operator_says_so() {
    let mut table = fed_on_refusal();
    let refused = || Event::ControlPlaneFailed(Verdict::RefusesNode(Refusal::Status(403)));
    assert_eq!(table.on(refused()), ["notify Refused", "to node: Pong", "fetch"]);
    assert_eq!(table.fetched(snapshot(0)), ["feed"]);
    // It stays so while it is asked again, and is still called a refusal.
    assert_eq!(table.after_seconds(5), ["connect", "feed"]);
    assert_eq!(table.session.link_state(), LinkState::Refused);
}

#[test]
fn what_a_refusal_means_may_change_and_holds_from_the_next_event_on() {
    let refused = || Event::ControlPlaneFailed(Verdict::RefusesNode(Refusal::Status(403)));
    let mut table = Table::empty_node();
    table.session.set_on_refusal(OnRefusal::Feed);
    assert_eq!(table.on(refused()), ["notify Refused", "to node: Pong", "fetch"]);
    assert_eq!(table.fetched(snapshot(0)), ["feed"]);
    table.session.set_on_refusal(OnRefusal::LeaveAlone);
    // It would be sent again now, and the next refusal closes it.
    assert_eq!(table.after_seconds(5), ["connect"]);
    assert!(!table.session.awaits_delivery());
    assert!(table.on(refused()).contains(&"close node".to_owned()));
}

#[test]
fn any_other_end_right_after_the_first_message_is_an_outage() {
    let ends = [1001, 1011, 1012, 1013, 1002, 4000].map(|code| Event::FromControlPlane(Frame::close(code)));
    for end in ends.into_iter().chain([Event::ControlPlaneClosed]) {
        let mut table = Table::empty_node();
        table.on(Event::ControlPlaneConnected);
        let actions = table.session.handle(end, table.now, 0.0);
        let is_early = |action: &Action| matches!(action, Action::Notify(Notice::Gone { early: Some(_), .. }));
        assert!(actions.iter().any(is_early), "{actions:?}");
        assert!(actions.iter().any(|action| matches!(action, Action::Fetch)), "{actions:?}");
        assert_eq!(table.on(Event::Fetched(snapshot(0))), ["feed"]);
    }
}

#[test]
fn a_close_after_three_seconds_or_after_a_configuration_is_an_outage() {
    let mut table = Table::empty_node();
    table.on(Event::ControlPlaneConnected);
    table.on(Event::FromControlPlane(Frame::empty_pong()));
    table.after_seconds(3);
    assert!(!table.on(Event::FromControlPlane(empty_close())).contains(&"close node".to_owned()));
    assert!(table.session.is_in_fallback());

    let mut table = Table::begin(RULES);
    table.introduce(hash('c'));
    table.on(Event::ControlPlaneConnected);
    table.on(Event::FromControlPlane(Frame::binary(&b"x"[..])));
    assert!(!table.on(Event::FromControlPlane(Frame::close(1000))).contains(&"close node".to_owned()));
}

#[test]
fn nobody_is_fed_when_the_certificate_is_refused_not_even_where_refused_nodes_are() {
    let refused = || Event::ControlPlaneFailed(Verdict::RefusesCertificate(CertificateRefusal::EndedTwice));
    for mut table in [Table::empty_node(), fed_on_refusal()] {
        table.after(HEAD_START);
        table.on(Event::Fetched(snapshot(0)));
        assert_eq!(table.on(refused()), ["close node", "to node: Pong"]);
        assert_eq!(table.session.link_state(), LinkState::Refused);
    }
    // One with a configuration goes, too: another relay's certificate may be accepted.
    let mut table = Table::begin(RULES);
    table.introduce(hash('c'));
    assert_eq!(table.on(refused()), ["close node", "to node: Pong"]);
}

#[test]
fn while_it_is_unclear_the_node_stays_and_waits_and_the_control_plane_is_asked_once_more() {
    let mut table = Table::empty_node();
    assert_eq!(table.on(Event::ControlPlaneFailed(Verdict::Unclear)), ["to node: Pong", "fetch"]);
    assert_eq!(table.on(Event::Fetched(snapshot(0))), Vec::<String>::new());
    assert!(!table.session.is_in_fallback());
    assert_eq!(table.ping(ConfigHash::EMPTY), ["to node: Pong"]);
    assert_eq!(table.after(SECOND_LOOK), ["connect"]);
    // Asking again changes nothing before there is an answer.
    assert_eq!(table.after_seconds(4), Vec::<String>::new());
    assert_eq!(table.unreachable(), ["notify Gone", "feed"]);
}

#[test]
fn retry_after_puts_the_next_dial_off_and_not_the_restoring() {
    let mut table = Table::empty_node();
    let asks_for_quiet = Verdict::Outage { retry_after: Some(Duration::from_secs(60)) };
    assert_eq!(table.on(Event::ControlPlaneFailed(asks_for_quiet)), ["notify Gone", "to node: Pong", "fetch"]);
    assert_eq!(table.fetched(snapshot(0)), ["feed"]);
    assert!(table.ping(hash('a')).contains(&"notify Adopted".to_owned()));
    for _ in 0..59 {
        assert_eq!(table.after_seconds(1), Vec::<String>::new());
        table.ping(hash('a'));
    }
    assert_eq!(table.after_seconds(1), ["connect"]);
}

#[test]
fn the_first_frames_of_a_stranger_reach_nobody() {
    let strange = [
        Frame { opcode: Opcode::Text, ..Frame::binary(BASIC_INFO) },
        Frame { is_final: false, ..Frame::binary(BASIC_INFO) },
        Frame { opcode: Opcode::Continuation, ..Frame::binary(BASIC_INFO) },
        Frame::binary(&b"hello"[..]),
    ];
    for frame in strange {
        let mut table = Table::begin(RULES);
        table.on(Event::ControlPlaneConnected);
        assert_eq!(table.on(Event::FromNode(frame)), ["notify NotANode", "close node"]);
    }
    let mut table = Table::begin(RULES);
    table.on(Event::ControlPlaneConnected);
    assert_eq!(table.ping(ConfigHash::EMPTY), Vec::<String>::new());
    assert_eq!(table.on(Event::FromNode(Frame::empty_pong())), Vec::<String>::new());
    // The ping comes behind the first message.
    assert_eq!(
        table.on(Event::FromNode(Frame::binary(BASIC_INFO))),
        ["take 4096 bytes", "to cp: Binary", "to cp: Ping"]
    );
    let mut table = Table::begin(RULES);
    table.on(Event::ControlPlaneConnected);
    assert_eq!(table.on(Event::FromNode(Frame::close(1000))), ["close node"]);
}

#[test]
fn a_refusal_says_how_it_came() {
    for (event, expected) in [
        (Event::FromControlPlane(empty_close()), Refusal::Closed(CloseCode::Absent)),
        (Event::FromControlPlane(Frame::close(1008)), Refusal::Closed(CloseCode::Given(1008))),
    ] {
        let mut table = Table::empty_node();
        table.on(Event::ControlPlaneConnected);
        let actions = table.session.handle(event, table.now, 0.0);
        let said = |action: &Action| matches!(action, Action::Notify(Notice::Refused(refusal, OnRefusal::LeaveAlone)) if *refusal == expected);
        assert!(actions.iter().any(said), "{actions:?}");
    }
    let early = Notice::Gone { early: Some(EarlyEnd::WithoutCloseFrame), retry_in: RULES.retry.0 };
    let mut table = Table::empty_node();
    table.on(Event::ControlPlaneConnected);
    let actions = table.session.handle(Event::ControlPlaneClosed, table.now, 0.0);
    assert!(actions.iter().any(|action| matches!(action, Action::Notify(notice) if *notice == early)), "{actions:?}");
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Connected,
    Failed,
    Closed,
    Introduction,
    FromNode(Opcode, bool),
    FromControlPlane(Opcode),
}

fn step() -> impl Strategy<Value = Step> {
    let opcode = || {
        prop::sample::select(vec![
            Opcode::Continuation,
            Opcode::Text,
            Opcode::Binary,
            Opcode::Close,
            Opcode::Ping,
            Opcode::Pong,
        ])
    };
    prop_oneof![
        (0u64..12_000).prop_map(Step::Wait),
        Just(Step::Connected),
        Just(Step::Failed),
        Just(Step::Closed),
        Just(Step::Introduction),
        (opcode(), any::<bool>()).prop_map(|(opcode, is_final)| Step::FromNode(opcode, is_final)),
        opcode().prop_map(Step::FromControlPlane),
    ]
}

proptest! {
    /// Whatever a node and a control plane send, and in whatever order: the first frame on each link to the control plane is
    /// the node's basic_info. One of 3.10 and later could crash else (KONG.md section 1).
    #[test]
    fn nothing_reaches_a_control_plane_before_the_nodes_first_message(steps in prop::collection::vec(step(), 0..60)) {
        let mut table = Table::begin(RULES);
        let mut introduced = false;
        for step in steps {
            let up = table.session.is_spliced();
            let event = match step {
                Step::Wait(millis) => {
                    table.now = table.now + Duration::from_millis(millis);
                    Event::Tick
                }
                Step::Connected if !up => { introduced = false; Event::ControlPlaneConnected }
                Step::Failed if !up => Event::ControlPlaneFailed(OUTAGE),
                Step::Closed if up => Event::ControlPlaneClosed,
                Step::Introduction => Event::FromNode(Frame::binary(BASIC_INFO)),
                Step::FromNode(opcode, is_final) => Event::FromNode(Frame { opcode, is_final, ..ping(hash('0')) }),
                Step::FromControlPlane(opcode) if up => Event::FromControlPlane(Frame { opcode, ..Frame::empty_pong() }),
                _ => Event::Tick,
            };
            for action in table.session.handle(event, table.now, 0.3) {
                match action {
                    Action::ToControlPlane(frame) => {
                        prop_assert!(introduced || frame.payload[..] == *BASIC_INFO, "{frame:?}");
                        introduced = true;
                    }
                    Action::CloseNode(_) => return Ok(()),
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn a_control_plane_that_is_not_read_for_want_of_room_is_neither_silent_nor_gone() {
    let mut table = Table::empty_node();
    table.on(Event::ControlPlaneConnected);
    assert_eq!(table.after(HEAD_START), ["fetch"]);
    table.on(Event::Fetched(snapshot(0)));
    table.on(Event::ControlPlaneHeldBack);
    for _ in 0..10 {
        assert_eq!(table.after_seconds(40), Vec::<String>::new());
        table.ping(ConfigHash::EMPTY);
        assert_eq!(table.session.link_state(), LinkState::Up);
    }
    // It is read again, and has stopped.
    table.on(Event::ControlPlaneHeard);
    let actions = [table.after_seconds(9), table.after_seconds(1)].concat();
    assert!(actions.contains(&"feed".to_owned()), "{actions:?}");
}

#[test]
fn each_ping_says_what_the_node_runs() {
    let mut table = Table::begin(RULES);
    let actions = table.session.handle(Event::FromNode(ping(hash('b'))), table.now, 0.0);
    assert!(matches!(actions[..], [Action::Notify(Notice::Runs(runs))] if runs == hash('b')), "{actions:?}");
}

#[test]
fn what_a_node_takes_may_come_from_the_control_plane_whichever_of_the_two_is_there_first() {
    for connected_first in [true, false] {
        let mut table = Table::begin(RULES);
        let mut actions = Vec::new();
        let connect = |table: &mut Table| table.on(Event::ControlPlaneConnected);
        if connected_first {
            actions.extend(connect(&mut table));
        }
        actions.extend(table.introduce(hash('b')));
        if !connected_first {
            actions.extend(connect(&mut table));
        }
        assert!(actions.contains(&"take 4096 bytes".to_owned()), "{actions:?}");
    }
}
