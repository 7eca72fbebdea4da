//! The filter in a real Envoy, its reports at a real companion.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::routing::get;
use lifeboat_core::manifest::State;
use lifeboat_fakes::recorded;
use lifeboat_tests::stage::play_within;
use lifeboat_tests::world::{World, configuration};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::envoy::{Clusters, Envoy, filter};

const KEY: &str = "0123456789abcdef0123456789abcdef";
const EMPTY: &str = "00000000000000000000000000000000";

/// A service behind the gateway, and a Status API that says what the node runs.
async fn service(hash: Arc<Mutex<String>>) -> SocketAddr {
    let status = move || {
        let body = json!({"configuration_hash": *hash.lock().expect("nothing panics while it holds this lock")});
        async move { ([(header::SERVER, "kong/3.9.1")], body.to_string()) }
    };
    let router = Router::new().route("/status", get(status)).fallback(|| async { "hello" });
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("there is a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[test]
fn a_real_envoy_runs_the_filter_and_its_reports_confirm_what_is_kept() {
    let wasm = filter();
    // The control plane is looked for once a minute while it answers, so that it is gone is seen late.
    play_within(Duration::from_secs(180), async {
        let mut world = World::begin().await;
        world.set("KONG_CLUSTER_FALLBACK_CONFIG_IMPORT", "off");
        world.set("LIFEBOAT_HTTP_LISTEN", "127.0.0.1:0");
        world.set("LIFEBOAT_REPORT_KEYS", KEY);
        let companion = world.companion().await;
        let runs = Arc::new(Mutex::new(EMPTY.to_owned()));
        let clusters = Clusters {
            companion: companion.http_address().expect("it answers over HTTP"),
            service: service(runs.clone()).await,
            control_plane: world.control_plane.address(),
        };
        let settings = json!({
            "host": "envoy", "companion": "companion", "status_api": "service", "control_plane": "control_plane", "interval_s": 1,
            "report_key": KEY, "node": "envoy-1", "response_header": "x-lifeboat"
        });
        let envoy = Envoy::start(&wasm, &settings, &clusters).await;
        let view = || serde_json::to_value(companion.reports().view()).expect("the view can be written");
        let seen = async |what: &str, is_so: &dyn Fn(&Value) -> bool| {
            // A control plane that answers is looked for once a minute.
            for _ in 0..2_000 {
                if is_so(&view()) {
                    return;
                }
                sleep(Duration::from_millis(50)).await;
            }
            panic!("{what}: {:#}\n{}", view(), envoy.log());
        };

        // A reporter in each worker, and one in the main thread.
        seen("every thread reports", &|view| view["workers_reporting"] == 3 && view["without_configuration"] == 3)
            .await;
        seen("the control plane is there", &|view| view["control_plane"] == json!({"reachable": 3})).await;
        let node = json!({"reporting": 1, "without_configuration": 1, "control_plane": {"reachable": 1}});
        assert_eq!(view()["nodes"], node, "three threads are one node");

        world.control_plane.push(recorded::first());
        let sent = configuration(&recorded::first());
        world.log.wait_for(&["is not published yet", "waits for a node"]).await;
        sent.hash.clone_into(&mut runs.lock().expect("nothing panics while it holds this lock"));
        world.published(&sent).await;
        assert_eq!(world.manifest().state, State::Confirmed);

        let client = reqwest::Client::new();
        for _ in 0..200 {
            let answer = client.get(format!("http://{}/", envoy.listener)).send().await.expect("envoy answers");
            assert_eq!((answer.status().as_u16(), answer.headers().contains_key("x-lifeboat")), (200, true));
            assert_eq!(answer.text().await.expect("it is text"), "hello");
        }
        assert!(envoy.stat("wasmcustom.reports_sent").await > Some(2));
        assert_eq!(envoy.stat("wasmcustom.cp_reachable").await, Some(1));
        assert_eq!(envoy.stat("wasmcustom.config_empty").await, Some(0));

        world.control_plane.stop().await;
        seen("the control plane is gone", &|view| view["control_plane"] == json!({"unreachable": 3})).await;
        let problems: Vec<String> = envoy
            .log()
            .lines()
            .filter(|line| line.contains("wasm") && !line.contains("can't be reached"))
            .map(str::to_owned)
            .collect();
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(view()["refused"], json!({}));
        companion.stop().await;
    });
}
