//! The publisher's events and actions.

use std::time::Duration;

use super::super::adoption::{NodeLink, NodeNews};
use super::super::guard::ShrinkGuard;
use super::super::history::History;
use super::super::{Named, Received};
use super::publish_or_hold::NewestState;
use crate::digest::ConfigHash;
use crate::manifest::{Held, Pin, State};
use crate::object_key::SnapshotId;
use crate::time::Moment;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Time has passed: at latest when [`Publisher::wake_at`](super::Publisher::wake_at) said.
    Tick,
    /// The backup node's link to the control plane is up.
    LinkUp,
    /// It is gone.
    LinkDown,
    /// The control plane sent a configuration over it.
    Received(Received),
    /// This exporter now has other keys than those with which the published manifest was written. What follows from that is
    /// done with the next event.
    KeysChanged,
    /// An operator has changed how much a configuration may lose. A configuration that is held for its losses stays held.
    Guard(ShrinkGuard),
    /// A node of this version did something, seen through the relay.
    Node(NodeLink, NodeNews),
    /// Who leads. Comes with every renewal.
    Leadership(Leadership),
    /// [`Action::Glance`] is done.
    Glanced {
        /// What the manifest names, if there is one.
        published: Option<Named>,
        /// What lies where it says that its payload is.
        payload: PayloadState,
    },
    /// [`Action::Look`] is done.
    Looked {
        /// What the manifest names, if there is one.
        published: Option<Named>,
        /// What lies where it says that its payload is.
        payload: PayloadState,
        /// All snapshots.
        history: History,
        /// How old the manifest's "last seen" is.
        last_seen_age: Duration,
    },
    /// [`Action::Publish`] or [`Action::Rewrite`] is done; or [`Action::PutBack`], by publishing the same configuration as
    /// another snapshot.
    Written(Named),
    /// [`Action::ReadBack`] is done.
    ReadBack(PayloadState),
    /// [`Action::PutBack`] is done: exactly the bytes that the manifest names are there again.
    PutBack,
    /// [`Action::PutBack`] was in vain: nobody has what the manifest names.
    NotPutBack,
    /// [`Action::Hold`] is done: it has this place in the history.
    HeldWritten(SnapshotId),
    /// A write found something else in the store than was read before.
    Conflict,
    /// What was asked for at the store failed, or could not be done before the leadership ended; a write may have
    /// happened nevertheless.
    Failed,
    /// The program is to end: a configuration that is waiting is published now.
    Stop,
}

/// Who may write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// Another exporter, or nobody yet.
    Follower,
    /// This one.
    Leader {
        /// The number of the leadership, which is in everything that it writes.
        epoch: u64,
        /// From this moment on it must not write, unless its leadership is renewed before.
        until: Moment,
    },
    /// This one, and an operator has said that there is no other (`LIFEBOAT_ELECTION=none`).
    Alone,
}

/// What lies in the store where the published manifest says that its payload is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PayloadState {
    /// What the manifest names, as far as it was checked: its size, or all of its bytes. Also if there is no manifest.
    #[default]
    Whole,
    /// Nothing.
    Missing,
    /// Something else.
    Altered,
    /// Something that can't be read, or that this exporter may not read.
    Unreadable,
}

/// Something to do. At most one action at the store is under way at a time, and each is answered by one event.
#[derive(Clone, Debug)]
pub enum Action {
    /// Read the manifest, and see that its payload is there.
    Glance,
    /// The same, and list the history.
    Look,
    /// Read the published payload whole and compare it with the manifest.
    ReadBack,
    /// Put the published payload back into the store: only what the manifest names.
    PutBack {
        /// The leadership that does so.
        epoch: u64,
    },
    /// Write this configuration as the next snapshot, and replace the manifest that was read by one that names it.
    Publish {
        /// The configuration.
        configuration: Received,
        /// Why it is published.
        state: State,
        /// The published snapshot's pin, if this replaces its lost payload with the same configuration.
        pin: Option<Pin>,
        /// The leadership that publishes it.
        epoch: u64,
    },
    /// Write the manifest anew; it names the same snapshot.
    Rewrite(Rewrite),
    /// Write this configuration into the history and publish nothing.
    Hold {
        /// The configuration.
        configuration: Received,
        /// Why it isn't published.
        why: Held,
        /// The leadership that says so.
        epoch: u64,
    },
    /// Close the link to the control plane and make a new one.
    Reconnect,
    /// Find out whether this exporter still leads, and lead with an epoch above this one.
    Recheck {
        /// The highest epoch that was seen in a manifest.
        shown: u64,
    },
    /// Tell the operator.
    Notify(Notice),
    /// Nothing that was waiting is left; the program may end.
    Finish,
}

/// What a new manifest of the same snapshot says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// The leadership that writes it.
    pub epoch: u64,
    /// Why the snapshot is published.
    pub state: State,
    /// How long it stays, if an operator has decided that.
    pub pin: Option<Pin>,
    /// When the control plane was last known to have it.
    pub last_seen: LastSeen,
}

/// What becomes of a manifest's "last seen".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastSeen {
    /// It is now.
    Now,
    /// It stays.
    Unchanged,
}

/// What an operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The newest configuration's state has changed.
    NewestState(NewestState),
    /// The control plane sent a configuration that is published already.
    Already(ConfigHash),
    /// The published payload is not in the store, and can't be put there: new nodes get an older snapshot, or none.
    PayloadLost(PayloadLoss),
    /// It was lost, and is there again.
    PayloadIsBack,
    /// The store failed.
    TryingAgain {
        /// Until the next try.
        retry_in: Duration,
    },
}

/// Why the published payload, which the store does not have as the manifest names it, is not put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayloadLoss {
    /// The bytes that the manifest names were found nowhere, and this state prevents the control plane's configuration from
    /// being published instead.
    Unavailable(PayloadState, NewestState),
    /// Another exporter leads, or none, and the payload was not put back.
    LeftByTheLeader(PayloadState),
}
