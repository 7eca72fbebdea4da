//! What comes to a node of incremental sync, and what it does. Its workers are meant by their numbers.

use bytes::Bytes;

/// What comes. Only of the link that is there: what comes late from an earlier one is not for the machine.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// The upgrade was answered with 101, and with this subprotocol.
    Opened { worker: usize, protocol: Option<String> },
    /// There is no link: the connection failed, or the upgrade was answered with something else.
    Failed { worker: usize, reason: String },
    /// A whole frame has arrived.
    Frame { worker: usize, frame: Arrived },
    /// The link ended without a close frame, or can't be read any further.
    Ended { worker: usize, reason: String },
}

/// A frame that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Arrived {
    Binary(Bytes),
    Text,
    Ping,
    Pong,
    Close,
    Fragment,
}

/// What it does.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Opens a link.
    Dial {
        worker: usize,
    },
    /// Sends a binary frame.
    Send {
        worker: usize,
        payload: Bytes,
    },
    Ping {
        worker: usize,
    },
    Pong {
        worker: usize,
    },
    /// Sends an empty close frame and ends the link.
    Close {
        worker: usize,
    },
    /// Ends the link without a word.
    Drop {
        worker: usize,
    },
}
