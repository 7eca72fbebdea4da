//! A control plane that pushes a large message to a hundred nodes behind a relay, of which some read, some read slowly and
//! some read nothing. What the relay is held to meanwhile is the suites'.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lifeboat_link::tls::client_config_shared;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::cluster::{Cluster, relay_address};
use super::program::{Invocation, Running};
use super::raw_node::RawNode;

/// How many nodes there are.
pub const NODES: usize = READING + SLOW + STALLED;
/// `LIFEBOAT_MAX_CONFIG`, in bytes.
pub const MAX_CONFIG: u64 = 16 << 20;

const READING: usize = 40;
const SLOW: usize = 30;
const STALLED: usize = 30;
/// Compressed, as a message is.
const BYTES: usize = 15_000_000;
/// After each piece of 16 KB: what is left then takes a slow node longer than all else that happens.
const PAUSE: Duration = Duration::from_millis(50);
/// Nothing that is waited for takes nearly as long.
const HUNG: Duration = Duration::from_secs(240);

/// The relay and the nodes that are with it.
pub struct LargePush {
    /// The relay.
    pub relay: Running,
    cluster: Arc<Cluster>,
    reading: Vec<Reader>,
    slow: Vec<RawNode>,
    stalled: Vec<RawNode>,
}

/// A node that reads whatever is pushed, and pings between.
struct Reader {
    expects: mpsc::Sender<Bytes>,
    has: mpsc::Receiver<()>,
}

impl LargePush {
    /// Starts the relay, which `change` may want to be started otherwise, and connects the nodes.
    ///
    /// # Panics
    /// When they can't.
    pub async fn begin(storage: &str, change: impl FnOnce(Invocation) -> Invocation) -> Self {
        let cluster = Arc::new(Cluster::start().await);
        let relay = cluster.lifeboat(["run", "--import", "on", "--storage", storage]);
        let relay = change(relay.with("LIFEBOAT_MAX_CONFIG", MAX_CONFIG.to_string())).start();
        let (address, tls) = (relay_address(&relay).await, client_config_shared(&cluster.identity));
        let mut nodes = Vec::new();
        for number in 0..NODES {
            let node = RawNode::open(address, tls.clone(), &format!("node-{number}")).await;
            let mut node = node.unwrap_or_else(|error| panic!("{error}: {}", relay.log()));
            node.introduce().await.expect("the relay listens");
            nodes.push(node);
        }
        let stalled = nodes.split_off(READING + SLOW);
        let slow = nodes.split_off(READING);
        let reading = nodes.into_iter().map(Reader::start).collect();
        Self { relay, cluster, reading, slow, stalled }
    }

    /// Pushes a message to all, while no earlier one is still on its way to those who read. Returns when they have it.
    ///
    /// # Panics
    /// When they don't get it, or another one.
    pub async fn push(&mut self) {
        let message = Bytes::from((0..BYTES.div_ceil(4)).flat_map(|_| rand::random::<[u8; 4]>()).collect::<Vec<u8>>());
        self.cluster.control_plane.push(message.clone());
        for node in &self.reading {
            node.expects.send(message.clone()).await.expect("its link stands");
        }
        // They go on with it, however long that takes.
        for mut node in self.slow.drain(..) {
            let message = message.clone();
            tokio::spawn(async move { node.takes(&message, PAUSE).await });
        }
        for node in &mut self.reading {
            let has = timeout(HUNG, node.has.recv()).await;
            assert!(matches!(has, Ok(Some(()))), "not all who read have it:\n{}", self.relay.log());
        }
    }

    /// Waits until the control plane has sent all nodes of the first push all of it.
    ///
    /// # Panics
    /// When it can't, since the relay does not take it.
    pub async fn all_was_taken(&self) {
        let has_all = |scene: &lifeboat_fakes::control_plane::ControlPlaneState| {
            scene.nodes.iter().filter(|node| node.sent > 0).count() == NODES
        };
        let taken = timeout(HUNG, self.cluster.control_plane.wait_for(has_all)).await;
        assert!(taken.is_ok(), "the relay does not take what is for {} nodes that stall", self.stalled.len());
    }
}

impl Reader {
    fn start(mut node: RawNode) -> Self {
        let (expects, mut expected) = mpsc::channel::<Bytes>(1);
        let (tell, has) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                match timeout(Duration::from_secs(10), expected.recv()).await {
                    Ok(Some(message)) => {
                        node.takes(&message, Duration::ZERO).await.expect("its link stands");
                        tell.send(()).await.expect("somebody waits for it");
                    }
                    Ok(None) => return,
                    Err(_) => node.ping().await.expect("its link stands"),
                }
            }
        });
        Self { expects, has }
    }
}
