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

/// TLS would fail on the certificate of `kong hybrid gen_cert`, with an error line in Kong's log each time.
#[test]
fn the_probe_is_made_in_plain_http_at_the_root_of_the_cluster_listener() {
    let mut host = host();
    host.advance(TICK).unwrap();
    let [probe] = &calls(&host, "GET /")[..] else { panic!("not one probe: {:?}", host.under_way()) };
    assert_eq!((probe.upstream.as_str(), probe.header(":scheme")), ("10.0.0.9:8005", ""));
    let [status] = &calls(&host, "GET /status")[..] else { panic!("not one question") };
    assert_eq!(status.header(":scheme"), "", "the Status API is asked without TLS");
}

#[test]
fn accepted_refused_timed_out_and_unresolved_are_told_apart_with_since_when() {
    let mut host = host();
    let mut last: Option<ControlPlane> = None;
    for (reply, state) in [
        (Reply::failed("reader failure"), Reachability::AcceptedNoAnswer),
        (Reply::failed("broken connection"), Reachability::Refused),
        (Reply::failed("broken connection"), Reachability::Refused),
        (Reply::failed("timeout"), Reachability::TimedOut),
        (Reply::failed("resolver failure"), Reachability::Unresolved),
        (Reply::failed("something new"), Reachability::Unreachable),
        (Reply::http(400, b"<html>The plain HTTP request was sent to HTTPS port"), Reachability::Reachable),
        (Reply::failed("it is not asked"), Reachability::Reachable),
    ] {
        let now = seen(&mut host, &reply).unwrap();
        assert_eq!(now.state, state);
        if let Some(last) = last {
            assert_eq!(now.since_ms == last.since_ms, now.state == last.state, "{last:?} {now:?}");
        }
        last = Some(now);
    }
    let said: Vec<&str> = host.log().iter().map(|line| line.text.as_str()).collect();
    assert_eq!(said.len(), 6, "one line for each change: {said:?}");
    assert!(said[0].contains("10.0.0.9:8005 can't be reached from this gateway"), "{said:?}");
    assert!(said[0].contains("accepted and no HTTP answer came"), "{said:?}");
    assert!(said[5].contains("can be reached again"), "{said:?}");
}

/// Each probe is a line in the control plane's access log, of each worker of each node.
#[test]
fn a_control_plane_that_answers_is_probed_once_a_minute_and_one_that_stopped_in_each_interval() {
    let mut host = host();
    let mut probes = |seconds: u64, reply: Reply| {
        let mut probes = 0;
        for _ in 0..seconds {
            host.advance(INTERVAL / 10).unwrap();
            for call in host.under_way().to_vec() {
                let is_probe = call.request_line() == "GET /";
                probes += u32::from(is_probe);
                host.reply(call.token, if is_probe { reply.clone() } else { Reply::http(200, STATUS) }).unwrap();
            }
        }
        probes
    };
    assert_eq!(probes(600, Reply::http(400, b"")), 10);
    assert_eq!(probes(180, Reply::failed("broken connection")), 18, "the next one was due when it stopped");
    assert_eq!(probes(600, Reply::http(400, b"")), 10);
}

#[test]
fn a_probe_that_is_switched_off_is_not_made() {
    let mut host = configured_with(&settings_with(r#""control_plane":"10.0.0.9:8005","probe":"off""#));
    for _ in 0..20 {
        host.advance(TICK).unwrap();
        assert_eq!(calls(&host, "GET /"), []);
        for call in host.under_way().to_vec() {
            if call.request_line() == "POST /v1/reports" {
                assert_eq!(report_in(&call).control_plane, None);
            }
            host.reply(call.token, Reply::http(200, STATUS)).unwrap();
        }
    }
    assert_eq!(host.metric("cp_reachable"), None);
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
