//! Two configurations, read and compared as `lifeboat diff` does it.

use bytes::Bytes;
use lifeboat_core::declarative;
use lifeboat_core::difference::Difference;
use lifeboat_core::kong::Configuration;
use lifeboat_core::kong::version::KongVersion;
use serde_json::json;

/// What a browser compares at most, in bytes of each configuration.
const LARGEST: usize = 64_000_000;

/// One side of a comparison.
#[derive(Debug)]
pub struct Side {
    configuration: Configuration,
    secrets: Secrets,
}

/// What became of a side's secrets before it came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Secrets {
    /// Tags stand for them, made with the server's key.
    Tagged,
    /// They are there, and stay in this browser.
    Whole,
}

impl Side {
    pub(crate) fn snapshot(json: Vec<u8>) -> Result<Self, String> {
        let configuration = Configuration::from_json(json.into()).map_err(|error| error.to_string())?;
        Ok(Self { configuration, secrets: Secrets::Tagged })
    }

    pub(crate) fn file(bytes: Vec<u8>, version: &str) -> Result<Self, String> {
        let version: KongVersion = version.parse().map_err(|_| format!("{version:?} is no version of Kong"))?;
        let read = declarative::read(&Bytes::from(bytes), version, LARGEST).map_err(|error| error.to_string())?;
        Ok(Self { configuration: read.configuration, secrets: Secrets::Whole })
    }
}

pub(crate) fn compare(before: &Side, after: &Side) -> String {
    let mut difference = Difference::between(&before.configuration, &after.configuration);
    let not_compared = if before.secrets == after.secrets { 0 } else { difference.take_out_secrets() };
    let (added, removed, changed) = difference.counts();
    let whole = json!({
        "counts": { "added": added, "removed": removed, "changed": changed, "unchanged": difference.unchanged },
        "secrets_not_compared": not_compared,
        "changes": difference.changes,
    });
    whole.to_string()
}

#[cfg(test)]
mod tests {
    use lifeboat_core::kong::reconfigure::{DEFAULT_MAX_CONFIG, decode};
    use lifeboat_core::masking::{TagKey, write_tagged};
    use serde_json::Value;

    use super::*;

    const FIRST: &[u8] = include_bytes!("../../tests/data/kong-3.9.1/reconfigure-first.json.gz");
    const LAST: &[u8] = include_bytes!("../../tests/data/kong-3.9.1/reconfigure-last.json.gz");

    fn recorded(message: &[u8]) -> Configuration {
        decode(message, DEFAULT_MAX_CONFIG).unwrap().configuration
    }

    fn snapshot(message: &[u8]) -> Side {
        let mut json = Vec::new();
        write_tagged(&recorded(message), &TagKey::new([3; 32]), &mut json).unwrap();
        Side::snapshot(json).unwrap()
    }

    fn compared(before: &Side, after: &Side) -> Value {
        serde_json::from_str(&compare(before, after)).unwrap()
    }

    #[test]
    fn two_snapshots_differ_as_lifeboat_diff_says() {
        let found = compared(&snapshot(FIRST), &snapshot(LAST));
        let expected = Difference::between(&recorded(FIRST), &recorded(LAST));
        assert_eq!(found["changes"], serde_json::to_value(&expected.changes).unwrap());
        assert_eq!(
            (found["secrets_not_compared"].as_u64(), found["counts"]["added"].as_u64()),
            (Some(0), Some(expected.counts().0))
        );
    }

    #[test]
    fn of_a_snapshot_and_the_same_configuration_in_a_file_only_secrets_are_not_compared() {
        let file = Side::file(recorded(LAST).json().to_vec(), "3.9.1").unwrap();
        for (before, after) in [(&snapshot(LAST), &file), (&file, &snapshot(LAST))] {
            let found = compared(before, after);
            assert_eq!(found["changes"], json!([]));
            assert!(found["secrets_not_compared"].as_u64() >= Some(2), "{found}");
            assert!(!found.to_string().contains("alice-secret-key"), "{found}");
        }
    }

    #[test]
    fn a_file_as_people_write_it_is_read_and_a_wrong_one_refused_with_the_reason() {
        let yaml = "_format_version: '3.0'\nservices:\n- name: orders\n  url: http://orders.internal\n";
        let (before, after) =
            (Side::file(yaml.into(), "3.9.1").unwrap(), Side::file(yaml.replace("orders.", "o.").into(), "3.9.1"));
        let found = compared(&before, &after.unwrap());
        assert_eq!(found["counts"]["changed"], 1, "{found}");
        let refused = Side::file(b"services: []".to_vec(), "3.9.1").unwrap_err();
        assert!(refused.contains("_format_version"), "{refused}");
        assert!(Side::file(yaml.into(), "three").unwrap_err().contains("no version of Kong"));
    }
}
