//! A cluster with a store and one backup in it, for measuring a relay: the program itself, a store that counts requests.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use lifeboat_fakes::store::{S3Store, S3StoreOptions};
use object_store::aws::{AmazonS3, AmazonS3Builder};

use super::Certificate;
use crate::cluster::{Cluster, configuration, relay_address};
use crate::generator;
use crate::program::{Invocation, Running};

const BUCKET: &str = "kong";
const ACCESS_KEY: &str = "AKIDLIFEBOAT";
const SECRET_KEY: &str = "wonderful-storage-secret";

/// What a node says that runs nothing.
pub const NOTHING: &str = lifeboat_fakes::node::EMPTY_HASH;

/// A cluster whose control plane has sent one configuration, which is kept, and is gone since.
pub struct Outage {
    /// Its control plane refuses connections.
    pub cluster: Cluster,
    /// Counts requests.
    pub store: S3Store,
    /// The message that the control plane has sent, a file.
    pub message: PathBuf,
    /// The hash in it.
    pub hash: String,
}

impl Outage {
    /// Begins it, with a configuration of so many services and as many routes.
    ///
    /// # Panics
    /// When the program does not keep it.
    pub async fn begin(services: usize) -> Self {
        let cluster = Cluster::start().await;
        let message = Bytes::from(generator::reconfigure_message(&generator::configuration(services)));
        let (path, hash) = (cluster.path("message"), configuration(&message).hash);
        std::fs::write(&path, &message).expect("a file can be written");
        let folder = cluster.path("store");
        std::fs::create_dir(&folder).expect("a folder can be made");
        let (access_key, secret_key) = (ACCESS_KEY.to_owned(), SECRET_KEY.to_owned());
        let options = S3StoreOptions { folder, bucket: BUCKET.to_owned(), access_key, secret_key };
        let store = S3Store::start(&options).await.expect("the store starts");
        let outage = Self { cluster, store, message: path, hash };
        outage.cluster.control_plane.push(message);
        let kept = outage.with_store(outage.cluster.lifeboat(["export"])).finish().await;
        assert_eq!(kept.code, Some(0), "{kept}");
        outage.cluster.control_plane.stop().await;
        outage
    }

    /// The cluster's certificate.
    pub fn certificate(&self) -> Certificate<'_> {
        Certificate { certificate: &self.cluster.certificate, key: &self.cluster.key }
    }

    /// The folder in which the store has its objects.
    pub fn objects(&self) -> PathBuf {
        self.cluster.path("store").join(BUCKET).join("backups")
    }

    /// The store, by the library that the program uses too, and nothing else between.
    ///
    /// # Panics
    /// When the library wants more than that.
    pub fn bare_store(&self) -> AmazonS3 {
        let builder = AmazonS3Builder::new()
            .with_endpoint(self.store.endpoint())
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_bucket_name(BUCKET)
            .with_access_key_id(ACCESS_KEY)
            .with_secret_access_key(SECRET_KEY);
        builder.build().expect("it has all that it needs")
    }

    /// Starts a relay before the control plane that is gone.
    pub async fn relay(&self, listen: &str) -> (Running, SocketAddr) {
        started(self.invocation(listen)).await
    }

    /// Starts a relay before this control plane.
    pub async fn relay_before(&self, control_plane: SocketAddr) -> (Running, SocketAddr) {
        started(self.invocation("127.0.0.1:0").with("KONG_CLUSTER_CONTROL_PLANE", control_plane.to_string())).await
    }

    /// Writes another message into a file.
    ///
    /// # Panics
    /// When it can't be written.
    pub fn message_of(&self, services: usize) -> PathBuf {
        let path = self.cluster.path(&format!("message-{services}"));
        std::fs::write(&path, generator::reconfigure_message(&generator::configuration(services)))
            .expect("a file can be written");
        path
    }

    fn invocation(&self, listen: &str) -> Invocation {
        let program = self.with_store(self.cluster.lifeboat(["run", "--import", "on"]));
        program.with("LIFEBOAT_RELAY_LISTEN", listen)
    }

    fn with_store(&self, program: Invocation) -> Invocation {
        program
            .with("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", format!("s3://{BUCKET}/backups"))
            .with("AWS_CONFIG_STORAGE_ENDPOINT", self.store.endpoint())
            .with("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .with("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    }
}

async fn started(program: Invocation) -> (Running, SocketAddr) {
    let relay = program.start();
    let address = relay_address(&relay).await;
    (relay, address)
}

/// How large a file is, in bytes.
///
/// # Panics
/// When it is not there.
pub fn size_of(path: &Path) -> u64 {
    std::fs::metadata(path).expect("it is there").len()
}
