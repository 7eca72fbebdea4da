//! Large messages on their way from the control plane to nodes.
//!
//! The control plane pushes a configuration to all nodes at about the same time, over one link for each node, and most
//! of them get the same bytes. Equal messages are in memory once, from their first byte on: the bytes that arrive on a
//! link are compared with those that other links have received already, and only the link that is ahead adds bytes. So
//! a thousand nodes that stall hold one message. The bytes of different messages have a limit. When a new message needs
//! room, the one that has been read slowly for longest is given up.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use lifeboat_link::websocket::LinkError;
use lifeboat_runtime::lock::Locked;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::settings::RelayLimits;

/// A message of so many bytes is large. A shorter one is part of the memory that docs/sizing.md allows for each node.
pub(super) const LARGE: u64 = 32 * 1024;
/// What room is counted in.
const UNIT: usize = 4 * 1024;
/// How long a link waits for room while it holds another message: so many times as long as a node may read slowly.
const TIMES_SLOW: u32 = 4;

/// The messages, and the room for them.
#[derive(Debug)]
pub(super) struct LargeMessages {
    room: Arc<Semaphore>,
    units: u32,
    slow: Duration,
    known: Mutex<Vec<Weak<Content>>>,
}

/// The bytes of a message. They take room until nobody has them any more.
struct Content {
    length: usize,
    /// Empty while there is none for it yet.
    room: watch::Sender<Option<OwnedSemaphorePermit>>,
    filling: Mutex<BytesMut>,
    whole: OnceLock<Whole>,
    /// Cancelled when the nodes that read it slowly have to give it up.
    given_up: CancellationToken,
}

struct Whole {
    bytes: Bytes,
    since: Instant,
}

/// A whole message as one of its receivers has it.
struct Holder(Arc<Content>);

/// A message that is arriving on one link.
#[derive(Debug)]
pub(super) struct Arriving {
    messages: Arc<LargeMessages>,
    content: Arc<Content>,
    /// How many bytes of it have come on this link.
    taken: usize,
    /// The message that has those bytes, if this one turned out to be another.
    before: Option<Before>,
    /// It was said that it waits for room.
    is_held_back: bool,
}

#[derive(Debug)]
struct Before {
    content: Arc<Content>,
    since: Instant,
}

impl LargeMessages {
    pub(super) fn new(limits: &RelayLimits) -> Self {
        let units = u32::try_from(limits.large_messages / UNIT).unwrap_or(u32::MAX).max(1);
        let room = Arc::new(Semaphore::new(units as usize));
        Self { room, units, slow: limits.slow, known: Mutex::default() }
    }

    /// A message of this many bytes begins to arrive.
    pub(super) fn expect(self: &Arc<Self>, length: u64) -> Arriving {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let content = self.content(&mut self.known(), length, |_| true);
        Arriving { messages: self.clone(), content, taken: 0, before: None, is_held_back: false }
    }

    /// Sends a node what has arrived. A message that is not large is sent without further ado.
    ///
    /// # Errors
    /// What the sending fails with; [`LinkError::Stuck`] when it is slow and its room is needed.
    pub(super) async fn deliver(
        &self,
        payload: &Bytes,
        sending: impl Future<Output = Result<(), LinkError>>,
    ) -> Result<(), LinkError> {
        let Some(content) = self.content_of(payload) else { return sending.await };
        let mut sending = Box::pin(sending);
        if let Ok(sent) = timeout(self.slow, sending.as_mut()).await {
            return sent;
        }
        tokio::select! {
            biased;
            sent = sending => sent,
            () = content.given_up.cancelled() => Err(LinkError::Stuck),
        }
    }

    // The first that is like it, or a new one.
    fn content(
        self: &Arc<Self>,
        known: &mut Vec<Weak<Content>>,
        length: usize,
        is_like: impl Fn(&Content) -> bool,
    ) -> Arc<Content> {
        known.retain(|content| content.strong_count() > 0);
        let mut contents = known.iter().filter_map(Weak::upgrade);
        if let Some(content) = contents.find(|content| content.length == length && is_like(content)) {
            return content;
        }
        // One that is larger than all the room there is gets all of it.
        let units = u32::try_from(length.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.units);
        let room = self.room.clone().try_acquire_many_owned(units).ok();
        let waits = room.is_none();
        let content = Arc::new(Content {
            length,
            room: watch::Sender::new(room),
            filling: Mutex::default(),
            whole: OnceLock::new(),
            given_up: CancellationToken::new(),
        });
        known.push(Arc::downgrade(&content));

        if waits {
            tokio::spawn(self.clone().find_room(Arc::downgrade(&content), units));
        }
        content
    }

    fn content_of(&self, payload: &Bytes) -> Option<Arc<Content>> {
        if (payload.len() as u64) < LARGE {
            return None;
        }
        let is_it = |content: &Arc<Content>| {
            content.whole.get().is_some_and(|whole| std::ptr::eq(whole.bytes.as_ptr(), payload.as_ptr()))
        };
        self.known().iter().filter_map(Weak::upgrade).find(is_it)
    }

    // A task of its own, so that no place in the queue and no waiting time is lost when a receiver's future is dropped.
    async fn find_room(self: Arc<Self>, content: Weak<Content>, units: u32) {
        let mut room = Box::pin(self.room.clone().acquire_many_owned(units));
        loop {
            let found = timeout(self.slow, room.as_mut()).await;
            // Nobody may want it any more.
            let Some(content) = content.upgrade() else { return };
            match found {
                Ok(room) => {
                    content.room.send_replace(Some(room.expect("the semaphore is never closed")));
                    return;
                }
                Err(_) => self.give_up_oldest(),
            }
        }
    }

    fn give_up_oldest(&self) {
        let contents: Vec<Arc<Content>> = self.known().iter().filter_map(Weak::upgrade).collect();
        let slow = contents.iter().filter(|content| !content.given_up.is_cancelled());
        let slow = slow.filter_map(|content| Some((content.whole.get()?.since, content)));
        if let Some((_, oldest)) = slow.min_by_key(|(since, _)| *since) {
            oldest.given_up.cancel();
        }
    }

    fn known(&self) -> MutexGuard<'_, Vec<Weak<Content>>> {
        self.known.locked()
    }
}

impl Arriving {
    /// Whether it has just begun to wait for room.
    pub(super) fn begins_to_wait(&mut self) -> bool {
        let begins = self.content.room.borrow().is_none() && !self.is_held_back;
        self.is_held_back |= begins;
        begins
    }

    /// Waits until there is room for it, and tells whether it began to wait for that. Loses nothing when dropped before.
    ///
    /// # Errors
    /// [`LinkError::Stuck`] when its room may depend on what is held for it meanwhile.
    pub(super) async fn has_room(&mut self) -> Result<bool, LinkError> {
        loop {
            let mut room = self.content.room.subscribe();
            let room = room.wait_for(Option::is_some);
            let found = match &self.before {
                None => room.await.is_ok(),
                Some(Before { since, .. }) => {
                    let until = *since + TIMES_SLOW * self.messages.slow;
                    timeout_at(until, room).await.map_err(|_| LinkError::Stuck)?.is_ok()
                }
            };

            debug_assert!(found, "the sender is in self");
            if self.before.is_none() {
                return Ok(std::mem::take(&mut self.is_held_back));
            }
            self.move_over();
        }
    }

    /// Takes the next bytes, if they are what the others have. If not, nothing is taken, and there has to be room for
    /// another message first.
    pub(super) fn take(&mut self, bytes: &[u8]) -> bool {
        let until = self.taken + bytes.len();
        let is_same = match self.content.whole.get() {
            Some(whole) => whole.bytes[self.taken..until] == *bytes,
            None => self.content.grow(self.taken, bytes),
        };
        if is_same {
            self.taken = until;
        } else {
            self.find_another(bytes);
        }
        is_same
    }

    /// The message, when all of it has come on this link.
    pub(super) fn whole(&self) -> Option<Bytes> {
        let is_whole = self.taken == self.content.length && self.content.whole.get().is_some();
        is_whole.then(|| Bytes::from_owner(Holder(self.content.clone())))
    }

    // Another one that begins like this, or a new one.
    fn find_another(&mut self, next: &[u8]) {
        let messages = self.messages.clone();
        let mut known = messages.known();
        let (own, taken) = (self.content.clone(), self.taken);
        let is_like = |other: &Content| {
            !std::ptr::eq(other, &*own)
                && own.read(|own| other.read(|other| begins_alike(own.get(..taken).unwrap_or(own), next, other)))
        };
        let other = messages.content(&mut known, own.length, is_like);
        self.before = (taken > 0).then(|| Before { content: own, since: Instant::now() });
        self.content = other;
    }

    // The bytes that have come so far belong to the new message, unless that has continued differently meanwhile. Only
    // the holder of the table's lock may look at two contents together.
    fn move_over(&mut self) {
        let Some(Before { content: before, .. }) = self.before.take() else { return };
        let messages = self.messages.clone();
        let known = messages.known();
        let taken = self.taken;
        let is_same = before.read(|before| self.content.whole_or_grown(&before[..taken]));
        drop(known);
        if !is_same {
            // Its bytes are where they were; what follows finds its way from there.
            self.content = before;
            self.find_another(&[]);
        }
    }
}

impl Content {
    fn read<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        match self.whole.get() {
            Some(whole) => look(&whole.bytes),
            None => {
                let filling = self.filling.locked();
                // It may have become whole just before.
                match self.whole.get() {
                    Some(whole) => look(&whole.bytes),
                    None => look(&filling),
                }
            }
        }
    }

    fn whole_or_grown(&self, beginning: &[u8]) -> bool {
        match self.whole.get() {
            Some(whole) => whole.bytes.starts_with(beginning),
            None => self.grow(0, beginning),
        }
    }

    /// Adds those of these bytes, whose place begins at `at`, that are missing. Returns whether the others are the
    /// same.
    fn grow(&self, at: usize, bytes: &[u8]) -> bool {
        let mut filling = self.filling.locked();
        if let Some(whole) = self.whole.get() {
            return whole.bytes[at..at + bytes.len()] == *bytes;
        }

        let there = filling.len().saturating_sub(at).min(bytes.len());
        if filling[at..at + there] != bytes[..there] {
            return false;
        }
        if filling.capacity() == 0 {
            filling.reserve(self.length);
        }
        filling.extend_from_slice(&bytes[there..]);

        if filling.len() == self.length {
            let bytes = std::mem::take(&mut *filling).freeze();
            let _ = self.whole.set(Whole { bytes, since: Instant::now() });
        }
        true
    }
}

// They may hold private keys.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes)", self.length)
    }
}

impl AsRef<[u8]> for Holder {
    fn as_ref(&self) -> &[u8] {
        self.0.whole.get().map_or(&[], |whole| &whole.bytes)
    }
}

// `own` and then `next`, as far as `other` has come.
fn begins_alike(own: &[u8], next: &[u8], other: &[u8]) -> bool {
    let (of_own, of_next) = other.split_at(other.len().min(own.len()));
    let next = &next[..next.len().min(of_next.len())];
    own.starts_with(of_own) && of_next.starts_with(next)
}

#[cfg(test)]
mod tests;
