//! The control plane's own schemas, fetched from its Admin API now and then and given to the exporter, which alone writes.
//! Slow or failing, they never hold up a configuration.

use std::time::Duration;

use lifeboat_core::backoff::Backoff;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_storage::StorageError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::admin::{Admin, AdminError};

/// They change with the control plane's plugins, which is seldom and takes a restart.
const EVERY: Duration = Duration::from_secs(600);
/// Until there is something published to keep them with.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// One request for each entity and plugin.
const FETCH_LIMIT: Duration = Duration::from_secs(120);

/// Schemas, and where the exporter answers whether there was something published to keep them with.
#[derive(Debug)]
pub(super) struct FetchedSchemas {
    pub(super) json: Vec<u8>,
    pub(super) answer: oneshot::Sender<Result<bool, StorageError>>,
}

/// The exporter's side.
#[derive(Debug)]
pub(super) struct SchemaIntake {
    fetched: mpsc::Receiver<FetchedSchemas>,
    // So that waiting never ends where nobody fetches any.
    sender: mpsc::Sender<FetchedSchemas>,
}

/// Fetches schemas.
#[derive(Debug)]
pub struct SchemaFetcher {
    admin: Admin,
    version: KongVersion,
    fetched: mpsc::Sender<FetchedSchemas>,
}

/// Why none were kept.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// The Admin API.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// It takes too long.
    #[error("LIFEBOAT_ADMIN_URL: its schemas took more than {} s", FETCH_LIMIT.as_secs())]
    Slow,
    /// The store.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// There is nobody to keep them.
    #[error("the exporter has ended")]
    Ended,
}

/// The schemas of the control plane that has this Admin API.
pub(super) async fn fetched(admin: &Admin) -> Result<Vec<u8>, NotKept> {
    Ok(timeout(FETCH_LIMIT, admin.schemas()).await.map_err(|_| NotKept::Slow)??)
}

impl Default for SchemaIntake {
    fn default() -> Self {
        let (sender, fetched) = mpsc::channel(1);
        Self { fetched, sender }
    }
}

impl SchemaIntake {
    /// The next schemas; loses none when it is dropped before they are ready.
    pub(super) async fn next(&mut self) -> FetchedSchemas {
        self.fetched.recv().await.expect("this side holds a sender")
    }

    /// Who fetches them for this exporter.
    pub(super) fn fetcher(&self, admin: Admin, version: KongVersion) -> SchemaFetcher {
        SchemaFetcher { admin, version, fetched: self.sender.clone() }
    }
}

impl SchemaFetcher {
    /// Runs until the exporter ends.
    pub async fn run(self) {
        let mut backoff = Backoff::new(FIRST_WAIT, EVERY);
        let mut said = String::new();
        loop {
            match self.fetch().await {
                Ok(true) => {
                    said.clear();
                    backoff = Backoff::new(FIRST_WAIT, EVERY);
                    sleep(EVERY).await;
                    continue;
                }
                Ok(false) => debug!("nothing is published yet to keep the control plane's schemas with"),
                Err(NotKept::Ended) => return,
                Err(problem) => self.warn_once(&problem, &mut said),
            }
            sleep(backoff.next_wait(rand::random())).await;
        }
    }

    async fn fetch(&self) -> Result<bool, NotKept> {
        let json = fetched(&self.admin).await?;
        let (answer, answered) = oneshot::channel();
        self.fetched.send(FetchedSchemas { json, answer }).await.map_err(|_| NotKept::Ended)?;
        Ok(answered.await.map_err(|_| NotKept::Ended)??)
    }

    // Once for each reason.
    fn warn_once(&self, problem: &NotKept, said: &mut String) {
        let text = problem.to_string();
        if text == *said {
            return;
        }
        warn!(
            "the control plane's schemas for Kong {} are not kept: {text}. It is tried again; configurations are kept all \
             the same, and what is written by hand in an outage is checked only as far as open-source Kong's own schemas go",
            self.version
        );
        *said = text;
    }
}
