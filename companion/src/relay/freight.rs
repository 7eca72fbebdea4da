//! Large messages, few at a time: how many bytes of them are in memory on their way from the control plane to nodes, and
//! how many nodes are sent the snapshot at once, so that the first have it soon instead of all of them late. A node that
//! takes one slowly makes room for the others after a moment; there may be so many of those, and no more.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Limits;
use crate::websocket::LinkError;

/// From how many bytes on a message is freight.
pub(super) const LARGE: u64 = 256 * 1024;
/// What room is counted in.
const UNIT: u64 = 64 * 1024;

/// A wait for one's turn.
pub(super) type Turn = BoxFuture<'static, Load>;

/// The room that there is.
#[derive(Debug)]
pub(super) struct Freight {
    room: Arc<Semaphore>,
    room_for_slow: Arc<Semaphore>,
    units: u32,
    sends: Arc<Semaphore>,
    slow: Duration,
}

/// A message that has its turn.
#[derive(Debug)]
pub(super) struct Load {
    turn: OwnedSemaphorePermit,
    /// Where it goes on if it is slow; the snapshot is in memory once for all and needs no room.
    slow: Option<(Arc<Semaphore>, u32)>,
    after: Duration,
}

impl Freight {
    pub(super) fn new(limits: &Limits) -> Self {
        let units = u32::try_from(limits.freight as u64 / UNIT).unwrap_or(u32::MAX).max(1);
        let room = || Arc::new(Semaphore::new(units as usize));
        let sends = Arc::new(Semaphore::new(limits.sends.max(1)));
        Self { room: room(), room_for_slow: room(), units, sends, slow: limits.slow }
    }

    /// Room for a message of this many bytes from the control plane. One that is larger than all the room there is gets
    /// all of it.
    pub(super) fn room_for(&self, length: u64) -> Turn {
        let units = u32::try_from(length.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.units);
        let (room, slow, after) = (self.room.clone(), self.room_for_slow.clone(), self.slow);
        let turn = room.acquire_many_owned(units);
        turn.map(move |turn| Load { turn: open(turn), slow: Some((slow, units)), after }).boxed()
    }

    /// The turn to send a node the snapshot.
    pub(super) fn turn_to_feed(&self) -> Turn {
        let (sends, after) = (self.sends.clone(), self.slow);
        sends.acquire_owned().map(move |turn| Load { turn: open(turn), slow: None, after }).boxed()
    }
}

impl Load {
    /// Sends it.
    ///
    /// # Errors
    /// What the sending fails with; [`LinkError::Stuck`] when it is slow and too many others are.
    pub(super) async fn deliver(self, sending: impl Future<Output = Result<(), LinkError>>) -> Result<(), LinkError> {
        let mut sending = Box::pin(sending);
        let soon = timeout(self.after, Pin::as_mut(&mut sending)).await;
        match (soon, self.slow) {
            (Ok(sent), _) => sent,
            (Err(_), None) => {
                drop(self.turn);
                sending.await
            }
            (Err(_), Some((slow, units))) => {
                let _room = slow.try_acquire_many_owned(units).map_err(|_| LinkError::Stuck)?;
                drop(self.turn);
                sending.await
            }
        }
    }
}

fn open(permit: Result<OwnedSemaphorePermit, tokio::sync::AcquireError>) -> OwnedSemaphorePermit {
    permit.expect("the semaphore is never closed")
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    fn freight(freight: usize, sends: usize) -> Freight {
        Freight::new(&Limits { freight, sends, ..Limits::default() })
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_waits_until_there_is_room() {
        let freight = freight(1 << 20, 1);
        let first = freight.room_for(900_000).await;
        let mut second = freight.room_for(900_000);
        assert!(timeout(Duration::from_secs(60), &mut second).await.is_err());
        drop(first);
        second.await;
        // One that is larger than all the room gets all of it.
        freight.room_for(1 << 40).await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_a_message_slowly_makes_room_and_there_may_be_so_many_of_them() {
        let freight = freight(1 << 20, 1);
        let slow = freight.room_for(1 << 20).await;
        let slow = tokio::spawn(slow.deliver(pending()));
        let next = freight.room_for(1 << 20).await;
        assert!(!slow.is_finished());
        assert!(matches!(next.deliver(pending()).await, Err(LinkError::Stuck)));
        let next = freight.room_for(1 << 20).await;
        next.deliver(async { Ok(()) }).await.unwrap();
        slow.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_node_does_not_keep_others_from_the_snapshot() {
        let freight = freight(1, 1);
        let slow = tokio::spawn(freight.turn_to_feed().await.deliver(pending()));
        for _ in 0..3 {
            freight.turn_to_feed().await.deliver(async { Ok(()) }).await.unwrap();
        }
        assert!(!slow.is_finished());
    }
}
