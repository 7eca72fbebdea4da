//! A small world: one cluster with its control plane, an S3 store, and as much of Lifeboat as a scenario needs. All of it
//! is real at the socket: mutual TLS, signed requests, ports that the system chose. Lifeboat's settings are read from
//! variables as in production; only what Kong counts in many seconds is shortened.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::panicking;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use lifeboat::archive::{Archive, Author, Operator, Stores, Terms};
use lifeboat::companion::Companion;
use lifeboat::export::{BackupNode, Exporter, Headless, NodeObservations};
use lifeboat::observation::RelayRecorder;
use lifeboat::relay::{Relay, RelayView};
use lifeboat::settings::{RelaySettings, RunSettings, Source};
use lifeboat_core::export::Received;
use lifeboat_core::kong::reconfigure::{DEFAULT_MAX_CONFIG, decode};
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::{self, Manifest, State};
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_fakes::certificate::{Authority, CLUSTER_NAME, ClusterCertificate, Credentials};
use lifeboat_fakes::control_plane::{ControlPlane, ControlPlaneOptions, ControlPlaneState};
use lifeboat_fakes::message::Configuration;
use lifeboat_fakes::node::NodeOptions;
use lifeboat_fakes::store::{S3Store, S3StoreOptions};
use lifeboat_link::Address;
use lifeboat_link::tls::{
    Authorities, AuthoritySource, Identity, NodeNames, client_config_pki, client_config_shared, server_config_pki,
    server_config_shared,
};
use lifeboat_runtime::clock::Clock;
use rustls::ClientConfig;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::log::Log;
use super::program::{Invocation, lifeboat};
use super::stage::Actor;

/// The version that control plane and nodes have.
pub const VERSION: KongVersion = KongVersion::new(3, 9, 1);
/// What the key of each snapshot has in it: its payload's and its manifest's, of which a restore reads the former.
pub const SNAPSHOTS: &str = "/lifeboat/snapshots/";
/// The secret of the store's access key.
pub const STORE_SECRET: &str = "wonderful-storage-secret";

const BUCKET: &str = "kong";
const PREFIX: &str = "backups/edge";
/// Instead of Kong's 5 to 10 s.
const RECONNECT: Range<Duration> = Duration::from_millis(50)..Duration::from_millis(100);

/// The world.
pub struct World {
    /// The control plane: alive, with nothing to send yet.
    pub control_plane: ControlPlane,
    /// The store: empty.
    pub store: S3Store,
    /// What Lifeboat logs.
    pub log: Log,
    /// The cluster certificate; in a world with an authority, the nodes'.
    pub certificate: Credentials,
    node_tls: Arc<ClientConfig>,
    server_name: &'static str,
    settings: BTreeMap<&'static str, String>,
    folder: TempDir,
    clock: Clock,
}

impl World {
    /// A world in which all members have the one cluster certificate.
    pub async fn begin() -> Self {
        Self::begin_with(|_| {}).await
    }

    /// The same, with another control plane.
    pub async fn begin_with(change: impl FnOnce(&mut ControlPlaneOptions)) -> Self {
        let certificate = ClusterCertificate::version_1(SystemTime::now());
        let identity = identity(&certificate);
        let tls = server_config_shared(&[identity.leaf().der().clone()], &identity);
        let mut options = ControlPlaneOptions::new(tls.expect("one certificate is accepted"));
        change(&mut options);
        Self::with(options, certificate, client_config_shared(&identity), CLUSTER_NAME, &[]).await
    }

    /// A world with `cluster_mtls=pki`: one authority; control plane, relay and nodes each have a certificate of it.
    pub async fn with_authority(authority: &Authority) -> Self {
        Self::with_authority_and(authority, |name, valid| authority.issue(name, &[name, "127.0.0.1"], valid)).await
    }

    /// The same with the nodes' certificate made otherwise.
    pub async fn with_authority_and(
        authority: &Authority,
        issue_to_node: impl FnOnce(&str, Range<SystemTime>) -> Credentials,
    ) -> Self {
        let day = Duration::from_secs(24 * 60 * 60);
        let issue = |name: &str| {
            let valid = SystemTime::now() - day..SystemTime::now() + day;
            authority.issue(name, &[name, "127.0.0.1"], valid)
        };
        let ca = authority.certificate_pem();
        let trusted = Authorities::new([AuthoritySource::Pem(ca.as_bytes())]).expect("an authority is one");
        let of_control_plane = identity(&issue("cp.example.com"));
        let tls = server_config_pki(&trusted, NodeNames::Any, &of_control_plane);
        let valid = SystemTime::now() - day..SystemTime::now() + day;
        let (of_node, of_relay) = (issue_to_node("dp.example.com", valid), issue("relay.example.com"));
        let node_tls = client_config_pki(&trusted, &identity(&of_node));
        let settings = [
            ("KONG_CLUSTER_MTLS", "pki".to_owned()),
            ("KONG_CLUSTER_CA_CERT", ca),
            ("KONG_CLUSTER_CERT", of_relay.certificate_pem),
            ("KONG_CLUSTER_CERT_KEY", of_relay.key_pem),
            ("KONG_CLUSTER_SERVER_NAME", "cp.example.com".to_owned()),
        ];
        Self::with(ControlPlaneOptions::new(tls), of_node, node_tls, "relay.example.com", &settings).await
    }

    async fn with(
        options: ControlPlaneOptions,
        certificate: Credentials,
        node_tls: Arc<ClientConfig>,
        server_name: &'static str,
        changed: &[(&'static str, String)],
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (access_key, secret_key) = ("AKIDLIFEBOAT".to_owned(), STORE_SECRET.to_owned());
        let in_store =
            S3StoreOptions { folder: folder.path().to_owned(), bucket: BUCKET.to_owned(), access_key, secret_key };
        let store = S3Store::start(&in_store).await.expect("the store starts");
        let control_plane = ControlPlane::start(options).await.expect("the control plane starts");
        let mut settings = BTreeMap::from([
            ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", format!("s3://{BUCKET}/{PREFIX}")),
            ("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT", "on".to_owned()),
            ("KONG_CLUSTER_FALLBACK_CONFIG_IMPORT", "on".to_owned()),
            ("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT_DELAY", "0".to_owned()),
            ("KONG_VERSION", VERSION.to_string()),
            ("KONG_CLUSTER_CONTROL_PLANE", control_plane.address().to_string()),
            ("KONG_CLUSTER_CERT", certificate.certificate_pem.clone()),
            ("KONG_CLUSTER_CERT_KEY", certificate.key_pem.clone()),
            ("LIFEBOAT_RELAY_LISTEN", "127.0.0.1:0".to_owned()),
            ("LIFEBOAT_HTTP_LISTEN", "127.0.0.1:0".to_owned()),
            ("AWS_CONFIG_STORAGE_ENDPOINT", store.endpoint()),
            ("AWS_ACCESS_KEY_ID", in_store.access_key.clone()),
            ("AWS_SECRET_ACCESS_KEY", in_store.secret_key.clone()),
        ]);
        settings.extend(changed.iter().cloned());
        let (log, clock) = (Log::current(), Clock::start());
        Self { control_plane, store, log, certificate, node_tls, server_name, settings, folder, clock }
    }

    /// Gives Lifeboat another setting, for what is started from now on.
    pub fn set(&mut self, variable: &'static str, value: impl Into<String>) {
        self.settings.insert(variable, value.into());
    }

    /// Lifeboat's settings, read as `lifeboat run` reads them.
    ///
    /// # Panics
    /// With everything that is wrong with them.
    pub fn settings(&self) -> RunSettings {
        let variables = self.settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        RunSettings::read(&Source::from_environment(variables)).unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// A start of the program in this world.
    pub fn program<const N: usize>(&self, arguments: [&str; N]) -> Invocation {
        let start = lifeboat(arguments);
        self.settings.iter().fold(start, |start, (variable, value)| start.with(variable, value))
    }

    /// The archive in the store.
    pub fn archive(&self) -> Archive {
        Archive::open(&self.settings().store).expect("an S3 archive opens without a request")
    }

    /// An operator at the store.
    pub fn operator(&self) -> Operator {
        Operator::new(self.archive())
    }

    /// Starts a backup node: the headless session and the exporter.
    pub fn backup(&self) -> Backup {
        let settings = self.settings();
        let keep = settings.keep.into_iter().next().expect("export is on");
        let archive = Archive::open(&settings.store).expect("an S3 archive opens without a request");
        let (node, stop) = (BackupNode::new(keep.version), CancellationToken::new());
        let exporter = Exporter::new(archive, &node, keep.rules, self.clock).electing(keep.election);
        let (cluster, limit) = (Arc::new(settings.cluster), settings.store.max_config);
        let headless = Headless::new(cluster, keep, node.clone(), limit, self.clock).expect("its settings are valid");
        let exporting = tokio::spawn(exporter.run(headless.newest(), stop.clone()));
        Backup { id: node.id, session: tokio::spawn(headless.run()), exporting, stop }
    }

    /// Starts a relay whose links to the control plane are tried again after 50 to 100 ms.
    pub async fn relay(&self) -> RunningRelay {
        self.relay_with(|settings| settings.rules.retry = (RECONNECT.start, RECONNECT.end)).await
    }

    /// Starts a relay with settings as they were read, then changed.
    pub async fn relay_with(&self, change: impl FnOnce(&mut RelaySettings)) -> RunningRelay {
        let mut settings = self.settings();
        change(settings.relay.as_mut().expect("import is on"));
        self.start_relay(settings).await
    }

    /// Starts a relay that listens here and whose control plane is there, past the settings' own check that the two
    /// differ: as it is when a name hides it.
    pub async fn relay_to(&self, control_plane: Address, listen: SocketAddr) -> RunningRelay {
        let mut settings = self.settings();
        settings.cluster.control_plane.address = control_plane;
        settings.relay.as_mut().expect("import is on").listen = listen;
        self.start_relay(settings).await
    }

    async fn start_relay(&self, settings: RunSettings) -> RunningRelay {
        let archive = Stores::open_awaited(&settings.store).expect("an S3 archive opens without a request");
        let relay = settings.relay.expect("import is on");
        let stop = CancellationToken::new();
        let (cluster, witnesses, metrics) =
            (Arc::new(settings.cluster), NodeObservations::default(), RelayRecorder::default());
        let relay = Relay::bind(relay, cluster, archive, witnesses, self.clock, stop.clone(), metrics);
        let relay = relay.await.expect("its address is free");
        let (address, view) = (relay.address(), relay.view());
        RunningRelay { address, view, stop, running: tokio::spawn(relay.run()) }
    }

    /// Starts all that `lifeboat run` starts, with settings as they were read.
    pub async fn companion(&self) -> Companion {
        Companion::start(self.settings(), self.clock).await.expect("it starts")
    }

    /// A node of this cluster that connects to this address: Kong's behaviour, a hundred times as fast.
    pub fn node_options(&self, to: SocketAddr) -> NodeOptions {
        let ms = Duration::from_millis;
        let mut options = NodeOptions::new(to, self.node_tls.clone());
        options.server_name = self.server_name.to_owned();
        NodeOptions { reconnect: RECONNECT, ping_interval: ms(300), poll_interval: ms(10), ..options }
    }

    /// Starts an empty node.
    pub fn node(&self, to: SocketAddr) -> Actor {
        Actor::start(self.node_options(to))
    }

    /// The nodes' side of TLS.
    pub fn node_tls(&self) -> Arc<ClientConfig> {
        self.node_tls.clone()
    }

    /// Puts a message's configuration into the store as the newest, as an exporter would.
    pub async fn keep(&self, message: &[u8]) {
        self.keep_in(&self.archive(), message).await;
    }

    /// The same in another store.
    pub async fn keep_in(&self, archive: &Archive, message: &[u8]) {
        let message = decode(message, DEFAULT_MAX_CONFIG).expect("what is kept is a configuration");
        let (configuration, config_hash, hashes) = (message.configuration, message.config_hash, message.hashes);
        let received = Received { configuration, config_hash, hashes, at: self.clock.wall(), source: None };
        let (node_id, hostname, lifeboat) = ("earlier".to_owned(), "earlier".to_owned(), "0".to_owned());
        let author = Author { exporter: manifest::Exporter { node_id, hostname, lifeboat }, version: VERSION };
        let over = archive.current_manifest(VERSION).await.expect("the store is there");
        let terms = Terms { epoch: 1, state: State::Received, pin: None, last_seen: None };
        archive.publish(&author, &received, &over, &terms, self.clock.wall()).await.expect("the store is there");
    }

    /// Where the object with this key (without the prefix) lies on disk.
    pub fn path_of(&self, key: &str) -> PathBuf {
        self.folder.path().join(BUCKET).join(PREFIX).join(key)
    }

    /// An object's bytes.
    ///
    /// # Panics
    /// When there is none.
    pub fn object(&self, key: &str) -> Vec<u8> {
        std::fs::read(self.path_of(key)).unwrap_or_else(|error| panic!("{key}: {error}"))
    }

    /// Waits until there is an object with this key.
    ///
    /// # Panics
    /// When none comes for a minute.
    pub async fn wait_for_object(&self, key: &str) {
        let path = self.path_of(key);
        let is_there = async {
            while !path.exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let came = tokio::time::timeout(Duration::from_secs(60), is_there).await;
        came.unwrap_or_else(|_| panic!("there is no {key}, but {:?}", self.keys()));
    }

    /// The keys of all objects, sorted.
    pub fn keys(&self) -> Vec<String> {
        let top = self.path_of("");
        let (mut folders, mut keys) = (vec![top.clone()], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.expect("the folder can be listed").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    keys.push(path.strip_prefix(&top).expect("it lies below").display().to_string());
                }
            }
        }
        keys.sort();
        keys
    }

    /// The keys of all objects but those by which exporters elect the one that leads.
    pub fn kept(&self) -> Vec<String> {
        self.keys().into_iter().filter(|key| !key.contains("/election/")).collect()
    }

    /// The published manifest.
    ///
    /// # Panics
    /// When there is none.
    pub fn manifest(&self) -> Manifest {
        Manifest::decode(&self.object(&ObjectKeys::new(VERSION).manifest())).expect("what is published can be read")
    }

    /// Waits until the control plane has seen this node confirm this configuration.
    pub async fn confirmed(&self, node_id: &str, configuration: &Configuration) -> ControlPlaneState {
        let confirmed = |scene: &ControlPlaneState| {
            scene.node(node_id).is_some_and(|node| node.hash() == Some(&*configuration.hash))
        };
        self.control_plane.wait_for(confirmed).await
    }

    /// Waits until an exporter has published this configuration and written all that belongs to it.
    pub async fn published(&self, configuration: &Configuration) {
        self.log.wait_for(&["published configuration", &configuration.hash]).await;
    }

    /// Brings the control plane back after it was stopped.
    pub async fn control_plane_comes_back(&self) {
        // Another scenario may have been given the port for a moment.
        while let Err(error) = self.control_plane.come_back().await {
            assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse, "{error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if panicking() {
            let events = self.control_plane.state().events;
            let events: Vec<String> = events.iter().map(|event| format!("{event:?}")).collect();
            eprintln!("--- the control plane saw\n{}", events.join("\n"));
            eprintln!("--- the store has {:?} and was asked {:?}", self.keys(), self.store.counts());
        }
    }
}

/// A running backup node. Dropping it ends it abruptly.
pub struct Backup {
    /// The id under which the control plane knows it.
    pub id: String,
    session: JoinHandle<()>,
    exporting: JoinHandle<()>,
    stop: CancellationToken,
}

impl Backup {
    /// Tells it to stop, as a signal would; returns when what was waiting has been written.
    pub async fn stop(mut self) {
        self.session.abort();
        self.stop.cancel();
        (&mut self.exporting).await.expect("an exporter does not panic");
    }
}

impl Drop for Backup {
    fn drop(&mut self) {
        self.session.abort();
        self.exporting.abort();
    }
}

/// A running relay. Dropping it ends it.
pub struct RunningRelay {
    /// Where it listens.
    pub address: SocketAddr,
    /// What can be seen of it.
    pub view: RelayView,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Drop for RunningRelay {
    fn drop(&mut self) {
        self.stop.cancel();
        self.running.abort();
    }
}

/// What a message says, read by the cast and not by the product.
///
/// # Panics
/// When it is none.
pub fn configuration(message: &Bytes) -> Configuration {
    Configuration::from_message(message).expect("it is a configuration")
}

/// What a control plane with a fresh database sends: a workspace and parameters (KONG.md section 1).
pub fn of_a_lost_database() -> Configuration {
    let table = r#"{"_format_version":"3.0","_transform":false,"workspaces":[{"id":"w"}],"parameters":[]}"#;
    Configuration { table: table.into(), hash: "0123456789abcdef0123456789abcdef".to_owned() }
}

fn identity(credentials: &Credentials) -> Identity {
    let identity = Identity::from_pem(credentials.certificate_pem.as_bytes(), credentials.key_pem.as_bytes());
    identity.expect("the cast makes pairs")
}
