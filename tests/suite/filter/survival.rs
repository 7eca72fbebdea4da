//! What a host may do to the filter, and a network to its calls: nothing traps, nothing grows, and it goes on.

use lifeboat_tests::wasm_host::{Behaviour, Gateway, Harm};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use super::*;

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

/// A processor runs more than a thousand of them in a microsecond; a tick may take a thousand of those.
#[test]
fn a_tick_costs_far_less_than_a_millisecond_and_a_request_next_to_nothing() {
    let more = r#""control_plane":"10.0.0.9:8005","report_key":"0123456789abcdef0123456789abcdef""#;
    let mut host = configured_with(&settings_with(more));
    host.request().unwrap();
    let (mut most, mut before) = (0, host.instructions());
    for _ in 0..20 {
        host.advance(TICK).unwrap();
        most = most.max(host.instructions() - before);
        for call in host.under_way().to_vec() {
            host.reply(call.token, Reply::http(200, STATUS)).unwrap();
        }
        before = host.instructions();
    }
    assert!(most < 500_000, "a tick took {most} instructions");
    host.request().unwrap();
    let request = host.instructions() - before;
    assert!(request < 2_000, "a request took {request} instructions");
}

/// KONG.md section 4, point 7: shared data traps where the node offers none, and there is no setting that says it does.
#[test]
fn the_filter_has_nothing_to_do_with_shared_data() {
    let imports = filter().imports();
    assert!(imports.iter().all(|import| !import.contains("shared")), "{imports:?}");
}

#[test]
fn answers_that_come_twice_or_to_nobody_are_survived() {
    let mut host = configured_with(&settings_with(r#""control_plane":"10.0.0.9:8005""#));
    for context in [0, 1, 7, u32::MAX] {
        host.call_back(context, 12_345, Reply::http(200, STATUS)).unwrap();
    }
    host.advance(TICK).unwrap();
    for call in host.under_way().to_vec() {
        for _ in 0..3 {
            host.call_back(1, call.token, Reply::http(200, STATUS)).unwrap();
        }
        host.reply(call.token, Reply::http(200, STATUS)).unwrap();
    }
    host.advance(TICK).unwrap();
    let [report] = &calls(&host, "POST /v1/reports")[..] else { panic!("not one report: {:?}", host.under_way()) };
    assert_eq!(report_in(report).config_hash.unwrap().to_string(), HASH);
    assert_eq!(host.traps(), 0);
}

#[test]
fn contexts_that_were_never_made_are_survived() {
    let mut host = configured();
    for export in [
        "proxy_on_tick",
        "proxy_on_log",
        "proxy_on_done",
        "proxy_on_delete",
        "proxy_on_request_headers",
        "proxy_on_response_headers",
    ] {
        for context in [0, 1, 99, u32::MAX] {
            host.call_out_of_turn(export, context).unwrap();
        }
    }
    assert_eq!(host.traps(), 0);
    host.advance(INTERVAL).unwrap();
    assert!(host.dispatched() > 0, "it goes on");
}

/// What an operator can do to a chain while traffic flows and everything around it fails.
#[test]
fn two_hundred_changes_of_the_settings_under_load_hurt_nothing() {
    let seed = rand::random();
    eprintln!("seed {seed}"); // put it in place of rand::random() to play this run again
    let mut random = StdRng::seed_from_u64(seed);
    let good = [
        SETTINGS.to_owned(),
        settings_with(r#""control_plane":"10.0.0.9:8005","response_header":"x-lifeboat""#),
        settings_with(r#""report_key":"0123456789abcdef","interval_s":1"#),
    ];
    let bad = ["", "{", "null", "[]", r#"{"companion":7}"#, r#"{"status_api":"localhost:1","companion":"x"}"#];
    let mut gateway = Gateway::start(&filter(), Behaviour::Kong39, 2).unwrap();
    for change in 0..200 {
        let settings = match random.random_range(0..4) {
            0 => bad[random.random_range(0..bad.len())],
            _ => &good[random.random_range(0..good.len())],
        };
        assert!(gateway.configure(settings.as_bytes()), "change {change}: {settings}");
        gateway.advance(Duration::from_millis(random.random_range(0..8) * 500), |_| match random.random_range(0..4) {
            0 => None,
            1 => Some(arbitrary(&mut random)),
            2 => Some(Reply::failed("broken connection")),
            _ => Some(Reply::http(200, STATUS)),
        });
        gateway.request();
    }
    assert!(gateway.configure(SETTINGS.as_bytes()));
    assert_eq!(gateway.harm(), Harm::default());
    for worker in gateway.workers() {
        assert!(worker.memory_size() <= 2 * MEBIBYTE, "{}", worker.memory_size());
    }
    // 200 old roots tick beside the new ones.
    let mut reports = 0;
    gateway.advance(INTERVAL * 10, |call| {
        reports += usize::from(call.request_line() == "POST /v1/reports");
        Some(Reply::http(200, STATUS))
    });
    assert_eq!(gateway.harm(), Harm::default());
    // Where a report falls on the border, ten intervals hold eleven.
    assert!((2 * 10..=2 * 11).contains(&reports), "one of each worker in each interval, and not {reports}");
}
