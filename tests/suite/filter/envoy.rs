//! The same filter in a host with Envoy's habits. A real Envoy runs it in `tests/servers/envoy.rs`.

use lifeboat_core::report::{CallFailure, Reachability};
use lifeboat_tests::wasm_host::Behaviour;

use super::*;

const CLUSTERS: &str = r#"{"host":"envoy","companion":"lifeboat","status_api":"status","control_plane":"control_plane",
    "response_header":"x-lifeboat"}"#;

fn envoy(settings: &str) -> WasmHost {
    let mut host = WasmHost::start_worker(&filter(), Behaviour::Envoy, 1).unwrap();
    assert_eq!(host.configure(settings.as_bytes()), Ok(true));
    host
}

/// Ticks until the next report; questions are answered like this. The report stays under way.
fn next_report(host: &mut WasmHost, status: &Reply, probe: &Reply) -> (u32, Report) {
    for _ in 0..3 {
        host.advance(TICK).unwrap();
        for call in host.under_way().to_vec() {
            match call.request_line().as_str() {
                "GET /status" => host.reply(call.token, status.clone()).unwrap(),
                "GET /" => host.reply(call.token, probe.clone()).unwrap(),
                _ => return (call.token, report_in(&call)),
            }
        }
    }
    panic!("no report within an interval");
}

#[test]
fn reports_go_to_a_cluster_and_requests_are_not_asked_for_kong() {
    let mut host = envoy(CLUSTERS);
    for _ in 0..50 {
        assert_eq!(host.request(), Ok(vec![0, 0]));
    }
    assert_eq!(host.property_reads(), 0);
    let (token, report) = next_report(&mut host, &Reply::http(200, STATUS), &Reply::http(404, b""));
    let [call] = host.under_way() else { panic!("not one report") };
    assert_eq!(call.upstream, "lifeboat");
    assert_eq!((report.kong_node_id, report.config_hash.unwrap().to_string()), (None, HASH.to_owned()));
    assert_eq!(report.control_plane.unwrap().state, Reachability::Reachable);
    host.reply(token, Reply::http(204, b"")).unwrap();
    host.request().unwrap();
    assert_eq!(host.response_headers().len(), 1);
    assert_eq!((host.traps(), host.log()), (0, &[][..]));
}

#[test]
fn what_envoy_says_when_a_cluster_can_t_be_reached_is_not_taken_for_an_answer() {
    let mut host = envoy(CLUSTERS);
    let refused = "remote connection failure";
    let untrusted = "remote connection failure, transport failure reason: TLS_error:|CERTIFICATE_VERIFY_FAILED|";
    for (probe, state) in [
        (Reply::made_up_by_envoy(503, refused), Reachability::Unreachable),
        (Reply::made_up_by_envoy(503, "connection timeout"), Reachability::TimedOut),
        (Reply::made_up_by_envoy(503, untrusted), Reachability::TlsHandshakeFailed),
        (Reply::made_up_by_envoy(503, "connection termination"), Reachability::AcceptedNoAnswer),
        (Reply::made_up_by_envoy(503, refused).with("x-envoy-upstream-service-time", "2"), Reachability::Reachable),
    ] {
        let (token, report) = next_report(&mut host, &Reply::made_up_by_envoy(503, refused), &probe);
        assert_eq!(report.control_plane.unwrap().state, state, "{probe:?}");
        assert_eq!(report.status_api, Some(CallFailure::BrokenConnection));
        host.reply(token, Reply::made_up_by_envoy(503, refused)).unwrap();
    }
    let (_, report) = next_report(&mut host, &Reply::http(200, STATUS), &Reply::http(200, b""));
    assert_eq!(report.since_acknowledged.reports_failed, 5);
}

/// Nothing in a request tells Envoy from Kong 3.4, where acting kills workers.
#[test]
fn without_its_name_or_with_addresses_it_stays_passive_in_envoy_and_says_why() {
    let unnamed = CLUSTERS.replace(r#""host":"envoy","#, "");
    for (settings, reasons) in [
        (unnamed, [r#"set host to "envoy""#, r#"set host to "envoy""#]),
        (
            settings_with(r#""host":"envoy""#),
            ["companion is not the name of a cluster", "requests here know no kong.version"],
        ),
    ] {
        let mut host = envoy(&settings);
        for _ in 0..50 {
            host.advance(TICK).unwrap();
            assert_eq!(host.request(), Ok(vec![0, 0]));
        }
        assert_eq!((host.dispatched(), host.metrics(), host.traps(), host.property_reads()), (0, 0, 0, 3));
        assert_eq!(host.response_headers(), []);
        let [wrong, passive] = host.log() else { panic!("not two lines: {:?}", host.log()) };
        assert!(wrong.text.contains(reasons[0]) && passive.text.contains(reasons[1]), "{:?}", host.log());
    }
}

#[test]
fn a_root_that_envoy_replaces_and_deletes_leaves_the_new_one_at_work() {
    let mut host = envoy(CLUSTERS);
    for _ in 0..20 {
        host.advance(Duration::from_secs(3)).unwrap();
        assert_eq!(host.configure(CLUSTERS.as_bytes()), Ok(true));
    }
    let (_, report) = next_report(&mut host, &Reply::http(200, STATUS), &Reply::http(200, b""));
    assert_eq!(report.config_hash.unwrap().to_string(), HASH);
    assert_eq!(host.traps(), 0);
}
