//! The log messages about the newest configuration's state: what happened, what it means for new nodes, what to do.

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::export::publisher::NewestState;
use lifeboat_storage::StorageError;
use tracing::{debug, error, info, warn};

pub(super) fn log(newest: Option<ConfigHash>, state: &NewestState) {
    let Some(hash) = newest else { return };
    let reason = state.reason();

    match state {
        NewestState::Published => log_already(hash),
        NewestState::Held(_) => error!(%hash, "configuration {hash} is not published: {reason}"),
        NewestState::Doubted { .. } | NewestState::Outdated => {
            warn!(%hash, "configuration {hash} is not published yet: {reason}")
        }
        NewestState::Pinned(_) => info!(%hash, "configuration {hash} is not published: {reason}"),
        NewestState::Confirming { .. } => {
            info!(%hash, "configuration {hash} is not published yet: {reason}, at most 5 minutes")
        }
        NewestState::Delayed { .. } => debug!("configuration {hash} is not published yet: {reason}"),
        NewestState::Nothing | NewestState::Ready(_) => {}
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
