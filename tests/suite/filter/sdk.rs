//! A filter that others' crate builds (`proxy-wasm`, `filter/abi/examples/sdk.rs`) in the same host: it runs there as it
//! would in Kong, so the host isn't made for `lifeboat.wasm` alone. And why `lifeboat.wasm` is not built on that crate.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use lifeboat_tests::wasm_host::{Filter, MetricValue, Reply, WasmHost};

const SECOND: Duration = Duration::from_secs(1);

/// Built where `wasm-build.sh` builds `lifeboat.wasm`.
fn filter() -> Filter {
    static FILTER: OnceLock<Filter> = OnceLock::new();
    let build = || {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--locked", "--profile", "wasm", "--target", "wasm32-wasip1"]);
        let built = cargo.args(["-p", "lifeboat-filter-abi", "--example", "sdk"]).output().expect("cargo starts");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let wasm = super::wasm_path().parent().map(Path::to_owned).expect("it is in a folder");
        Filter::compile(&std::fs::read(wasm.join("examples/sdk.wasm")).unwrap()).expect("sdk.wasm compiles")
    };
    FILTER.get_or_init(build).clone()
}

fn configured() -> WasmHost {
    let mut host = WasmHost::start(&filter()).unwrap();
    assert_eq!(host.configure(b"10.0.0.5:8115"), Ok(true));
    host
}

fn log(host: &WasmHost) -> Vec<&str> {
    host.log().iter().map(|line| line.text.as_str()).collect()
}

#[test]
fn a_filter_on_the_sdk_is_configured_ticks_calls_and_counts() {
    let mut host = configured();
    assert_eq!(host.request(), Ok(vec![0, 0]));
    assert_eq!(host.response_headers(), [("x-answers".to_owned(), "0".to_owned())]);
    assert_eq!(log(&host), ["request in 3.9.1"]);

    host.advance(SECOND).unwrap();
    let [call] = host.under_way() else { panic!("not one call: {:?}", host.under_way()) };
    assert_eq!(
        (call.request_line(), &*call.upstream, &*call.body),
        ("POST /asked".to_owned(), "10.0.0.5:8115", &b"body"[..])
    );
    assert_eq!((call.header(":authority"), call.timeout), ("sdk.test", 2 * SECOND));

    host.reply(0, Reply::http(204, b"well")).unwrap();
    assert_eq!(log(&host)[1..], ["called: true", r#"answered: Some("204") well"#]);
    assert_eq!(host.metric("sdk.answers"), Some(MetricValue::Counter(1)));
    host.request().unwrap();
    assert_eq!(host.response_headers(), [("x-answers".to_owned(), "1".to_owned())]);
    assert_eq!((host.traps(), host.worker_crashed()), (0, false));
}

#[test]
fn a_call_that_fails_calls_a_filter_on_the_sdk_back_without_a_status() {
    let mut host = configured();
    host.advance(4 * SECOND).unwrap();
    assert!(log(&host).contains(&"answered: None "), "{:?}", log(&host));
}

/// So Kong would lose all that such a filter knows after each trap, and again with each call that was under way.
#[test]
fn a_filter_on_the_sdk_traps_when_a_call_of_the_instance_before_is_answered() {
    let mut host = configured();
    host.advance(SECOND).unwrap();
    host.lose_instance();
    assert!(host.reply(0, Reply::http(200, b"")).is_err());
    assert_eq!(host.traps(), 1);
}
