//! Imports that are killed, and environments that another process has open. The other process is this very test: where
//! the variable is set, it plays that part instead.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use rustix::fs::{FlockOperation, fcntl_lock};

use super::recorded::{contents, empty_prefix, everything_below, fresh_node, prefix_with, recorded_id, stored_image};
use crate::{CacheError, NodePrefix, Outcome, Step, place_image};

const PREFIX: &str = "LIFEBOAT_TEST_PREFIX";
const STOP_AT: &str = "LIFEBOAT_TEST_STOP_AT";
const READY: &str = "the child is ready";

/// A process that plays `test` on this prefix and has come to where it says that it is ready.
struct Other(Child);

impl Other {
    fn start(test: &str, prefix: &NodePrefix, stop_at: &str) -> Self {
        let test = format!("tests::killed::{test}");
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", &test, "--nocapture"])
            .env(PREFIX, prefix.path())
            .env(STOP_AT, stop_at)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.any(|line| line.unwrap().contains(READY));
        let other = Self(child);
        assert!(ready, "{test} ended before it came to {stop_at}");
        other
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // SIGKILL.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// Where the other process stays until it is killed, or whoever started it is gone.
#[expect(clippy::print_stdout, reason = "this is how it tells")]
fn wait_for_death() -> ! {
    println!("{READY}");
    let _ = std::io::stdin().read(&mut [0]);
    std::process::exit(1);
}

fn played_by_other() -> Option<(NodePrefix, String)> {
    Some((NodePrefix::new(env::var_os(PREFIX)?), env::var(STOP_AT).unwrap()))
}

fn place(prefix: &NodePrefix, reached: &mut dyn FnMut(Step)) -> Result<Outcome, CacheError> {
    place_image(prefix, &stored_image(), recorded_id().version, reached)
}

#[test]
fn an_import_killed_at_any_step_leaves_what_was_there_or_all_of_the_image() {
    if let Some((prefix, stop_at)) = played_by_other() {
        let outcome = place(&prefix, &mut |step| {
            if format!("{step:?}") == stop_at {
                wait_for_death();
            }
        });
        unreachable!("{outcome:?}");
    }
    let mut steps = Vec::new();
    let (_folder, prefix) = empty_prefix();
    place(&prefix, &mut |step| steps.push(step)).unwrap();
    steps.dedup();
    assert_eq!(steps, Step::ALL, "these are the steps, and the image is small enough to be written in one");

    for present in [None, Some(fresh_node())] {
        for step in Step::ALL {
            let (_folder, prefix) = match &present {
                None => empty_prefix(),
                Some(data) => prefix_with(data),
            };
            let test = "an_import_killed_at_any_step_leaves_what_was_there_or_all_of_the_image";
            drop(Other::start(test, &prefix, &format!("{step:?}")));
            if [Step::Renamed, Step::Named].contains(&step) {
                contents(&prefix.data_file()).check("what is left", &recorded_id()).unwrap();
            } else {
                assert!(fs::read(prefix.data_file()).ok() == present, "{step:?}");
            }
            // The next one finds nothing in its way, and leaves nothing of the one that was killed.
            place(&prefix, &mut |_| {}).unwrap();
            contents(&prefix.data_file()).check("what was made", &recorded_id()).unwrap();
            let hidden = everything_below(prefix.path()).into_iter().filter(|(name, _)| name.contains("lifeboat"));
            assert_eq!(hidden.count(), 0, "{step:?}");
        }
    }
}

#[test]
fn nothing_is_done_while_a_process_has_the_environment_open() {
    if let Some((prefix, _)) = played_by_other() {
        // As LMDB does with an environment that is open.
        let lock = File::open(prefix.lmdb_folder().join("lock.mdb")).unwrap();
        fcntl_lock(&lock, FlockOperation::LockShared).unwrap();
        wait_for_death();
    }
    let (_folder, prefix) = prefix_with(&fresh_node());
    let before = everything_below(prefix.path());
    let kong = Other::start("nothing_is_done_while_a_process_has_the_environment_open", &prefix, "");
    let error = place(&prefix, &mut |_| {}).unwrap_err();
    assert!(matches!(error, CacheError::KongRuns { .. }) && error.to_string().contains("data.mdb"), "{error}");
    assert_eq!(everything_below(prefix.path()), before);
    drop(kong);
    assert_eq!(place(&prefix, &mut |_| {}).unwrap(), Outcome::Placed { instead_of: None });
}

#[test]
fn two_imports_on_one_prefix_are_one_too_many() {
    if let Some((prefix, _)) = played_by_other() {
        place(&prefix, &mut |step| {
            if step == Step::Checked {
                wait_for_death();
            }
        })
        .unwrap();
    }
    let (_folder, prefix) = prefix_with(&fresh_node());
    let first = Other::start("two_imports_on_one_prefix_are_one_too_many", &prefix, "");
    let error = place(&prefix, &mut |_| {}).unwrap_err();
    assert!(matches!(error, CacheError::InUse { .. }), "{error}");
    drop(first);
    assert_eq!(place(&prefix, &mut |_| {}).unwrap(), Outcome::Placed { instead_of: None });
}
