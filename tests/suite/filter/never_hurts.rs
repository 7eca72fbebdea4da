//! That the filter hurts no traffic in any gateway: it acts where that is known to be harmless and is passive elsewhere,
//! whatever its settings, its chain and the network do. And that a filter which acts everywhere does hurt in these hosts:
//! without that, the rest would prove nothing.

use std::collections::BTreeSet;

use lifeboat_tests::wasm_host::{Behaviour, Gateway, Harm};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

const WORKERS: usize = 2;

/// What happens to the chain while requests flow through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chain {
    Standing,
    Changing,
    DeletedAndMadeAnew,
}

const CHAINS: [Chain; 3] = [Chain::Standing, Chain::Changing, Chain::DeletedAndMadeAnew];

/// What a gateway has seen of a filter.
struct Life {
    harm: Harm,
    calls: usize,
    metrics: usize,
    headers: usize,
    /// Of each instance that was left at the end.
    lines: Vec<usize>,
    most_property_reads: usize,
    /// The instances that have reported.
    reporting: BTreeSet<String>,
}

/// Two minutes of a gateway with two workers under load. Calls are answered, fail, or are left alone, one like the other.
fn live(filter: &Filter, behaviour: Behaviour, chain: Chain, settings: &[String]) -> Life {
    let seed = rand::random();
    eprintln!("{behaviour:?}, {chain:?}: seed {seed}"); // put it in place of rand::random() to play this run again
    let mut random = StdRng::seed_from_u64(seed);
    let mut gateway = Gateway::start(filter, behaviour, WORKERS as u64).unwrap();
    gateway.configure(settings[0].as_bytes());

    let (mut headers, mut reporting) = (0, BTreeSet::new());
    for second in 1..=120 {
        gateway.advance(Duration::from_secs(1), |call| {
            if call.request_line() == "POST /v1/reports" {
                reporting.insert(report_in(call).worker);
            }
            match random.random_range(0..8) {
                0 => None,
                1 => Some(Reply::failed("broken connection")),
                2 => Some(Reply::failed("reader failure")),
                3 => Some(Reply::http(500, b"?")),
                _ => Some(Reply::http(200, STATUS)),
            }
        });

        gateway.request();
        headers += gateway.workers().map(|worker| worker.response_headers().len()).sum::<usize>();

        let next = settings[random.random_range(0..settings.len())].as_bytes();
        match chain {
            Chain::Standing => {}
            Chain::Changing if second % 3 == 0 => drop(gateway.configure(next)),
            Chain::DeletedAndMadeAnew if second % 15 == 0 => gateway.replace_chain(next).unwrap(),
            Chain::Changing | Chain::DeletedAndMadeAnew => {}
        }
    }

    Life {
        harm: gateway.harm(),
        calls: gateway.instances().map(|instance| instance.dispatched()).sum(),
        metrics: gateway.instances().map(|instance| instance.metrics()).sum(),
        headers,
        lines: gateway.instances().map(|instance| instance.log().len()).collect(),
        most_property_reads: gateway.instances().map(|instance| instance.property_reads()).max().unwrap_or_default(),
        reporting,
    }
}

/// Settings as a gateway has them, with all that can be set, and some that are wrong.
fn settings(behaviour: Behaviour) -> Vec<String> {
    let everything = settings_with(
        r#""control_plane":"10.0.0.9:8005","report_key":"0123456789abcdef","response_header":"x-lifeboat","interval_s":2"#,
    );
    match behaviour {
        Behaviour::Envoy => {
            let clusters = everything
                .replace("10.0.0.5:8115", "lifeboat")
                .replace("127.0.0.1:8100", "status")
                .replace("10.0.0.9:8005", "control_plane");
            vec![clusters.replacen('{', r#"{"host":"envoy","#, 1)]
        }
        _ => vec![
            everything.clone(),
            everything.replacen('{', r#"{"host":"kong-3.10","#, 1),
            everything.replacen('{', r#"{"host":"envoy","#, 1),
        ],
    }
}

#[test]
fn it_hurts_no_traffic_in_any_host_and_acts_only_where_that_is_known() {
    let mut harmed = Vec::new();
    for behaviour in Behaviour::ALL {
        for chain in CHAINS {
            let life = live(&filter(), behaviour, chain, &settings(behaviour));
            if life.harm != Harm::default() {
                harmed.push((behaviour, chain, life.harm));
                continue;
            }
            assert!(life.most_property_reads <= 3, "{behaviour:?}, {chain:?}: {}", life.most_property_reads);
            if matches!(behaviour, Behaviour::Kong39 | Behaviour::Envoy) {
                assert!(life.reporting.len() >= WORKERS, "{behaviour:?}, {chain:?}: every worker reports");
                assert!(life.metrics > 0 && life.headers > 0, "{behaviour:?}, {chain:?}");
            } else {
                assert_eq!((life.calls, life.metrics, life.headers), (0, 0, 0), "{behaviour:?}, {chain:?}");
            }
        }
    }
    assert!(harmed.is_empty(), "{harmed:#?}");
}

#[test]
fn where_it_stays_passive_each_worker_says_so_in_one_line() {
    for behaviour in [Behaviour::Kong34, Behaviour::Kong36, Behaviour::Kong37, Behaviour::Kong38] {
        let settings = &settings(behaviour)[..1];
        for chain in [Chain::Standing, Chain::Changing] {
            let mut lines = live(&filter(), behaviour, chain, settings).lines;
            lines.sort_unstable();
            assert_eq!(lines, [0, 1, 1], "{behaviour:?}, {chain:?}: none where no requests pass");
        }
    }
}

#[test]
fn wrong_settings_hurt_nothing_in_any_host() {
    let wrong = ["", "{", "null", "[]", r#"{"host":"envoy"}"#, r#"{"host":7,"companion":7}"#, r#""{\"host\":""#];
    let wrong: Vec<String> = wrong.iter().map(|text| (*text).to_owned()).collect();
    for behaviour in Behaviour::ALL {
        let life = live(&filter(), behaviour, Chain::DeletedAndMadeAnew, &wrong);
        assert_eq!((life.harm, life.calls), (Harm::default(), 0), "{behaviour:?}");
    }
}

#[test]
fn a_filter_that_acts_everywhere_hurts_where_the_host_can_t_bear_it() {
    let careless = Filter::compile(&host_versions::careless()).unwrap();
    for (behaviour, loses_workers) in [
        (Behaviour::Kong34, true),
        (Behaviour::Kong36, true),
        (Behaviour::Kong37, true),
        (Behaviour::Kong38, false),
        (Behaviour::Kong39, false),
    ] {
        for chain in CHAINS {
            let life = live(&careless, behaviour, chain, &settings(behaviour));
            assert_eq!(life.harm.workers_lost > 0, loses_workers, "{behaviour:?}, {chain:?}: {:?}", life.harm);
        }
    }
}
