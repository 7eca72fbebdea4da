//! A snapshot that a node is to be given, and when it is sent again. On the wire, a node that has dropped a configuration
//! looks like one that is loading it (KONG.md "A race to survive"). A small snapshot is simply sent again soon. A large one
//! would then be loaded twice, so it is sent only when the node can take it, and again only when the node must be done.

use std::sync::Arc;
use std::time::Duration;

use super::{ATTEMPTS_BEFORE_NOTICE, FIRST_REPEAT, LONGEST_PAUSE, ReadySnapshot};
use crate::backoff::Backoff;
use crate::time::Moment;

/// A snapshot that takes a node longer than this to load is sent once. 15 MB of JSON.
const LONG_LOADING: Duration = Duration::from_secs(3);
// 50,000 services and routes take a node 12 s to load: 58 MB of JSON, 6.6 MB compressed (KONG.md section 1).
const LOADED_PER_SECOND: f64 = 5e6;
/// How many times as large a configuration is as its compressed form.
pub(super) const EXPANDS: u64 = 9;

/// A snapshot and how often the node was sent it.
#[derive(Clone, Debug)]
pub(super) struct Fed {
    pub(super) snapshot: Arc<ReadySnapshot>,
    pub(super) attempts: u32,
    /// How long the node has, once it has all of it, to say that it runs it.
    wait: Duration,
    /// When the node had all of it, the last time it was sent; none while it is on its way.
    delivered: Option<Moment>,
    /// When that time is over, and it may be sent again; none while it is on its way.
    pub(super) next: Option<Moment>,
    pub(super) pause: Backoff,
}

impl Fed {
    pub(super) fn new(snapshot: Arc<ReadySnapshot>) -> Self {
        let pause = pause_for(&snapshot);
        Self { snapshot, attempts: 0, wait: FIRST_REPEAT, delivered: None, next: None, pause }
    }

    /// The same snapshot goes on where it was; another one begins anew.
    pub(super) fn with(self, snapshot: Arc<ReadySnapshot>) -> Self {
        if snapshot.message.config_hash() == self.snapshot.message.config_hash() { self } else { Self::new(snapshot) }
    }

    /// The earliest moment at which it may be sent to a node that connected at `connected`.
    pub(super) fn may_be_sent_at(&self, connected: Moment) -> Moment {
        match (self.is_large(), self.next) {
            (false, _) => Moment::default(),
            (true, Some(next)) => next,
            (true, None) => connected + FIRST_REPEAT,
        }
    }

    /// It is on its way.
    pub(super) fn send(&mut self) {
        self.attempts += 1;
        self.wait = match (self.attempts, self.is_large()) {
            (1, false) => FIRST_REPEAT,
            (1, true) => 2 * self.loads_in(),
            _ => self.pause.next_wait(1.0),
        };
        (self.delivered, self.next) = (None, None);
    }

    /// It is not to be sent now. What was still on its way does not count as sent.
    pub(super) fn taken_back(&self) -> Self {
        let on_its_way = u32::from(self.attempts > 0 && self.delivered.is_none());
        Self { attempts: self.attempts - on_its_way, ..self.clone() }
    }

    /// The node has all of it.
    pub(super) fn delivered(&mut self, now: Moment) {
        (self.delivered, self.next) = (Some(now), Some(now + self.wait));
    }

    /// The node says that it runs another configuration. After the loading time, that means that it did not load this one.
    pub(super) fn is_not_run(&mut self, now: Moment) {
        let is_loaded = self.delivered.is_some_and(|delivered| delivered + self.loads_in() <= now);
        if is_loaded && self.may_be_repeated_early() {
            self.next = Some(now);
        }
    }

    /// The node says that it could not apply it.
    pub(super) fn was_not_applied(&mut self, now: Moment) {
        if self.delivered.is_some() && self.may_be_repeated_early() {
            self.next = Some(now);
        }
    }

    // After some failed attempts, only growing pauses are left: the node can't load this one.
    fn may_be_repeated_early(&self) -> bool {
        self.is_large() && self.attempts < ATTEMPTS_BEFORE_NOTICE
    }

    fn loads_in(&self) -> Duration {
        loading_time(self.snapshot.config_bytes)
    }

    fn is_large(&self) -> bool {
        is_large(self.snapshot.config_bytes)
    }
}

/// How long a node may take to load a configuration of so many bytes, decompressed.
pub(super) fn loading_time(config_bytes: u64) -> Duration {
    FIRST_REPEAT + computing_time(config_bytes)
}

fn computing_time(config_bytes: u64) -> Duration {
    Duration::from_secs_f64(config_bytes as f64 / LOADED_PER_SECOND)
}

fn is_large(config_bytes: u64) -> bool {
    computing_time(config_bytes) > LONG_LOADING
}

// From the third attempt on, the pause is at least the time that a node may need to load a configuration of this size.
fn pause_for(snapshot: &ReadySnapshot) -> Backoff {
    let loads_in = loading_time(snapshot.config_bytes);
    let first = if is_large(snapshot.config_bytes) { 2 * loads_in } else { 2 * FIRST_REPEAT + loads_in };
    Backoff::new(first, LONGEST_PAUSE.max(first))
}
