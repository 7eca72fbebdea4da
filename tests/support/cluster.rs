//! A cluster as the program gets it: its certificate as two files, and a control plane at the socket.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use lifeboat_fakes::certificate::{ClusterCertificate, Credentials};
use lifeboat_fakes::control_plane::{ControlPlane, ControlPlaneOptions};
use lifeboat_fakes::message::Configuration;
use lifeboat_fakes::node::{Node, NodeOptions};
use lifeboat_link::tls::{Identity, client_config_shared, server_config_shared};
use tempfile::TempDir;

use super::generator;
use super::program::{Invocation, Running, lifeboat};

/// The version that control plane and nodes have.
pub const VERSION: &str = "3.9.1";

/// A cluster with the certificate of `kong hybrid gen_cert`, as two files, and its control plane.
pub struct Cluster {
    folder: TempDir,
    /// The cluster certificate, a file.
    pub certificate: PathBuf,
    /// Its private key, a file.
    pub key: PathBuf,
    /// What its members prove with both.
    pub identity: Identity,
    /// Alive, with nothing to send yet.
    pub control_plane: ControlPlane,
}

impl Cluster {
    /// Starts it.
    ///
    /// # Panics
    /// When the system gives no folder or port.
    pub async fn start() -> Self {
        Self::of(VERSION).await
    }

    /// The same with a control plane of another version.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub async fn of(version: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let credentials = ClusterCertificate::version_1(SystemTime::now());
        let (certificate, key) = write_credentials(folder.path(), "cluster", &credentials);
        let identity = identity(&credentials);
        let tls = server_config_shared(&[identity.leaf().der().clone()], &identity).unwrap();
        let control_plane =
            ControlPlane::start(ControlPlaneOptions { version: version.to_owned(), ..ControlPlaneOptions::new(tls) });
        let control_plane = control_plane.await.unwrap();
        Self { folder, certificate, key, identity, control_plane }
    }

    /// A place for a test's own files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A start of the program as a member of this cluster.
    pub fn lifeboat<const N: usize>(&self, arguments: [&str; N]) -> Invocation {
        lifeboat(arguments)
            .with("KONG_VERSION", VERSION)
            .with("KONG_CLUSTER_CERT", &self.certificate)
            .with("KONG_CLUSTER_CERT_KEY", &self.key)
            .with("KONG_CLUSTER_CONTROL_PLANE", self.control_plane.address().to_string())
            .with("LIFEBOAT_RELAY_LISTEN", "127.0.0.1:0")
            .with("LIFEBOAT_HTTP_LISTEN", "127.0.0.1:0")
    }

    /// Lets the control plane send a generated configuration with so many services, and gives its hash.
    ///
    /// # Panics
    /// When the generator makes none.
    pub fn push_generated(&self, services: usize) -> String {
        let message = generator::reconfigure_message(&generator::configuration(services));
        let hash = configuration(&message).hash;
        self.control_plane.push(message.into());
        hash
    }

    /// An empty data plane of this cluster that connects to `relay`.
    pub fn node(&self, relay: SocketAddr) -> Node {
        Node::start(NodeOptions::new(relay, client_config_shared(&self.identity)))
    }
}

/// What these credentials prove.
///
/// # Panics
/// When they aren't credentials.
pub fn identity(credentials: &Credentials) -> Identity {
    Identity::from_pem(credentials.certificate_pem.as_bytes(), credentials.key_pem.as_bytes()).unwrap()
}

/// Writes credentials into two files, and says where.
///
/// # Panics
/// When they can't be written.
pub fn write_credentials(folder: &Path, name: &str, credentials: &Credentials) -> (PathBuf, PathBuf) {
    let paths = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
    std::fs::write(&paths.0, &credentials.certificate_pem).unwrap();
    std::fs::write(&paths.1, &credentials.key_pem).unwrap();
    paths
}

/// The configuration in a recorded or generated message.
///
/// # Panics
/// When there is none.
pub fn configuration(message: &[u8]) -> Configuration {
    Configuration::from_message(message).unwrap()
}

/// Where a started relay listens.
///
/// # Panics
/// When it ends without saying so.
pub async fn relay_address(running: &Running) -> SocketAddr {
    let line = running.says("the relay listens on ").await;
    let address = line.split("the relay listens on ").nth(1).and_then(|rest| rest.split(": ").next());
    address.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("no address in {line:?}"))
}
