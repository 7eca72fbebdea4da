//! Where the newest configuration stands, in words: what happened, what it means for new nodes, what to do.

use std::time::Duration;

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::keep::keeper::Standing;
use lifeboat_core::manifest::{Held, Pin};
use lifeboat_storage::StorageError;
use tracing::{debug, error, info, warn};

/// Why a configuration isn't published.
pub(crate) fn reason(standing: &Standing) -> String {
    match standing {
        Standing::Held(why @ Held::Unrunnable(_)) => format!(
            "it is held, because {why}. New nodes are still restored from what is published. Mend it at the control plane, \
             whose data planes can't run it either"
        ),
        Standing::Held(why) => format!(
            "it is held, because {why}. New nodes are still restored from what is published. If it is right: lifeboat \
             release"
        ),
        Standing::Pinned(Pin::Unpin) => {
            "an operator has pinned another one, which stays until it is unpinned".to_owned()
        }
        Standing::Pinned(Pin::Change { .. }) => {
            "an operator has chosen another one instead of it, which stays until the \
                                                 control plane's configuration changes"
                .to_owned()
        }
        Standing::Outdated => "the link that it came over is gone, and what is published may be newer".to_owned(),
        Standing::Doubted { .. } => "it was published before and then replaced. A control plane that can't reach its \
                                     database sends such a one, so it is asked for again in two minutes"
            .to_owned(),
        Standing::Confirming { .. } => "it waits for a node that runs it".to_owned(),
        Standing::Delayed { .. } => "it waits for KONG_CLUSTER_FALLBACK_CONFIG_EXPORT_DELAY".to_owned(),
        Standing::Nothing | Standing::Published | Standing::Ready(_) => "it was not written".to_owned(),
    }
}

pub(super) fn log(newest: Option<ConfigHash>, standing: &Standing) {
    let Some(hash) = newest else { return };
    let reason = reason(standing);
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

pub(super) fn log_trying_again(place: &str, waiting: Option<ConfigHash>, error: &StorageError, retry_in: Duration) {
    let seconds = retry_in.as_secs_f64();
    match waiting {
        Some(hash) => {
            error!("configuration {hash} is not published yet: {error}. Trying again in {seconds:.0} s");
        }
        None => error!("what {place} holds is not known yet: {error}. Trying again in {seconds:.0} s"),
    }
}
