//! Kong's references into a vault of environment variables, `{vault://env/NAME}`, as Kong resolves them. References into
//! other vaults are Kong's alone: Lifeboat has neither their clients nor their credentials.
//!
//! Stores: Kong's public page "Environment variable vault"; `kong/pdk/vault.lua` and `kong/vaults/env/init.lua` of Kong OSS
//! (Apache-2.0).

use percent_encoding::percent_decode_str;
use serde_json::Value;

const BEGINNING: &str = "{vault://";

/// Why a reference gives nothing. None of the texts holds a variable's value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum VaultError {
    /// Another vault than `env`.
    #[error(
        "{reference} is a reference that only Kong can resolve: Lifeboat reads {{vault://env/NAME}} and no other vault. Set \
         the value itself, its path, or a variable that {{vault://env/NAME}} names"
    )]
    OtherVault {
        /// The reference.
        reference: String,
    },
    /// It isn't written as a reference is.
    #[error("{reference} names no variable (valid: {{vault://env/NAME}}, {{vault://env/NAME/KEY}})")]
    Malformed {
        /// The reference.
        reference: String,
    },
    /// There is no such variable.
    #[error("{reference} refers to the environment variable {variable}, which is not set")]
    NotSet {
        /// The reference.
        reference: String,
        /// The variable.
        variable: String,
    },
    /// The variable's value has no such key.
    #[error("{reference} refers to the key {key:?} of {variable}, whose value {why}")]
    NoKey {
        /// The reference.
        reference: String,
        /// The variable.
        variable: String,
        /// The key.
        key: String,
        /// What the value is instead.
        why: &'static str,
    },
}

/// Whether Kong would take `value` for a reference into some vault.
pub(super) fn is_reference(value: &str) -> bool {
    value.starts_with(BEGINNING) && value.ends_with('}')
}

/// What `reference` stands for. `prefix` is Kong's `vault_env_prefix`, `variable` gives a variable of the environment.
///
/// # Errors
/// When it can't be resolved.
pub(super) fn resolve(
    reference: &str,
    prefix: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<String, VaultError> {
    let named = || reference.to_owned();
    let url = reference.strip_prefix(BEGINNING).and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
    let (url, version) = split(url, '#');
    let (url, query) = split(url, '?');
    let (vault, path) = url.split_once('/').unwrap_or((url, ""));
    if vault != "env" {
        return Err(VaultError::OtherVault { reference: named() });
    }

    // The last of several parts is a key in the variable's value, which is JSON then.
    let path = path.trim_end_matches('/');
    let (resource, key) = match path.rsplit_once('/') {
        Some((resource, key)) => (decoded(resource), Some(decoded(key))),
        None => (decoded(path), None),
    };
    if resource.is_empty() {
        return Err(VaultError::Malformed { reference: named() });
    }

    // A prefix in the reference itself wins.
    let own_prefix =
        query.and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("prefix="))).map(decoded);
    let prefix = own_prefix.or_else(|| prefix.map(str::to_owned)).unwrap_or_default();
    // Version 2 of a rotated secret is the previous one.
    let suffix = if version == Some("2") { "_PREVIOUS" } else { "" };
    let name = format!("{prefix}{}{suffix}", resource.replace('-', "_")).to_ascii_uppercase();

    let value = variable(&name).ok_or_else(|| VaultError::NotSet { reference: named(), variable: name.clone() })?;
    match key {
        None => Ok(value),
        Some(key) => {
            picked(&value, &key).map_err(|why| VaultError::NoKey { reference: named(), variable: name, key, why })
        }
    }
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    match text.split_once(at) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn picked(json: &str, key: &str) -> Result<String, &'static str> {
    match serde_json::from_str::<Value>(json) {
        Ok(Value::Object(members)) => match members.get(key) {
            Some(Value::String(value)) => Ok(value.clone()),
            Some(_) => Err("holds something else than a text there"),
            None => Err("has no such key"),
        },
        Ok(_) | Err(_) => Err("is no JSON object"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(reference: &str, prefix: Option<&str>) -> Result<String, VaultError> {
        resolve(reference, prefix, |name| {
            let value = match name {
                "MY_SECRET_CONFIG_VALUE" => "plain",
                "SECURE_CERT" => "prefixed",
                "CERT_PREVIOUS" => "before",
                "PAIR" => r#"{"cert":"PEM","days":5}"#,
                _ => return None,
            };
            Some(value.to_owned())
        })
    }

    #[test]
    fn a_reference_is_resolved_as_kongs_documentation_shows_it() {
        for (reference, prefix, value) in [
            ("{vault://env/my-secret-config-value}", None, "plain"),
            ("{vault://env/MY_SECRET_CONFIG_VALUE}", None, "plain"),
            ("{vault://env/my%2Dsecret-config-value/}", None, "plain"),
            ("{vault://env/cert}", Some("SECURE_"), "prefixed"),
            ("{vault://env/cert}", Some("secure_"), "prefixed"),
            ("{vault://env/cert?prefix=SECURE_}", Some("OTHER_"), "prefixed"),
            ("{vault://env/cert#2}", None, "before"),
            ("{vault://env/pair/cert}", None, "PEM"),
        ] {
            assert_eq!(resolved(reference, prefix).as_deref(), Ok(value), "{reference}");
        }
    }

    #[test]
    fn what_cannot_be_resolved_is_named_without_a_value() {
        for (reference, said) in [
            ("{vault://aws/kong/cert}", "only Kong can resolve"),
            ("{vault://my-env/cert}", "only Kong can resolve"),
            ("{vault://env/}", "names no variable"),
            ("{vault://env}", "names no variable"),
            ("{vault://env/no-such}", "NO_SUCH, which is not set"),
            ("{vault://env/pair/key}", "no such key"),
            ("{vault://env/pair/days}", "something else than a text"),
            ("{vault://env/my-secret-config-value/key}", "no JSON object"),
        ] {
            let error = resolved(reference, None).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains(reference), "{reference}: {error}");
            assert!(!error.contains("PEM") && !error.contains("plain"), "{error}");
        }
    }

    #[test]
    fn only_what_kong_takes_for_a_reference_is_one() {
        assert!(is_reference("{vault://env/x}"));
        assert!(!is_reference("{vault:env/x}") && !is_reference("{vault://env/x") && !is_reference("x"));
    }
}
