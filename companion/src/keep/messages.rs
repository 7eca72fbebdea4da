//! What the headless session says to whoever reads its log at three in the morning: what happened, what it means, what
//! to do.

use std::time::Duration;

use lifeboat_core::kong::reconfigure::DecodeError;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::session::headless::Notice;
use tracing::{error, info, warn};

use crate::admin::AdminError;
use crate::dial::DialError;
use crate::settings::Address;
use crate::websocket::LinkError;

// Logs a sentence and gives it back.
macro_rules! said {
    ($level:ident, $($sentence:tt)+) => {{
        let sentence = format!($($sentence)+);
        $level!("{sentence}");
        sentence
    }};
}
pub(super) use said;

/// Logs what a session has to say, and gives it back.
pub(super) fn log(control_plane: &Address, version: KongVersion, notice: Notice) -> String {
    match notice {
        // These are said where more is known.
        Notice::Silent(_) | Notice::NotKept => String::new(),
        Notice::Connected => {
            said!(info, "connected to control plane {control_plane} as a backup node of Kong {version}")
        }
        Notice::Refused(status) => {
            let how = status.map_or("closed the link at once".to_owned(), |status| format!("answered HTTP {status}"));
            said!(
                error,
                "control plane {control_plane} {how}: it accepts no node of Kong {version}. A control plane takes nodes \
                 of its own major version that are not newer than itself: check KONG_VERSION. What is in the store stays"
            )
        }
        Notice::Lost { retry_in } => {
            said!(warn, "lost the control plane {control_plane}; trying again in {}", seconds(retry_in))
        }
        // The reason has been logged where it arose.
        Notice::Unreachable { failures, retry_in } => {
            let wait = seconds(retry_in);
            said!(info, "attempt {failures} to reach the control plane failed; trying again in {wait}")
        }
        Notice::Fragment => said!(
            error,
            "control plane {control_plane} sent a message in fragments, which Kong's own nodes could not read either: \
             something between rewrites WebSocket frames. Connect to the cluster listener without a proxy"
        ),
    }
}

pub(super) fn not_reached(control_plane: &Address, error: &DialError) -> String {
    said!(warn, "control plane {control_plane}: {error}")
}

pub(super) fn not_kept(error: &DecodeError) -> String {
    said!(error, "a configuration from the control plane could not be kept: {error}")
}

pub(super) fn link_ended(control_plane: &Address, error: &LinkError) -> String {
    match error {
        LinkError::Closed | LinkError::Broken(_) => {
            said!(info, "the link to control plane {control_plane} ended: {error}")
        }
        LinkError::TooLong { length, limit } => said!(
            error,
            "the link to control plane {control_plane} was given up: its message of {length} bytes is longer than \
             cluster_max_payload allows ({limit} bytes). Raise KONG_CLUSTER_MAX_PAYLOAD, here and on the data planes, which \
             can't take it either"
        ),
        LinkError::Protocol(_) | LinkError::Stuck => {
            said!(error, "the link to control plane {control_plane} was given up: {error}")
        }
    }
}

pub(super) fn log_silence(
    control_plane: &Address,
    node_id: &str,
    wait: Duration,
    status: Option<Result<Option<String>, AdminError>>,
) -> String {
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
    said!(
        warn,
        "control plane {control_plane} is connected and has sent nothing for {}. Likely causes: the configuration uses a \
         plugin that is not in this node's list (set LIFEBOAT_PLUGINS), the control plane has a Wasm filter that is not in \
         its list (set LIFEBOAT_FILTERS), or the control plane can't reach its database. {see}",
        seconds(wait)
    )
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
