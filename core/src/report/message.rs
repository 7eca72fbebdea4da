//! Report format 1: the JSON that the filter sends to the companion's `POST /v1/reports`. Readers ignore fields that
//! they don't know, and what the filter doesn't know is left out, never guessed. Not here: when one is sent.

use serde::{Deserialize, Serialize};

use super::CallFailure;
use crate::digest::ConfigHash;

/// The format's number, in every report.
pub const FORMAT: u32 = 1;
/// Where the companion takes reports.
pub const REPORT_PATH: &str = "/v1/reports";

/// The longest report that is taken, in bytes. The filter's own have a few hundred.
pub const MAX_REPORT: usize = 64 * 1024;

/// What one worker of one gateway knows at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// The gateway's name, if the settings give one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// `kong.node.id`, once a request has passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kong_node_id: Option<String>,
    /// The reporting instance of the filter: Kong has one in each nginx worker, and a new one after a reload or a
    /// trap. 16 hexadecimal digits, drawn at its start.
    pub worker: String,
    /// Counts the reports that this worker tried to send, from 1. A gap is a report that did not arrive.
    pub sequence: u64,
    /// The gateway's wall clock, in milliseconds since 1970-01-01T00:00:00Z.
    pub sent_at_ms: u64,
    /// Seconds between reports: after several of these without one, the worker is gone.
    pub interval_s: u64,
    /// When this instance was given its settings, by the gateway's wall clock, likewise in milliseconds. Kong never ends
    /// the instances of a chain that was deleted (KONG.md section 4, point 10): of several of one node, the one with the
    /// newest settings speaks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configured_at_ms: Option<u64>,
    /// The filter's version.
    pub filter_version: String,
    /// Kong's version, if a request or an answer of its Status API named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kong_version: Option<String>,
    /// The configuration that the node runs (32 zeros: none); absent if the Status API did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_hash: Option<ConfigHash>,
    /// How the call to the Status API failed; absent if it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_api: Option<CallFailure>,
    /// Whether the control plane can be reached from the gateway's own network; absent if that isn't known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_plane: Option<ControlPlane>,
    /// What is wrong, in words for a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// What happened since the last report that the companion is known to have.
    #[serde(default)]
    pub since_acknowledged: Counters,
}

/// The control plane as this worker sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlPlane {
    /// How it is.
    pub state: Reachability,
    /// Since when, by the gateway's wall clock, in milliseconds since 1970-01-01T00:00:00Z: when this worker saw that
    /// first.
    pub since_ms: u64,
}

/// Whether something answers at the control plane's address, asked in plain HTTP. What a later version adds is read as
/// [`Reachability::Unreachable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reachability {
    /// It answered in HTTP, whatever it said.
    Reachable,
    /// Something accepted the connection and gave no HTTP answer: a load balancer without a backend, say.
    AcceptedNoAnswer,
    /// The gateway spoke TLS and didn't trust the certificate: a cluster of Envoy's with TLS, or a filter before this one.
    TlsHandshakeFailed,
    /// The connection was refused or reset: the gateway doesn't tell which.
    Refused,
    /// Nothing came in time.
    TimedOut,
    /// Its address could not be resolved.
    Unresolved,
    /// The gateway gave another reason, or none.
    #[serde(other)]
    Unreachable,
}

impl Reachability {
    /// Whether it answers in HTTP. Whatever else may be there is not known to be a control plane.
    pub fn is_reachable(self) -> bool {
        self == Self::Reachable
    }

    /// As it stands in a report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reachable => "reachable",
            Self::AcceptedNoAnswer => "accepted_no_answer",
            Self::TlsHandshakeFailed => "tls_handshake_failed",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::Unresolved => "unresolved",
            Self::Unreachable => "unreachable",
        }
    }
}

/// Events since the last acknowledged report. One whose acknowledgement was lost is counted again: these numbers can
/// be too high after a lost answer, never too low.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Calls to the Status API that gave no hash.
    pub status_failed: u64,
    /// Probes of the control plane that ended without an answer of its.
    pub probes_failed: u64,
    /// Reports that were not acknowledged.
    pub reports_failed: u64,
}

impl Counters {
    /// What remains when `acknowledged` was told to the companion.
    pub(super) fn without(self, acknowledged: Self) -> Self {
        Self {
            status_failed: self.status_failed.saturating_sub(acknowledged.status_failed),
            probes_failed: self.probes_failed.saturating_sub(acknowledged.probes_failed),
            reports_failed: self.reports_failed.saturating_sub(acknowledged.reports_failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reports as version 0.1.0 writes them, one before it had looked for a control plane. They stay readable for ever.
    const FIRST: &str = r#"{"format":1,"node":"dp-1","worker":"00000000000000ff","sequence":7,"sent_at_ms":1795169515922,"interval_s":10,"filter_version":"0.1.0","kong_version":"3.9.1","config_hash":"3ff47162e7a7ce1344f336316b66484e","since_acknowledged":{"status_failed":0,"reports_failed":2}}"#;
    const GOLDEN: &str = r#"{"format":1,"node":"dp-1","kong_node_id":"0b1c6b0c-7b1a-4a56-9d9e-0c8f3f0f2f11","worker":"00000000000000ff","sequence":7,"sent_at_ms":1795169515922,"interval_s":10,"filter_version":"0.1.0","kong_version":"3.9.1","config_hash":"3ff47162e7a7ce1344f336316b66484e","control_plane":{"state":"tls_handshake_failed","since_ms":1795169505922},"since_acknowledged":{"status_failed":0,"probes_failed":1,"reports_failed":2}}"#;

    fn golden() -> Report {
        Report {
            format: FORMAT,
            node: Some("dp-1".to_owned()),
            kong_node_id: Some("0b1c6b0c-7b1a-4a56-9d9e-0c8f3f0f2f11".to_owned()),
            worker: "00000000000000ff".to_owned(),
            sequence: 7,
            sent_at_ms: 1_795_169_515_922,
            interval_s: 10,
            configured_at_ms: None,
            filter_version: "0.1.0".to_owned(),
            kong_version: Some("3.9.1".to_owned()),
            config_hash: Some("3ff47162e7a7ce1344f336316b66484e".parse().unwrap()),
            status_api: None,
            control_plane: Some(ControlPlane { state: Reachability::TlsHandshakeFailed, since_ms: 1_795_169_505_922 }),
            problems: Vec::new(),
            since_acknowledged: Counters { status_failed: 0, probes_failed: 1, reports_failed: 2 },
        }
    }

    #[test]
    fn the_first_format_is_written_and_read_as_ever() {
        assert_eq!(serde_json::to_string(&golden()).unwrap(), GOLDEN);
        assert_eq!(serde_json::from_str::<Report>(GOLDEN).unwrap(), golden());
        let first: Report = serde_json::from_str(FIRST).unwrap();
        assert_eq!((first.config_hash, first.control_plane), (golden().config_hash, None));
    }

    #[test]
    fn fields_and_failures_that_come_later_are_ignored() {
        let later = FIRST.replacen(
            '{',
            r#"{"of_later":{"state":7},"control_plane":{"state":"degraded","since_ms":5},"status_api":"not_known_yet","#,
            1,
        );
        let report: Report = serde_json::from_str(&later).unwrap();
        assert_eq!(report.status_api, Some(CallFailure::Other));
        assert_eq!(report.control_plane.map(|seen| seen.state), Some(Reachability::Unreachable));
        assert_eq!(report.config_hash, golden().config_hash);
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let report = Report {
            node: None,
            kong_node_id: None,
            kong_version: None,
            config_hash: None,
            control_plane: None,
            status_api: Some(CallFailure::Timeout),
            ..golden()
        };
        let json = serde_json::to_string(&report).unwrap();
        for absent in ["node", "kong_version", "config_hash", "control_plane", "problems"] {
            assert!(!json.contains(absent), "{json}");
        }
        assert!(json.contains(r#""status_api":"timeout""#), "{json}");
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }

    #[test]
    fn a_state_is_called_the_same_everywhere() {
        for state in [
            Reachability::Reachable,
            Reachability::AcceptedNoAnswer,
            Reachability::TlsHandshakeFailed,
            Reachability::Refused,
            Reachability::TimedOut,
            Reachability::Unresolved,
            Reachability::Unreachable,
        ] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
