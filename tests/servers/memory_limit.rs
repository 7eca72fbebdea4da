//! The relay in a container's memory: the kernel ends it if it takes more than docs/sizing.md says.

use lifeboat_tests::large_push::{LargePush, MAX_CONFIG, NODES};
use lifeboat_tests::program::MemoryGroup;

/// 64 MiB + 3 × `LIFEBOAT_MAX_CONFIG` + 128 KiB × nodes; that the document says so, tests/suite/program/memory.rs sees.
const LIMIT: u64 = (64 << 20) + 3 * MAX_CONFIG + (128 << 10) * NODES as u64;

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_is_not_killed_in_the_memory_that_the_documentation_gives_it() {
    let (group, folder) = (MemoryGroup::new(LIMIT), tempfile::tempdir().unwrap());
    let storage = format!("file://{}", folder.path().display());
    let mut push = LargePush::begin(&storage, |relay| relay.within(&group)).await;
    push.push().await;
    push.all_was_taken().await;
    push.push().await;
    assert_eq!(group.killed(), 0, "{}", push.relay.log());
    eprintln!("of {LIMIT} bytes at most {:?} were taken", group.peak());
}

/// A limit that limits nothing would let the test above pass.
#[tokio::test(flavor = "multi_thread")]
async fn in_less_memory_than_one_message_needs_it_is_killed() {
    let (group, folder) = (MemoryGroup::new(12 << 20), tempfile::tempdir().unwrap());
    let storage = format!("file://{}", folder.path().display());
    let cluster = lifeboat_tests::cluster::Cluster::start().await;
    let relay = cluster.lifeboat(["run", "--import", "on", "--storage", &storage]).within(&group).finish().await;
    assert_eq!((relay.code, group.killed()), (None, 1), "{relay}");
}
