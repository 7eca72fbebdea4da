//! The relay in a container's memory: the kernel ends it if it takes more than docs/sizing.md says.

use std::process::Command;

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
#[test]
fn whoever_takes_more_than_the_group_has_is_killed() {
    let group = MemoryGroup::new(16 << 20);
    // What it reads has no line's end, so it keeps all of it.
    let script = "echo $$ > \"$0\" && head -c 200000000 /dev/zero | tail -n 1 > /dev/null";
    let ended = Command::new("sh").args(["-c", script]).arg(group.processes()).status().unwrap();
    assert!(!ended.success(), "{ended}");
    assert!(group.killed() > 0, "{ended}");
}
