//! A place for one configuration, the newest: a slow store never builds a queue, and once taken it is nowhere else, so
//! that a large one doesn't stay in memory after it was published.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::archive::Received;

/// The newest configuration that nobody has taken yet. Clones share the place.
#[derive(Clone, Debug, Default)]
pub struct Newest(Arc<Place>);

#[derive(Debug, Default)]
struct Place {
    received: Mutex<Option<Received>>,
    arrived: Notify,
}

impl Newest {
    /// Puts a configuration there; an older one that was not taken is gone.
    pub fn put(&self, received: Received) {
        *self.lock() = Some(received);
        self.0.arrived.notify_one();
    }

    /// Puts one back that could not be used yet, unless a newer one has come.
    pub fn put_back(&self, received: Received) {
        self.lock().get_or_insert(received);
        self.0.arrived.notify_one();
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.lock().is_none()
    }

    /// Takes what is there.
    pub fn take(&self) -> Option<Received> {
        self.lock().take()
    }

    /// Takes the next one, as soon as there is one. Loses nothing when dropped before it is ready.
    pub async fn next(&self) -> Received {
        loop {
            self.wait().await;
            if let Some(received) = self.take() {
                return received;
            }
        }
    }

    /// Waits until there is one.
    pub async fn wait(&self) {
        loop {
            let arrived = self.0.arrived.notified();
            if self.lock().is_some() {
                return;
            }
            arrived.await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Received>> {
        self.0.received.lock().expect("nothing panics while it holds this lock")
    }
}
