//! The inputs and outputs of a node's session: its rules, events, actions, and notices for operators.

use std::sync::Arc;
use std::time::Duration;

use crate::digest::ConfigHash;
use crate::frame::Frame;
use crate::kong::basic_info::NotBasicInfo;
use crate::kong::message::ReconfigureMessage;
use crate::session::answer::{EarlyEnd, Refusal, Verdict};
use crate::session::follow::{Publication, StoreView};
use crate::session::restore::OnRefusal;
use crate::time::WallTime;
use crate::verify::{Provenance, Verified};

/// A snapshot in the form in which nodes are given it. All nodes share one.
#[derive(Debug)]
pub struct ReadySnapshot {
    pub(in crate::session) message: ReconfigureMessage,
    /// Of the configuration, decompressed.
    pub(in crate::session) config_bytes: u64,
    /// What has published it; none for a bare `config.json`.
    pub(in crate::session) publication: Option<Publication>,
}

impl ReadySnapshot {
    /// A verified snapshot, ready to be sent; `now` is only for the node's log.
    pub fn of(verified: &Verified, now: WallTime) -> Self {
        let publication = match verified.provenance() {
            Provenance::Manifest(manifest) => Some(Publication::of(manifest)),
            Provenance::BareConfigJson => None,
        };
        Self { message: verified.message(now), config_bytes: verified.config_bytes(), publication }
    }

    /// The message.
    pub fn message(&self) -> &ReconfigureMessage {
        &self.message
    }

    /// What has published it; none for a bare `config.json`.
    pub fn publication(&self) -> Option<Publication> {
        self.publication
    }
}

/// How a node's session behaves; the same for all.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How long a connected control plane may be silent (`LIFEBOAT_CP_CONFIG_TIMEOUT`).
    pub config_timeout: Duration,
    /// What a refusal means (`LIFEBOAT_FEED_ON_REFUSAL`).
    pub on_refusal: OnRefusal,
    /// The pause, from and to, before a lost link to the control plane is tried again; in tests it is shorter.
    pub retry: (Duration, Duration),
}

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// Time has passed: at latest when [`NodeSession::wake_at`](super::NodeSession::wake_at) said.
    Tick,
    /// The node sent a frame.
    FromNode(Frame),
    /// A part of a message came from the control plane.
    ControlPlaneHeard,
    /// The control plane sends a large message. Nothing more of it is read until there is room for it.
    ControlPlaneHeldBack,
    /// The control plane sent a frame.
    FromControlPlane(Frame),
    /// The link to the control plane is up.
    ControlPlaneConnected,
    /// The link to the control plane could not be made, which means this.
    ControlPlaneFailed(Verdict),
    /// The link to the control plane is gone, without a close frame.
    ControlPlaneClosed,
    /// The control plane's message can't be read or is too long, so this side has given up the link.
    ControlPlaneUnreadable,
    /// The control plane is there, and the relay can open no further connection to it (open files).
    NoFileForLink,
    /// The store was looked at, after this node's control plane was lost (`LIFEBOAT_FOLLOW`).
    Published(StoreView),
    /// What [`Action::Fetch`] or [`Action::FetchPublished`] asked for.
    Fetched(Arc<ReadySnapshot>),
    /// The last byte of the snapshot of [`Action::Feed`] was sent.
    Delivered,
}

/// Something to do.
#[derive(Debug)]
pub enum Action {
    /// Connect to the control plane on the node's behalf.
    ConnectControlPlane,
    /// Close the link to the control plane; no [`Event::ControlPlaneClosed`] is needed.
    DisconnectControlPlane,
    /// From now on accept messages of this many bytes from the control plane, because the node accepts them; never fewer than
    /// before.
    RaiseLimit(u64),
    /// Send the control plane this frame.
    ToControlPlane(Frame),
    /// Send the node this frame.
    ToNode(Frame),
    /// Fetch the snapshot, again and again until there is one.
    Fetch,
    /// Fetch what is published now: this one, or a newer one. An older answer is ignored.
    FetchPublished(Publication),
    /// Send the node this snapshot when it is the node's turn, and say when all of it was sent ([`Event::Delivered`]).
    Feed(Arc<ReadySnapshot>),
    /// Close the node's link, with this frame first if there is one.
    CloseNode(Option<Frame>),
    /// Tell the operator.
    Notify(Notice),
}

/// What an operator should know of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The node's first message is none of Kong's.
    NotANode(NotBasicInfo),
    /// The node's ping carried this hash.
    Runs(ConfigHash),
    /// The control plane is there, and frames pass.
    Spliced,
    /// The control plane sent the node a configuration of this many bytes, compressed.
    Given(u64),
    /// The control plane is there and has given an empty node nothing for this long.
    Silent(Duration),
    /// The control plane is gone, and is tried again in this time.
    Gone {
        /// How it ended the link, if it did so right after the node's first message.
        early: Option<EarlyEnd>,
        /// Until the next try.
        retry_in: Duration,
    },
    /// The control plane refused the node, and what follows from that.
    Refused(Refusal, OnRefusal),
    /// The node was sent the snapshot, for the first time or again.
    Fed {
        /// How often by now.
        attempt: u32,
    },
    /// The node runs what it was fed.
    Adopted(ConfigHash),
    /// The node was fed several times, and its pings still carry another hash.
    NotAdopted {
        /// How often it was fed.
        attempts: u32,
        /// What its newest ping carried.
        runs: ConfigHash,
    },
    /// The node was sent the newly published snapshot several times, and goes on with what it had.
    NotFollowing {
        /// How often it was sent that.
        attempts: u32,
        /// What its newest ping carried.
        runs: ConfigHash,
    },
    /// The snapshot is larger than the node takes: not sent.
    TooLarge {
        /// The message's size in bytes, compressed.
        message: u64,
        /// The node's `cluster_max_payload` in bytes.
        limit: u64,
    },
    /// The control plane is there, and the relay has no open file left for a connection to it on this node's behalf.
    NoFileForLink,
    /// The node has said nothing for 45 s.
    NodeSilent,
}

/// Where the node's configuration came from, as far as this session knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The node has none, or had it before it connected.
    OwnOrNone,
    /// The control plane sent it.
    ControlPlane,
    /// It was fed from the store.
    Store,
}

/// A node's own link to the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Being made for the first time.
    Connecting,
    /// Up.
    Up,
    /// Gone; tried again every few seconds.
    Down,
    /// The control plane refused the node, or the certificate that it was shown in the node's name.
    Refused,
}

/// Why a node does not run the snapshot that is for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It was sent the snapshot several times and doesn't run it.
    #[error("it was sent the snapshot {attempts} times and does not run it: its error.log tells why")]
    NotAdopted {
        /// How often.
        attempts: u32,
    },
    /// The snapshot is larger than it takes.
    #[error("the snapshot has {message} bytes and it takes {limit}: raise cluster_max_payload on the node")]
    TooLarge {
        /// The message's size in bytes, compressed.
        message: u64,
        /// The node's `cluster_max_payload` in bytes.
        limit: u64,
    },
}
