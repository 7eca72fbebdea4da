//! What a node of incremental sync is started with.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use super::database::Database;
use crate::certificate::CLUSTER_NAME;
use crate::recorded;

/// `cluster_incremental_sync`, with `cluster_rpc=on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Its configuration comes over `/v2/outlet` only.
    On,
    /// It says hello with no capability and then nothing more; a [`Node`](crate::node::Node) of its own, with the same id,
    /// asks for `/v1/outlet`.
    Off,
}

/// What a node is started with.
#[derive(Clone)]
pub struct IncrementalOptions {
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
    /// Whether it has incremental sync.
    pub sync: Sync,
    /// How many nginx workers it has, each with a link of its own.
    pub workers: usize,
    /// `cluster_max_payload`: the largest frame in bytes, compressed.
    pub max_payload: usize,
    /// `cluster_dp_labels`: `key:value` each.
    pub labels: Vec<String>,
    /// The plugins that it has.
    pub plugins: Vec<String>,
    /// What its LMDB has at its start.
    pub database: Database,
    /// Kong's times, or shorter ones.
    pub times: Times,
}

impl IncrementalOptions {
    /// An empty 3.9.1 of two workers, with the plugins of the recorded one and Kong's times.
    pub fn new(control_plane: SocketAddr, tls: Arc<ClientConfig>) -> Self {
        let basic_info: serde_json::Value =
            serde_json::from_slice(recorded::basic_info()).expect("what was recorded is JSON");
        let plugins = basic_info["plugins"].as_array().into_iter().flatten();
        Self {
            control_plane,
            tls,
            server_name: CLUSTER_NAME.to_owned(),
            node_id: uuid::Uuid::new_v4().to_string(),
            hostname: "rehearsal".to_owned(),
            version: "3.9.1".to_owned(),
            sync: Sync::On,
            workers: 2,
            max_payload: 16 << 20,
            labels: Vec::new(),
            plugins: plugins.filter_map(|plugin| Some(plugin["name"].as_str()?.to_owned())).collect(),
            database: Database::default(),
            times: Times::of_kong(),
        }
    }
}

impl fmt::Debug for IncrementalOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { control_plane, node_id, version, sync, .. } = self;
        write!(f, "IncrementalOptions {{ {control_plane}, {node_id}, {version}, {sync:?}, .. }}")
    }
}

/// Kong's times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times {
    /// From a worker's start to its dial. Kong: 0.05 s.
    pub dial_after: Duration,
    /// From the start to the first round of worker 0. Kong: 0.2 s.
    pub first_round_after: Duration,
    /// When a round looks whether there is a link, counted from its beginning. Kong: 0, 0.1, 0.3, 0.6 and 1.0 s.
    pub looks: Vec<Duration>,
    /// How long a round takes that found none. Kong: 1.5 s.
    pub give_up: Duration,
    /// From the end of one round of worker 0 to the next. Kong: 30 s.
    pub tick: Duration,
    /// How long an answer to get_delta may take until its frame has arrived. Kong: 5 s.
    pub call: Duration,
    /// How long the connection, each handshake on it, and the answer to hello may take. Kong: 5 s.
    pub handshake: Duration,
    /// How long it waits before it connects again: some time in this range. Kong: 5 to 10 s.
    pub reconnect: Range<Duration>,
    /// How long it reads before it looks how long the link was quiet. Kong: 5 s.
    pub poll: Duration,
    /// It pings at a look when nothing came for longer. Kong: 30 s.
    pub quiet: Duration,
    /// It gives the link up at a look when nothing came for so long. Kong: 45 s.
    pub silence: Duration,
    /// How often the router takes what incremental changes have left in the database. Kong: 5 s
    /// (`worker_state_update_frequency`).
    pub rebuild: Duration,
}

impl Times {
    /// As they are.
    pub fn of_kong() -> Self {
        let ms = Duration::from_millis;
        Self {
            dial_after: ms(50),
            first_round_after: ms(200),
            looks: [0, 100, 300, 600, 1_000].map(ms).to_vec(),
            give_up: ms(1_500),
            tick: ms(30_000),
            call: ms(5_000),
            handshake: ms(5_000),
            reconnect: ms(5_000)..ms(10_000),
            poll: ms(5_000),
            quiet: ms(30_000),
            silence: ms(45_000),
            rebuild: ms(5_000),
        }
    }

    /// So many times as fast, all in the same proportion but for the handshakes, which a busy machine must be able to do.
    pub fn faster(times: u32) -> Self {
        let kong = Self::of_kong();
        Self {
            dial_after: kong.dial_after / times,
            first_round_after: kong.first_round_after / times,
            looks: kong.looks.iter().map(|look| *look / times).collect(),
            give_up: kong.give_up / times,
            tick: kong.tick / times,
            call: kong.call / times,
            reconnect: kong.reconnect.start / times..kong.reconnect.end / times,
            poll: kong.poll / times,
            quiet: kong.quiet / times,
            silence: kong.silence / times,
            rebuild: kong.rebuild / times,
            ..kong
        }
    }
}
