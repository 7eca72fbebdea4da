//! A cluster, a store in a bucket, and the program in it.

use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::GzDecoder;
use lifeboat_core::frame::{Frame, Opcode};
use lifeboat_fakes::node::EMPTY_HASH as NOTHING;
use lifeboat_fakes::recorded;
use lifeboat_fakes::store::{S3Store, S3StoreOptions};
use lifeboat_link::tls::client_config_shared;
use lifeboat_tests::cluster::{Cluster, relay_address};
use lifeboat_tests::generator;
use lifeboat_tests::program::{Invocation, Running, Usage};
use lifeboat_tests::raw_node::RawNode;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::HUNG;

/// A version whose nodes cache the configuration as it is.
const EARLIER: &str = "2.8.5";
const BUCKET: &str = "kong";
const ACCESS_KEY: &str = "AKIDLIFEBOAT";
const SECRET_KEY: &str = "wonderful-storage-secret";
/// What such configurations need of nodes, in bytes.
const MAX_PAYLOAD: &str = "1073741824";
/// Much sooner than the 45 s after which a relay gives a node up.
const PING_EVERY: Duration = Duration::from_secs(10);
/// Nobody listens there.
const GONE: &str = "127.0.0.1:1";

/// What a control plane sends.
pub(crate) struct Given {
    message: Bytes,
    pub(crate) hash: String,
    pub(crate) json: usize,
}

impl Given {
    pub(crate) fn generate(consumers: usize, edition: u64) -> Self {
        let json = generator::consumers(consumers, edition);
        let message = Bytes::from(generator::reconfigure_message(&json));
        Self { hash: stated_hash(&message), message, json: json.len() }
    }

    pub(crate) fn compressed(&self) -> usize {
        self.message.len()
    }
}

/// The hash stands before the configuration.
fn stated_hash(message: &[u8]) -> String {
    let mut beginning = String::new();
    GzDecoder::new(message).take(200).read_to_string(&mut beginning).expect("a message begins with text");
    let (_, hash) = beginning.split_once(r#""config_hash":""#).expect("it states a hash");
    hash[..32].to_owned()
}

/// A node that was restored. Dropping it ends it.
pub(crate) struct Node(JoinHandle<()>);

impl Drop for Node {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// As Kong sends it, of a node that takes such configurations.
fn basic_info() -> Bytes {
    let mut info: Value = serde_json::from_slice(recorded::basic_info()).expect("it was recorded");
    info["process_conf"]["cluster_max_payload"] = MAX_PAYLOAD.parse::<u64>().expect("a number").into();
    info.to_string().into()
}

/// Says what it runs until its link ends, and when it was given this configuration.
async fn live(mut node: RawNode, hash: String, restored: oneshot::Sender<()>) {
    let (mut restored, mut runs) = (Some(restored), NOTHING.to_owned());
    loop {
        match timeout(PING_EVERY, node.next()).await {
            Ok(None) => return,
            Ok(Some(frame)) if frame.opcode == Opcode::Binary && stated_hash(&frame.payload) == hash => {
                runs.clone_from(&hash);
                restored.take().map(|restored| restored.send(()));
            }
            // A pong, which is no reason to ping again.
            Ok(Some(_)) => continue,
            Err(_) => {}
        }
        if node.send(Frame::ping(Bytes::from(runs.clone()))).await.is_err() {
            return;
        }
    }
}

pub(crate) struct Stage {
    cluster: Cluster,
    /// With a control plane of the earlier version.
    earlier: Cluster,
    store: S3Store,
}

impl Stage {
    pub(crate) async fn begin() -> Self {
        let (cluster, earlier) = (Cluster::start().await, Cluster::of(EARLIER).await);
        let folder = cluster.path("store");
        std::fs::create_dir(&folder).expect("a folder can be made");
        let (access_key, secret_key) = (ACCESS_KEY.to_owned(), SECRET_KEY.to_owned());
        let options = S3StoreOptions { folder, bucket: BUCKET.to_owned(), access_key, secret_key };
        let store = S3Store::start(&options).await.expect("the store starts");
        Self { cluster, earlier, store }
    }

    pub(crate) fn push(&self, given: &Given) {
        self.cluster.control_plane.push(given.message.clone());
    }

    pub(crate) fn exporter(&self) -> Running {
        let exporter = self.cluster.lifeboat(["run", "--export", "on", "--export-delay", "0"]);
        self.with_store(exporter).with("LIFEBOAT_ELECTION", "none").start()
    }

    /// A relay before a control plane that is gone.
    pub(crate) async fn relay(&self) -> (Running, SocketAddr) {
        let relay = self.with_store(self.cluster.lifeboat(["run", "--import", "on"]));
        let relay = relay.with("KONG_CLUSTER_CONTROL_PLANE", GONE).start();
        let address = relay_address(&relay).await;
        (relay, address)
    }

    /// Gives the message to an empty node, which then stays. Which one it is, its hash tells.
    pub(crate) async fn restored(&self, to: SocketAddr, given: &Given) -> Node {
        let tls = client_config_shared(&self.cluster.identity);
        let id = uuid::Uuid::new_v4().to_string();
        let mut node = RawNode::open(to, tls, &id).await.expect("the relay lets it in");
        node.send(Frame::binary(basic_info())).await.expect("the link stands");
        node.ping().await.expect("the link stands");

        let (restored, is_restored) = oneshot::channel();
        let node = Node(tokio::spawn(live(node, given.hash.clone(), restored)));
        timeout(HUNG, is_restored).await.expect("it is restored in time").expect("the link stands");
        node
    }

    /// A command to its end, which must be a good one.
    pub(crate) async fn command<const N: usize>(&self, arguments: [&str; N]) -> Usage {
        measured(self.with_store(self.cluster.lifeboat(arguments))).await
    }

    /// What the program takes that reads no configuration, in bytes.
    pub(crate) async fn program_itself(&self) -> u64 {
        self.command(["list"]).await.peak
    }

    /// Of the earlier version: one publication.
    pub(crate) async fn export_once(&self, given: &Given) -> Usage {
        self.earlier.control_plane.push(given.message.clone());
        let export = self.earlier.lifeboat(["export"]).with("KONG_VERSION", EARLIER);
        measured(self.with_store(export)).await
    }

    /// The same into the cache of a node that has not been started yet.
    pub(crate) async fn import(&self) -> Usage {
        let prefix = self.earlier.path("prefix");
        std::fs::create_dir(&prefix).expect("a folder can be made");
        let import = self.earlier.lifeboat(["import", "--always"]).with("KONG_VERSION", EARLIER);
        measured(self.with_store(import).with("KONG_PREFIX", prefix)).await
    }

    fn with_store(&self, program: Invocation) -> Invocation {
        program
            .with("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", format!("s3://{BUCKET}/backups"))
            .with("AWS_CONFIG_STORAGE_ENDPOINT", self.store.endpoint())
            .with("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .with("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .with("KONG_CLUSTER_MAX_PAYLOAD", MAX_PAYLOAD)
    }
}

async fn measured(program: Invocation) -> Usage {
    let (ended, usage) = program.measured().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    usage
}
