//! The built `lifeboat.wasm` in a host that behaves like Kong's 3.9.1, and where that is said like another's. That the host
//! does behave so: `host`, `host_versions`. That the filter hurts no traffic in any of them: `never_hurts`.

mod control_plane;
mod envoy;
mod host;
mod host_versions;
mod metrics;
mod never_hurts;
mod reports;
mod requests;
mod sdk;
mod settings;
mod survival;
mod workers;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use lifeboat_core::report::Report;
use lifeboat_tests::wasm_host::{DispatchedCall, Filter, Reply, WasmHost};

const STATUS: &[u8] = include_bytes!("../data/kong-3.9.1/status.json");
const STATUS_EMPTY: &[u8] = include_bytes!("../data/kong-3.9.1/status-empty.json");
const HASH: &str = "3ff47162e7a7ce1344f336316b66484e";
const SETTINGS: &str = r#"{"companion":"10.0.0.5:8115","status_api":"127.0.0.1:8100","node":"dp-1"}"#;
const INTERVAL: Duration = Duration::from_secs(10);
/// One tick asks, the next one reports.
const TICK: Duration = Duration::from_secs(5);
const MILLISECOND: Duration = Duration::from_millis(1);
const MEBIBYTE: usize = 1024 * 1024;

/// What `wasm-build.sh` builds, built once for all tests; or another filter, to see that tests fail with one that hurts.
fn wasm() -> &'static [u8] {
    static WASM: OnceLock<Vec<u8>> = OnceLock::new();
    WASM.get_or_init(|| {
        let other = std::env::var_os("LIFEBOAT_TEST_FILTER").map(PathBuf::from);
        let path = other.unwrap_or_else(|| wasm_path().to_owned());
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    })
}

/// The path that `wasm-build.sh` prints.
fn wasm_path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../wasm-build.sh");
        let built = Command::new(script).arg("filter").output().expect("wasm-build.sh starts");
        let messages = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "wasm-build.sh failed:\n{messages}");
        let stdout = String::from_utf8(built.stdout).expect("the path is text");
        stdout.lines().last().expect("wasm-build.sh prints a path").into()
    })
}

fn filter() -> Filter {
    static FILTER: OnceLock<Filter> = OnceLock::new();
    FILTER.get_or_init(|| Filter::compile(wasm()).expect("lifeboat.wasm compiles")).clone()
}

/// A host in which the filter is configured, and has learnt from a request that it may act.
fn configured() -> WasmHost {
    configured_with(SETTINGS)
}

fn configured_with(settings: &str) -> WasmHost {
    let mut host = WasmHost::start(&filter()).unwrap();
    assert_eq!(host.configure(settings.as_bytes()), Ok(true));
    assert_eq!(host.request(), Ok(vec![0, 0]));
    host
}

/// The settings with more in them.
fn settings_with(more: &str) -> String {
    SETTINGS.replacen('{', &format!("{{{more},"), 1)
}

fn calls(host: &WasmHost, request_line: &str) -> Vec<DispatchedCall> {
    let wanted = |call: &&DispatchedCall| call.request_line() == request_line;
    host.under_way().iter().filter(wanted).cloned().collect()
}

/// Answers the status call that is under way and gives the report that the next tick sends, which stays under way.
fn report_after(host: &mut WasmHost, status: Reply) -> (u32, Report) {
    let [call] = &calls(host, "GET /status")[..] else { panic!("not one status call: {:?}", host.under_way()) };
    assert_eq!((call.upstream.as_str(), call.header(":authority")), ("127.0.0.1:8100", "127.0.0.1:8100"));
    host.reply(call.token, status).unwrap();
    host.advance(TICK - MILLISECOND).unwrap();
    assert_eq!(host.under_way(), [], "nothing is sent between ticks");
    host.advance(MILLISECOND).unwrap();
    let [call] = &calls(host, "POST /v1/reports")[..] else { panic!("not one report: {:?}", host.under_way()) };
    assert_eq!(call.upstream, "10.0.0.5:8115");
    assert_eq!(call.header("content-type"), "application/json");
    (call.token, serde_json::from_slice(&call.body).unwrap())
}

/// The report in a call, read as the companion reads it.
fn report_in(call: &DispatchedCall) -> Report {
    serde_json::from_slice(&call.body).unwrap()
}
