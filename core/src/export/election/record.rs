//! What lies in `election/`: the lease, which says who leads, and each backup node's registration.

use serde::{Deserialize, Serialize};

use crate::time::WallTime;

/// The format that this code writes.
pub const FORMAT: u32 = 1;

/// `election/leader.json`: who leads. Each renewal has a new number, so that its bytes differ: otherwise a store that
/// names an object's version by a digest of its bytes would not show the renewal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    /// [`FORMAT`].
    pub format: u32,
    /// The leader's node id.
    pub owner: String,
    /// Its host, for people.
    pub hostname: String,
    /// Grows with each new leader.
    pub epoch: u64,
    /// Grows with each renewal.
    pub renewal: u64,
    /// Whether it reaches a control plane.
    pub link: LinkHealth,
    /// Whether it still wants to lead.
    pub tenure: Tenure,
}

impl LeaseRecord {
    /// The record in these bytes; none if they are damaged, or of a later format, in which the same names may mean
    /// something else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().filter(|record: &Self| record.format == FORMAT)
    }
}

/// Whether an exporter reaches its control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkHealth {
    /// It does, or lost it just now.
    Alive,
    /// Its link has been down for a while.
    Dead,
}

/// Whether a leader still wants to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tenure {
    /// It does, as long as it renews.
    Held,
    /// It has ended, or steps down: the first exporter that takes the lease may lead.
    Released,
}

/// `election/<node id>.json`: a backup node that could lead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// [`FORMAT`].
    pub format: u32,
    /// Its id at the control plane, new with each start.
    pub node_id: String,
    /// Its host, for people.
    pub hostname: String,
    /// Whether it reaches a control plane.
    #[serde(default = "alive")]
    pub link: LinkHealth,
    /// Since when it has been registered without a gap, by the store's clock. A new exporter doesn't know it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<WallTime>,
    /// It reaches a control plane and could lead instead of the leader of this epoch, who says that it reaches none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<u64>,
    /// It has ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left: bool,
}

impl Registration {
    /// As of a [`LeaseRecord`].
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().filter(|registration: &Self| registration.format == FORMAT)
    }
}

/// A registration as it lies in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// What it says.
    pub registration: Registration,
    /// When it was written, by the store's clock.
    pub written: WallTime,
}

// The test of conditional writes at a start leaves a registration without a link.
fn alive() -> LinkHealth {
    LinkHealth::Alive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_written_in_the_form_that_other_versions_read() {
        let record = LeaseRecord {
            format: FORMAT,
            owner: "0e06e33c".to_owned(),
            hostname: "backup-1".to_owned(),
            epoch: 3,
            renewal: 17,
            link: LinkHealth::Alive,
            tenure: Tenure::Held,
        };
        let json = serde_json::to_string(&record).unwrap();
        let form = r#"{"format":1,"owner":"0e06e33c","hostname":"backup-1","epoch":3,"renewal":17,"link":"alive","tenure":"held"}"#;
        assert_eq!(json, form);
        assert_eq!(LeaseRecord::decode(form.replace('}', r#","later":1}"#).as_bytes()), Some(record));
    }

    #[test]
    fn of_a_later_format_nothing_is_believed() {
        let lease =
            r#"{"format":2,"owner":"a","hostname":"b","epoch":3,"renewal":17,"link":"alive","tenure":"released"}"#;
        assert_eq!(LeaseRecord::decode(lease.as_bytes()), None);
        assert!(LeaseRecord::decode(lease.replace(":2,", ":1,").as_bytes()).is_some());
        let registration = r#"{"format":2,"node_id":"a","hostname":"b","instead_of":3}"#;
        assert_eq!(Registration::decode(registration.as_bytes()), None);
    }

    #[test]
    fn a_registration_that_says_little_is_readable() {
        let little = r#"{"format":1,"node_id":"a","hostname":"b","lifeboat":"0.1.0"}"#;
        let registration = Registration::decode(little.as_bytes()).unwrap();
        assert_eq!((registration.link, registration.since), (LinkHealth::Alive, None));
        let back = serde_json::to_string(&registration).unwrap();
        assert_eq!(back, r#"{"format":1,"node_id":"a","hostname":"b","link":"alive"}"#);
    }
}
