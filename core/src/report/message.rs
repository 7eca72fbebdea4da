//! Report format 1: the JSON that the filter sends to the companion's `POST /v1/reports`. Readers ignore fields that
//! they don't know, and what the filter doesn't know is left out, never guessed. Not here: when one is sent.

use serde::{Deserialize, Serialize};

use super::CallFailure;
use crate::digest::ConfigHash;

/// The format's number, in every report.
pub const FORMAT: u32 = 1;
/// Where the companion takes reports.
pub const REPORT_PATH: &str = "/v1/reports";

/// What one worker of one gateway knows at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// The gateway's name, if the settings give one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The reporting instance of the filter: Kong has one in each nginx worker, and a new one after a reload or a
    /// trap. 16 hexadecimal digits, drawn at its start.
    pub worker: String,
    /// Counts the reports that this worker tried to send, from 1. A gap is a report that did not arrive.
    pub sequence: u64,
    /// The gateway's wall clock, in milliseconds since 1970-01-01T00:00:00Z.
    pub sent_at_ms: u64,
    /// Seconds between reports: after several of these without one, the worker is gone.
    pub interval_s: u64,
    /// The filter's version.
    pub filter_version: String,
    /// Kong's version, if an answer of its Status API named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kong_version: Option<String>,
    /// The configuration that the node runs (32 zeros: none); absent if the Status API did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_hash: Option<ConfigHash>,
    /// How the call to the Status API failed; absent if it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_api: Option<CallFailure>,
    /// What is wrong, in words for a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// What happened since the last report that the companion is known to have.
    #[serde(default)]
    pub since_acknowledged: Counters,
}

/// Events since the last acknowledged report. One whose acknowledgement was lost is counted again: these numbers can
/// be too high after a lost answer, never too low.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Calls to the Status API that gave no hash.
    pub status_failed: u64,
    /// Reports that were not acknowledged.
    pub reports_failed: u64,
}

impl Counters {
    /// What remains when `acknowledged` was told to the companion.
    pub(super) fn without(self, acknowledged: Self) -> Self {
        Self {
            status_failed: self.status_failed.saturating_sub(acknowledged.status_failed),
            reports_failed: self.reports_failed.saturating_sub(acknowledged.reports_failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report as version 0.1.0 writes it. It stays readable for ever.
    const GOLDEN: &str = r#"{"format":1,"node":"dp-1","worker":"00000000000000ff","sequence":7,"sent_at_ms":1795169515922,"interval_s":10,"filter_version":"0.1.0","kong_version":"3.9.1","config_hash":"3ff47162e7a7ce1344f336316b66484e","since_acknowledged":{"status_failed":0,"reports_failed":2}}"#;

    fn golden() -> Report {
        Report {
            format: FORMAT,
            node: Some("dp-1".to_owned()),
            worker: "00000000000000ff".to_owned(),
            sequence: 7,
            sent_at_ms: 1_795_169_515_922,
            interval_s: 10,
            filter_version: "0.1.0".to_owned(),
            kong_version: Some("3.9.1".to_owned()),
            config_hash: Some("3ff47162e7a7ce1344f336316b66484e".parse().unwrap()),
            status_api: None,
            problems: Vec::new(),
            since_acknowledged: Counters { status_failed: 0, reports_failed: 2 },
        }
    }

    #[test]
    fn the_first_format_is_written_and_read_as_ever() {
        assert_eq!(serde_json::to_string(&golden()).unwrap(), GOLDEN);
        assert_eq!(serde_json::from_str::<Report>(GOLDEN).unwrap(), golden());
    }

    #[test]
    fn fields_and_failures_that_come_later_are_ignored() {
        let later = GOLDEN.replacen('{', r#"{"control_plane":{"state":"reachable"},"status_api":"not_known_yet","#, 1);
        let report: Report = serde_json::from_str(&later).unwrap();
        assert_eq!(report.status_api, Some(CallFailure::Other));
        assert_eq!(report.config_hash, golden().config_hash);
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let report = Report {
            node: None,
            kong_version: None,
            config_hash: None,
            status_api: Some(CallFailure::Timeout),
            ..golden()
        };
        let json = serde_json::to_string(&report).unwrap();
        assert!(!json.contains("node") && !json.contains("kong_version") && !json.contains("config_hash"));
        assert!(json.contains(r#""status_api":"timeout""#), "{json}");
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }
}
