//! What the Status API's `GET /status` says about the node: the configuration it runs, and from the `Server` header
//! which Kong it is. Anything else in the answer is skipped without being built. Not here: how the answer was got.

use serde::Deserialize;

use crate::digest::ConfigHash;

/// The part of `GET /status` that is read.
#[derive(Deserialize)]
struct StatusBody {
    configuration_hash: Option<ConfigHash>,
}

/// The hash of the configuration that the node runs (KONG.md section 3), or in words why it can't be read.
pub(super) fn configuration_hash(body: &[u8]) -> Result<ConfigHash, String> {
    let body: StatusBody = serde_json::from_slice(body).map_err(|error| cut(&error.to_string()))?;
    body.configuration_hash.ok_or_else(|| "it has no configuration_hash".to_owned())
}

/// Kong's version in a `Server` header: `3.9.1` in `kong/3.9.1`. Kong leaves the header out where its `headers`
/// setting says so, and then the version isn't known.
pub(super) fn kong_version(server: &[u8]) -> Option<String> {
    let product = server.split(|byte| *byte == b' ').next()?;
    version(product.strip_prefix(b"kong/")?)
}

/// A version as Kong writes it: `3.9.1`, `3.4.3.5-enterprise-edition`.
pub(super) fn version(text: &[u8]) -> Option<String> {
    let version = std::str::from_utf8(text).ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let valid = version.starts_with(|c: char| c.is_ascii_digit()) && version.len() <= 64 && version.chars().all(plain);
    valid.then(|| version.to_owned())
}

fn cut(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STATUS: &[u8] = include_bytes!("../../../tests/data/kong-3.9.1/status.json");
    const STATUS_EMPTY: &[u8] = include_bytes!("../../../tests/data/kong-3.9.1/status-empty.json");

    #[test]
    fn the_hash_is_read_from_what_kong_3_9_1_answered() {
        let hash = configuration_hash(STATUS).unwrap();
        assert_eq!(hash.to_string(), "3ff47162e7a7ce1344f336316b66484e");
        assert!(configuration_hash(STATUS_EMPTY).unwrap().is_empty());
        let restored = br#"{"configuration_hash":"-0000000000000000000000999999990"}"#;
        assert_eq!(configuration_hash(restored).unwrap().negative_sync_version(), Some(-999_999_990));
    }

    #[test]
    fn an_answer_without_a_readable_hash_has_a_reason_and_no_hash() {
        for (body, reason) in [
            ("", "EOF"),
            ("{}", "no configuration_hash"),
            (r#"{"configuration_hash":null}"#, "no configuration_hash"),
            (r#"{"configuration_hash":17}"#, "invalid type"),
            (r#"{"configuration_hash":"3ff4"}"#, "32 lower-case"),
            ("<html>", "expected value"),
        ] {
            let error = configuration_hash(body.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{body}: {error}");
        }
    }

    #[test]
    fn an_answer_that_stops_at_any_byte_gives_no_hash() {
        for length in 0..STATUS.len() {
            assert!(configuration_hash(&STATUS[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn the_version_is_kongs_or_not_known() {
        for (server, version) in [
            ("kong/3.9.1", Some("3.9.1")),
            ("kong/3.4.3.5-enterprise-edition", Some("3.4.3.5-enterprise-edition")),
            ("kong/", None),
            ("kong/x", None),
            ("kong/3\" injected", None),
            ("nginx/1.25", None),
            ("", None),
        ] {
            assert_eq!(kong_version(server.as_bytes()).as_deref(), version, "{server}");
        }
        assert_eq!(kong_version(b"kong/3.9\xff"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let _ = configuration_hash(&bytes);
            let _ = kong_version(&bytes);
        }

        #[test]
        fn nesting_of_any_depth_is_survived(depth in 0usize..100_000) {
            let body = format!("{{\"x\":{}", "[".repeat(depth));
            prop_assert!(configuration_hash(body.as_bytes()).is_err());
        }
    }
}
