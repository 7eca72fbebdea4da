//! How long an empty node waits in an outage: from its connection until it has the last byte of a configuration of 6.6 MB,
//! beside the least that it could take, a TLS WebSocket server with the bytes in memory and one bare GET, in the same run.
//!
//! Run by `cargo bench -p lifeboat-tests --no-default-features --bench restore`. Each round has a relay that was just
//! started and knows nothing. Ends with an error if a refusing control plane costs more than 1.3 times the least, or a
//! hanging one more than that and Kong's 5 s to connect.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lifeboat::rehearsal::control_plane::Behaviour;
use lifeboat_tests::crowd::outage::{NOTHING, Outage, size_of};
use lifeboat_tests::crowd::{Broadcaster, Crowd, CrowdOptions, is_part};
use object_store::aws::AmazonS3;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

/// 58 MB of JSON, the largest that was seen (KONG.md section 1).
const SERVICES: usize = 50_000;
const ROUNDS: usize = 15;
/// Each takes 5 s, and they hardly differ.
const HANGING_ROUNDS: usize = 3;
const LIMIT: Duration = Duration::from_secs(60);
/// How much more than the least it may take.
const ALLOWED: f64 = 1.3;
/// Kong's own time-out for a connection (KONG.md section 1).
const CONNECT: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    match is_part() {
        Some(ended) => ended,
        None => tokio::runtime::Runtime::new().expect("a runtime can be started").block_on(measure()),
    }
}

async fn measure() -> ExitCode {
    let outage = Outage::begin(SERVICES).await;
    let bare = Broadcaster::start(64, outage.certificate());
    bare.push(&outage.message);
    let store = outage.bare_store();
    let payload = payload(&outage).await;
    let (mut least, mut restored) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let get = bare_get(&store, &payload).await;
        least.push(get + given_after(&outage, bare.address()).await);
        restored.push(restored_after(&outage).await);
    }
    outage.cluster.control_plane.come_back().await.expect("its port is still free");
    outage.cluster.control_plane.behave(Behaviour::Hanging);
    let mut hanging = Vec::new();
    for _ in 0..HANGING_ROUNDS {
        hanging.push(restored_after(&outage).await);
    }
    report(size_of(&outage.message), least, restored, hanging)
}

/// By a relay that knows nothing yet.
async fn restored_after(outage: &Outage) -> Duration {
    let (relay, address) = outage.relay("127.0.0.1:0").await;
    let after = given_after(outage, address).await;
    drop(relay);
    after
}

/// From the beginning of a node's connection until the last byte of its configuration.
async fn given_after(outage: &Outage, to: SocketAddr) -> Duration {
    let (runs, adopts) = (NOTHING.to_owned(), outage.hash.clone());
    let options = CrowdOptions { to, nodes: 1, within: Duration::ZERO, runs, adopts };
    let node = Crowd::start(&options, outage.certificate());
    let seen = node.wait_for(LIMIT, |seen| seen.messages > 0).await;
    Duration::from_nanos(seen.last_message - (seen.last_link - seen.slowest_link))
}

/// The key of the payload, as the bare GET asks for it.
async fn payload(outage: &Outage) -> Path {
    use futures::TryStreamExt;
    let objects = LocalFileSystem::new_with_prefix(outage.objects()).expect("the folder is there");
    let all: Vec<_> = objects.list(None).try_collect().await.expect("it can be listed");
    let payload = all.into_iter().find(|object| object.location.as_ref().ends_with(".json.gz"));
    format!("backups/{}", payload.expect("something was kept").location).into()
}

async fn bare_get(store: &AmazonS3, key: &Path) -> Duration {
    let begun = Instant::now();
    let _: Bytes = store.get(key).await.expect("it is there").bytes().await.expect("all of it");
    begun.elapsed()
}

#[expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
fn report(bytes: u64, least: Vec<Duration>, restored: Vec<Duration>, hanging: Vec<Duration>) -> ExitCode {
    let [(least, fastest), refused, hung] = [least, restored, hanging].map(|mut times| {
        times.sort_unstable();
        (times[times.len() / 2].as_secs_f64() * 1e3, times[0].as_secs_f64() * 1e3)
    });
    println!(
        "{bytes} bytes to an empty node, medians of {ROUNDS} interleaved rounds, in milliseconds; fastest in brackets\n"
    );
    println!("| control plane | bare server + bare GET | restored | ratio | limit |\n|---|---|---|---|---|");
    let ratio = refused.0 / least;
    println!(
        "| refuses connections | {least:.1} ({fastest:.1}) | {:.1} ({:.1}) | {ratio:.2} | {ALLOWED} |",
        refused.0, refused.1
    );
    let beyond = hung.0 - CONNECT.as_secs_f64() * 1e3;
    let ratio_hung = beyond / least;
    println!("| hangs, less its 5 s | {least:.1} ({fastest:.1}) | {beyond:.1} | {ratio_hung:.2} | {ALLOWED} |");
    if ratio <= ALLOWED && ratio_hung <= ALLOWED { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
