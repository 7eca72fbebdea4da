//! Reports of the filter at the companion: which are taken, what is answered, and what they lead to. The filter that
//! sends them is played here; a real Envoy sends them in `tests/servers/envoy.rs`.

use lifeboat::companion::Companion;
use lifeboat_core::manifest::State;
use lifeboat_core::report::{MAX_REPORT, ReportKey};
use lifeboat_fakes::recorded;
use lifeboat_tests::page::page;
use lifeboat_tests::reporting::{REPORT_KEY, Worker, now_ms};
use lifeboat_tests::stage::play;
use lifeboat_tests::world::{World, configuration};
use serde_json::{Value, json};

const OTHER_HASH: &str = "11111111111111111111111111111111";

/// A companion that keeps and has no relay, so that only reports can confirm; with these keys.
async fn keeper(world: &mut World, keys: Option<&str>) -> Companion {
    world.set("KONG_CLUSTER_FALLBACK_CONFIG_IMPORT", "off");
    world.set("LIFEBOAT_HTTP_LISTEN", "127.0.0.1:0");
    if let Some(keys) = keys {
        world.set("LIFEBOAT_REPORT_KEYS", keys);
    }
    world.companion().await
}

/// What the status page says of reports.
async fn status(companion: &Companion) -> Value {
    let page = page(companion.http_address().unwrap(), "/status").await;
    let page: Value = serde_json::from_str(&page.body).unwrap();
    page["reports"].clone()
}

#[test]
fn an_authenticated_report_of_a_node_that_runs_it_confirms_a_configuration() {
    play(async {
        let mut world = World::begin().await;
        let companion = keeper(&mut world, Some(REPORT_KEY)).await;
        let sent = configuration(&recorded::first());
        let mut worker = Worker::new(companion.http_address().unwrap(), OTHER_HASH);
        assert_eq!(worker.reports().await.0, 202);
        world.log.wait_for(&["keeping configurations"]).await;
        world.control_plane.push(recorded::first());
        world.log.wait_for(&["is not published yet", "waits for a node"]).await;
        assert_eq!(world.kept(), Vec::<String>::new(), "a node could tell, and has not yet");
        worker.report["config_hash"] = json!(sent.hash);
        assert_eq!(worker.reports().await.0, 202);
        world.published(&sent).await;
        assert_eq!(world.manifest().state, State::Confirmed);
        let status = status(&companion).await;
        assert_eq!((status["accepted"].as_u64(), status["workers_reporting"].as_u64()), (Some(2), Some(1)));
        assert_eq!(status["workers"][0]["config_hash"], json!(sent.hash));
        assert_eq!(status["workers"][0]["control_plane"]["state"], "timed_out");
        assert_eq!(status["control_plane"], json!({"timed_out": 1}));
        let nodes = json!({"reporting": 1, "control_plane": {"timed_out": 1}, "without_configuration": 0});
        assert_eq!(status["nodes"], nodes);
        companion.stop().await;
    });
}

/// KONG.md section 4, point 10: of one node with one worker three instances were seen to report.
#[test]
fn a_node_counts_once_and_what_is_left_of_an_old_chain_neither_delays_nor_speaks_for_it() {
    play(async {
        let mut world = World::begin().await;
        let companion = keeper(&mut world, Some(REPORT_KEY)).await;
        let sent = configuration(&recorded::first());
        let instance = |number: u64, configured_ago_ms: u64, state: &str| {
            let mut worker = Worker::new(companion.http_address().unwrap(), OTHER_HASH);
            worker.report["worker"] = json!(format!("{number:016x}"));
            worker.report["kong_node_id"] = json!("0b1c6b0c-7b1a-4a56-9d9e-0c8f3f0f2f11");
            worker.report["configured_at_ms"] = json!(now_ms() - configured_ago_ms);
            worker.report["control_plane"]["state"] = json!(state);
            worker
        };
        let mut old = instance(1, 60_000, "refused");
        let mut new = [instance(2, 1_000, "reachable"), instance(3, 2_000, "reachable")];
        for worker in [&mut old].into_iter().chain(&mut new) {
            assert_eq!(worker.reports().await.0, 202);
        }
        let reports = status(&companion).await;
        let nodes = json!({"reporting": 1, "control_plane": {"reachable": 1}, "without_configuration": 0});
        assert_eq!((&reports["nodes"], reports["workers_reporting"].as_u64()), (&nodes, Some(3)));
        let metrics = page(companion.http_address().unwrap(), "/metrics").await;
        for (series, number) in [
            ("lifeboat_reports_nodes", 1.0),
            ("lifeboat_reports_nodes_without_configuration", 0.0),
            (r#"lifeboat_reports_control_plane_nodes{state="reachable"}"#, 1.0),
            ("lifeboat_reports_workers", 3.0),
        ] {
            assert_eq!(metrics.number(series), number, "{series}");
        }

        // One of the three tells the new hash: the node runs it.
        world.control_plane.push(recorded::first());
        world.log.wait_for(&["is not published yet", "waits for a node"]).await;
        new[0].report["config_hash"] = json!(sent.hash);
        assert_eq!(new[0].reports().await.0, 202);
        world.published(&sent).await;
        assert_eq!(world.manifest().state, State::Confirmed);
        companion.stop().await;
    });
}

#[test]
fn without_keys_reports_are_counted_and_neither_confirm_nor_delay() {
    play(async {
        let mut world = World::begin().await;
        let companion = keeper(&mut world, None).await;
        let mut worker = Worker::new(companion.http_address().unwrap(), OTHER_HASH);
        let (code, words) = worker.reports().await;
        assert!(code == 202 && words.contains("counted only"), "{code}: {words}");
        world.control_plane.push(recorded::first());
        world.published(&configuration(&recorded::first())).await;
        assert_eq!(world.manifest().state, State::Received);
        let status = status(&companion).await;
        assert_eq!((status["counted_only"].as_u64(), status["accepted"].as_u64()), (Some(1), Some(0)));
        assert_eq!(status["workers"], json!([]));
        world.log.wait_for(&["LIFEBOAT_REPORT_KEYS is not set"]).await;
        companion.stop().await;
    });
}

#[test]
fn what_is_not_signed_or_old_or_known_or_too_long_is_refused_and_counted_with_its_reason() {
    play(async {
        let mut world = World::begin().await;
        let companion = keeper(&mut world, Some(REPORT_KEY)).await;
        let mut worker = Worker::new(companion.http_address().unwrap(), OTHER_HASH);
        assert_eq!(worker.reports().await.0, 202);
        let again = worker.report.to_string();
        assert_eq!(worker.sends(again.clone()).await.0, 409);
        worker.report["sent_at_ms"] = json!(now_ms() - 6 * 60 * 1000);
        let (code, words) = worker.reports().await;
        assert!(code == 400 && words.contains("NTP"), "{code}: {words}");
        assert_eq!(worker.sends("x".repeat(MAX_REPORT + 1)).await.0, 413);
        assert_eq!(worker.sends("{}".to_owned()).await.0, 400);
        assert_eq!(worker.sends(r#"{"format":2}"#.to_owned()).await.0, 400);
        worker.key = ReportKey::new("another-key-than-that");
        assert_eq!(worker.sends(again.clone()).await.0, 401);
        worker.key = None;
        let (code, words) = worker.sends(again).await;
        assert!(code == 401 && words.contains("report_key"), "{code}: {words}");
        let expected = json!({
            "replayed": 1, "wrong_time": 1, "too_large": 1, "malformed": 1, "unknown_format": 1, "bad_signature": 1,
            "unsigned": 1
        });
        let status = status(&companion).await;
        assert_eq!(status["refused"], expected);
        let metrics = page(companion.http_address().unwrap(), "/metrics").await;
        for (series, number) in [
            (r#"lifeboat_reports_total{outcome="accepted"}"#, 1.0),
            (r#"lifeboat_reports_total{outcome="bad_signature"}"#, 1.0),
            ("lifeboat_reports_workers", 1.0),
            (r#"lifeboat_reports_control_plane_workers{state="timed_out"}"#, 1.0),
        ] {
            assert_eq!(metrics.number(series), number, "{series}");
        }
        assert_eq!((status["accepted"].as_u64(), status["counted_only"].as_u64()), (Some(1), Some(0)));
        assert!(!world.log.text().contains(REPORT_KEY), "no key is logged");
        companion.stop().await;
    });
}

#[test]
fn a_worker_that_falls_silent_is_not_shown_any_more() {
    play(async {
        let mut world = World::begin().await;
        let companion = keeper(&mut world, Some(REPORT_KEY)).await;
        let mut worker = Worker::new(companion.http_address().unwrap(), OTHER_HASH);
        worker.report["interval_s"] = json!(1);
        assert_eq!(worker.reports().await.0, 202);
        assert_eq!(status(&companion).await["workers_reporting"], 1);
        // Five intervals, and the second in which is looked.
        while status(&companion).await["workers_reporting"] != 0 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_eq!(status(&companion).await["accepted"], 1);
        companion.stop().await;
    });
}
