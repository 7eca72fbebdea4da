//! The log messages of the headless session, for operators at three in the morning: what happened, what it means, what
//! to do.

use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::kong::reconfigure::DecodeError;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::outage::OutageLog;
use lifeboat_core::session::headless::Notice;
use lifeboat_link::websocket::LinkError;
use lifeboat_runtime::clock::Clock;
use tracing::{debug, error, info, warn};

use crate::admin::AdminError;
use crate::settings::ClusterSettings;

/// Who is told what a session reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    /// The log: for an exporter.
    Log,
    /// The caller, who says it as the reason for what it does next. Once is enough.
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

/// What is said of one link, and how often while there is an outage.
#[derive(Debug)]
pub(super) struct LinkLog {
    cluster: Arc<ClusterSettings>,
    version: KongVersion,
    voice: Voice,
    clock: Clock,
    /// Nothing came from the control plane that could be kept.
    outage: OutageLog,
}

impl LinkLog {
    pub(super) fn new(cluster: Arc<ClusterSettings>, version: KongVersion, clock: Clock) -> Self {
        Self { cluster, version, voice: Voice::Log, clock, outage: OutageLog::default() }
    }

    /// Its problems are said by whoever asks.
    pub(super) fn is_for_an_asker(&mut self) {
        self.voice = Voice::Asker;
    }

    /// Its outage is said with others of the same cause.
    pub(super) fn is_beside(&mut self, outage: OutageLog) {
        self.outage = outage;
    }

    /// Says what a session has to say, and gives it back. `cause` is what was found at the socket.
    pub(super) fn log(&self, cause: &str, notice: Notice) -> String {
        let (control_plane, version) = (&self.cluster.control_plane.address, self.version);
        match notice {
            // These are logged elsewhere, where more is known.
            Notice::Silent(_) | Notice::NotReceived => String::new(),
            // Only when something has arrived is it known that the outage is over.
            Notice::Connected if self.outage.lasts() => {
                said!(debug, "linked to control plane {control_plane} as a backup node of Kong {version}")
            }
            Notice::Connected => {
                said!(info, "connected to control plane {control_plane} as a backup node of Kong {version}")
            }
            Notice::Refused(refusal) => {
                let (voice, lasted) = self.failed(&format!("refused: {refusal}"));
                let cure = refusal.cure();
                said!(
                    error,
                    voice => "control plane {control_plane} refuses this node of Kong {version}{lasted}: {refusal}. To have \
                     it taken, {cure}. What is in the store stays"
                )
            }
            Notice::CertificateRefused(_) => {
                let (voice, lasted) = self.failed("certificate refused");
                let refused = certificate_refused(&self.cluster, cause);
                said!(error, voice => "control plane {control_plane}{lasted}: {refused}. What is in the store stays")
            }
            // Also said to whoever waits for an answer.
            Notice::Unclear { retry_in } => {
                let (voice, lasted) = match self.voice {
                    Voice::Log => self.failed("unclear"),
                    Voice::Asker => (Voice::Log, String::new()),
                };
                let wait = seconds(retry_in);
                said!(
                    warn,
                    voice => "control plane {control_plane}{lasted}: {cause}. That may be about our certificate: it is \
                     asked once more in {wait}"
                )
            }
            Notice::Lost { early, retry_in } => {
                let (voice, lasted) = self.failed(if early.is_some() { "ends early" } else { "lost" });
                let why = match early {
                    Some(early) => early.to_string(),
                    None if cause.is_empty() => "it said nothing for too long".to_owned(),
                    None => cause.to_owned(),
                };
                let wait = seconds(retry_in);
                said!(warn, voice => "lost the control plane {control_plane}{lasted}: {why}; trying again in {wait}");
                format!("control plane {control_plane}: {why}")
            }
            Notice::Unreachable { failures: attempt, retry_in } => {
                let (voice, lasted) = self.failed("unreachable");
                let wait = seconds(retry_in);
                match voice {
                    Voice::Log => {
                        warn!(attempt, "control plane {control_plane}{lasted}: {cause}; trying again in {wait}");
                    }
                    Voice::Asker => debug!(attempt, "control plane {control_plane}: {cause}"),
                }
                format!("control plane {control_plane}: {cause}")
            }
            Notice::Fragment => {
                let (voice, lasted) = self.failed("fragment");
                said!(
                    error,
                    voice => "control plane {control_plane} sent a message in fragments{lasted}, which Kong's own nodes \
                     could not read either: something between rewrites WebSocket frames. Connect to the cluster listener \
                     without a proxy"
                )
            }
        }
    }

    /// Something came that could be kept.
    pub(super) fn works(&self) {
        let (control_plane, version) = (&self.cluster.control_plane.address, self.version);
        if let Some(lasted) = self.outage.works(self.clock.now()) {
            info!(
                "connected to control plane {control_plane} as a backup node of Kong {version}, after {lasted} without it"
            );
        }
    }

    pub(super) fn not_kept(&self, error: &DecodeError) -> String {
        let (voice, lasted) = self.failed("not kept");
        said!(error, voice => "a configuration from the control plane could not be kept{lasted}: {error}")
    }

    pub(super) fn link_ended(&self, error: &LinkError) -> String {
        let control_plane = &self.cluster.control_plane.address;
        match error {
            // The session says the rest.
            LinkError::Closed | LinkError::Broken(_) => format!("the link ended: {error}"),
            LinkError::TooLong { length, limit } => {
                let (voice, lasted) = self.failed("too long");
                said!(
                    error,
                    voice => "the link to control plane {control_plane} was given up{lasted}: its message of {length} bytes \
                     is longer than cluster_max_payload allows ({limit} bytes). Raise KONG_CLUSTER_MAX_PAYLOAD, here and on \
                     the data planes, which can't take it either"
                )
            }
            LinkError::Protocol(_) | LinkError::Stuck => {
                let (voice, lasted) = self.failed("given up");
                said!(error, voice => "the link to control plane {control_plane} was given up{lasted}: {error}")
            }
        }
    }

    pub(super) fn silence(
        &self,
        node_id: &str,
        wait: Duration,
        status: Option<Result<Option<String>, AdminError>>,
    ) -> String {
        let control_plane = &self.cluster.control_plane.address;
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

        let (voice, lasted) = self.failed("silent");
        said!(
            warn,
            voice => "control plane {control_plane} is connected and has sent nothing for {}{lasted}. Likely causes: the \
             configuration uses a plugin that is not in this node's list (set LIFEBOAT_PLUGINS), the control plane has a \
             Wasm filter that is not in its list (set LIFEBOAT_FILTERS), or the control plane can't reach its database. \
             {see}",
            seconds(wait)
        )
    }

    // Whether the log or the caller is told of a failure of this kind, and for how long it has lasted.
    fn failed(&self, cause: &str) -> (Voice, String) {
        match self.outage.failed(cause, self.clock.now()) {
            Some(mention) => (self.voice, mention.to_string()),
            None => (Voice::Asker, String::new()),
        }
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
