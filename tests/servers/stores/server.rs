//! A store as processes in one group, with a folder in which it keeps everything. What is asked of it is elsewhere.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use lifeboat::settings::{Source, StoreSettings};
use lifeboat_storage::Storage;
use lifeboat_tests::program::Invocation;
use rustix::process::{Signal, kill_process_group};
use rusty_s3::{Credentials, S3Action, UrlStyle};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::sleep;

use crate::azurite;
use crate::installed::{Server, installed, of_repository};

const BUCKET: &str = "kong-backups";
/// Some renewals of a lease, in which Azurite's index changes.
const SAVES_WITHIN: Duration = Duration::from_secs(120);

/// Which store it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Azurite,
    Ceph,
    FakeGcs,
    JuiceFs,
    Rclone,
    S3rver,
    Swift,
}

/// A store.
pub(super) struct Store {
    kind: Kind,
    folder: TempDir,
    port: u16,
    server: Option<Server>,
}

impl Kind {
    /// As `start` calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Azurite => "azurite",
            Self::Ceph => "ceph",
            Self::FakeGcs => "fake_gcs",
            Self::JuiceFs => "juicefs",
            Self::Rclone => "rclone",
            Self::S3rver => "s3rver",
            Self::Swift => "swift",
        }
    }

    /// The access key and its secret, where there are some.
    fn access_key(self) -> (&'static str, &'static str) {
        match self {
            // The only one that it has.
            Self::S3rver => ("S3RVER", "S3RVER"),
            Self::Swift => ("test:lifeboat", "lifeboat-secret"),
            _ => ("lifeboat", "lifeboat-secret"),
        }
    }

    /// The access key of a user who may use the store and has no right to this bucket, where there are users.
    pub(super) fn stranger(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Ceph => Some(("stranger", "stranger-secret")),
            Self::Swift => Some(("test:stranger", "stranger-secret")),
            _ => None,
        }
    }
}

impl Store {
    /// Starts it, empty, with a bucket.
    ///
    /// # Panics
    /// When it can't be started: a server that is missing is a failure.
    pub(super) async fn start(kind: Kind) -> Self {
        // Not where temporary files are: that may be memory, on which BlueStore and Swift's attributes of files don't work.
        let folder = tempfile::tempdir_in(installed("stores")).expect("there is room for a folder");
        let mut store = Self { kind, folder, port: free_port(), server: None };
        store.come_back().await;
        store.create_bucket().await;
        store
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// The settings with which an exporter gets in.
    pub(super) fn settings(&self) -> Vec<(String, String)> {
        let place = |scheme: &str| format!("{scheme}://{BUCKET}/backups/edge");
        let (id, secret) = self.kind.access_key();
        let settings = match self.kind {
            Kind::Azurite => return azurite::settings_with_the_key(&azurite::endpoint_at(&self.address())),
            Kind::FakeGcs => {
                vec![("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", place("gs")), ("STORAGE_EMULATOR_HOST", self.address())]
            }
            _ => vec![
                ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", place("s3")),
                ("AWS_CONFIG_STORAGE_ENDPOINT", self.address()),
                ("AWS_ACCESS_KEY_ID", id.to_owned()),
                ("AWS_SECRET_ACCESS_KEY", secret.to_owned()),
            ],
        };
        settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Tells the program to get in so.
    pub(super) fn given_to(&self, invocation: Invocation) -> Invocation {
        self.settings().into_iter().fold(invocation, |invocation, (name, value)| invocation.with(name, value))
    }

    /// The store as this process sees it.
    pub(super) fn storage(&self) -> Storage {
        let settings = StoreSettings::read_alone(&Source::from_environment(self.settings()));
        let settings = settings.unwrap_or_else(|problems| panic!("{problems}"));
        Storage::open(&settings.location()).expect("it can be opened")
    }

    /// Waits until what it has acknowledged so far would survive a kill. Azurite alone keeps its index in memory and saves it
    /// every 5 s, if it has changed, as it does with each renewal of a lease.
    ///
    /// # Panics
    /// When Azurite saves nothing.
    pub(super) async fn has_saved(&self) {
        if self.kind != Kind::Azurite {
            return;
        }
        let index = self.data().join("files/__azurite_db_blob__.json");
        let saved_at = || std::fs::metadata(&index).and_then(|found| found.modified()).ok();
        let begun = SystemTime::now();
        while saved_at().is_none_or(|saved| saved <= begun) {
            assert!(begun.elapsed().unwrap_or_default() < SAVES_WITHIN, "{} is not saved", index.display());
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// SIGKILL, to all its processes.
    ///
    /// # Panics
    /// When it does not run.
    pub(super) async fn kill(&mut self) {
        let server = self.server.take().expect("it runs");
        kill_process_group(server.id(), Signal::KILL).expect("it runs");
        server.ends().await;
    }

    /// Starts it again with what it had on disk.
    ///
    /// # Panics
    /// When it can't be started.
    pub(super) async fn come_back(&mut self) {
        let mut command = Command::new(of_repository("tests/servers/stores/start"));
        command.arg(self.kind.name()).arg(self.data()).arg(self.port.to_string()).process_group(0);
        self.server = Some(Server::start(command, "ready").await);
    }

    /// Loses it with all that it had, and starts another one in its place, which is empty.
    ///
    /// # Panics
    /// When it does not run, or can't be started.
    pub(super) async fn is_replaced_by_an_empty_one(&mut self) {
        self.kill().await;
        std::fs::remove_dir_all(self.data()).expect("nobody writes there any more");
        self.come_back().await;
        self.create_bucket().await;
    }

    /// SIGSTOP or SIGCONT, to all its processes: connections stay open and nobody answers.
    ///
    /// # Panics
    /// When it does not run.
    pub(super) fn signal(&self, signal: Signal) {
        let server = self.server.as_ref().expect("it runs");
        kill_process_group(server.id(), signal).expect("it runs");
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    async fn create_bucket(&self) {
        match self.kind {
            Kind::Azurite => azurite::create_container(&azurite::endpoint_at(&self.address())).await,
            Kind::Ceph | Kind::Swift => {
                let (id, secret) = self.kind.access_key();
                let address = self.address().parse().expect("an address");
                let bucket = rusty_s3::Bucket::new(address, UrlStyle::Path, BUCKET, "us-east-1").expect("a bucket");
                let link = bucket.create_bucket(&Credentials::new(id, secret)).sign(Duration::from_secs(300));
                let answer = reqwest::Client::new().put(link).send().await.expect("it answers");
                let status = answer.status();
                assert!(status.is_success(), "{status}: {}", answer.text().await.unwrap_or_default());
            }
            // `start` gives these one.
            Kind::FakeGcs | Kind::JuiceFs | Kind::Rclone | Kind::S3rver => {}
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            // It may have ended by itself, which the test has noticed.
            let _ = kill_process_group(server.id(), Signal::KILL);
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    listener.local_addr().expect("it has an address").port()
}
