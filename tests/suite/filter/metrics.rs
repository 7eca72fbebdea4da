//! The filter's metrics on the gateway's own `/metrics`.

use lifeboat_core::report::{CallFailure, Metric};
use lifeboat_tests::wasm_host::MetricValue::{Counter, Gauge};

use super::*;

#[test]
fn metrics_say_what_is_known_and_count_what_happened() {
    let mut host = configured_with(&settings_with(r#""control_plane":"10.0.0.9:8005""#));
    host.advance(TICK).unwrap();
    assert_eq!(host.metric("settings_problems"), Some(Gauge(0)));
    for unknown in ["cp_reachable", "config_empty", "config_age_seconds", "reports_sent"] {
        assert_eq!(host.metric(unknown), None, "{unknown} isn't known yet");
    }
    for (probe, answer) in [
        (Reply::failed("reader failure"), Reply::http(204, b"")),
        (Reply::failed("tls handshake failure"), Reply::http(401, b"")),
        (Reply::failed("timeout"), Reply::failed("broken connection")),
    ] {
        for call in calls(&host, "GET /") {
            host.reply(call.token, probe.clone()).unwrap();
        }
        let (token, _) = report_after(&mut host, Reply::http(200, STATUS));
        assert_eq!(host.metric("cp_reachable"), Some(Gauge(0)), "{probe:?}");
        host.reply(token, answer).unwrap();
        host.advance(TICK).unwrap();
    }
    assert_eq!(host.metric("config_empty"), Some(Gauge(0)));
    assert_eq!(host.metric("config_age_seconds"), Some(Gauge(25)));
    assert_eq!(host.metric("reports_sent"), Some(Counter(3)));
    assert_eq!(host.metric("reports_refused"), Some(Counter(1)));
    assert_eq!(host.metric("reports_failed_reason=broken_connection"), Some(Counter(1)));

    for call in calls(&host, "GET /") {
        host.reply(call.token, Reply::http(400, b"")).unwrap();
    }
    report_after(&mut host, Reply::http(200, STATUS_EMPTY));
    assert_eq!(host.metric("cp_reachable"), Some(Gauge(1)), "it answers again");
    assert_eq!(host.metric("config_empty"), Some(Gauge(1)));
    assert_eq!(host.metric("config_age_seconds"), Some(Gauge(0)), "it has just changed");
}

/// Kong finds `(_reason=([a-z_]+))` in a name, takes the rest for the metric's name and this for its label.
#[test]
fn the_label_in_a_name_has_the_form_that_kong_is_told() {
    let meta: serde_json::Value = serde_json::from_str(include_str!("../../../filter/lifeboat.meta.json")).unwrap();
    let patterns = &meta["metrics"]["label_patterns"];
    assert_eq!(*patterns, serde_json::json!([{"label": "reason", "pattern": "(_reason=([a-z_]+))"}]));
    for failure in [CallFailure::Timeout, CallFailure::TlsHandshakeFailure, CallFailure::NotSent] {
        let name = Metric::ReportsFailed(failure).name();
        let (metric, reason) = name.split_once("_reason=").unwrap();
        assert_eq!(metric, "reports_failed");
        assert!(!reason.is_empty() && reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
    }
}
