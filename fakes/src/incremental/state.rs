//! What can be seen of a node of incremental sync.

use std::sync::Arc;

use serde_json::Value;

use super::database::Database;
use super::router::Router;
use crate::node::EMPTY_HASH;

/// What a worker's RPC is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rpc {
    /// There is no link; one is made, or will be.
    Trying,
    /// hello was answered.
    Up,
    /// There will be no link until Kong is started again.
    Dead,
}

/// What can be seen of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerState {
    /// What its RPC is at.
    pub rpc: Rpc,
    /// How many links were up.
    pub links: u64,
    /// Why its last link ended, or was not made.
    pub last_error: Option<String>,
    /// The workspace in which it looks for credentials.
    pub(super) workspace: String,
}

/// Who said something on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// The node.
    Sent,
    /// The other end.
    Received,
}

/// What was said on a link.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A head of HTTP.
    Head(String),
    /// A message; hello without `kong_conf`, a large one without `result`.
    Message(Value),
    /// A binary frame that is none, of so many bytes.
    Unreadable(usize),
    /// A ping.
    Ping,
    /// A pong.
    Pong,
    /// A close frame.
    Close,
    /// A text frame.
    Text,
    /// A part of a fragmented message.
    Fragment,
}

/// Something that was said on a link.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// Whose link it was.
    pub worker: usize,
    /// By whom.
    pub said: Said,
    /// What.
    pub what: Arc<What>,
}

/// All that can be seen of a node.
#[derive(Debug, Clone)]
pub struct IncrementalState {
    /// Its workers.
    pub workers: Vec<WorkerState>,
    /// What its LMDB has.
    pub database: Arc<Database>,
    /// How many times it was started.
    pub starts: u64,
    /// How many answers with deltas it has taken since it was first started.
    pub applied: u64,
    /// How many of them it has refused.
    pub refused: u64,
    /// All that was said on its links, oldest first.
    pub words: Vec<Word>,
    /// What happened, oldest first, in words; errors as Kong's log has them.
    pub log: Vec<String>,
    pub(super) router: Router,
    pub(super) came_up: bool,
}

impl IncrementalState {
    /// The text in `/status`.
    pub fn hash(&self) -> &str {
        self.database.hash()
    }

    /// What it says when it asks. Kong cuts it to a whole number.
    #[allow(clippy::cast_possible_truncation, reason = "Kong's versions have 14 digits at most")]
    pub fn version(&self) -> i64 {
        self.database.version() as i64
    }

    /// Whether `/status/ready` is 200: also while its router is broken, but not at version 0, and not when it could not
    /// build its router at its start.
    pub fn ready(&self) -> bool {
        self.hash() != EMPTY_HASH && self.came_up
    }

    /// How many links are up.
    pub fn links_up(&self) -> usize {
        self.workers.iter().filter(|worker| worker.rpc == Rpc::Up).count()
    }

    /// The entities of a kind that its router was built from.
    pub fn serves(&self, kind: &str) -> Vec<Arc<Value>> {
        self.router.serves().into_iter().flat_map(|database| database.entities(kind)).cloned().collect()
    }

    /// The status of a request that this route, by name or id, would match, if it needs no credential.
    pub fn answer(&self, route: &str) -> u16 {
        self.router.answer(route)
    }

    /// The statuses with which its workers would answer a request with this key-auth key: 200, or 401 when a worker looks
    /// for it in a workspace in which it isn't.
    pub fn key_auth_by_worker(&self, key: &str) -> Vec<u16> {
        let workspaces = self.workers.iter().map(|worker| worker.workspace.as_str());
        workspaces.map(|workspace| if self.database.has_key(workspace, key) { 200 } else { 401 }).collect()
    }

    /// The worst of [`key_auth_by_worker`](Self::key_auth_by_worker).
    pub fn key_auth(&self, key: &str) -> u16 {
        self.key_auth_by_worker(key).into_iter().max().unwrap_or(401)
    }

    /// What it has asked get_delta with, oldest first: each call's version.
    pub fn asked(&self) -> Vec<f64> {
        let sent = self.words.iter().filter(|word| word.said == Said::Sent);
        let version = |word: &Word| match &*word.what {
            What::Message(message) if message["method"] == crate::wire::GET_DELTA => {
                message["params"][0]["default"]["version"].as_f64()
            }
            _ => None,
        };
        sent.filter_map(version).collect()
    }
}
