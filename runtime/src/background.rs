//! Work that goes on beside a session's loop.

use std::future::pending;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::JoinHandle;

/// What a task comes to; never, if there is none. Loses nothing when dropped before it is ready: the task stays where
/// it is. A task that panics takes the session down with it.
pub async fn finished<T>(task: &mut Option<JoinHandle<T>>) -> T {
    match task {
        Some(handle) => {
            let result = handle.await;
            *task = None;
            result.expect("a session's own task neither panics nor is aborted while it is awaited")
        }
        None => pending().await,
    }
}

/// What a future comes to; never, if there is none.
pub async fn or_pending<F: Future>(work: Option<F>) -> F::Output {
    match work {
        Some(work) => work.await,
        None => pending().await,
    }
}

/// Runs what keeps a processor busy for long away from the threads that serve sockets. A runtime of one thread has none
/// beside it: there it is done at once, so that a simulation stays in the order of its own clock.
pub async fn computed<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => work(),
        _ => tokio::task::spawn_blocking(work).await.expect("computing does not panic"),
    }
}
