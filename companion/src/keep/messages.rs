//! What the headless session says to whoever reads its log at three in the morning: what happened, what it means, what
//! to do.

use std::time::Duration;

use lifeboat_core::kong::reconfigure::DecodeError;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::session::headless::Notice;
use lifeboat_link::Address;
use lifeboat_link::websocket::LinkError;
use tracing::{error, info, warn};

use crate::admin::AdminError;
use crate::settings::ClusterSettings;

/// Who tells a person what a session has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    /// The session, in the log: an exporter's.
    Log,
    /// Whoever asked, as the reason of what becomes of it. Once is enough.
    Asker,
}

// Logs a sentence and gives it back.
macro_rules! said {
    ($level:ident, $voice:ident => $($sentence:tt)+) => {{
        let sentence = format!($($sentence)+);
        match $voice {
            Voice::Log => $level!("{sentence}"),
            Voice::Asker => tracing::debug!("{sentence}"),
        }
        sentence
    }};
    ($level:ident, $($sentence:tt)+) => {{
        let sentence = format!($($sentence)+);
        $level!("{sentence}");
        sentence
    }};
}
pub(super) use said;

/// Says what a session has to say, and gives it back. `cause` is what was found at the socket.
pub(super) fn log(
    cluster: &ClusterSettings,
    version: KongVersion,
    voice: Voice,
    cause: &str,
    notice: Notice,
) -> String {
    let control_plane = &cluster.control_plane;
    match notice {
        // These are said where more is known.
        Notice::Silent(_) | Notice::NotKept => String::new(),
        Notice::Connected => {
            said!(info, "connected to control plane {control_plane} as a backup node of Kong {version}")
        }
        Notice::Refused(refusal) => {
            let cure = refusal.cure();
            said!(
                error,
                voice => "control plane {control_plane} refuses this node of Kong {version}: {refusal}. To have it taken, \
                 {cure}. What is in the store stays"
            )
        }
        Notice::CertificateRefused(_) => {
            let refused = certificate_refused(cluster, cause);
            said!(error, voice => "control plane {control_plane}: {refused}. What is in the store stays")
        }
        // Also said to whoever waits for an answer.
        Notice::Unclear { retry_in } => {
            let wait = seconds(retry_in);
            said!(
                warn,
                "control plane {control_plane}: {cause}. That may be about our certificate: it is asked once more in {wait}"
            )
        }
        Notice::Lost { early: Some(early), retry_in } => {
            said!(
                warn,
                voice => "lost the control plane {control_plane}: {early}; trying again in {}",
                seconds(retry_in)
            );
            format!("control plane {control_plane}: {early}")
        }
        Notice::Lost { early: None, retry_in } => {
            said!(warn, voice => "lost the control plane {control_plane}; trying again in {}", seconds(retry_in))
        }
        Notice::Unreachable { failures, retry_in } => {
            let said = said!(warn, voice => "control plane {control_plane}: {cause}");
            let wait = seconds(retry_in);
            said!(info, voice => "attempt {failures} to reach the control plane failed; trying again in {wait}");
            said
        }
        Notice::Fragment => said!(
            error,
            voice => "control plane {control_plane} sent a message in fragments, which Kong's own nodes could not read \
             either: something between rewrites WebSocket frames. Connect to the cluster listener without a proxy"
        ),
    }
}

/// What a refused certificate means and what to do, in a clause that names it.
pub(crate) fn certificate_refused(cluster: &ClusterSettings, because: &str) -> String {
    let side = cluster.control_plane.tls.side();
    let leaf = side.identity.leaf();
    format!(
        "it does not accept the certificate that it is shown ({}, SHA-256 {}, of KONG_CLUSTER_CERT), since {because}. Put the \
         cluster's present certificate and its key there; the files are read again when they change",
        leaf.name().map_or_else(|| "without a name".to_owned(), |name| format!("CN {name}")),
        leaf.fingerprint()
    )
}

pub(super) fn not_kept(voice: Voice, error: &DecodeError) -> String {
    said!(error, voice => "a configuration from the control plane could not be kept: {error}")
}

pub(super) fn link_ended(control_plane: &Address, voice: Voice, error: &LinkError) -> String {
    match error {
        LinkError::Closed | LinkError::Broken(_) => {
            said!(info, voice => "the link to control plane {control_plane} ended: {error}")
        }
        LinkError::TooLong { length, limit } => said!(
            error,
            voice => "the link to control plane {control_plane} was given up: its message of {length} bytes is longer than \
             cluster_max_payload allows ({limit} bytes). Raise KONG_CLUSTER_MAX_PAYLOAD, here and on the data planes, which \
             can't take it either"
        ),
        LinkError::Protocol(_) | LinkError::Stuck => {
            said!(error, voice => "the link to control plane {control_plane} was given up: {error}")
        }
    }
}

pub(super) fn log_silence(
    control_plane: &Address,
    voice: Voice,
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
        voice => "control plane {control_plane} is connected and has sent nothing for {}. Likely causes: the configuration uses a \
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
