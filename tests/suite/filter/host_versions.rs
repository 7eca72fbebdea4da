//! That the host dies and traps in the versions of Kong that do (KONG.md section 4), shown on tiny filters.

use lifeboat_tests::wasm_host::{Behaviour, Filter, Reply, WasmHost};

use super::host::{GET, data, dispatch, module};

const SECOND: std::time::Duration = std::time::Duration::from_secs(1);

/// A filter that ticks once a second and does this in each tick, and that when it is called back.
fn ticking(data: &str, body: &str, on_answer: &str) -> Vec<u8> {
    module(&format!(
        r#"{data}
        (func (export "proxy_on_configure") (param i32 i32) (result i32)
          (drop (call $tick_period (i32.const 1000))) (i32.const 1))
        (func (export "proxy_on_tick") (param i32) {body})
        (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32) {on_answer})
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 0))
        (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 0))"#
    ))
}

/// A filter that makes two calls in each tick, wherever it is.
pub(super) fn careless() -> Vec<u8> {
    let (data, call) = dispatch("10.0.0.1:80", &GET);
    ticking(&data, &format!("(drop {call})").repeat(2), "")
}

fn host(behaviour: Behaviour, wasm: &[u8]) -> WasmHost {
    let mut host = WasmHost::start_worker(&Filter::compile(wasm).unwrap(), behaviour, 1).unwrap();
    assert_eq!(host.configure(b"{}"), Ok(true));
    host
}

/// Those of Kong in which this filter, which calls so often in a tick, loses the worker at once.
fn killed_by(calls: usize) -> Vec<Behaviour> {
    let (data, call) = dispatch("10.0.0.1:80", &GET);
    let wasm = ticking(&data, &format!("(drop {call})").repeat(calls), "");
    let kongs = Behaviour::ALL.into_iter().filter(|behaviour| behaviour.is_kong());
    let killed = kongs.filter(|behaviour| {
        let mut host = host(*behaviour, &wasm);
        let survived = host.advance(SECOND).is_ok();
        assert_eq!(survived, !host.worker_crashed(), "{behaviour:?}");
        assert_eq!(host.request().is_ok(), survived, "nothing passes through a worker that is gone");
        !survived
    });
    killed.collect()
}

#[test]
fn kong_3_4_dies_of_any_call_and_3_6_of_a_second_one() {
    assert_eq!(killed_by(0), []);
    assert_eq!(killed_by(1), [Behaviour::Kong34]);
    assert_eq!(killed_by(2), [Behaviour::Kong34, Behaviour::Kong36]);
}

#[test]
fn kong_3_7_dies_of_a_call_that_fails_beside_another() {
    for (behaviour, dies) in [(Behaviour::Kong37, true), (Behaviour::Kong38, false), (Behaviour::Kong39, false)] {
        let mut host = host(behaviour, &careless());
        host.advance(SECOND).unwrap();
        assert_eq!(host.reply(0, Reply::failed("timeout")).is_err(), dies, "{behaviour:?}");
        assert_eq!(host.worker_crashed(), dies, "{behaviour:?}");
    }
    let mut alone = host(Behaviour::Kong37, &careless());
    alone.advance(SECOND).unwrap();
    alone.reply(0, Reply::http(200, b"")).unwrap();
    alone.reply(1, Reply::failed("timeout")).unwrap();
    assert!(!alone.worker_crashed(), "alone a call may fail");
}

#[test]
fn before_kong_3_9_nobody_calls_back_for_a_call_that_failed() {
    let (call_data, call) = dispatch("10.0.0.1:80", &GET);
    let say = "(drop (call $log (i32.const 2) (i32.const 100) (i32.const 4)))";
    let wasm = ticking(&call_data, &format!("(drop {call})"), say);
    for behaviour in [Behaviour::Kong36, Behaviour::Kong37, Behaviour::Kong38, Behaviour::Kong39] {
        let mut host = host(behaviour, &wasm);
        host.advance(SECOND).unwrap();
        host.reply(0, Reply::failed("broken connection")).unwrap();
        assert_eq!(host.log().len(), usize::from(behaviour == Behaviour::Kong39), "{behaviour:?}");
        assert_eq!(host.under_way(), [], "{behaviour:?}: it ended all the same");
    }
}

#[test]
fn before_kong_3_8_a_metric_traps_and_the_requests_after_it_find_a_new_instance() {
    let define = "(drop (call $define (i32.const 1) (i32.const 500) (i32.const 5) (i32.const 1000)))";
    let wasm = ticking(&data(500, b"gauge"), define, "");
    for behaviour in Behaviour::ALL {
        let traps = matches!(behaviour, Behaviour::Kong34 | Behaviour::Kong36 | Behaviour::Kong37);
        let mut host = host(behaviour, &wasm);
        let reason = host.advance(SECOND).err().map(|trap| trap.reason().to_owned());
        assert_eq!(reason.is_some_and(|reason| reason.contains("not yet implemented")), traps, "{behaviour:?}");
        assert_eq!((host.traps() > 0, host.worker_crashed()), (traps, false), "{behaviour:?}");
    }
}

#[test]
fn each_tells_its_own_version_to_a_request_3_4_an_empty_one_and_envoy_none() {
    let read = format!(
        r#"{}
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
          (if (i32.eqz (call $property (i32.const 400) (i32.const 12) (i32.const 1000) (i32.const 1004)))
            (then (call $log_answer)))
          (i32.const 0))"#,
        data(400, b"kong\0version")
    );
    let told = Behaviour::ALL.map(|behaviour| {
        let mut host = host(behaviour, &module(&read));
        host.request().unwrap();
        host.log().first().map(|line| line.text.clone())
    });
    let versions = ["", "3.6.1", "3.7.1", "3.8.0", "3.9.1"].map(|version| Some(version.to_owned()));
    assert_eq!(told[..5], versions);
    assert_eq!(told[5], None);
}
