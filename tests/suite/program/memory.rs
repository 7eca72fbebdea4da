//! How much memory the program takes for the largest configuration that was seen.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use lifeboat_tests::generator;
use lifeboat_tests::program::{Memory, Running};
use tokio::time::{sleep, timeout};

use super::{Cluster, Store, configuration, relay_address, stored};

/// 58 MB of JSON (KONG.md section 1).
const SERVICES: usize = 50_000;
/// If each had a copy of its own, the relay would be found out.
const NODES: usize = 5;
const MEGABYTE: f64 = 1e6;

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

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_has_fed_58_megabytes_to_five_nodes_holds_one_compressed_copy() {
    let (cluster, store, large) = (Cluster::start().await, Store::folder(), large());
    cluster.control_plane.push(large.message.clone());
    let kept = store.given_to(cluster.lifeboat(["export"])).finish().await;
    assert_eq!(kept.code, Some(0), "{kept}");
    let payloads = stored::files(&store.objects).into_iter().filter(|file| file.extension().is_some_and(|e| e == "gz"));
    let compressed: u64 = payloads.map(|file| file.metadata().unwrap().len()).sum();
    cluster.control_plane.stop().await;

    let relay = store.given_to(cluster.lifeboat(["run", "--import", "on"])).start();
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
    assert!(after < 2 * compressed + 40_000_000, "{after} bytes are resident for {compressed} bytes of payload");
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
