//! moto: an S3 that checks signatures and enforces IAM policies, with users who have those that are shipped in
//! `deploy/iam/`: `exporter`, `importer`, and `thinner`, an exporter who may thin its history too.

use lifeboat_tests::program::Invocation;
use serde_json::Value;
use tokio::process::Command;

use super::installed::{Server, installed, of_repository};

pub(crate) const BUCKET: &str = "kong-backups";
pub(crate) const PREFIX: &str = "backups/edge";

/// The server.
pub(crate) struct S3WithIam {
    facts: Value,
    _server: Server,
}

impl S3WithIam {
    pub(crate) async fn start() -> Self {
        Self::with_prefix(PREFIX).await
    }

    /// The same whose policies are about another prefix.
    pub(crate) async fn with_prefix(prefix: &str) -> Self {
        let policy = |user: &str, file: &str| format!("{user}={}", of_repository("deploy/iam").join(file).display());
        let mut command = Command::new(installed("python/bin/python"));
        command.arg(of_repository("tests/servers/s3_with_iam.py")).args([BUCKET, prefix]);
        command.args([policy("exporter", "s3-exporter.json"), policy("importer", "s3-importer.json")]);
        command.args([policy("thinner", "s3-exporter.json"), policy("thinner", "s3-thinning.json")]);
        Self::greets(command).await
    }

    /// An account with nothing in it, in which everybody may do everything until users are let in alone.
    pub(crate) async fn empty() -> Self {
        let mut command = Command::new(installed("python/bin/python"));
        command.arg(of_repository("tests/servers/s3_with_iam.py"));
        Self::greets(command).await
    }

    async fn greets(command: Command) -> Self {
        let server = Server::start(command, "endpoint").await;
        let facts = serde_json::from_str(&server.greeting).expect("the script prints JSON");
        Self { facts, _server: server }
    }

    pub(crate) fn endpoint(&self) -> &str {
        self.facts["endpoint"].as_str().expect("a text")
    }

    /// The settings with which `user` gets in.
    pub(crate) fn settings(&self, user: &str) -> Vec<(String, String)> {
        let text = |pointer: String| self.facts.pointer(&pointer).and_then(Value::as_str).expect("a text").to_owned();
        [
            ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", format!("s3://{BUCKET}/{PREFIX}")),
            ("AWS_CONFIG_STORAGE_ENDPOINT", self.endpoint().to_owned()),
            ("AWS_ACCESS_KEY_ID", text(format!("/users/{user}/access_key_id"))),
            ("AWS_SECRET_ACCESS_KEY", text(format!("/users/{user}/secret_access_key"))),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// Tells the program to get in as `user`.
    pub(crate) fn given_to(&self, invocation: Invocation, user: &str) -> Invocation {
        self.settings(user).into_iter().fold(invocation, |invocation, (name, value)| invocation.with(name, value))
    }
}
