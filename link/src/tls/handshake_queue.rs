//! In what order handshakes compute. Each costs a processor a millisecond or two; thousands that are ready at once would
//! stand in the runtime's queue before everything else. Here they stand in a queue of their own, first come first served,
//! and only as many as there are processors are let out of it, so that whatever else is ready waits for no more than that.

use std::pin::pin;
use std::sync::Arc;
use std::task::ready;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::PollSemaphore;

/// The queue. Clones share it.
#[derive(Clone, Debug)]
pub struct HandshakeQueue(Arc<Semaphore>);

impl HandshakeQueue {
    /// A queue out of which `at_once` may compute.
    pub fn new(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_once.max(1))))
    }

    /// Does this work, each step of it when it has a permit. While it waits for its peer it holds none.
    pub async fn run<F: Future>(&self, work: F) -> F::Output {
        let (mut permits, mut work) = (PollSemaphore::new(self.0.clone()), pin!(work));
        std::future::poll_fn(move |context| {
            let _permit = ready!(permits.poll_acquire(context));
            work.as_mut().poll(context)
        })
        .await
    }

    /// The same, but none if the first turn comes later than this: then the work is not begun.
    pub async fn run_within<F: Future>(&self, limit: Duration, work: F) -> Option<F::Output> {
        let came = Instant::now();
        self.run(async { if came.elapsed() > limit { None } else { Some(work.await) } }).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn who_waits_for_a_peer_holds_up_nobody() {
        let queue = HandshakeQueue::new(1);
        let forever = tokio::spawn({
            let queue = queue.clone();
            async move { queue.run(std::future::pending::<()>()).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(queue.run(async { 7 }).await, 7);
        forever.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn work_whose_turn_comes_too_late_is_not_begun() {
        let limit = Duration::from_secs(1);
        for (wait, done) in [(limit, Some(7)), (limit + Duration::from_millis(1), None)] {
            let queue = HandshakeQueue::new(1);
            let permit = queue.0.clone().acquire_owned().await.unwrap();
            let work = tokio::spawn({
                let queue = queue.clone();
                async move { queue.run_within(limit, async { 7 }).await }
            });
            tokio::task::yield_now().await;
            tokio::time::advance(wait).await;
            drop(permit);
            assert_eq!(work.await.unwrap(), done, "{wait:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_more_than_that_many_compute_at_once() {
        static NOW: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let queue = HandshakeQueue::new(2);
        let mut all = JoinSet::new();
        for _ in 0..40 {
            let queue = queue.clone();
            all.spawn(async move {
                let work = async {
                    for _ in 0..3 {
                        MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(1));
                        NOW.fetch_sub(1, Ordering::SeqCst);
                        tokio::task::yield_now().await;
                    }
                };
                queue.run(work).await;
            });
        }
        all.join_all().await;
        assert_eq!(MOST.load(Ordering::SeqCst), 2);
    }
}
