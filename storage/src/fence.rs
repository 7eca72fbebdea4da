//! A fence around a store: no write begins outside the time that the owner of the fence allows. An election sets that
//! time, or it is set once for all. A write that waits for its next try is checked again.

use std::sync::{Arc, Mutex};

use lifeboat_core::export::publisher::Leadership;
use lifeboat_core::time::Moment;
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::lock::Locked;

/// Until when writes may begin. Clones share the fence.
#[derive(Clone, Debug)]
pub struct Fence {
    clock: Clock,
    open: Arc<Mutex<Open>>,
}

/// When a fence lets writes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Never.
    Never,
    /// Before this moment of the fence's clock.
    Until(Moment),
    /// Always.
    Always,
}

impl From<&Leadership> for Open {
    fn from(leadership: &Leadership) -> Self {
        match leadership {
            Leadership::Follower => Self::Never,
            Leadership::Leader { until, .. } => Self::Until(*until),
            Leadership::Alone => Self::Always,
        }
    }
}

impl Fence {
    /// A closed fence that goes by `clock`.
    pub fn new(clock: Clock) -> Self {
        Self { clock, open: Arc::new(Mutex::new(Open::Never)) }
    }

    /// From now on it lets writes through at these times.
    pub fn set(&self, open: Open) {
        *self.open.locked() = open;
    }

    /// Whether it lets writes through at this moment.
    pub fn is_open(&self) -> bool {
        match *self.open.locked() {
            Open::Never => false,
            Open::Until(moment) => self.clock.now() < moment,
            Open::Always => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use object_store::memory::InMemory;

    use super::*;
    use crate::{Storage, StorageError, Write};

    #[tokio::test(start_paused = true)]
    async fn nothing_is_written_outside_the_time_that_was_given() {
        let fence = Fence::new(Clock::start());
        let free = Storage::over(Arc::new(InMemory::new()), "memory://test");
        let fenced = free.clone().fenced(fence.clone());
        let write = async || fenced.write("a", Bytes::from_static(b"1"), Write::Replace).await.map(drop);
        let refused = || Err(StorageError::NotLeading { place: "memory://test".to_owned(), key: "a".to_owned() });
        assert_eq!(write().await, refused());
        fence.set(Open::Until(Moment::after_start(Duration::from_secs(25))));
        assert_eq!(write().await, Ok(()));
        tokio::time::advance(Duration::from_secs(25)).await;
        assert_eq!(write().await, refused());
        assert_eq!(fenced.delete("a").await, refused());
        assert!(fenced.read("a", 1).await.is_ok());
        free.delete("a").await.unwrap();
        fence.set(Open::Always);
        assert_eq!(write().await, Ok(()));
    }
}
