//! The control plane's own schemas, fetched from its Admin API now and then and given to the exporter, which alone writes.
//! Slow or failing, they never hold up a configuration.

use std::time::Duration;

use lifeboat_core::backoff::Backoff;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::outage::{OutageLog, Outages};
use lifeboat_runtime::clock::Clock;
use lifeboat_storage::StorageError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use crate::admin::{Admin, AdminError};

/// How often they are fetched. They change with the control plane's plugins, which is seldom and takes a restart.
const EVERY: Duration = Duration::from_secs(600);
/// The pause while nothing is published with which they could be kept.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// How long that may take: it is one request for each entity and plugin.
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
    clock: Clock,
    fetched: mpsc::Sender<FetchedSchemas>,
    /// They can't be fetched.
    fetching: OutageLog,
    /// They can't be stored.
    keeping: OutageLog,
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

    /// Fetches them for this exporter.
    pub(super) fn fetcher(&self, admin: Admin, version: KongVersion, clock: Clock) -> SchemaFetcher {
        let (fetching, keeping) = (OutageLog::default(), OutageLog::default());
        SchemaFetcher { admin, version, clock, fetched: self.sender.clone(), fetching, keeping }
    }
}

impl SchemaFetcher {
    /// The same, whose failures follow from those of the control plane and of the store.
    pub(crate) fn beside(self, control_plane: &Outages, store: &Outages) -> Self {
        Self { fetching: control_plane.another(), keeping: store.another(), ..self }
    }

    /// Runs until the exporter ends.
    pub async fn run(self) {
        let mut backoff = Backoff::new(FIRST_WAIT, EVERY);
        loop {
            match self.fetch().await {
                Ok(true) => {
                    backoff = Backoff::new(FIRST_WAIT, EVERY);
                    sleep(EVERY).await;
                    continue;
                }
                Ok(false) => debug!("nothing is published yet to keep the control plane's schemas with"),
                Err(NotKept::Ended) => return,
                Err(problem) => self.warn(&problem),
            }
            sleep(backoff.next_wait(rand::random())).await;
        }
    }

    async fn fetch(&self) -> Result<bool, NotKept> {
        let json = fetched(&self.admin).await?;
        if let Some(lasted) = self.fetching.works(self.clock.now()) {
            info!("the control plane's schemas for Kong {} can be fetched again, after {lasted}", self.version);
        }

        let (answer, answered) = oneshot::channel();
        self.fetched.send(FetchedSchemas { json, answer }).await.map_err(|_| NotKept::Ended)?;
        let is_kept = answered.await.map_err(|_| NotKept::Ended)??;
        if let Some(lasted) = self.keeping.works(self.clock.now()) {
            info!("the control plane's schemas for Kong {} can be kept again, after {lasted}", self.version);
        }
        Ok(is_kept)
    }

    fn warn(&self, problem: &NotKept) {
        let (log, cause) = match problem {
            NotKept::Storage(error) => (&self.keeping, error.class()),
            NotKept::Admin(_) | NotKept::Slow | NotKept::Ended => (&self.fetching, "admin"),
        };
        let version = self.version;
        match log.failed(cause, self.clock.now()) {
            Some(lasted) => warn!(
                "the control plane's schemas for Kong {version} are not kept{lasted}: {problem}. It is tried again; \
                 configurations are kept all the same, and what is written by hand in an outage is checked only as far as \
                 open-source Kong's own schemas go"
            ),
            None => debug!("the control plane's schemas for Kong {version} are not kept: {problem}"),
        }
    }
}
