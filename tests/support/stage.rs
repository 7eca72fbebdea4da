//! Where a scenario is played: a runtime of its own, its log, and a bound on its time. When it fails, everything that is
//! known of it is printed.

use std::ops::Deref;
use std::pin::pin;
use std::thread::panicking;
use std::time::Duration;

use lifeboat_fakes::node::{Node, NodeOptions};
use tokio::runtime::Builder;
use tokio::time::timeout;

use super::log::Log;

/// How long a scenario may take at most. Those that wait for Kong's own times take some 15 s, all others less.
pub const BOUND: Duration = Duration::from_secs(60);

/// Plays a scenario to its end.
///
/// # Panics
/// When it does, or isn't over after [`BOUND`].
pub fn play(scenario: impl Future<Output = ()>) {
    play_within(BOUND, scenario);
}

/// Plays a scenario that waits for something rarer than Kong's own times.
///
/// # Panics
/// When it does, or isn't over after `bound`.
pub fn play_within(bound: Duration, scenario: impl Future<Output = ()>) {
    let log = Log::default();
    log.attach();
    let of_all_threads = log.clone();
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .on_thread_start(move || of_all_threads.attach())
        .build()
        .expect("a runtime can be started");
    let _printed = PrintedOnFailure(log);
    runtime.block_on(async {
        // Declared before the panic, so that the actors in it still stand and can tell what they saw.
        let mut scenario = pin!(scenario);
        let in_time = timeout(bound, scenario.as_mut()).await;
        assert!(in_time.is_ok(), "the scenario is not over after {} s", bound.as_secs());
    });
    runtime.shutdown_background();
}

/// Plays a scenario in one thread, where [`pass`] can let time go by. It has no bound of its own, since it would pass
/// too: each step of it must have one.
///
/// # Panics
/// When it does.
pub fn play_with_time(scenario: impl Future<Output = ()>) {
    let log = Log::default();
    log.attach();
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be started");
    let _printed = PrintedOnFailure(log);
    runtime.block_on(scenario);
}

/// Lets this much time go by at once, for all who measure it by tokio's clock.
pub async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

struct PrintedOnFailure(Log);

impl Drop for PrintedOnFailure {
    fn drop(&mut self) {
        if panicking() {
            let own = |line: &&str| line.contains(" lifeboat") && !line.contains("TRACE");
            let text = self.0.text();
            eprintln!("--- the log\n{}", text.lines().filter(own).collect::<Vec<_>>().join("\n"));
        }
    }
}

/// A node that tells what it saw when its scenario fails.
pub struct Actor(Node);

impl Actor {
    /// Starts an empty node.
    pub fn start(options: NodeOptions) -> Self {
        Self(Node::start(options))
    }
}

impl Deref for Actor {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.0
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        if panicking() {
            let state = self.0.state();
            let id = self.0.node_id();
            eprintln!("--- node {id} runs {}, connected {}:\n{}", state.hash(), state.connected, state.log.join("\n"));
        }
    }
}
