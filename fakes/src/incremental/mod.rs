//! A data plane with `cluster_rpc=on` at the socket, as a 3.9.1's behaves: with `cluster_incremental_sync=on` it takes its
//! configuration over `/v2/outlet` only, one link for each nginx worker. It refuses what Kong refuses, and breaks where Kong
//! breaks. It proxies nothing: what it would answer can be asked.

mod application;
mod database;
mod driver;
mod event;
mod hello;
mod link;
mod machine;
mod options;
mod round;
mod router;
mod state;
#[cfg(test)]
mod tests;
mod upgrade;
mod worker;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use database::Database;
pub use options::{IncrementalOptions, Sync, Times};
pub use state::{IncrementalState, Rpc, Said, What, Word, WorkerState};

/// A running node. Dropping it ends it abruptly.
pub struct IncrementalNode {
    options: IncrementalOptions,
    state: Arc<watch::Sender<IncrementalState>>,
    task: JoinHandle<()>,
}

impl Drop for IncrementalNode {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl IncrementalNode {
    /// Starts a node, whose workers connect at once.
    pub fn start(options: IncrementalOptions) -> Self {
        let state = IncrementalState {
            workers: Vec::new(),
            database: Arc::new(options.database.clone()),
            starts: 0,
            applied: 0,
            refused: 0,
            words: Vec::new(),
            log: Vec::new(),
            router: router::Router::default(),
            came_up: false,
        };
        let state = Arc::new(watch::Sender::new(state));
        Self { task: tokio::spawn(driver::live(options.clone(), state.clone())), options, state }
    }

    /// Ends Kong and starts it again, with what is in its LMDB, under the same id. What was seen of it stays seen.
    pub async fn restart(&mut self) {
        self.restart_with(|_| {}).await;
    }

    /// The same with other settings.
    pub async fn restart_with(&mut self, change: impl FnOnce(&mut IncrementalOptions)) {
        self.task.abort();
        let _ = (&mut self.task).await;
        self.options.database = Database::clone(&self.state.borrow().database);
        change(&mut self.options);
        let starts = self.state.borrow().starts;
        self.task = tokio::spawn(driver::live(self.options.clone(), self.state.clone()));
        self.wait_for(|state| state.starts > starts).await;
    }

    /// Its id.
    pub fn node_id(&self) -> &str {
        &self.options.node_id
    }

    /// What can be seen now.
    pub fn state(&self) -> IncrementalState {
        self.state.borrow().clone()
    }

    /// Waits until what can be seen is so, and returns it. There is no time-out: the caller has one.
    pub async fn wait_for(&self, condition: impl FnMut(&IncrementalState) -> bool) -> IncrementalState {
        let mut states = self.state.subscribe();
        let state = states.wait_for(condition).await.expect("the sender is in self");
        state.clone()
    }

    /// Ends it. Returns when its links are gone.
    pub async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}
