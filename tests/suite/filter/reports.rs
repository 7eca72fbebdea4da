//! What is reported, and when.

use lifeboat_core::report::{CallFailure, ReportKey, SIGNATURE_HEADER};
use lifeboat_tests::wasm_host::Reply;

use super::*;

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
    assert_eq!(told, [1, 1, 1, 1], "one in each interval");
}

#[test]
fn a_report_is_signed_with_the_key_of_the_settings_and_not_without_one() {
    let text = "0123456789abcdef0123456789abcdef";
    let mut host = configured_with(&settings_with(&format!(r#""report_key":"{text}""#)));
    host.advance(TICK).unwrap();
    report_after(&mut host, Reply::http(200, STATUS));
    let [call] = host.under_way() else { panic!("not one report") };
    let (key, other) = (ReportKey::new(text).unwrap(), ReportKey::new("another-key-than-that").unwrap());
    assert!(key.has_signed(&call.body, call.header(SIGNATURE_HEADER).as_bytes()));
    assert!(!other.has_signed(&call.body, call.header(SIGNATURE_HEADER).as_bytes()));
    assert!(!String::from_utf8_lossy(&call.body).contains(text));

    let mut host = configured();
    host.advance(TICK).unwrap();
    report_after(&mut host, Reply::http(200, STATUS));
    assert_eq!(host.under_way()[0].header(SIGNATURE_HEADER), "");
}
