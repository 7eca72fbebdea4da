//! What the headless session says to whoever reads its log at three in the morning: what happened, what it means, what
//! to do.

use std::time::Duration;

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::session::headless::Notice;
use tracing::{error, info, warn};

use crate::admin::AdminError;
use crate::settings::Address;
use crate::websocket::LinkError;

pub(super) fn log(control_plane: &Address, version: KongVersion, notice: Notice) {
    match notice {
        Notice::Connected => info!("connected to control plane {control_plane} as a backup node of Kong {version}"),
        Notice::Silent(_) | Notice::NotKept => {} // said where more is known
        Notice::Refused(status) => {
            let how = status.map_or("closed the link at once".to_owned(), |status| format!("answered HTTP {status}"));
            error!(
                "control plane {control_plane} {how}: it accepts no node of Kong {version}. A control plane takes nodes \
                 of its own major version that are not newer than itself: check KONG_VERSION. What is in the store stays"
            );
        }
        Notice::Lost { retry_in } => {
            warn!("lost the control plane {control_plane}; trying again in {}", seconds(retry_in));
        }
        Notice::Unreachable { failures, retry_in } => {
            // The reason has been logged where it arose.
            info!("attempt {failures} to reach the control plane failed; trying again in {}", seconds(retry_in));
        }
        Notice::Fragment => error!(
            "control plane {control_plane} sent a message in fragments, which Kong's own nodes could not read either: \
             something between rewrites WebSocket frames. Connect to the cluster listener without a proxy"
        ),
    }
}

pub(super) fn link_ended(control_plane: &Address, error: &LinkError) {
    match error {
        LinkError::Closed | LinkError::Broken(_) => info!("the link to control plane {control_plane} ended: {error}"),
        LinkError::Protocol(_) | LinkError::TooLong { .. } | LinkError::Stuck => {
            error!("the link to control plane {control_plane} was given up: {error}");
        }
    }
}

pub(super) fn log_silence(
    control_plane: &Address,
    node_id: &str,
    wait: Duration,
    status: Option<Result<Option<String>, AdminError>>,
) {
    let see = match status {
        Some(Ok(Some(status))) => {
            format!("Its Admin API says sync_status {status:?} of this node: {}", meaning(&status))
        }
        Some(Ok(None)) => {
            "Its Admin API does not list this node: LIFEBOAT_ADMIN_URL may be another cluster's".to_owned()
        }
        Some(Err(error)) => format!("Its Admin API could not be asked why ({error})"),
        None => format!(
            "To see which: GET /clustering/data-planes of its Admin API, sync_status of node {node_id}, or set \
             LIFEBOAT_ADMIN_URL"
        ),
    };
    warn!(
        "control plane {control_plane} is connected and has sent nothing for {}. Likely causes: the configuration uses a \
         plugin that is not in this node's list (set LIFEBOAT_PLUGINS), the control plane has a Wasm filter that is not in \
         its list (set LIFEBOAT_FILTERS), or the control plane can't reach its database. {see}",
        seconds(wait)
    );
}

fn meaning(status: &str) -> &'static str {
    match status {
        "plugin_set_incompatible" | "plugin_version_incompatible" => "add the missing plugin to LIFEBOAT_PLUGINS",
        "filter_set_incompatible" => "add the missing filter to LIFEBOAT_FILTERS",
        "kong_version_incompatible" => "set KONG_VERSION to the version that the data planes run",
        "normal" => "it takes this node for up to date, so look at its database and its log",
        _ => "look at its log",
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.0} s", duration.as_secs_f64())
}
