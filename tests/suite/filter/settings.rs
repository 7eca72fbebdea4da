//! Settings, as Kong passes them: right, wrong, changed.

use lifeboat_tests::wasm_host::MetricValue;
use serde_json::{Value, json};

use super::*;

#[test]
fn bad_settings_never_break_the_reconfiguration() {
    let huge =
        format!(r#"{{"companion":"10.0.0.5:8115","status_api":"127.0.0.1:8100","node":"{}"}}"#, "x".repeat(MEBIBYTE));
    let deep = "[".repeat(16_000);
    let cases: [(&[u8], &str); 9] = [
        (b"", "no settings"),
        (b"  ", "no settings"),
        (b"null", "not a JSON object"),
        (b"status_api=127.0.0.1:8100", "not a JSON object"),
        (b"{\"companion\":\"\xff\xfe\"}", "not a JSON object"),
        (b"{}", "status_api is not set"),
        (br#"{"companion":["10.0.0.5:8115"],"status_api":{}}"#, "companion is [\"10.0.0.5:8115\"]"),
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
        host.advance(INTERVAL * 10).unwrap();
        assert_eq!((host.dispatched(), host.log().len()), (0, 1), "{shown}");
        assert!(host.memory_size() <= 2 * MEBIBYTE, "{shown}: {}", host.memory_size());
        assert_eq!(host.configure(SETTINGS.as_bytes()), Ok(true), "{shown}");
        host.advance(TICK).unwrap();
        assert_eq!(calls(&host, "GET /status").len(), 1, "good settings work after {shown}");
    }
}

#[test]
fn changed_settings_replace_the_old_ones_though_the_old_root_goes_on_ticking() {
    let mut host = configured();
    host.advance(TICK).unwrap();
    host.advance(Duration::from_secs(3)).unwrap();
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
fn of_settings_that_are_partly_wrong_the_rest_is_used_and_the_companion_is_told() {
    let wrong = r#"{"companion":"10.0.0.5:8115","status_api":"localhost:8100","interval_s":0}"#;
    let mut host = configured_with(wrong);
    let [line] = host.log() else { panic!("not one line: {:?}", host.log()) };
    assert!(
        line.text.contains("status_api is \"localhost:8100\"") && line.text.contains("interval_s is 0"),
        "{line:?}"
    );
    host.advance(INTERVAL).unwrap();
    let [call] = &host.under_way().to_vec()[..] else { panic!("not one report: {:?}", host.under_way()) };
    let report = report_in(call);
    assert_eq!((report.problems.len(), report.config_hash, report.interval_s), (2, None, 10));
    assert_eq!(host.metric("settings_problems"), Some(MetricValue::Gauge(2)));
    host.reply(call.token, Reply::http(204, b"")).unwrap();
    assert_eq!(host.configure(SETTINGS.as_bytes()), Ok(true));
    host.advance(TICK).unwrap();
    assert_eq!(host.metric("settings_problems"), Some(MetricValue::Gauge(0)), "what was put right is not shown");
}

/// In Kong 3.4 settings are a text. Whether a host passes on what is in it or its JSON, they are read.
#[test]
fn settings_in_a_text_are_read() {
    for settings in [SETTINGS.to_owned(), serde_json::to_string(SETTINGS).unwrap()] {
        let mut host = configured_with(&settings);
        host.advance(TICK).unwrap();
        let (_, report) = report_after(&mut host, Reply::http(200, STATUS));
        assert_eq!((report.node.as_deref(), host.log()), (Some("dp-1"), &[][..]), "{settings}");
    }
}

/// What Kong is told of the settings is what the filter knows of them.
#[test]
fn the_schema_beside_the_filter_names_the_settings_that_the_filter_reads() {
    let meta: Value = serde_json::from_str(include_str!("../../../filter/lifeboat.meta.json")).unwrap();
    let schema = &meta["config_schema"];
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-04/schema#");
    let properties = schema["properties"].as_object().unwrap();
    for setting in properties.keys() {
        let settings = json!({ setting: {"neither": "a text"} });
        let read = lifeboat_core::report::FilterSettings::read(settings.to_string().as_bytes());
        let named = read.problems.iter().map(ToString::to_string).find(|problem| problem.starts_with(setting.as_str()));
        assert!(named.is_some_and(|problem| !problem.contains("not set")), "{setting} is a setting");
    }
    let everything = json!({
        "host": "kong-3.10", "companion": "10.0.0.5:8115", "status_api": "127.0.0.1:8100",
        "control_plane": "[::1]:8005", "probe": "off", "interval_s": 3600, "report_key": "0123456789abcdef",
        "node": "dp-1", "response_header": "x-lifeboat"
    });
    let read = lifeboat_core::report::FilterSettings::read(everything.to_string().as_bytes());
    assert_eq!(read.problems, []);
    let named: Vec<&String> = everything.as_object().unwrap().keys().collect();
    assert_eq!(properties.keys().collect::<Vec<_>>(), named, "and there are no others");
}
