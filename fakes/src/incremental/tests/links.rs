//! How links are made, kept, refused and broken.

use serde_json::{Value, json};

use super::*;
use crate::incremental::hello;
use crate::incremental::options::Sync;
use crate::recorded;
use crate::wire::KeyOrder;

/// Whether the worker closed its link with a close frame, and comes back 5 to 10 s later.
fn closes_and_comes_back(stage: &mut Stage, worker: usize) -> bool {
    let closed = stage.did().contains(&Action::Close { worker });
    let now = stage.now;
    stage.until(now + ms(4_999));
    let early = stage.did().contains(&Action::Dial { worker });
    stage.until(now + ms(10_000));
    closed && !early && stage.did().contains(&Action::Dial { worker })
}

#[test]
fn each_worker_dials_and_says_the_same_hello_under_one_id() {
    let mut stage = Stage::new();
    stage.until(ms(60));
    assert_eq!(stage.did(), [Action::Dial { worker: 0 }, Action::Dial { worker: 1 }]);
    (0..2).for_each(|worker| stage.open(worker));
    let said: Vec<Action> = stage.did();
    let [Action::Send { worker: 0, payload: first }, Action::Send { worker: 1, payload: second }] = &said[..] else {
        panic!("{said:?}");
    };
    assert_eq!(first, second);
}

#[test]
fn hello_has_what_the_recorded_one_has() {
    let hello: Value = serde_json::from_str(&hello::text(&options(), KeyOrder::of_a_new_process())).unwrap();
    let recorded: Value = serde_json::from_slice(recorded::hello()).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&hello), keys(&recorded));
    let (params, recorded) = (&hello["params"][0], &recorded["params"][0]);
    assert_eq!((keys(params), keys(&params["kong_conf"])), (keys(recorded), keys(&recorded["kong_conf"])));
    assert_eq!((keys(&params["kong_conf"]).len(), &params["rpc_capabilities"]), (237, &json!(["kong.sync.v2"])));
    assert_eq!(params["kong_conf"]["cluster_max_payload"], 16_777_216);
    assert!(uuid::Uuid::try_parse(params["kong_node_id"].as_str().unwrap()).is_ok());
}

#[test]
fn an_upgrade_without_the_one_subprotocol_is_refused() {
    for protocol in [None, Some("kong.meta.v2"), Some("kong.meta.v1, kong.meta.v2")] {
        let mut stage = Stage::new();
        stage.until(ms(60));
        stage.event(Event::Opened { worker: 0, protocol: protocol.map(str::to_owned) });
        assert!(closes_and_comes_back(&mut stage, 0), "{protocol:?}");
    }
}

#[test]
fn a_refused_upgrade_is_tried_again_without_a_close_frame() {
    let mut stage = Stage::new();
    stage.until(ms(60));
    stage.event(Event::Failed { worker: 1, reason: "unexpected HTTP response code: 503".to_owned() });
    assert!(stage.log().contains("[rpc] unable to connect to peer: unexpected HTTP response code: 503"));
    assert!(!closes_and_comes_back(&mut stage, 1), "it closed what was not open");
    stage.until(ms(10_100));
    assert_eq!(stage.rpc(1), Rpc::Trying);
}

#[test]
fn wrong_frames_before_the_answer_to_hello_are_refused() {
    for frame in [Arrived::Text, Arrived::Ping, Arrived::Pong, Arrived::Fragment, Arrived::Close] {
        let mut stage = Stage::new();
        stage.until(ms(60));
        stage.open(0);
        stage.frame(0, frame.clone());
        assert!(closes_and_comes_back(&mut stage, 0), "{frame:?}");
    }
}

#[test]
fn another_encoding_is_refused() {
    let mut stage = Stage::new();
    stage.until(ms(60));
    stage.open(0);
    stage.plain(
        0,
        r#"{"jsonrpc":"2.0","id":1,"result":{"rpc_capabilities":["kong.sync.v2"],"rpc_frame_encoding":"none"}}"#,
    );
    assert!(stage.log().contains("unknown encoding: none"));
    assert!(closes_and_comes_back(&mut stage, 0));
}

#[test]
fn a_hello_that_is_not_answered_in_5_seconds_ends_the_link() {
    let mut stage = Stage::new();
    stage.until(ms(60));
    stage.open(0);
    stage.until(ms(5_059));
    assert!(!stage.did().contains(&Action::Close { worker: 0 }));
    stage.until(ms(5_060));
    assert!(closes_and_comes_back(&mut stage, 0));
}

#[test]
fn more_capabilities_unknown_fields_and_another_id_are_accepted() {
    for answer in [
        r#"{"jsonrpc":"2.0","id":77,"result":{"rpc_capabilities":["a","kong.sync.v2"],"rpc_frame_encoding":"x-snappy-framed","b":1},"c":2}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"rpc_capabilities":{},"rpc_frame_encoding":"x-snappy-framed"}}"#,
    ] {
        let mut stage = Stage::new();
        stage.until(ms(60));
        stage.open(0);
        stage.plain(0, answer);
        assert_eq!(stage.rpc(0), Rpc::Up, "{answer}");
    }
}

#[test]
fn some_answers_to_hello_end_a_workers_rpc_until_kong_is_restarted() {
    let good = json!({ "jsonrpc": "2.0", "id": 1, "result": { "rpc_capabilities": [], "rpc_frame_encoding": "x-snappy-framed" } });
    let without = |pointer: &str, member: &str| {
        let mut answer = good.clone();
        answer.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(member);
        answer.to_string().into_bytes()
    };
    for answer in [
        json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": -32_000, "message": "not now" } })
            .to_string()
            .into_bytes(),
        without("/result", "rpc_capabilities"),
        without("/result", "rpc_frame_encoding"),
        without("", "jsonrpc"),
        without("", "result"),
        pack(&good.to_string()),
    ] {
        let mut stage = Stage::new();
        stage.until(ms(60));
        stage.open(0);
        stage.frame(0, Arrived::Binary(answer.clone().into()));
        assert_eq!(stage.did().last(), Some(&Action::Drop { worker: 0 }));
        stage.until(ms(60_000));
        let dials = stage.did().into_iter().filter(|action| *action == Action::Dial { worker: 0 }).count();
        assert_eq!((stage.rpc(0), dials), (Rpc::Dead, 0), "{}", String::from_utf8_lossy(&answer));
        let mut stage = stage.restarted();
        stage.until(ms(300));
        assert_eq!(stage.rpc(0), Rpc::Up);
    }
}

#[test]
fn what_is_no_message_breaks_the_link() {
    let message = |message: Value| Arrived::Binary(pack(&message.to_string()).into());
    let mut framed = snap::write::FrameEncoder::new(Vec::new());
    std::io::Write::write_all(&mut framed, br#"{"jsonrpc":"2.0","id":0,"result":{}}"#).unwrap();
    for frame in [
        Arrived::Text,
        Arrived::Fragment,
        Arrived::Close,
        Arrived::Binary(Bytes::from_static(br#"{"jsonrpc":"2.0","id":0,"result":{}}"#)),
        Arrived::Binary(framed.into_inner().unwrap().into()),
        message(json!({ "id": 0, "result": {} })),
        message(json!({ "jsonrpc": "2.0", "method": NOTIFY, "params": [] })),
    ] {
        let mut stage = Stage::given(of_relay(-5));
        stage.did();
        stage.frame(1, frame.clone());
        assert!(closes_and_comes_back(&mut stage, 1), "{frame:?}");
        assert_eq!(stage.rpc(0), Rpc::Up, "{frame:?}");
    }
}

#[test]
fn a_quiet_link_is_pinged_after_35_s_and_given_up_after_45() {
    let mut stage = Stage::with(|options| options.sync = Sync::Off);
    stage.until(ms(60));
    stage.connect(1);
    stage.did();
    let times = |stage: &mut Stage, wanted: Action| -> Vec<u128> {
        stage.did.drain(..).filter(|(_, action)| *action == wanted).map(|(at, _)| at.as_millis()).collect()
    };
    stage.until(ms(42_000));
    assert_eq!(times(&mut stage, Action::Ping { worker: 1 }), [35_060, 40_060]);
    // Any frame counts.
    stage.frame(1, Arrived::Pong);
    stage.until(ms(86_999));
    assert_eq!(times(&mut stage, Action::Ping { worker: 1 }), [77_000, 82_000]);
    stage.until(ms(87_000));
    assert_eq!(stage.did(), [Action::Close { worker: 1 }]);
    assert!(stage.log().contains("did not receive ping frame from other end within 45 seconds"));
}

#[test]
fn pings_are_answered() {
    let mut stage = Stage::connected();
    stage.did();
    stage.frame(1, Arrived::Ping);
    assert_eq!(stage.did(), [Action::Pong { worker: 1 }]);
}

#[test]
fn with_sync_off_a_node_lists_nothing_asks_nothing_and_logs_nothing() {
    let mut stage = Stage::with(|options| options.sync = Sync::Off);
    stage.until(ms(60));
    stage.did();
    (0..2).for_each(|worker| stage.open(worker));
    for action in stage.did() {
        let Action::Send { payload, .. } = action else { panic!("{action:?}") };
        let hello: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(hello["params"][0]["rpc_capabilities"], json!([]));
    }
    (0..2).for_each(|worker| stage.say_hello(worker));
    stage.machine.log.clear();
    stage.until(ms(34_000));
    assert_eq!((stage.did(), stage.log()), (vec![], String::new()));
}

#[test]
fn without_the_capability_a_node_stays_empty_and_logs_two_lines_each_tick() {
    let mut stage = Stage::new();
    stage.until(ms(60));
    for worker in 0..2 {
        stage.open(worker);
        stage.plain(
            worker,
            r#"{"jsonrpc":"2.0","id":1,"result":{"rpc_capabilities":[],"rpc_frame_encoding":"x-snappy-framed"}}"#,
        );
    }
    stage.until(ms(29_000));
    stage.machine.log.clear();
    stage.until(ms(31_000));
    let line =
        "sync get_delta error: requested capability does not exist, capability: kong.sync.v2, node_id: control_plane";
    assert_eq!(stage.machine.log, [line, line]);
    assert!(stage.asked().is_empty() && !stage.is_ready());
}
