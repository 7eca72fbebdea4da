//! The program as its user runs it: processes, exit codes, signals, files. Here is what its tests share: a cluster that is
//! given to it as certificate files, and stores whose objects can be looked at as files.

mod commands;
mod crash;
mod keys;
mod memory;
mod messages;
mod stored;
mod tickets;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use lifeboat::rehearsal::certificate::{ClusterCertificate, Credentials};
use lifeboat::rehearsal::control_plane::{ControlPlane, ControlPlaneOptions};
use lifeboat::rehearsal::message::Configuration;
use lifeboat::rehearsal::node::{Node, NodeOptions};
use lifeboat::rehearsal::store::{S3Store, S3StoreOptions};
use lifeboat::tls::{Identity, client_config_shared, server_config_shared};
use lifeboat_tests::program::{Invocation, Running, lifeboat};
use tempfile::TempDir;

const VERSION: &str = "3.9.1";
const BUCKET: &str = "kong";
const ACCESS_KEY: &str = "AKIDLIFEBOAT";
const SECRET_KEY: &str = "wonderful-storage-secret";

/// A cluster with the certificate of `kong hybrid gen_cert`, as two files, and its control plane.
struct Cluster {
    folder: TempDir,
    certificate: PathBuf,
    key: PathBuf,
    identity: Identity,
    control_plane: ControlPlane,
}

impl Cluster {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let credentials = ClusterCertificate::version_1(SystemTime::now());
        let (certificate, key) = write_credentials(folder.path(), "cluster", &credentials);
        let identity = identity(&credentials);
        let tls = server_config_shared(&[identity.leaf().der().clone()], &identity).unwrap();
        let control_plane = ControlPlane::start(ControlPlaneOptions::new(tls)).await.unwrap();
        Self { folder, certificate, key, identity, control_plane }
    }

    /// A place for a test's own files.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A start of the program as a member of this cluster.
    fn lifeboat<const N: usize>(&self, arguments: [&str; N]) -> Invocation {
        lifeboat(arguments)
            .with("KONG_VERSION", VERSION)
            .with("KONG_CLUSTER_CERT", &self.certificate)
            .with("KONG_CLUSTER_CERT_KEY", &self.key)
            .with("KONG_CLUSTER_CONTROL_PLANE", self.control_plane.address().to_string())
            .with("LIFEBOAT_RELAY_LISTEN", "127.0.0.1:0")
    }

    /// An empty data plane of this cluster that connects to `relay`.
    fn node(&self, relay: SocketAddr) -> Node {
        Node::start(NodeOptions::new(relay, client_config_shared(&self.identity)))
    }
}

/// A store, and the folder in which its objects lie as files.
struct Store {
    objects: PathBuf,
    settings: Vec<(&'static str, String)>,
    /// What answers requests, where it isn't the folder itself.
    server: Option<S3Store>,
    _folder: TempDir,
}

impl Store {
    fn folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let objects = folder.path().join("backups");
        let settings = vec![("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", format!("file://{}", objects.display()))];
        Self { objects, settings, server: None, _folder: folder }
    }

    async fn s3() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = S3StoreOptions {
            folder: folder.path().to_owned(),
            bucket: BUCKET.to_owned(),
            access_key: ACCESS_KEY.to_owned(),
            secret_key: SECRET_KEY.to_owned(),
        };
        let server = S3Store::start(&options).await.unwrap();
        let settings = vec![
            ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", format!("s3://{BUCKET}/backups")),
            ("AWS_CONFIG_STORAGE_ENDPOINT", server.endpoint()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
        ];
        let objects = folder.path().join(BUCKET).join("backups");
        Self { objects, settings, server: Some(server), _folder: folder }
    }

    /// Tells the program of this store.
    fn given_to(&self, invocation: Invocation) -> Invocation {
        self.settings.iter().fold(invocation, |invocation, (variable, value)| invocation.with(variable, value))
    }

    fn config_json(&self) -> PathBuf {
        self.objects.join(VERSION).join("config.json")
    }

    fn manifest_json(&self) -> PathBuf {
        self.objects.join(VERSION).join("lifeboat/manifest.json")
    }
}

fn identity(credentials: &Credentials) -> Identity {
    Identity::from_pem(credentials.certificate_pem.as_bytes(), credentials.key_pem.as_bytes()).unwrap()
}

fn write_credentials(folder: &Path, name: &str, credentials: &Credentials) -> (PathBuf, PathBuf) {
    let paths = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
    std::fs::write(&paths.0, &credentials.certificate_pem).unwrap();
    std::fs::write(&paths.1, &credentials.key_pem).unwrap();
    paths
}

fn configuration(message: &[u8]) -> Configuration {
    Configuration::from_message(message).unwrap()
}

/// Where a started relay listens.
async fn relay_address(running: &Running) -> SocketAddr {
    let line = running.says("the relay listens on ").await;
    let address = line.split("the relay listens on ").nth(1).and_then(|rest| rest.split(": ").next());
    address.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("no address in {line:?}"))
}
