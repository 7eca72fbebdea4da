//! When a node asks, and what it does with answers as calls.

use super::*;

const NONE: fn() -> Value = || json!({ "default": { "wipe": false, "deltas": {} } });

#[test]
fn a_fresh_node_asks_once_hello_is_answered_and_again_when_it_has_taken_the_answer() {
    let mut stage = Stage::given(of_relay(-999_999_990));
    assert_eq!(stage.asked(), [(0, 0, 0.0), (0, 1, -999_999_990.0)]);
    assert!(stage.is_ready());
    assert_eq!(stage.machine.database.hash(), "-0000000000000000000000999999990");
}

#[test]
fn a_hello_that_is_answered_within_1_1_seconds_is_not_too_late_for_the_first_round() {
    let mut stage = Stage::new();
    stage.until(ms(1_150));
    stage.connect(0);
    stage.until(ms(1_300));
    assert_eq!(stage.asked(), [(0, 0, 0.0)]);
}

#[test]
fn a_hello_that_is_answered_later_loses_the_first_round_until_the_tick() {
    let mut stage = Stage::new();
    stage.until(ms(1_300));
    stage.connect(0);
    stage.until(ms(29_999));
    assert!(stage.asked().is_empty());
    assert!(stage.log().contains("unable to create worker mutex and sync: rpc is not ready"));
    stage.until(ms(30_000));
    assert_eq!(stage.asked(), [(0, 0, 0.0)]);
}

#[test]
fn worker_0_asks_twice_every_30_seconds_and_the_others_never() {
    let mut stage = Stage::given(of_relay(-5));
    stage.did();
    for tick in 1..4 {
        stage.until(ms(30_000 * tick));
        stage.answer(0, &NONE());
        stage.answer(0, &NONE());
        let calls = stage.asked();
        assert_eq!(
            calls.iter().map(|(worker, _, version)| (*worker, *version)).collect::<Vec<_>>(),
            [(0, -5.0), (0, -5.0)]
        );
        // Both sides ping, which is not what this is about.
        (0..2).for_each(|worker| stage.frame(worker, Arrived::Ping));
    }
}

#[test]
fn after_a_reconnect_nothing_is_asked_until_the_tick() {
    let mut stage = Stage::given(of_relay(-5));
    stage.after(ms(1_000));
    stage.event(Event::Ended { worker: 0, reason: "closed".to_owned() });
    stage.after(ms(10_000));
    stage.did();
    stage.connect(0);
    stage.until(ms(29_999));
    assert!(stage.asked().is_empty());
    stage.until(ms(30_000));
    // Ids begin anew with each link.
    assert_eq!(stage.asked(), [(0, 0, -5.0)]);
}

#[test]
fn after_a_reconnect_a_notify_is_answered_and_followed_by_a_call_on_the_same_link() {
    let mut stage = Stage::given(of_relay(-5));
    stage.event(Event::Ended { worker: 1, reason: "closed".to_owned() });
    stage.after(ms(10_000));
    stage.connect(1);
    stage.did();
    stage.notify(1, 1);
    let actions = stage.did();
    assert_eq!(said(&actions[0]), Some(json!({ "jsonrpc": "2.0", "id": 0, "result": true })));
    assert_eq!(call(&actions[1]), Some((1, 0, -5.0)));
}

#[test]
fn a_call_that_is_not_answered_in_5_seconds_is_followed_by_the_second_and_the_late_answer_is_dropped() {
    let mut stage = Stage::connected();
    stage.until(ms(200));
    assert_eq!(stage.asked(), [(0, 0, 0.0)]);
    stage.until(ms(5_199));
    assert!(stage.asked().is_empty());
    stage.until(ms(5_200));
    assert_eq!(stage.asked(), [(0, 1, 0.0)]);
    let late = json!({ "jsonrpc": "2.0", "id": 0, "result": full(of_relay(-5)) });
    stage.message(0, &late);
    assert_eq!((stage.asked(), stage.machine.applied), (vec![], 0));
    assert!(stage.log().contains("no interest for RPC response id: 0, dropping it"));
    assert!(stage.log().contains("sync get_delta error: timeout"));
    let second = json!({ "jsonrpc": "2.0", "id": 1, "result": full(of_relay(-5)) });
    stage.message(0, &second);
    assert_eq!((stage.machine.applied, stage.rpc(0)), (1, Rpc::Up));
}

#[test]
fn an_answer_is_too_late_also_when_nobody_looked_at_the_clock() {
    let mut stage = Stage::connected();
    stage.until(ms(200));
    stage.now = ms(5_300);
    stage.answer(0, &full(of_relay(-5)));
    assert_eq!(stage.machine.applied, 0);
}

#[test]
fn an_answer_on_another_link_or_with_a_string_for_its_id_is_dropped() {
    let mut stage = Stage::connected();
    stage.until(ms(200));
    let answer = |id: Value| json!({ "jsonrpc": "2.0", "id": id, "result": full(of_relay(-5)) });
    stage.message(1, &answer(0.into()));
    stage.message(0, &answer("0".into()));
    assert_eq!((stage.machine.applied, stage.rpc(0), stage.rpc(1)), (0, Rpc::Up, Rpc::Up));
    stage.message(0, &answer(0.into()));
    assert_eq!(stage.machine.applied, 1);
}

#[test]
fn an_answer_to_a_call_on_a_link_that_is_gone_is_dropped() {
    let mut stage = Stage::with(|options| options.times.reconnect = ms(100)..ms(101));
    stage.until(ms(60));
    (0..2).for_each(|worker| stage.connect(worker));
    stage.until(ms(200));
    stage.event(Event::Ended { worker: 0, reason: "closed".to_owned() });
    stage.until(ms(400));
    stage.connect(0);
    stage.message(0, &json!({ "jsonrpc": "2.0", "id": 0, "result": full(of_relay(-5)) }));
    assert_eq!(stage.machine.applied, 0);
    // The round that waited on it still runs into its time-out.
    stage.did();
    stage.until(ms(5_199));
    assert!(stage.asked().is_empty());
    stage.until(ms(5_200));
    assert_eq!(stage.asked(), [(0, 0, 0.0)]);
}

#[test]
fn after_an_error_the_second_call_follows_at_once_and_then_none() {
    let mut stage = Stage::connected();
    stage.until(ms(200));
    for id in 0..2 {
        stage.message(0, &json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32_000, "message": "not now" } }));
    }
    assert_eq!(stage.asked(), [(0, 0, 0.0), (0, 1, 0.0)]);
    assert_eq!(stage.machine.log.iter().filter(|line| *line == "sync get_delta error: not now").count(), 2);
    stage.until(ms(29_999));
    assert!(stage.asked().is_empty());
}

#[test]
fn a_notify_wakes_a_node_below_it_only() {
    let woken = |mut stage: Stage, new_version: i64| {
        stage.did();
        stage.notify(1, new_version);
        !stage.asked().is_empty()
    };
    let empty = || {
        let mut stage = Stage::connected();
        stage.until(ms(250));
        stage.say_no_deltas(0);
        stage
    };
    // An empty node compares with 0, whatever the numbers of the snapshots are.
    assert!(!woken(empty(), -999_999_989));
    assert!(!woken(empty(), 0));
    assert!(woken(empty(), 1));
    assert!(woken(Stage::given(of_relay(-5)), 1));
    assert!(woken(Stage::given(of_relay(-5)), -4));
    assert!(!woken(Stage::given(of_relay(-5)), -5));
    assert!(!woken(Stage::given(of_relay(-5)), -6));
    assert!(!woken(Stage::given(deltas(16, OWN)), 1));
    assert!(woken(Stage::given(deltas(16, OWN)), 17));
}

#[test]
fn a_notify_is_lost_while_a_round_runs_in_any_worker_and_answered_all_the_same() {
    let mut stage = Stage::connected();
    stage.until(ms(200));
    stage.did();
    stage.notify(1, 1);
    assert_eq!(stage.sent(), [json!({ "jsonrpc": "2.0", "id": 0, "result": true })]);
    stage.answer_with_id(0, 0, &NONE());
    stage.answer_with_id(0, 1, &NONE());
    assert_eq!(stage.asked(), [(0, 1, 0.0)]);
    stage.notify(1, 1);
    assert_eq!(stage.asked(), [(1, 0, 0.0)]);
}

#[test]
fn calls_that_make_no_sense_are_answered_as_kong_does() {
    let mut stage = Stage::given(of_relay(-5));
    stage.did();
    let mut answer = |id: Value, method: &str, params: Value| {
        stage.message(1, &json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        assert_eq!(stage.rpc(1), Rpc::Up);
        stage.sent()
    };
    let error = |id: Value, code: i32, message: &str| {
        vec![json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })]
    };
    assert_eq!(answer(json!(900), "kong.sync.v2.nothing", json!([])), error(json!(900), -32_601, "Method not found"));
    assert_eq!(
        answer(json!(1), NOTIFY, json!([{ "default": {} }])),
        error(json!(1), -32_000, "'new_version' key does not exist")
    );
    assert_eq!(
        answer(json!(2), NOTIFY, json!([{}])),
        error(json!(2), -32_000, "default namespace does not exist inside params")
    );
    for new_version in [json!(null), json!("17")] {
        assert_eq!(answer(json!(3), NOTIFY, json!([{ "default": { "new_version": new_version } }])), [] as [Value; 0]);
    }
    // Ids come back as they are, but for large ones: cjson has 14 digits.
    let old = json!([{ "default": { "new_version": -6 } }]);
    assert_eq!(answer(json!("a"), NOTIFY, old.clone())[0]["id"], "a");
    let large = answer(json!(1_000_000_000_000_000_u64), NOTIFY, old);
    assert!(large[0]["id"].is_f64(), "{large:?}");
}

#[test]
fn no_deltas_leave_an_empty_node_empty_without_a_word() {
    let mut stage = Stage::connected();
    stage.until(ms(200));
    stage.machine.log.clear();
    stage.answer(0, &NONE());
    stage.answer(0, &json!({ "default": { "wipe": true, "deltas": [] } }));
    assert_eq!((stage.asked().len(), stage.log(), stage.is_ready()), (2, String::new(), false));
}

#[test]
fn nothing_is_wiped_by_no_deltas() {
    let mut stage = Stage::given(of_relay(-5));
    stage.give_more(json!([]));
    assert_eq!((stage.route(), stage.machine.database.version()), (200, -5.0));
}

impl Stage {
    fn answer_with_id(&mut self, worker: usize, id: u64, result: &Value) {
        self.message(worker, &json!({ "jsonrpc": "2.0", "id": id, "result": result }));
    }
}
