//! What a relay gives a node with incremental sync while the control plane is gone, and when. A node has one connection for
//! each of its workers. Whatever arrives on any of them comes from the node, and an answer goes to the worker that asked.
//!
//! Such a node asks by itself: when it starts, every 30 s, and when it is notified. It applies what it gets without a check,
//! and a wrong answer can harm it until it is restarted. So a snapshot that it doesn't take is not sent again and again
//! (KONG.md section 7).

use std::time::Duration;

use super::follow::snapshot_gives_way;
use crate::kong::rpc::SyncVersion;
use crate::time::Moment;

/// How long a node has to load a snapshot before it is sent again, unless the snapshot is large.
const LOADS_WITHIN: Duration = Duration::from_secs(25);
/// The same for a large one. A node with 50,000 services was seen to take 34 s.
const LARGE_LOADS_WITHIN: Duration = Duration::from_secs(60);
/// A configuration of more bytes of JSON than this is large.
const LARGE: u64 = 15_000_000;
/// How often a node is sent the same snapshot.
const ATTEMPTS: u32 = 2;
/// A node that has not taken so many different snapshots in a row is left alone for good.
const DIFFERENT_ONES: u32 = 3;
/// A node that has just started asks by itself within this time; only a node that reconnects is notified.
const ASKS_BY_ITSELF: Duration = Duration::from_millis(1500);
/// When a notification is repeated. One is lost if it comes while the node waits for an answer, which it does for 5 s.
const NOTIFY_AGAIN: Duration = Duration::from_secs(6);
/// How long a node needs to be done with an answer before it can be notified.
const ROUND: Duration = Duration::from_secs(1);

/// What a node can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The version that the node will have.
    pub version: SyncVersion,
    /// How long the answer is in bytes, compressed.
    pub message_bytes: u64,
    /// The size of the configuration's JSON in bytes.
    pub config_bytes: u64,
    /// Whether a node that was restored before gets it, too (`LIFEBOAT_FOLLOW`).
    pub follow: bool,
}

/// What a call is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// There is nothing newer.
    NoDeltas,
    /// All of what is offered.
    Everything,
}

/// What an operator should know of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncNotice {
    /// It runs what it was sent.
    Adopted(SyncVersion),
    /// Something is in the way.
    Trouble(SyncTrouble),
}

/// Why a node is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyncTrouble {
    /// It was sent the snapshot and doesn't run it.
    #[error(
        "it was sent the snapshot {attempts} times and did not take it: its error.log tells why. It is not sent it again"
    )]
    NotAdopted {
        /// How often.
        attempts: u32,
    },
    /// The answer is longer than it takes.
    #[error("the snapshot has {message} bytes and it takes {limit}: raise cluster_max_payload on the node")]
    TooLarge {
        /// The answer's size in bytes, compressed.
        message: u64,
        /// The node's `cluster_max_payload` in bytes.
        limit: u64,
    },
    /// It was restored from a history that is ahead of this one.
    #[error(
        "it runs snapshot {runs} of a backup, and the newest here is {newest}: was it restored from another store or another \
         version's folder? It goes on with what it has"
    )]
    Ahead {
        /// The number of the snapshot that it runs.
        runs: u64,
        /// The newest place in the history here.
        newest: u64,
    },
    /// It has a configuration whose age no version tells.
    #[error(
        "it has a configuration that came by /v1/outlet, or under version 0, and is given none: nothing tells which is newer. \
         It goes on with what it has. If its /status/ready answers 503, it has none: restart this relay, which then takes it for \
         empty"
    )]
    HasAnother,
}

/// A node.
#[derive(Debug)]
pub struct SyncNode {
    max_payload: u64,
    /// What its newest call says that it has.
    has: Option<i64>,
    /// It has a configuration although it says 0.
    has_another: bool,
    restored: bool,
    fed: Option<Fed>,
    /// How many snapshots it did not take since it last took one.
    not_taken: u32,
    trouble: Option<SyncTrouble>,
    /// When it last called, or came.
    called: Moment,
    notified: Option<Moment>,
}

#[derive(Debug)]
struct Fed {
    version: SyncVersion,
    attempts: u32,
    sent: Moment,
    loads_within: Duration,
}

impl SyncNode {
    /// A node that has just come. It takes messages of so many bytes.
    pub fn new(max_payload: u64, now: Moment) -> Self {
        Self {
            max_payload,
            has: None,
            has_another: false,
            restored: false,
            fed: None,
            not_taken: 0,
            trouble: None,
            called: now,
            notified: None,
        }
    }

    /// It came again, on another connection.
    pub fn came(&mut self, max_payload: u64, now: Moment) {
        self.max_payload = max_payload;
        self.called = self.called.max(now);
    }

    /// It has been seen with a configuration that came by `/v1/outlet`.
    pub fn runs_by_outlet(&mut self) {
        self.has_another = true;
    }

    /// What its newest call says that it has; 0 if it says that it has nothing.
    pub fn has(&self) -> Option<i64> {
        self.has
    }

    /// Whether it runs what it was given from the store.
    pub fn is_restored(&self) -> bool {
        self.restored
    }

    /// Why it is left as it is.
    pub fn trouble(&self) -> Option<&SyncTrouble> {
        self.trouble.as_ref()
    }

    /// It asks for what is newer than `version` while the control plane answers. `was_given` says whether the control plane
    /// has given it something since it last asked.
    pub fn asked_control_plane(&mut self, version: i64, was_given: bool) {
        self.says(version);
        // A control plane whose history is empty gives its configuration under version 0.
        self.has_another |= version == 0 && was_given;
        if version >= 0 {
            (self.restored, self.fed, self.trouble) = (false, None, None);
        }
    }

    /// It asks for what is newer than `version`. `offer` is `None` if there is nothing for it, or while it isn't known whether
    /// the control plane is gone.
    pub fn asked(&mut self, version: i64, offer: Option<&Offer>, now: Moment) -> (Answer, Option<SyncNotice>) {
        self.says(version);
        (self.called, self.notified) = (now, None);
        if let Some(adopted) = self.adopted(version) {
            return (Answer::NoDeltas, Some(adopted));
        }

        let Some(offer) = offer else { return (Answer::NoDeltas, None) };
        match self.obstacle(version, offer, now) {
            None => {
                self.feed(offer, now);
                (Answer::Everything, None)
            }
            Some(Obstacle::Nothing) => (Answer::NoDeltas, None),
            Some(Obstacle::Trouble(trouble)) => {
                let is_new = self.trouble.as_ref() != Some(&trouble);
                self.trouble = Some(trouble.clone());
                (Answer::NoDeltas, is_new.then_some(SyncNotice::Trouble(trouble)))
            }
        }
    }

    /// The answer could not be sent, because other nodes are before it: it is notified later.
    pub fn not_sent(&mut self, now: Moment) {
        if let Some(fed) = &mut self.fed {
            fed.attempts -= 1;
        }
        self.fed.take_if(|fed| fed.attempts == 0);
        self.notified = Some(now);
    }

    /// When it is to be notified that there is something for it.
    pub fn notify_at(&self, offer: Option<&Offer>, now: Moment) -> Option<Moment> {
        let offer = offer?;
        let earliest = match self.has {
            None => self.called + ASKS_BY_ITSELF,
            Some(_) => self.called + ROUND,
        };
        let may_be = match self.has {
            // It is notified although it is unknown what it has: it then asks, and says so.
            None => now,
            Some(version) => match self.obstacle(version, offer, now) {
                None => now,
                // It may still be loading it. If it is, it says so by itself.
                Some(Obstacle::Nothing) => self.fed.as_ref().filter(|fed| fed.may_be_repeated(offer))?.repeated_at(),
                Some(Obstacle::Trouble(_)) => return None,
            },
        };
        let again = self.notified.map_or(earliest, |notified| notified + NOTIFY_AGAIN);
        Some(earliest.max(again).max(may_be))
    }

    /// Whether it is to be notified now. If so, it counts as notified.
    pub fn notify(&mut self, offer: Option<&Offer>, now: Moment) -> bool {
        let is_due = self.notify_at(offer, now).is_some_and(|at| at <= now);
        if is_due {
            self.notified = Some(now);
        }
        is_due
    }

    // If the node says 0 after it has said a version, it has lost what it had.
    fn says(&mut self, version: i64) {
        self.has = Some(version);
        self.has_another &= version == 0;
        // True also for a node that was restored before this relay was started.
        self.restored = SyncVersion::sequence(version).is_some();
    }

    fn adopted(&mut self, version: i64) -> Option<SyncNotice> {
        let fed = self.fed.take_if(|fed| fed.version.number() == version)?;
        (self.restored, self.not_taken, self.trouble) = (true, 0, None);
        Some(SyncNotice::Adopted(fed.version))
    }

    // Why the node isn't sent what is offered.
    fn obstacle(&self, version: i64, offer: &Offer, now: Moment) -> Option<Obstacle> {
        let newest = offer.version.number();
        match SyncVersion::sequence(version) {
            Some(runs) if version > newest => {
                let newest = SyncVersion::sequence(newest).unwrap_or_default();
                return Some(Obstacle::Trouble(SyncTrouble::Ahead { runs, newest }));
            }
            Some(runs) if offer.follow && snapshot_gives_way(SyncVersion::of_sequence(runs), offer.version) => {}
            None if version == 0 && self.has_another => return Some(Obstacle::Trouble(SyncTrouble::HasAnother)),
            None if version == 0 => {}
            // Nothing newer for it, or a version of a control plane's own.
            _ => return Some(Obstacle::Nothing),
        }

        if offer.message_bytes > self.max_payload {
            let (message, limit) = (offer.message_bytes, self.max_payload);
            return Some(Obstacle::Trouble(SyncTrouble::TooLarge { message, limit }));
        }
        let not_taken = |attempts| Some(Obstacle::Trouble(SyncTrouble::NotAdopted { attempts }));
        match &self.fed {
            Some(fed) if fed.version == offer.version => match now >= fed.sent + fed.loads_within {
                false => Some(Obstacle::Nothing),
                true if fed.attempts >= ATTEMPTS => not_taken(fed.attempts),
                true => None,
            },
            _ if self.not_taken >= DIFFERENT_ONES => not_taken(ATTEMPTS),
            _ => None,
        }
    }

    fn feed(&mut self, offer: &Offer, now: Moment) {
        let is_another = self.fed.as_ref().is_none_or(|fed| fed.version != offer.version);
        let attempts = if is_another { 1 } else { self.fed.as_ref().map_or(1, |fed| fed.attempts + 1) };
        self.not_taken += u32::from(is_another);
        let loads_within = if offer.config_bytes > LARGE { LARGE_LOADS_WITHIN } else { LOADS_WITHIN };
        self.fed = Some(Fed { version: offer.version, attempts, sent: now, loads_within });
    }
}

enum Obstacle {
    /// Nothing is wrong.
    Nothing,
    Trouble(SyncTrouble),
}

impl Fed {
    fn may_be_repeated(&self, offer: &Offer) -> bool {
        self.version == offer.version && self.attempts < ATTEMPTS
    }

    fn repeated_at(&self) -> Moment {
        self.sent + self.loads_within
    }
}

#[cfg(test)]
mod tests;
