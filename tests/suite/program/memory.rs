//! How much memory the program takes for the largest configuration that was seen, and that it is no more than docs/sizing.md
//! says.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use lifeboat_link::tls::{Identity, client_config_shared};
use lifeboat_tests::generator;
use lifeboat_tests::large_push::{self, LargePush};
use lifeboat_tests::page::{http_address, page};
use lifeboat_tests::program::{Memory, Running};
use lifeboat_tests::raw_rpc::{Asked, ask};
use rustix::process::Signal;
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::{Cluster, Store, configuration, relay_address, stored};

/// 58 MB of JSON (KONG.md section 1).
const SERVICES: usize = 50_000;
/// If each had a copy of its own, the relay would be found out.
const NODES: usize = 5;
const MEGABYTE: f64 = 1e6;
const MIB: u64 = 1 << 20;
/// What fits 58 MB, and what the limits below are made from.
const MAX_CONFIG: u64 = 64 * MIB;

/// What docs/sizing.md says a container needs, in MiB: of its own, times `LIFEBOAT_MAX_CONFIG`, and KiB for each node.
struct Needs {
    /// How the document says it.
    said: &'static str,
    base: u64,
    times_max_config: u64,
    node_kib: u64,
}

const EXPORTER: Needs =
    Needs { said: "64 MiB + 3 × `LIFEBOAT_MAX_CONFIG`", base: 64, times_max_config: 3, node_kib: 0 };
const DRILLING_EXPORTER: Needs = Needs {
    said: "with `LIFEBOAT_DRILL_EVERY` once more",
    times_max_config: EXPORTER.times_max_config + 1,
    ..EXPORTER
};
/// 192 MB are 183 MiB.
const EXPORTER_WITH_PAGE: Needs =
    Needs { said: "with `LIFEBOAT_HTTP_PAGE=on` | 192 MB more", base: 64 + 183, ..EXPORTER };
const RELAY: Needs = Needs {
    said: "64 MiB + 3 × `LIFEBOAT_MAX_CONFIG` + 128 KiB × nodes",
    base: 64,
    times_max_config: 3,
    node_kib: 128,
};

impl Needs {
    /// The limit that the document derives, in bytes.
    fn limit(&self, nodes: usize, max_config: u64) -> u64 {
        let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/sizing.md");
        let document = std::fs::read_to_string(document).unwrap();
        assert!(document.contains(self.said), "docs/sizing.md does not say {:?}", self.said);
        self.base * MIB + self.times_max_config * max_config + self.node_kib * 1024 * nodes as u64
    }

    fn hold(&self, running: &Running, nodes: usize) {
        self.hold_with(running, nodes, MAX_CONFIG);
    }

    fn hold_with(&self, running: &Running, nodes: usize, max_config: u64) {
        let (peak, limit) = (running.memory(Memory::Peak), self.limit(nodes, max_config));
        let (taken, allowed) = (peak as f64 / MEGABYTE, limit as f64 / MEGABYTE);
        eprintln!("a peak of {taken:.1} MB; {} allows {allowed:.1} MB", self.said);
        assert!(peak <= limit, "it took {taken:.1} MB, and {} are {allowed:.1} MB:\n{}", self.said, running.log());
    }
}

struct Large {
    message: Bytes,
    json_bytes: u64,
    hash: String,
}

fn large() -> &'static Large {
    static LARGE: OnceLock<Large> = OnceLock::new();
    LARGE.get_or_init(|| {
        let json = generator::configuration(SERVICES);
        let message = Bytes::from(generator::reconfigure_message(&json));
        let hash = configuration(&message).hash;
        Large { message, json_bytes: json.len() as u64, hash }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn keeping_58_megabytes_in_a_folder_takes_less_than_three_times_as_much_memory() {
    keeping_takes_less_than_three_times_as_much(&Store::folder()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keeping_58_megabytes_in_a_bucket_takes_less_than_three_times_as_much_memory() {
    keeping_takes_less_than_three_times_as_much(&Store::s3().await).await;
}

async fn keeping_takes_less_than_three_times_as_much(store: &Store) {
    let (cluster, large) = (Cluster::start().await, large());
    cluster.control_plane.push(large.message.clone());
    let running = store.given_to(cluster.lifeboat(["export"])).held_at_its_result().start();
    running.says("published configuration").await;
    let peak = running.memory(Memory::Peak);
    let ended = running.ends().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(ended.stdout.contains(&large.hash), "{ended}");
    let json = large.json_bytes;
    eprintln!(
        "{}: a peak of {:.1} MB for {:.1} MB of JSON: {:.2} times",
        store.settings[0].1,
        peak as f64 / MEGABYTE,
        json as f64 / MEGABYTE,
        peak as f64 / json as f64
    );
    assert!(peak < 3 * json, "keeping {json} bytes took {peak} bytes");
}

/// What a container is given has to be enough for all that goes on at the same time: one configuration is being read while
/// the one before it is still being written.
#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_that_is_sent_58_megabytes_again_and_again_stays_below_its_containers_limit() {
    let (cluster, store, large) = (Cluster::start().await, Store::s3().await, large());
    let larger = generator::configuration(SERVICES + 1);
    assert!(larger.len() as u64 <= MAX_CONFIG, "{}", larger.len());
    let larger = Bytes::from(generator::reconfigure_message(&larger));
    let hash = configuration(&larger).hash;
    let exporter = cluster.lifeboat(["run", "--export", "on", "--export-delay", "0"]);
    let exporter = store.given_to(exporter).with("LIFEBOAT_MAX_CONFIG", MAX_CONFIG.to_string());
    cluster.control_plane.push(large.message.clone());
    let running = exporter.start();
    running.says(&format!("published configuration {}", large.hash)).await;
    cluster.control_plane.push(larger.clone());
    cluster.control_plane.push(large.message.clone());
    cluster.control_plane.push(larger);
    running.says(&format!("published configuration {hash}")).await;
    EXPORTER.hold(&running, 0);
    running.signal(Signal::TERM);
    let ended = running.ends().await;
    assert_eq!(ended.code, Some(0), "{ended}");
}

/// A browser compares two snapshots: the one is masked after the other, also while the first is still being sent.
#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_whose_page_masks_58_megabytes_takes_what_is_said_and_no_more() {
    let (cluster, store, large) = (Cluster::start().await, Store::folder(), large());
    cluster.control_plane.push(large.message.clone());
    let exporter = cluster.lifeboat(["run", "--export", "on", "--export-delay", "0", "--http-page", "on"]);
    let exporter = exporter.with("LIFEBOAT_HTTP_LISTEN", "127.0.0.1:0");
    let running = store.given_to(exporter).with("LIFEBOAT_MAX_CONFIG", MAX_CONFIG.to_string()).start();
    let address = http_address(&running).await;
    running.says(&format!("published configuration {}", large.hash)).await;

    let masked = timeout(Duration::from_secs(300), async {
        loop {
            let found = page(address, "/page/configuration/3.9.1/1").await;
            if found.status != 429 {
                return found;
            }
            sleep(Duration::from_millis(100)).await;
        }
    });
    let masked = masked.await.expect("it is masked at last");
    assert_eq!((masked.status, masked.content_type.as_str()), (200, "application/json"), "{}", masked.body);
    EXPORTER_WITH_PAGE.hold(&running, 0);
}

/// A drill expands the configuration once, on top of what the exporter itself may be doing.
#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_that_rehearses_with_58_megabytes_takes_one_configuration_more() {
    let (cluster, store, large) = (Cluster::start().await, Store::folder(), large());
    cluster.control_plane.push(large.message.clone());
    let exporter = cluster.lifeboat(["run", "--export", "on", "--export-delay", "0", "--drill-every", "1s"]);
    let running = store.given_to(exporter).with("LIFEBOAT_MAX_CONFIG", MAX_CONFIG.to_string()).start();
    running.says("the drill passed for Kong 3.9.1: an empty node ran configuration ").await;
    DRILLING_EXPORTER.hold(&running, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_has_fed_58_megabytes_to_five_nodes_holds_one_compressed_copy() {
    let (cluster, store, large) = (Cluster::start().await, Store::folder(), large());
    cluster.control_plane.push(large.message.clone());
    let kept = store.given_to(cluster.lifeboat(["export"])).finish().await;
    assert_eq!(kept.code, Some(0), "{kept}");
    let payloads = stored::files(&store.objects).into_iter().filter(|file| file.extension().is_some_and(|e| e == "gz"));
    let compressed: u64 = payloads.map(|file| file.metadata().unwrap().len()).sum();
    cluster.control_plane.stop().await;

    let relay = cluster.lifeboat(["run", "--import", "on"]).with("LIFEBOAT_MAX_CONFIG", MAX_CONFIG.to_string());
    let relay = store.given_to(relay).start();
    let address = relay_address(&relay).await;
    let before = settled(&relay).await;
    let nodes: Vec<_> = (0..NODES).map(|_| cluster.node(address)).collect();
    for node in &nodes {
        let fed = timeout(Duration::from_secs(60), node.wait_for(|state| state.hash() == large.hash)).await;
        assert!(fed.is_ok(), "a node was not restored:\n{}", relay.log());
    }
    let after = settled(&relay).await;
    let peak = relay.memory(Memory::Peak);
    eprintln!(
        "relay: {:.1} MB resident, {:.1} MB after it has fed {:.1} MB compressed to {NODES} nodes, {:.1} MB at its peak",
        before as f64 / MEGABYTE,
        after as f64 / MEGABYTE,
        compressed as f64 / MEGABYTE,
        peak as f64 / MEGABYTE
    );
    RELAY.hold(&relay, NODES);
    assert!(after < 2 * compressed + 40_000_000, "{after} bytes are resident for {compressed} bytes of payload");

    // A node with incremental sync comes, too, for which the configuration becomes deltas.
    let [certificate, key] = [&cluster.certificate, &cluster.key].map(|path| std::fs::read(path).unwrap());
    let tls = client_config_shared(&Identity::from_pem(&certificate, &key).unwrap());
    let Asked::Opened(mut rpc, _) = ask(address, tls, "/v2/outlet").await.unwrap() else { panic!("it is refused") };
    rpc.hello("0707cde5-c018-4bb3-88d5-f4c8e60823ad").await;
    let params = json!([{ "default": { "version": 0 } }]);
    let call = json!({ "jsonrpc": "2.0", "id": 0, "method": "kong.sync.v2.get_delta", "params": params });
    let restored = async {
        loop {
            rpc.call(&call).await;
            if rpc.next().await.expect("the link stands").len() > 1_000_000 {
                break;
            }
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(Duration::from_secs(120), restored).await.expect("it is restored");
    RELAY.hold(&relay, NODES + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_of_15_megabytes_to_100_nodes_that_read_or_stall_is_in_memory_once() {
    let store = Store::folder();
    let mut push = LargePush::begin(&store.settings[0].1, |relay| relay).await;
    push.push().await;
    push.all_was_taken().await;
    RELAY.hold_with(&push.relay, large_push::NODES, large_push::MAX_CONFIG);
    // There is room for one: those who still have not read the first make it.
    push.push().await;
    RELAY.hold_with(&push.relay, large_push::NODES, large_push::MAX_CONFIG);
}

/// What is resident once that has stopped changing.
async fn settled(running: &Running) -> u64 {
    let mut last = running.memory(Memory::Resident);
    loop {
        sleep(Duration::from_millis(500)).await;
        let now = running.memory(Memory::Resident);
        if now == last {
            return now;
        }
        last = now;
    }
}
