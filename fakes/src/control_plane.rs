//! A control plane at the socket, as Kong's behaves (KONG.md section 1): mutual TLS, `/v1/outlet`, basic_info in,
//! configurations out, empty pongs. It can die, hang, refuse, stay silent and come back. It has no database and no
//! Admin API: what it sends are messages that it is given.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use hyper::StatusCode;
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::link;
use super::listening::Listening;
use super::rpc::Peers;

/// How a control plane treats its nodes. It can be changed at any time, for links that exist too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Sends configurations and answers pings.
    Serving,
    /// Answers pings and sends no configuration, as one whose database is away since it started.
    Silent,
    /// Closes the link right after the node's basic_info with an empty close frame, as for a node of a newer version.
    Refusing,
    /// Closes it then with this code.
    Closing(u16),
    /// Ends the connection then without a close frame, as one that crashes.
    Dropping,
    /// Answers the upgrade with this status instead of 101.
    Answering(StatusCode),
    /// The same with more in the answer than a status.
    AnsweringWith(Answer),
    /// Ends the connection after TLS and the request without an answer, as nginx does for the 444 with which Kong refuses a
    /// certificate.
    HangingUp,
    /// Speaks HTTP without TLS, as another service on that port.
    PlainHttp,
    /// Does nothing more and closes nothing, as a stopped process or a lost route. Goes on where it was afterwards.
    Hanging,
    /// Sends each configuration in two frames, which a node must not accept.
    Fragmenting,
}

/// An HTTP answer that opens no link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its `Retry-After`, in seconds.
    pub retry_after: Option<u32>,
    /// Its body.
    pub body: &'static str,
}

/// What a control plane is started with.
#[derive(Debug, Clone)]
pub struct ControlPlaneOptions {
    /// Its side of the TLS connection, which must ask for a client certificate.
    pub tls: Arc<ServerConfig>,
    /// Where it listens. Port 0 takes a free one.
    pub address: SocketAddr,
    /// Its own version: nodes of another major or a newer minor version are refused.
    pub version: String,
    /// Plugins that the configuration uses: a node that lacks one is left in silence.
    pub required_plugins: Vec<String>,
    /// After how long without a frame a link is given up. Kong: 45 s.
    pub silence: Duration,
    /// The largest frame that it reads, in bytes.
    pub max_payload: usize,
    /// Whether it serves `/v2/outlet`.
    pub rpc: Rpc,
    /// Incremental sync's number of the first configuration that it is given; each other one has one more. 0 is what a
    /// control plane has that was seeded before sync was switched on: its nodes are not ready until the first change.
    pub first_version: u64,
    /// How long it takes to answer a hello.
    pub hello_after: Duration,
    /// How long a node may take to answer that it was told of a new version. Kong: 5 s.
    pub notify_limit: Duration,
    /// So long after it asked last, a node that is gone still costs each write that time. Kong: 60 s.
    pub listed: Duration,
}

/// `cluster_rpc` and `cluster_incremental_sync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rpc {
    /// As a 3.9.1 by default.
    Off,
    /// It answers a node's hello, and then sends back what it is sent.
    On,
    /// Both are on: what it is given goes out over `/v2/outlet` as well, and all nodes are told of it.
    IncrementalSync,
    /// Only the first is: it answers a node's hello with no capability.
    WithoutSync,
}

impl ControlPlaneOptions {
    /// A 3.9.1 on a free port of 127.0.0.1, with Kong's times.
    pub fn new(tls: Arc<ServerConfig>) -> Self {
        Self {
            tls,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            version: "3.9.1".to_owned(),
            required_plugins: Vec::new(),
            silence: Duration::from_secs(45),
            max_payload: 16 << 20,
            rpc: Rpc::Off,
            first_version: 16,
            hello_after: Duration::ZERO,
            notify_limit: Duration::from_secs(5),
            listed: Duration::from_secs(60),
        }
    }
}

/// All that can be seen of a control plane from outside.
#[derive(Debug, Clone)]
pub struct ControlPlaneState {
    /// How it behaves.
    pub behaviour: Behaviour,
    /// The messages that it was given, oldest first. A node that connects gets the last one.
    pub messages: Vec<Bytes>,
    /// The nodes that are connected and have sent their basic_info.
    pub nodes: Vec<ConnectedNode>,
    /// The versions with which nodes of incremental sync asked last, by their ids: the rows of `clustering/data-planes`.
    pub versions: BTreeMap<String, i64>,
    /// All that happened, oldest first.
    pub events: Vec<Event>,
    pub(super) links: u64,
}

impl ControlPlaneState {
    fn new() -> Self {
        let (messages, nodes, events) = (Vec::new(), Vec::new(), Vec::new());
        let versions = BTreeMap::new();
        Self { behaviour: Behaviour::Serving, messages, nodes, versions, events, links: 0 }
    }

    /// The connected node of this id.
    pub fn node(&self, node_id: &str) -> Option<&ConnectedNode> {
        self.nodes.iter().find(|node| node.node_id == node_id)
    }
}

/// A node that is connected.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectedNode {
    /// From the address.
    pub node_id: String,
    /// From the address.
    pub hostname: String,
    /// From the address.
    pub version: String,
    /// Its first message, as JSON.
    pub basic_info: serde_json::Value,
    /// Its first message, byte for byte.
    pub first_message: Bytes,
    /// The hashes that its pings carried on this link, oldest first.
    pub pings: Vec<String>,
    /// How many configurations it was sent on this link.
    pub sent: usize,
    pub(super) link: u64,
}

impl ConnectedNode {
    /// The hash of what it runs, by its last ping.
    pub fn hash(&self) -> Option<&str> {
        self.pings.last().map(String::as_str)
    }

    /// Its labels, an object.
    pub fn labels(&self) -> &serde_json::Value {
        &self.basic_info["labels"]
    }
}

/// Something that happened at a control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A TLS handshake failed.
    HandshakeFailed(String),
    /// A request was not answered, and its connection ended.
    HungUp,
    /// A request was answered with a status that isn't 101.
    Answered(StatusCode, String),
    /// A node has sent its basic_info.
    Connected(String),
    /// A node was refused, with the reason.
    Refused(String, String),
    /// A node lacks this plugin and gets nothing.
    PluginMissing(String, String),
    /// A node was sent a message of so many bytes.
    Sent(String, usize),
    /// A node's ping, with its hash.
    Ping(String, String),
    /// A node said hello on `/v2/outlet`: its id, and the subprotocol that it asked for.
    Hello(String, String),
    /// A node asked get_delta with this version.
    Asked(String, i64),
    /// It was answered.
    Deltas {
        /// The node's id.
        node: String,
        /// Whether the answer replaces all that the node has.
        wipe: bool,
        /// How many there were.
        deltas: usize,
    },
    /// All nodes of incremental sync were told of this version: those that were called, and whether they answered.
    Notified(u64, Vec<(String, bool)>),
    /// A node's link has ended, with the reason.
    Disconnected(String, String),
}

/// A running control plane. Dropping it closes everything abruptly.
pub struct ControlPlane {
    listening: Listening,
    state: Arc<watch::Sender<ControlPlaneState>>,
    peers: Arc<Peers>,
    /// Only one with incremental sync tells anybody.
    notifier: Option<JoinHandle<()>>,
    first_version: u64,
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        if let Some(notifier) = &self.notifier {
            notifier.abort();
        }
    }
}

impl ControlPlane {
    /// Starts one that serves, and has nothing to send yet.
    ///
    /// # Errors
    /// When the address can't be listened on.
    pub async fn start(options: ControlPlaneOptions) -> io::Result<Self> {
        let state = Arc::new(watch::Sender::new(ControlPlaneState::new()));
        let peers = Arc::new(Peers::new(&options));
        let (address, first_version, rpc) = (options.address, options.first_version, options.rpc);
        let (options, shared, known) = (Arc::new(options), state.clone(), peers.clone());
        let serve = move |stream: TcpStream| -> BoxFuture<'static, ()> {
            let (options, state, peers) = (options.clone(), shared.clone(), known.clone());
            Box::pin(async move { link::serve(stream, &options, &state, &peers).await })
        };

        let listening = Listening::start(address, serve).await?;
        let notify = || tokio::spawn(notify(state.clone(), peers.clone(), first_version));
        let notifier = (rpc == Rpc::IncrementalSync).then(notify);
        Ok(Self { listening, state, peers, notifier, first_version })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    /// Behaves differently from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.state.send_modify(|state| state.behaviour = behaviour);
    }

    /// Sends a message to all nodes that may have it, and to those that connect from now on.
    pub fn push(&self, message: Bytes) {
        self.state.send_modify(|state| state.messages.push(message));
    }

    /// Does what a request to the Admin API does: pushes, and waits until all nodes of incremental sync were told, one after
    /// the other. One that does not answer takes [`notify_limit`](ControlPlaneOptions::notify_limit).
    pub async fn write(&self, message: Bytes) {
        let mut version = 0;
        self.state.send_modify(|state| {
            version = self.first_version + state.messages.len() as u64;
            state.messages.push(message);
        });
        if self.notifier.is_none() {
            return;
        }
        let told = |event: &Event| matches!(event, Event::Notified(of, _) if *of >= version);
        self.wait_for(|state| state.events.iter().any(told)).await;
    }

    /// Dies: stops listening and drops all links without a word. Returns when all of it is gone.
    pub async fn stop(&self) {
        self.listening.stop().await;
        self.peers.drop_links();
        self.state.send_modify(|state| {
            for node in std::mem::take(&mut state.nodes) {
                state.events.push(Event::Disconnected(node.node_id, "the control plane was stopped".to_owned()));
            }
        });
    }

    /// Comes back at the same address after [`stop`](Self::stop), with the same messages.
    ///
    /// # Errors
    /// When the address is in use: it was not stopped, or someone else took it.
    pub async fn come_back(&self) -> io::Result<()> {
        self.listening.come_back().await
    }

    /// What can be seen now.
    pub fn state(&self) -> ControlPlaneState {
        self.state.borrow().clone()
    }

    /// Waits until what can be seen is so, and returns it. There is no time-out: the caller has one.
    pub async fn wait_for(&self, condition: impl FnMut(&ControlPlaneState) -> bool) -> ControlPlaneState {
        let mut states = self.state.subscribe();
        let state = states.wait_for(condition).await.expect("the sender is in self");
        state.clone()
    }
}

/// Tells nodes of incremental sync of each message. Several that come at once are told of as one.
async fn notify(state: Arc<watch::Sender<ControlPlaneState>>, peers: Arc<Peers>, first_version: u64) {
    let mut states = state.subscribe();
    let mut told = 0;
    loop {
        let Ok(count) = states.wait_for(|state| state.messages.len() > told).await.map(|state| state.messages.len())
        else {
            return;
        };
        told = count;
        let version = first_version + count as u64 - 1;
        let called = peers.notify(version).await;
        state.send_modify(|state| state.events.push(Event::Notified(version, called)));
    }
}
