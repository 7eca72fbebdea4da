//! The program as its user runs it: processes, exit codes, signals, files. Here is what its tests share: stores whose
//! objects can be looked at as files.

mod answers;
mod choices;
mod commands;
mod completions;
mod contracts;
mod crash;
mod dbless;
mod doctor;
mod documents;
mod drill;
mod emergency;
mod exec;
mod exec_starts;
mod files;
mod healthcheck;
mod images;
mod importing;
mod keys;
mod listening;
mod looking;
mod memory;
mod messages;
mod mistaken_places;
mod notifications;
mod older_stores;
mod origins;
mod own_schemas;
mod peculiar;
mod reload;
mod several;
mod status;
mod stored;
mod terminal;
mod thinned;
mod tickets;
mod upgraded;
mod verified;

use std::path::PathBuf;

use lifeboat_fakes::store::{S3Store, S3StoreOptions};
use lifeboat_tests::cluster::{Cluster, VERSION, configuration, identity, relay_address, write_credentials};
use lifeboat_tests::program::Invocation;
use tempfile::TempDir;

const BUCKET: &str = "kong";
const ACCESS_KEY: &str = "AKIDLIFEBOAT";
const SECRET_KEY: &str = "wonderful-storage-secret";

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
