//! A data plane at the socket, as Kong's behaves (KONG.md section 1): it connects, introduces itself, takes
//! configurations, confirms them in its pings and comes back when the link is lost. It proxies nothing, and what it has
//! in a cache at its start is said by its options: a new one is empty.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustls::ClientConfig;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::certificate::CLUSTER_NAME;
use super::message::Configuration;
use super::{life, recorded};

/// The hash in the pings of a node that has no configuration.
pub const EMPTY_HASH: &str = "00000000000000000000000000000000";

/// Which configurations a node can't apply.
pub type Rejects = Arc<dyn Fn(&Configuration) -> bool + Send + Sync>;

/// Whether a node asks for wRPC before it opens its link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrpc {
    /// As versions 2.8 and 3.2 to 3.9.
    NotAsked,
    /// As version 3.0: `HEAD /v1/wrpc` first. After any answer but 404 it never opens `/v1/outlet` again.
    AskedFirst,
}

/// What a node is started with.
#[derive(Clone)]
pub struct NodeOptions {
    /// Its `cluster_control_plane`: the control plane or a relay.
    pub control_plane: SocketAddr,
    /// Its side of the TLS connection.
    pub tls: Arc<ClientConfig>,
    /// The server name that it asks for.
    pub server_name: String,
    /// A UUID.
    pub node_id: String,
    /// Its host's name.
    pub hostname: String,
    /// Its Kong version.
    pub version: String,
    /// Its first message; fields of its own below are put into it.
    pub basic_info: serde_json::Value,
    /// `cluster_max_payload`: the largest message in bytes, compressed.
    pub max_payload: usize,
    /// What its cache has at its start: it runs that at once.
    pub cached: Option<Configuration>,
    /// How long after its start configurations are dropped, because its database isn't there yet.
    pub database_ready_after: Duration,
    /// How long it loads a configuration, at least.
    pub loading_time: Duration,
    /// Which configurations it can't apply. They change nothing, and no ping follows them at once.
    pub rejects: Option<Rejects>,
    /// How long it waits before it connects again: some time in this range. Kong: 5 to 10 s.
    pub reconnect: Range<Duration>,
    /// From ping to ping. Kong: 30 s.
    pub ping_interval: Duration,
    /// How often it looks whether a ping is due. Kong: 1 s.
    pub poll_interval: Duration,
    /// How long a frame may stall. Kong: 5 s.
    pub stall: Duration,
    /// After how long without a frame it gives the link up. Kong: 45 s.
    pub silence: Duration,
    /// How long the connection, and each handshake on it, may take. Kong: 5 s.
    pub handshake: Duration,
    /// Whether it asks for wRPC first.
    pub wrpc: Wrpc,
}

impl NodeOptions {
    /// A 3.9.1 with the plugins and settings of the recorded one and Kong's times, whose database is ready at once and
    /// which loads in no time.
    pub fn new(control_plane: SocketAddr, tls: Arc<ClientConfig>) -> Self {
        let mut basic_info: serde_json::Value =
            serde_json::from_slice(recorded::basic_info()).expect("what was recorded is JSON");
        basic_info["filters"] = serde_json::json!({});

        Self {
            control_plane,
            tls,
            server_name: CLUSTER_NAME.to_owned(),
            node_id: uuid::Uuid::new_v4().to_string(),
            hostname: "rehearsal".to_owned(),
            version: "3.9.1".to_owned(),
            basic_info,
            max_payload: 16 << 20,
            cached: None,
            database_ready_after: Duration::ZERO,
            loading_time: Duration::ZERO,
            rejects: None,
            reconnect: Duration::from_secs(5)..Duration::from_secs(10),
            ping_interval: Duration::from_secs(30),
            poll_interval: Duration::from_secs(1),
            stall: Duration::from_secs(5),
            silence: Duration::from_secs(45),
            handshake: Duration::from_secs(5),
            wrpc: Wrpc::NotAsked,
        }
    }

    /// With these plugins only, listed without a version.
    pub fn with_plugins(mut self, names: &[&str]) -> Self {
        self.basic_info["plugins"] = names.iter().map(|name| serde_json::json!({ "name": name })).collect();
        self
    }

    /// With these labels, an object of strings.
    pub fn with_labels(mut self, labels: serde_json::Value) -> Self {
        self.basic_info["labels"] = labels;
        self
    }

    /// The first message that a node with these options sends: basic_info as JSON.
    pub fn first_message(&self) -> Vec<u8> {
        let mut basic_info = self.basic_info.clone();
        basic_info["process_conf"]["cluster_max_payload"] = self.max_payload.into();
        basic_info.to_string().into_bytes()
    }
}

impl fmt::Debug for NodeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { control_plane, node_id, version, .. } = self;
        write!(f, "NodeOptions {{ {control_plane}, {node_id}, {version}, .. }}")
    }
}

/// All that can be seen of a node.
#[derive(Debug, Clone, Default)]
pub struct NodeState {
    /// Whether its link is up: its basic_info and first ping are sent.
    pub connected: bool,
    /// How many links it has had.
    pub connections: u64,
    /// How many configurations came in.
    pub received: u64,
    /// How many of them were dropped, because its database was not there yet.
    pub dropped: u64,
    /// How many of them it could not apply.
    pub rejected: u64,
    /// How many it has applied.
    pub applied: u64,
    /// Whether it is loading one now.
    pub loading: bool,
    /// How many pings it has sent, and how many pongs came.
    pub pings: u64,
    /// The pongs that came.
    pub pongs: u64,
    /// The hash in the newest ping that was answered.
    pub confirmed: Option<String>,
    /// What it runs.
    pub configuration: Option<Configuration>,
    /// Why its last link ended, or was not made.
    pub last_error: Option<String>,
    /// What happened, oldest first, in words.
    pub log: Vec<String>,
}

impl NodeState {
    /// The hash of what it runs, as its pings carry it.
    pub fn hash(&self) -> &str {
        self.configuration.as_ref().map_or(EMPTY_HASH, |configuration| &configuration.hash)
    }
}

/// A running node. Dropping it ends it abruptly.
pub struct Node {
    node_id: String,
    state: Arc<watch::Sender<NodeState>>,
    task: JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Node {
    /// Starts a node, which connects at once.
    pub fn start(options: NodeOptions) -> Self {
        let state = NodeState { configuration: options.cached.clone(), ..NodeState::default() };
        let state = Arc::new(watch::Sender::new(state));
        let node_id = options.node_id.clone();
        Self { node_id, task: tokio::spawn(life::live(options, state.clone())), state }
    }

    /// Its id.
    pub fn node_id(&self) -> &str {
        &self.node_id
    }

    /// What can be seen now.
    pub fn state(&self) -> NodeState {
        self.state.borrow().clone()
    }

    /// The bytes of the `config_table` that it runs.
    pub fn configuration(&self) -> Option<Bytes> {
        self.state.borrow().configuration.as_ref().map(|configuration| configuration.table.clone())
    }

    /// Waits until what can be seen is so, and returns it. There is no time-out: the caller has one.
    pub async fn wait_for(&self, condition: impl FnMut(&NodeState) -> bool) -> NodeState {
        let mut states = self.state.subscribe();
        let state = states.wait_for(condition).await.expect("the sender is in self");
        state.clone()
    }

    /// Ends it. Returns when its connection is gone.
    pub async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}
