//! The built `lifeboat.wasm` in a host that behaves like Kong's. That the host does behave so: `host`.

mod host;

use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use lifeboat_core::report::{CallFailure, Report};
use lifeboat_tests::wasm_host::{DispatchedCall, Filter, Reply, WasmHost};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

const STATUS: &[u8] = include_bytes!("../data/kong-3.9.1/status.json");
const STATUS_EMPTY: &[u8] = include_bytes!("../data/kong-3.9.1/status-empty.json");
const HASH: &str = "3ff47162e7a7ce1344f336316b66484e";
const SETTINGS: &str = r#"{"companion":"10.0.0.5:8115","status_api":"127.0.0.1:8100","node":"dp-1"}"#;
const INTERVAL: Duration = Duration::from_secs(10);
/// One tick asks, the next one reports.
const TICK: Duration = Duration::from_secs(5);
const MILLISECOND: Duration = Duration::from_millis(1);
const MEBIBYTE: usize = 1024 * 1024;

/// What `wasm-build.sh` builds, built once for all tests.
fn wasm() -> &'static [u8] {
    static WASM: OnceLock<Vec<u8>> = OnceLock::new();
    WASM.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../wasm-build.sh");
        let built = Command::new(script).output().expect("wasm-build.sh starts");
        let messages = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "wasm-build.sh failed:\n{messages}");
        let stdout = String::from_utf8(built.stdout).expect("the path is text");
        let path = stdout.lines().last().expect("wasm-build.sh prints a path");
        std::fs::read(path).expect("the path that wasm-build.sh printed can be read")
    })
}

fn filter() -> Filter {
    static FILTER: OnceLock<Filter> = OnceLock::new();
    FILTER.get_or_init(|| Filter::compile(wasm()).expect("lifeboat.wasm compiles")).clone()
}

/// A host in which the filter is configured.
fn configured() -> WasmHost {
    let mut host = WasmHost::start(&filter()).unwrap();
    assert_eq!(host.configure(SETTINGS.as_bytes()), Ok(true));
    host
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
    let [call] = host.under_way() else { panic!("not one report: {:?}", host.under_way()) };
    assert_eq!((call.request_line().as_str(), call.upstream.as_str()), ("POST /v1/reports", "10.0.0.5:8115"));
    assert_eq!(call.header("content-type"), "application/json");
    (call.token, serde_json::from_slice(&call.body).unwrap())
}

#[test]
fn one_tick_asks_and_the_next_reports_the_hash_that_the_node_runs() {
    let mut host = configured();
    host.advance(TICK - MILLISECOND).unwrap();
    assert_eq!(host.dispatched(), 0, "nothing is sent before the first tick");
    host.advance(MILLISECOND).unwrap();
    let (token, report) = report_after(&mut host, Reply::http(200, STATUS));
    assert_eq!(report.config_hash.unwrap().to_string(), HASH);
    assert_eq!((report.format, report.sequence, report.interval_s), (1, 1, 10));
    assert_eq!((report.node.as_deref(), report.status_api), (Some("dp-1"), None));
    host.reply(token, Reply::http(204, b"")).unwrap();
    assert_eq!((host.under_way().len(), host.dispatched()), (0, 2), "one question, one report");
    assert_eq!(host.log(), [], "there is nothing to say");
}

#[test]
fn an_empty_node_is_reported_as_empty() {
    let mut host = configured();
    host.advance(TICK).unwrap();
    let (_, report) = report_after(&mut host, Reply::http(200, STATUS_EMPTY));
    assert!(report.config_hash.unwrap().is_empty());
}

#[test]
fn bad_settings_never_break_the_reconfiguration() {
    let huge =
        format!(r#"{{"companion":"10.0.0.5:8115","status_api":"127.0.0.1:8100","node":"{}"}}"#, "x".repeat(MEBIBYTE));
    let deep = "[".repeat(16_000);
    let cases: [(&[u8], &str); 10] = [
        (b"", "no settings"),
        (b"  ", "no settings"),
        (b"null", "not a JSON object"),
        (b"status_api=127.0.0.1:8100", "not a JSON object"),
        (b"{\"companion\":\"\xff\xfe\"}", "not a JSON object"),
        (b"{}", "status_api is not set"),
        (br#"{"companion":["10.0.0.5:8115"],"status_api":{}}"#, "companion is [\"10.0.0.5:8115\"]"),
        (br#"{"companion":"10.0.0.5:8115","status_api":"127.0.0.1:8100","interval_s":0}"#, "interval_s is 0"),
        (huge.as_bytes(), "bytes, at most 16384 are read"),
        (deep.as_bytes(), "not a JSON object"),
    ];
    for (settings, reason) in cases {
        let shown = String::from_utf8_lossy(&settings[..settings.len().min(80)]);
        let mut host = WasmHost::start(&filter()).unwrap();
        assert_eq!(host.configure(settings), Ok(true), "{shown}");
        let [line] = host.log() else { panic!("{shown}: not one line: {:?}", host.log()) };
        assert!(line.level == 3 && line.text.contains(reason), "{shown}: {line:?}");
        host.advance(INTERVAL * 10).unwrap();
        assert_eq!((host.dispatched(), host.log().len()), (0, 1), "{shown}");
        assert_eq!(host.broken_reconfigurations(), 0, "{shown}");
        assert_eq!(host.request(), Ok(vec![0, 0]), "{shown}");
        assert!(host.memory_size() <= 2 * MEBIBYTE, "{shown}: {}", host.memory_size());
        assert_eq!(host.configure(SETTINGS.as_bytes()), Ok(true), "{shown}");
        host.advance(TICK).unwrap();
        assert_eq!(calls(&host, "GET /status").len(), 1, "good settings work after {shown}");
    }
}

#[test]
fn an_unreachable_companion_loses_nothing_and_traps_nothing() {
    let mut host = configured();
    let failures = [Some("broken connection"), None, Some("tls handshake failure"), Some("resolver failure")];
    for failure in failures {
        host.advance(TICK).unwrap();
        let (token, _) = report_after(&mut host, Reply::http(200, STATUS));
        match failure {
            Some(reason) => host.reply(token, Reply::failed(reason)).unwrap(),
            None => assert_eq!(host.under_way().len(), 1, "left to time out"),
        }
    }
    host.advance(TICK).unwrap();
    let (token, report) = report_after(&mut host, Reply::http(200, STATUS_EMPTY));
    assert_eq!(report.since_acknowledged.reports_failed, 4);
    assert_eq!(report.sequence, 5);
    assert!(report.config_hash.unwrap().is_empty(), "the newest state, not the oldest");
    host.reply(token, Reply::http(204, b"")).unwrap();
    let last = host.log().last().unwrap();
    assert!(last.text.contains("10.0.0.5:8115 again"), "{last:?}");
    host.advance(TICK).unwrap();
    let (_, report) = report_after(&mut host, Reply::http(200, STATUS));
    assert_eq!(report.since_acknowledged.reports_failed, 0, "what was acknowledged is not told twice");
}

#[test]
fn a_status_api_that_fails_is_reported_with_its_class() {
    let mut host = configured();
    let large = vec![b' '; MEBIBYTE];
    for (reply, class) in [
        (Reply::failed("timeout"), CallFailure::Timeout),
        (Reply::failed("broken connection"), CallFailure::BrokenConnection),
        (Reply::failed("something new"), CallFailure::Other),
        (Reply::http(503, STATUS), CallFailure::BadStatus),
        (Reply::http(200, b"<html>"), CallFailure::Unreadable),
        (Reply::http(200, &large), CallFailure::TooLarge),
    ] {
        host.advance(TICK).unwrap();
        let (token, report) = report_after(&mut host, reply);
        assert_eq!((report.status_api, report.config_hash), (Some(class), None));
        assert_eq!(report.problems.len(), 1);
        host.reply(token, Reply::http(200, b"{}")).unwrap();
    }
}

#[test]
fn changed_settings_replace_the_old_ones_though_the_old_root_goes_on_ticking() {
    let mut host = configured();
    host.advance(TICK).unwrap();
    host.advance(Duration::from_secs(4)).unwrap();
    let changed = SETTINGS.replace("10.0.0.5", "10.0.0.6").replace("dp-1", "dp-2");
    assert_eq!(host.configure(changed.as_bytes()), Ok(true));
    let [old] = &calls(&host, "GET /status")[..] else { panic!("the old root asked once") };
    host.reply(old.token, Reply::http(200, STATUS)).unwrap();
    assert_eq!(host.under_way(), [], "an answer to the old root leads nowhere");
    host.advance(TICK - MILLISECOND).unwrap();
    assert_eq!(host.under_way(), [], "the old root's tick leads nowhere");
    host.advance(MILLISECOND).unwrap();
    let [call] = &calls(&host, "GET /status")[..] else { panic!("two roots, one question: {:?}", host.under_way()) };
    host.reply(call.token, Reply::http(200, STATUS)).unwrap();
    host.advance(TICK - MILLISECOND).unwrap();
    assert_eq!(host.under_way(), [], "the old root's tick reports nothing");
    host.advance(MILLISECOND).unwrap();
    let [call] = &calls(&host, "POST /v1/reports")[..] else { panic!("not one report: {:?}", host.under_way()) };
    let report: Report = serde_json::from_slice(&call.body).unwrap();
    assert_eq!((call.upstream.as_str(), report.node.as_deref()), ("10.0.0.6:8115", Some("dp-2")));
}

#[test]
fn roots_that_go_on_ticking_double_neither_questions_nor_reports() {
    let mut host = configured();
    for _ in 0..3 {
        host.advance(Duration::from_millis(1300)).unwrap();
        assert_eq!(host.configure(SETTINGS.as_bytes()), Ok(true));
    }
    let (mut questions, mut reports) = (0, 0);
    for _ in 0..20 * 100 {
        host.advance(INTERVAL / 100).unwrap();
        for call in host.under_way().to_vec() {
            match call.request_line().as_str() {
                "GET /status" => questions += 1,
                _ => reports += 1,
            }
            host.reply(call.token, Reply::http(200, STATUS)).unwrap();
        }
    }
    assert_eq!((questions, reports), (20, 20), "one of each per interval");
}

#[test]
fn a_status_api_that_never_answers_is_reported_in_each_interval() {
    let mut host = configured();
    let mut told = Vec::new();
    for _ in 0..40 {
        host.advance(INTERVAL / 10).unwrap();
        for call in calls(&host, "POST /v1/reports") {
            let report: Report = serde_json::from_slice(&call.body).unwrap();
            assert_eq!((report.status_api, report.config_hash), (Some(CallFailure::Timeout), None));
            told.push(report.since_acknowledged.status_failed);
            host.reply(call.token, Reply::http(204, b"")).unwrap();
        }
    }
    assert_eq!(told, [1, 1, 1], "in the fourth interval the fourth is still to come");
}

#[test]
fn answers_of_any_bytes_are_survived() {
    let seed = rand::random();
    eprintln!("seed {seed}"); // put it in place of rand::random() to play this run again
    let mut random = StdRng::seed_from_u64(seed);
    let mut host = configured();
    for _ in 0..300 {
        host.advance(Duration::from_secs(random.random_range(0..12))).unwrap();
        for call in host.under_way().to_vec() {
            if random.random_ratio(4, 5) {
                host.reply(call.token, arbitrary(&mut random)).unwrap();
            }
        }
    }
    assert!(host.memory_size() <= 2 * MEBIBYTE, "{}", host.memory_size());

    // Whatever came before, it still works: at the latest when the calls that nobody answered have timed out.
    host.advance(INTERVAL * 5).unwrap();
    let asks = |host: &mut WasmHost| {
        let before = host.dispatched();
        host.advance(Duration::from_secs(1)).unwrap();
        for call in calls(host, "POST /v1/reports") {
            host.reply(call.token, Reply::failed("timeout")).unwrap();
        }
        calls(host, "GET /status").iter().any(|call| call.token as usize >= before)
    };
    assert!((0..20).any(|_| asks(&mut host)), "it asks again within two intervals");
    let (_, report) = report_after(&mut host, Reply::http(200, STATUS));
    assert_eq!(report.config_hash.unwrap().to_string(), HASH);
    assert!(report.since_acknowledged.status_failed > 0, "the noise did reach the filter");
}

/// Mostly noise, sometimes a real answer with a wrong byte, sometimes far too large.
fn arbitrary(random: &mut StdRng) -> Reply {
    let mut body = match random.random_range(0..6) {
        0 => STATUS.to_vec(),
        1 => vec![0; random.random_range(0..MEBIBYTE)],
        2 => vec![b'['; random.random_range(0..256 * 1024)],
        _ => vec![0; random.random_range(0..5000)],
    };
    if body.first() == Some(&0) {
        random.fill_bytes(&mut body);
    } else if let Some(at) = body.len().checked_sub(1).map(|last| random.random_range(0..=last)) {
        body[at] = random.random();
    }
    let mut noise = || {
        let mut bytes = vec![0; random.random_range(0..40)];
        random.fill_bytes(&mut bytes);
        bytes
    };
    let (status, server, reason) = (noise(), noise(), noise());
    let mut reply = match random.random_range(0..4) {
        0 => Reply { headers: vec![(":status".to_owned(), status)], body },
        1 => Reply { headers: vec![(":dispatch_status".to_owned(), reason)], body },
        _ => Reply::http(random.random_range(100..600), &body),
    };
    reply.headers.push(("server".to_owned(), server));
    reply
}

#[test]
fn no_call_is_made_where_kong_traps() {
    let mut host = configured();
    assert_eq!(host.dispatched(), 0, "on_configure dispatches nothing");
    for round in 0..5 {
        host.advance(TICK).unwrap();
        let (token, _) = report_after(&mut host, Reply::http(200, STATUS));
        host.reply(token, Reply::http(204, b"")).unwrap();
        assert_eq!(host.request(), Ok(vec![0, 0]), "round {round}");
    }
    assert!(!host.worker_crashed());
    assert_eq!(host.dispatched(), 10, "requests lead to no calls");
}

#[test]
fn the_filter_stays_small() {
    assert!(wasm().len() <= 300 * 1024, "lifeboat.wasm has {} bytes", wasm().len());
    let mut host = configured();
    let mut after_warm_up = 0;
    for round in 0..2000 {
        host.advance(TICK).unwrap();
        let (token, _) = report_after(&mut host, Reply::http(200, STATUS));
        host.reply(token, Reply::http(204, b"")).unwrap();
        host.request().unwrap();
        if round == 10 {
            after_warm_up = host.memory_size();
        }
    }
    assert_eq!(host.memory_size(), after_warm_up, "memory does not grow");
    assert!(host.memory_size() <= 2 * MEBIBYTE, "{}", host.memory_size());
}
