//! Several workers, roots that are never freed, and instances that are lost: what Kong does on changes and traps.

use std::collections::BTreeMap;

use lifeboat_tests::wasm_host::{Behaviour, Gateway, Harm};

use super::*;

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

/// The reports of some intervals, by worker.
fn reports(gateway: &mut Gateway, intervals: u32) -> BTreeMap<String, Vec<u64>> {
    let mut reports: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    gateway.advance(INTERVAL * intervals, |call| {
        if call.request_line() == "POST /v1/reports" {
            let report = report_in(call);
            reports.entry(report.worker).or_default().push(report.sequence);
        }
        Some(Reply::http(200, STATUS))
    });
    reports
}

#[test]
fn a_filter_in_no_chain_does_nothing() {
    let mut host = WasmHost::start(&filter()).unwrap();
    host.advance(INTERVAL * 10).unwrap();
    assert_eq!((host.dispatched(), host.log(), host.metric("settings_problems")), (0, &[][..], None));
}

#[test]
fn each_worker_reports_under_its_own_number_and_a_reload_begins_anew() {
    let mut gateway = Gateway::start(&filter(), Behaviour::Kong39, 2).unwrap();
    assert!(gateway.configure(SETTINGS.as_bytes()));
    gateway.request();
    let before = reports(&mut gateway, 3);
    assert_eq!(before.values().cloned().collect::<Vec<_>>(), vec![vec![1, 2, 3]; 2]);
    gateway.reload().unwrap();
    gateway.request();
    let after = reports(&mut gateway, 3);
    assert_eq!(after.values().cloned().collect::<Vec<_>>(), vec![vec![1, 2, 3]; 2]);
    assert!(before.keys().all(|worker| !after.contains_key(worker)), "{before:?} {after:?}");
    assert_eq!(gateway.harm(), Harm::default());
}

/// KONG.md section 4, point 10. What the companion makes of it: `core/src/report/ledger/`.
#[test]
fn instances_that_are_left_of_an_old_chain_report_for_the_same_node_with_older_settings() {
    let mut gateway = Gateway::start(&filter(), Behaviour::Kong39, 1).unwrap();
    assert!(gateway.configure(settings_with(r#""node":"before""#).as_bytes()));
    gateway.request();
    gateway.advance(INTERVAL, |_| Some(Reply::http(200, STATUS)));
    gateway.replace_chain(SETTINGS.as_bytes()).unwrap();
    gateway.request();
    let mut told = BTreeMap::new();
    gateway.advance(INTERVAL * 2, |call| {
        if call.request_line() == "POST /v1/reports" {
            let report = report_in(call);
            assert_eq!(report.kong_node_id.as_deref(), Some("0b1c6b0c-7b1a-4a56-9d9e-0c8f3f0f2f11"));
            told.insert(report.worker, report.configured_at_ms.unwrap());
        }
        Some(Reply::http(200, STATUS))
    });
    let mut configured: Vec<u64> = told.into_values().collect();
    configured.sort_unstable();
    let [old, new] = configured[..] else { panic!("not two instances: {configured:?}") };
    assert!(old < new, "the one with the newest settings can be told");
}

#[test]
fn after_a_lost_instance_timers_are_doubled_and_reports_are_not() {
    let mut host = configured();
    for _ in 0..3 {
        host.advance(Duration::from_millis(1700)).unwrap();
        host.lose_instance();
        assert_eq!(host.request(), Ok(vec![0, 0]), "a new instance must learn anew that it may act");
    }
    host.advance(INTERVAL).unwrap();
    let (mut questions, mut sequences) = (0, Vec::new());
    for _ in 0..10 * 100 {
        host.advance(INTERVAL / 100).unwrap();
        for call in host.under_way().to_vec() {
            match call.request_line().as_str() {
                "GET /status" => questions += 1,
                _ => sequences.push(report_in(&call).sequence),
            }
            host.reply(call.token, Reply::http(200, STATUS)).unwrap();
        }
    }
    // With ticks at any time three quarters of an interval lie between two questions, and one interval at most.
    assert!((10..=14).contains(&questions), "{questions}");
    assert!((9..=14).contains(&sequences.len()), "{sequences:?}");
    assert!(sequences.windows(2).all(|pair| pair[1] == pair[0] + 1), "{sequences:?}");
}

#[test]
fn a_call_back_to_an_instance_that_is_lost_finds_a_new_one_and_is_ignored() {
    let mut host = configured();
    host.advance(TICK).unwrap();
    let [call] = &calls(&host, "GET /status")[..] else { panic!("not one question") };
    host.lose_instance();
    host.request().unwrap();
    host.reply(call.token, Reply::http(200, STATUS)).unwrap();
    host.advance(TICK).unwrap();
    assert_eq!(calls(&host, "POST /v1/reports").len(), 0, "it has not asked this");
    assert_eq!(calls(&host, "GET /status").len(), 1);
    assert_eq!(host.traps(), 0);
}
