//! Limits how many nodes are sent the snapshot at once: then the first nodes have it soon, instead of all of them late.
//! A node that reads slowly makes room for the others after a moment.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use lifeboat_link::websocket::LinkError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::settings::RelayLimits;

/// A wait for a permit.
pub(super) type PermitWait = BoxFuture<'static, Permit>;

/// The queue.
#[derive(Debug)]
pub(super) struct FeedQueue {
    sends: Arc<Semaphore>,
    slow: Duration,
}

/// The permission to send the snapshot.
#[derive(Debug)]
pub(super) struct Permit {
    send: OwnedSemaphorePermit,
    slow: Duration,
}

impl FeedQueue {
    pub(super) fn new(limits: &RelayLimits) -> Self {
        Self { sends: Arc::new(Semaphore::new(limits.sends.max(1))), slow: limits.slow }
    }

    /// The permission to send a node the snapshot, once it is that node's turn.
    pub(super) fn permit(&self) -> PermitWait {
        let (sends, slow) = (self.sends.clone(), self.slow);
        let permit = async move {
            let send = sends.acquire_owned().await.expect("the semaphore is never closed");
            Permit { send, slow }
        };
        permit.boxed()
    }
}

impl Permit {
    /// Sends it. If that is slow, it goes on without the permit, which costs no memory: all nodes share one snapshot.
    ///
    /// # Errors
    /// What the sending fails with.
    pub(super) async fn deliver(self, sending: impl Future<Output = Result<(), LinkError>>) -> Result<(), LinkError> {
        let mut sending = Box::pin(sending);
        match timeout(self.slow, sending.as_mut()).await {
            Ok(sent) => sent,
            Err(_) => {
                drop(self.send);
                sending.await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slow_node_does_not_keep_others_from_the_snapshot() {
        let queue = FeedQueue::new(&RelayLimits { sends: 1, ..RelayLimits::default() });
        let slow = tokio::spawn(queue.permit().await.deliver(pending()));
        for _ in 0..3 {
            queue.permit().await.deliver(async { Ok(()) }).await.unwrap();
        }
        assert!(!slow.is_finished());
    }
}
