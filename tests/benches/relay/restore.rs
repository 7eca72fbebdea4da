//! How long an empty node waits in an outage: from its connection until it has the last byte of a configuration of 6.6 MB,
//! beside the least that it could take, a TLS WebSocket server with the bytes in memory and one bare GET. Each round has a
//! relay that serves a node and has never asked the store, and a client of the store that hasn't either.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::TryStreamExt;
use lifeboat_core::session::node::FIRST_REPEAT;
use lifeboat_fakes::control_plane::Behaviour;
use lifeboat_tests::crowd::Broadcaster;
use lifeboat_tests::crowd::outage::{Outage, size_of};
use lifeboat_tests::program::Memory;
use object_store::aws::AmazonS3;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::report::{Report, at_percent};
use super::{HUNG, empty_nodes, nodes, syncing_nodes};

const ROUNDS: usize = 15;
/// Each takes 5 s, and they hardly differ.
const HANGING_ROUNDS: usize = 3;
/// How many times the least it may take.
const LIMIT: f64 = 1.3;
/// The same for the first node of a relay.
const FIRST_LIMIT: f64 = 1.1;
/// Kong's own time-out for a connection (KONG.md section 1), in milliseconds.
const CONNECT: f64 = 5_000.0;
/// How long the relay lets a node make its database before it sends something large, in milliseconds.
const GRACE: f64 = FIRST_REPEAT.as_millis() as f64;

/// One node with incremental sync, for which the configuration becomes deltas first, and what that takes of memory.
pub(super) async fn synced(outage: &Outage, report: &mut Report) {
    let (relay, address) = outage.relay("127.0.0.1:0").await;
    let begun = lifeboat_tests::crowd::now();
    let crowd = syncing_nodes(outage, address, 1, Duration::ZERO);
    let seen = crowd.wait_for(HUNG, |seen| seen.messages >= 1).await;
    let took = (seen.last_message - begun) as f64 / 1e6;
    report.add("one node with incremental sync, 58 MB of JSON, of a relay that has served nobody", took, "ms", None);
    report.add("… the most that the relay had resident", relay.memory(Memory::Peak) as f64 / 1048576.0, "MiB", None);
}

pub(super) async fn measure(outage: &Outage, report: &mut Report) {
    let bare = Broadcaster::start(64, outage.certificate());
    bare.push(&outage.message);
    let payload = payload(outage).await;
    let (mut least, mut refused, mut first, mut hung) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let get = bare_get(&outage.bare_store(), &payload).await;
        least.push(get + given_after(outage, bare.address()).await);
        refused.push(restored_after(outage).await);
        first.push(restored_first_after(outage).await);
    }
    outage.cluster.control_plane.come_back().await.expect("its port is still free");
    outage.cluster.control_plane.behave(Behaviour::Hanging);
    for _ in 0..HANGING_ROUNDS {
        hung.push(restored_after(outage).await);
    }
    let bytes = size_of(&outage.message);
    let [least, refused, first, hung] = [least, refused, first, hung].map(|mut times| at_percent(&mut times, 50));
    report.add(
        &format!("{bytes} bytes to an empty node: bare server and bare GET, median of {ROUNDS}"),
        least,
        "ms",
        None,
    );
    report.add("… restored while the control plane refuses connections", refused, "ms", None);
    report.add("… less the 1.5 s of grace, times as long", (refused - GRACE) / least, "", Some(LIMIT));
    report.add("… restored by a relay that has served nobody and has been there for a second", first, "ms", None);
    report.add("… less the 1.5 s of grace, times as long", (first - GRACE) / least, "", Some(FIRST_LIMIT));
    report.add("… restored while it hangs, less the 5 s to connect", hung - CONNECT, "ms", None);
    report.add("… times as long", (hung - CONNECT) / least, "", Some(LIMIT));
}

/// By a relay that has fetched nothing yet; a node that has its configuration is there already, as in any outage.
async fn restored_after(outage: &Outage) -> f64 {
    let (relay, address) = outage.relay("127.0.0.1:0").await;
    let before = nodes(outage, address, 1, Duration::ZERO, &outage.hash);
    before.wait_for(HUNG, |seen| seen.up == 1).await;
    let after = given_after(outage, address).await;
    drop(relay);
    after
}

/// The same by a relay to which nobody else has come. It has been there for long enough to be ready for that.
async fn restored_first_after(outage: &Outage) -> f64 {
    let (_relay, address) = outage.relay("127.0.0.1:0").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    given_after(outage, address).await
}

/// From the beginning of a node's connection until the last byte of its configuration, in milliseconds.
async fn given_after(outage: &Outage, to: SocketAddr) -> f64 {
    let node = empty_nodes(outage, to, 1, Duration::ZERO);
    let seen = node.wait_for(HUNG, |seen| seen.messages > 0).await;
    (seen.last_message - (seen.last_link - seen.slowest_link)) as f64 / 1e6
}

/// The key of the payload, as the bare GET asks for it.
async fn payload(outage: &Outage) -> Path {
    let objects = LocalFileSystem::new_with_prefix(outage.objects()).expect("the folder is there");
    let all: Vec<_> = objects.list(None).try_collect().await.expect("it can be listed");
    let payload = all.into_iter().find(|object| object.location.as_ref().ends_with(".json.gz"));
    format!("backups/{}", payload.expect("something was kept").location).into()
}

async fn bare_get(store: &AmazonS3, key: &Path) -> f64 {
    let begun = Instant::now();
    let _: Bytes = store.get(key).await.expect("it is there").bytes().await.expect("all of it");
    begun.elapsed().as_secs_f64() * 1e3
}
