//! That the Proxy-Wasm host traps where Kong traps and answers as Kong answers, shown on tiny filters. Without this, a
//! filter that "never traps" in it would prove nothing.

use std::time::Duration;

use lifeboat_tests::wasm_host::{Behaviour, Filter, MetricValue, Reply, Trap, WasmHost};

const SECOND: Duration = Duration::from_secs(1);

/// What tiny filters import and call. Texts lie at fixed addresses; answers of host calls are written at 1000.
const PRELUDE: &str = r#"
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_set_tick_period_milliseconds" (func $tick_period (param i32) (result i32)))
  (import "env" "proxy_get_buffer_bytes" (func $buffer (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_value" (func $header (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_property" (func $property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_shared_data" (func $get_shared (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_shared_data" (func $set_shared (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_define_metric" (func $define (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_record_metric" (func $record (param i32 i64) (result i32)))
  (import "env" "proxy_increment_metric" (func $increment (param i32 i64) (result i32)))
  (import "env" "proxy_replace_header_map_value" (func $set_header (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_http_call"
    (func $http_call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 4096))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (global.get $free)
    (global.set $free (i32.add (global.get $free) (local.get $size))))
  (func $must_be (param $answer i32) (param $expected i32)
    (if (i32.ne (local.get $answer) (local.get $expected)) (then unreachable)))
  (func $log_answer
    (drop (call $log (i32.const 2) (i32.load (i32.const 1000)) (i32.load (i32.const 1004)))))
"#;

/// A header map as Proxy-Wasm serialises it.
fn serialised(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = (headers.len() as u32).to_le_bytes().to_vec();
    for (name, value) in headers {
        bytes.extend((name.len() as u32).to_le_bytes());
        bytes.extend((value.len() as u32).to_le_bytes());
    }
    for (name, value) in headers {
        bytes.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
    }
    bytes
}

pub(super) fn data(at: usize, bytes: &[u8]) -> String {
    let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
    format!("(data (i32.const {at}) \"{escaped}\")")
}

/// A dispatch of these headers to an upstream, as an expression that gives its status.
pub(super) fn dispatch(upstream: &str, headers: &[(&str, &str)]) -> (String, String) {
    let map = serialised(headers);
    let data = data(100, upstream.as_bytes()) + &data(200, &map);
    let call = format!(
        "(call $http_call (i32.const 100) (i32.const {}) (i32.const 200) (i32.const {}) (i32.const 0) (i32.const 0)
           (i32.const 0) (i32.const 0) (i32.const 3000) (i32.const 1000))",
        upstream.len(),
        map.len()
    );
    (data, call)
}

pub(super) const GET: [(&str, &str); 2] = [(":method", "GET"), (":path", "/")];

/// A tiny filter with these functions.
pub(super) fn module(functions: &str) -> Vec<u8> {
    wat::parse_str(format!("(module {PRELUDE} {functions})")).expect("the tiny filter is valid")
}

fn start(functions: &str) -> WasmHost {
    WasmHost::start(&Filter::compile(&module(functions)).unwrap()).unwrap()
}

/// A host whose filter does this when it is configured.
fn on_configure(data: &str, body: &str) -> WasmHost {
    start(&format!(r#"{data} (func (export "proxy_on_configure") (param i32 i32) (result i32) {body} (i32.const 1))"#))
}

/// A host whose filter does this on each tick, once a second, and that when it is called back.
fn on_tick(data: &str, body: &str, on_answer: &str) -> WasmHost {
    let mut host = start(&format!(
        r#"{data}
        (func (export "proxy_on_configure") (param i32 i32) (result i32)
          (call $must_be (call $tick_period (i32.const 1000)) (i32.const 0)) (i32.const 1))
        (func (export "proxy_on_tick") (param i32) {body})
        (func (export "proxy_on_http_call_response")
          (param $context i32) (param $token i32) (param $headers i32) (param $size i32) (param $trailers i32)
          {on_answer})"#
    ));
    assert_eq!(host.configure(b""), Ok(true));
    host
}

fn reason<T: std::fmt::Debug>(result: Result<T, Trap>) -> String {
    result.unwrap_err().reason().to_owned()
}

#[test]
fn a_dispatch_traps_in_on_configure_and_in_on_vm_start_and_works_in_a_tick() {
    let (data, call) = dispatch("10.0.0.1:80", &GET);
    let mut host = on_configure(&data, &format!("(drop {call})"));
    assert!(reason(host.configure(b"")).contains("not in Configure"));
    assert_eq!(host.broken_reconfigurations(), 1);
    assert_eq!(host.traps(), 1);

    let vm_start = format!(r#"{data} (func (export "proxy_on_vm_start") (param i32 i32) (result i32) {call})"#);
    assert!(reason(start(&vm_start).configure(b"")).contains("not in VmStart"));

    let mut host = on_tick(&data, &format!("(call $must_be {call} (i32.const 0))"), "");
    host.advance(SECOND).unwrap();
    assert_eq!(host.under_way()[0].request_line(), "GET /");
}

/// What Kong does there is not known. The strictest is assumed, so that a filter which passes here never relies on it.
#[test]
fn a_dispatch_in_the_callback_of_another_traps() {
    let (data, call) = dispatch("10.0.0.1:80", &GET);
    let body = format!("(drop {call})");
    let mut host = on_tick(&data, &body, &body);
    host.advance(SECOND).unwrap();
    assert!(reason(host.reply(0, Reply::http(200, b""))).contains("not in DispatchResponse"));
    assert_eq!((host.under_way().len(), host.dispatched()), (0, 1), "the first one ended, no second one left");
    assert_eq!(host.traps(), 1);
}

#[test]
fn a_dispatch_without_method_or_path_is_refused_and_logged() {
    for (headers, missing) in [(&GET[1..], ":method"), (&GET[..1], ":path")] {
        let (data, call) = dispatch("10.0.0.1:80", headers);
        let mut host = on_tick(&data, &format!("(call $must_be {call} (i32.const 10))"), "");
        host.advance(SECOND).unwrap();
        assert_eq!(host.dispatched(), 0);
        assert!(host.log()[0].text.contains(missing), "{:?}", host.log());
    }
}

/// Sizes must be zero and `:status` absent; the reason goes to the log.
const LOG_THE_REASON: &str = r#"
  (call $must_be (i32.or (local.get $headers) (local.get $size)) (i32.const 0))
  (call $must_be (call $header (i32.const 6) (i32.const 300) (i32.const 7) (i32.const 1000) (i32.const 1004)) (i32.const 1))
  (call $must_be (call $header (i32.const 6) (i32.const 310) (i32.const 16) (i32.const 1000) (i32.const 1004)) (i32.const 0))
  (call $log_answer)"#;

#[test]
fn a_failed_call_has_no_status_zero_sizes_and_a_reason() {
    let names = data(300, b":status") + &data(310, b":dispatch_status");
    let cases = [("localhost:8100", Duration::ZERO, "resolver failure"), ("10.0.0.1:80", 3 * SECOND, "timeout")];
    for (upstream, patience, expected) in cases {
        let (data, call) = dispatch(upstream, &GET);
        let mut host = on_tick(&(names.clone() + &data), &format!("(drop {call})"), LOG_THE_REASON);
        host.advance(SECOND).unwrap();
        let ended = host.log().len();
        host.advance(patience).unwrap();
        assert!(patience == Duration::ZERO || ended == 0, "not before its time");
        assert_eq!(host.log()[0].text, expected);
    }
    let (data, call) = dispatch("10.0.0.1:80", &GET);
    let mut host = on_tick(&(names + &data), &format!("(drop {call})"), LOG_THE_REASON);
    host.advance(SECOND).unwrap();
    host.reply(0, Reply::failed("broken connection")).unwrap();
    assert_eq!(host.log()[0].text, "broken connection");
}

#[test]
fn only_one_property_is_safe_in_a_root_context() {
    let read = |name: &str, then: &str| {
        let call =
            format!("(call $property (i32.const 400) (i32.const {}) (i32.const 1000) (i32.const 1004))", name.len());
        on_configure(&data(400, name.replace('.', "\0").as_bytes()), &then.replace("READ", &call))
    };
    for crashing in ["plugin_name", "request.id", "connection.id", "upstream.address", "request.time", "source.address"]
    {
        let mut host = read(crashing, "(drop READ)");
        assert!(reason(host.configure(b"")).contains(crashing));
        assert!(host.worker_crashed(), "{crashing}");
    }
    for refused in ["kong.version", "kong.node.id", "ngx.pid"] {
        let mut host = read(refused, "(call $must_be READ (i32.const 10))");
        assert_eq!(host.configure(b""), Ok(true), "{refused}");
        assert!(!host.worker_crashed());
    }
    let mut host = read("plugin_root_id", "(call $must_be READ (i32.const 0)) (call $log_answer)");
    assert_eq!(host.configure(b""), Ok(true));
    assert_eq!(host.log()[0].text, "1");
}

#[test]
fn kongs_properties_are_readable_in_a_request() {
    let mut host = start(&format!(
        r#"{}
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
          (call $must_be (call $property (i32.const 400) (i32.const 12) (i32.const 1000) (i32.const 1004)) (i32.const 0))
          (call $log_answer) (i32.const 0))"#,
        data(400, b"kong\0version")
    ));
    assert_eq!(host.configure(b""), Ok(true));
    assert_eq!(host.request(), Ok(vec![0]));
    assert_eq!(host.log()[0].text, "3.9.1");
}

#[test]
fn shared_data_traps() {
    for function in ["$get_shared", "$set_shared"] {
        let zeros = "(i32.const 0)".repeat(5);
        let mut host = on_configure("", &format!("(drop (call {function} {zeros}))"));
        assert!(reason(host.configure(b"")).contains("shared data"), "{function}");
        assert!(!host.worker_crashed());
    }
}

#[test]
fn a_second_tick_period_for_a_root_traps_and_another_root_has_its_own() {
    let set = "(drop (call $tick_period (i32.const 1000)))";
    let mut host = on_configure("", &set.repeat(2));
    assert!(reason(host.configure(b"")).contains("already set"));

    let in_request =
        format!(r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) {set} (i32.const 0))"#);
    let mut host = start(&in_request);
    assert_eq!(host.configure(b""), Ok(true));
    assert!(reason(host.request()).contains("root context"), "and not in a request");

    let mut host = on_tick("", "(drop (call $log (i32.const 2) (i32.const 0) (i32.const 0)))", "");
    assert_eq!(host.configure(b""), Ok(true));
    host.advance(3 * SECOND).unwrap();
    assert_eq!(host.log().len(), 6, "the old root goes on ticking beside the new one");
}

#[test]
fn on_configure_returning_false_breaks_the_reconfiguration() {
    let mut host = start(r#"(func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 0))"#);
    assert_eq!(host.configure(b"{}"), Ok(false));
    assert_eq!(host.broken_reconfigurations(), 1);
}

#[test]
fn a_body_copied_into_a_smaller_buffer_is_caught() {
    let (data, call) = dispatch("10.0.0.1:80", &GET);
    let read = "(drop (call $buffer (i32.const 4) (i32.const 0) (i32.const 3) (i32.const 1000) (i32.const 1004)))
                (call $log_answer)";
    for (body, fits) in [(&b"abc"[..], true), (b"abcd", false)] {
        let mut host = on_tick(&data, &format!("(drop {call})"), read);
        host.advance(SECOND).unwrap();
        assert_eq!(host.reply(0, Reply::http(200, body)).is_ok(), fits);
        assert_eq!(host.log().len(), usize::from(fits));
    }
}

#[test]
fn a_filter_that_exits_or_imports_what_kong_lacks_fails() {
    let mut host = on_configure("", "(call $exit (i32.const 0))");
    assert!(reason(host.configure(b"")).contains("proc_exit"));

    let foreign = r#"(module (import "wasi_snapshot_preview1" "sock_send" (func)))"#;
    let filter = Filter::compile(&wat::parse_str(foreign).unwrap()).unwrap();
    assert!(reason(WasmHost::start(&filter).map(|_| ())).contains("sock_send"));
}

/// Counts its starts and its ticks in memory, and traps in each fourth tick.
const COUNTING: &str = r#"
  (global $ticks (mut i32) (i32.const 0))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
    (drop (call $log (i32.const 2) (i32.const 500) (i32.const 5))) (i32.const 1))
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $log (i32.const 2) (i32.const 510) (i32.const 9)))
    (call $must_be (call $tick_period (i32.const 1000)) (i32.const 0)) (i32.const 1))
  (func (export "proxy_on_tick") (param i32)
    (global.set $ticks (i32.add (global.get $ticks) (i32.const 1)))
    (drop (call $log (i32.const 2) (i32.const 520) (i32.const 4)))
    (if (i32.eq (global.get $ticks) (i32.const 4)) (then unreachable)))"#;

#[test]
fn a_trap_costs_all_that_was_known_configures_all_roots_again_and_doubles_their_timers() {
    let texts = data(500, b"start") + &data(510, b"configure") + &data(520, b"tick");
    let mut host = start(&(texts + COUNTING));
    assert_eq!(host.configure(b""), Ok(true));
    host.advance(3 * SECOND).unwrap();
    assert!(host.advance(SECOND).is_err());
    let said = |host: &WasmHost, text: &str| host.log().iter().filter(|line| line.text == text).count();
    assert_eq!((said(&host, "start"), said(&host, "configure"), said(&host, "tick")), (1, 1, 4));
    host.advance(SECOND).unwrap();
    assert_eq!((said(&host, "start"), said(&host, "configure")), (1, 2), "no second on_vm_start");
    assert_eq!(said(&host, "tick"), 5, "the old timer");
    host.advance(SECOND).unwrap();
    assert_eq!(said(&host, "tick"), 7, "both timers; that there were ticks before is not known any more");
    assert_eq!(host.traps(), 1);
}

#[test]
fn metrics_are_found_again_by_their_names_and_keep_their_kind() {
    let define = "(call $define (i32.const 1) (i32.const 500) (i32.const 5) (i32.const 1000))";
    let define_and_use = format!(
        r#"{}
        (func (export "proxy_on_configure") (param i32 i32) (result i32)
          (call $must_be {define} (i32.const 0))
          (call $must_be {define} (i32.const 0))
          (call $must_be (call $record (i32.load (i32.const 1000)) (i64.const 7)) (i32.const 0))
          (call $must_be (call $increment (i32.load (i32.const 1000)) (i64.const 1)) (i32.const 2))
          (call $must_be (call $record (i32.const 99) (i64.const 7)) (i32.const 1))
          (i32.const 1))"#,
        data(500, b"gauge")
    );
    let mut host = start(&define_and_use);
    assert_eq!(host.configure(b""), Ok(true));
    assert_eq!((host.metric("gauge"), host.metric("other")), (Some(MetricValue::Gauge(7)), None));
}

#[test]
fn a_response_header_can_be_set_only_while_there_are_headers() {
    let set = "(call $must_be (call $set_header (i32.const 2) (i32.const 500) (i32.const 3) (i32.const 500) (i32.const 3)) (i32.const 0))";
    let phase = |export: &str| {
        let function = format!(r#"(func (export "{export}") (param i32 i32 i32) (result i32) {set} (i32.const 0))"#);
        let mut host = start(&(data(500, b"x-a") + &function));
        assert_eq!(host.configure(b""), Ok(true));
        host
    };
    let mut host = phase("proxy_on_response_headers");
    assert_eq!(host.request(), Ok(vec![0]));
    assert_eq!(host.response_headers(), [("x-a".to_owned(), "x-a".to_owned())]);
    assert!(reason(phase("proxy_on_request_headers").request()).contains("can't be changed"));
}

#[test]
fn envoy_takes_clusters_for_upstreams_and_dispatches_at_any_time() {
    const WITH_AUTHORITY: [(&str, &str); 3] = [(":method", "GET"), (":path", "/"), (":authority", "a")];
    for (upstream, status) in [("cluster", 0), ("10.0.0.1:80", 2)] {
        let (data, call) = dispatch(upstream, &WITH_AUTHORITY);
        let body = format!("(call $must_be {call} (i32.const {status})) (i32.const 1)");
        let functions = format!(r#"{data} (func (export "proxy_on_configure") (param i32 i32) (result i32) {body})"#);
        let filter = Filter::compile(&module(&functions)).unwrap();
        let mut host = WasmHost::start_worker(&filter, Behaviour::Envoy, 1).unwrap();
        assert_eq!(host.configure(b""), Ok(true), "{upstream}");
    }
}
