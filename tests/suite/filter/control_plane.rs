//! The probe of the control plane from the gateway's own network.

use lifeboat_core::report::{ControlPlane, Reachability};

use super::*;

fn host() -> WasmHost {
    configured_with(&settings_with(r#""control_plane":"10.0.0.9:8005""#))
}

/// Ticks until the next report, which is answered; the Status API answers at once, the control plane like this.
fn seen(host: &mut WasmHost, probe: &Reply) -> Option<ControlPlane> {
    for _ in 0..3 {
        host.advance(TICK).unwrap();
        for call in host.under_way().to_vec() {
            match call.request_line().as_str() {
                "GET /status" => host.reply(call.token, Reply::http(200, STATUS)).unwrap(),
                "GET /" => host.reply(call.token, probe.clone()).unwrap(),
                _ => {
                    host.reply(call.token, Reply::http(204, b"")).unwrap();
                    return report_in(&call).control_plane;
                }
            }
        }
    }
    panic!("no report within an interval");
}

#[test]
fn the_probe_is_made_with_tls_at_the_root_of_the_cluster_listener() {
    let mut host = host();
    host.advance(TICK).unwrap();
    let [probe] = &calls(&host, "GET /")[..] else { panic!("not one probe: {:?}", host.under_way()) };
    assert_eq!((probe.upstream.as_str(), probe.header(":scheme")), ("10.0.0.9:8005", "https"));
    let [status] = &calls(&host, "GET /status")[..] else { panic!("not one question") };
    assert_eq!(status.header(":scheme"), "", "the Status API is asked without TLS");
}

#[test]
fn refused_timed_out_unresolved_and_untrusted_are_told_apart_with_since_when() {
    let mut host = host();
    let mut last: Option<ControlPlane> = None;
    for (reply, state) in [
        (Reply::http(400, b"<html>no required certificate"), Reachability::Reachable),
        (Reply::failed("tls handshake failure"), Reachability::TlsHandshakeFailed),
        (Reply::failed("broken connection"), Reachability::Refused),
        (Reply::failed("broken connection"), Reachability::Refused),
        (Reply::failed("timeout"), Reachability::TimedOut),
        (Reply::failed("resolver failure"), Reachability::Unresolved),
        (Reply::failed("something new"), Reachability::Unreachable),
        (Reply::http(200, b""), Reachability::Reachable),
    ] {
        let now = seen(&mut host, &reply).unwrap();
        assert_eq!(now.state, state);
        if let Some(last) = last {
            assert_eq!(now.since_ms == last.since_ms, now.state == last.state, "{last:?} {now:?}");
        }
        last = Some(now);
    }
    let said: Vec<&str> = host.log().iter().map(|line| line.text.as_str()).collect();
    assert_eq!(said.len(), 5, "one line for each change: {said:?}");
    assert!(said[0].contains("10.0.0.9:8005 can't be reached from this gateway"), "{said:?}");
    assert!(said[4].contains("can be reached again"), "{said:?}");
}

#[test]
fn a_probe_that_nobody_answers_is_reported_as_timed_out_and_delays_no_report() {
    let mut host = host();
    let mut told = Vec::new();
    for _ in 0..50 {
        host.advance(INTERVAL / 10).unwrap();
        for call in calls(&host, "GET /status") {
            host.reply(call.token, Reply::http(200, STATUS)).unwrap();
        }
        for call in calls(&host, "POST /v1/reports") {
            told.push(report_in(&call).control_plane.map(|seen| seen.state));
            host.reply(call.token, Reply::http(204, b"")).unwrap();
        }
    }
    assert_eq!(told, vec![Some(Reachability::TimedOut); 5], "one in each interval");
}

#[test]
fn without_an_address_nothing_is_said_of_the_control_plane() {
    let mut host = configured();
    host.advance(TICK).unwrap();
    assert_eq!(calls(&host, "GET /"), []);
    let (_, report) = report_after(&mut host, Reply::http(200, STATUS));
    assert_eq!(report.control_plane, None);
}
