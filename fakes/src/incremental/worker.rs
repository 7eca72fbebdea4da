//! One nginx worker's link, and what it remembers.

use std::time::Duration;

use super::state::Rpc;

/// A worker of a node.
#[derive(Debug, Clone)]
pub(super) struct Worker {
    pub(super) link: Link,
    /// The default workspace in its memory.
    pub(super) workspace: String,
    /// How many links it has had: those whose hello was answered well.
    pub(super) links: u64,
    /// Why its last link ended, or was not made.
    pub(super) last_error: Option<String>,
}

/// What a worker's link is at.
#[derive(Debug, Clone)]
pub(super) enum Link {
    /// There is none; it dials then.
    Waiting { until: Duration },
    /// It dials.
    Dialling,
    /// It has said hello, and is answered by then or not at all.
    Greeting { until: Duration },
    /// hello was answered.
    Up(Up),
    /// A Lua error has ended its RPC until Kong is started again.
    Dead,
}

/// A link that is up.
#[derive(Debug, Clone)]
pub(super) struct Up {
    /// Whether the peer has incremental sync.
    pub(super) sync: bool,
    /// The id of its next call.
    pub(super) next_id: u64,
    /// When the last frame came.
    pub(super) last_frame: Duration,
    /// When it looks how long the link was quiet.
    pub(super) next_look: Duration,
}

impl Worker {
    pub(super) fn up(&mut self) -> Option<&mut Up> {
        match &mut self.link {
            Link::Up(up) => Some(up),
            _ => None,
        }
    }

    /// When it does something of its own.
    pub(super) fn deadline(&self) -> Option<Duration> {
        match &self.link {
            Link::Waiting { until } | Link::Greeting { until } => Some(*until),
            Link::Up(up) => Some(up.next_look),
            Link::Dialling | Link::Dead => None,
        }
    }

    pub(super) fn rpc(&self) -> Rpc {
        match &self.link {
            Link::Up(_) => Rpc::Up,
            Link::Dead => Rpc::Dead,
            _ => Rpc::Trying,
        }
    }
}
