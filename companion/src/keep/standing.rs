//! Where the newest configuration stands, in words: what happened, what it means for new nodes, what to do.

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::keep::keeper::Standing;
use lifeboat_storage::StorageError;
use tracing::{debug, error, info, warn};

pub(super) fn log(newest: Option<ConfigHash>, standing: &Standing) {
    let Some(hash) = newest else { return };
    let reason = standing.reason();
    match standing {
        Standing::Published => log_already(hash),
        Standing::Held(_) => error!("configuration {hash} is not published: {reason}"),
        Standing::Doubted { .. } | Standing::Outdated => warn!("configuration {hash} is not published yet: {reason}"),
        Standing::Pinned(_) => info!("configuration {hash} is not published: {reason}"),
        Standing::Confirming { .. } => info!("configuration {hash} is not published yet: {reason}, at most 5 minutes"),
        Standing::Delayed { .. } => debug!("configuration {hash} is not published yet: {reason}"),
        Standing::Nothing | Standing::Ready(_) => {}
    }
}

pub(super) fn log_already(hash: ConfigHash) {
    info!(%hash, "this configuration is the published one already: nothing to write");
}

pub(super) fn log_failure(error: &StorageError) {
    if matches!(error, StorageError::Conflict { .. }) {
        warn!("another exporter publishes to the same place: {error}");
    }
}
