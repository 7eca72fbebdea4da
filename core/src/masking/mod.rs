//! A configuration with its secrets covered, for people and logs. Which values are secret is in `secret.rs`; nothing here
//! prints.

mod secret;
mod texts;

use serde_json::{Map, Value};

use self::secret::{Rules, is_harmless};
pub use self::texts::SecretTexts;
use crate::json::{Error, Lexer};
use crate::kong::Configuration;
use crate::schema::SchemaSet;

/// What stands where a secret was.
pub const MASK: &str = "(masked)";

/// Covers the secrets of one entity. When in doubt, a value is covered.
#[derive(Debug, Clone, Copy)]
pub struct Mask<'a> {
    rules: Rules,
    kind: &'a str,
    plugin: Option<&'a str>,
}

impl<'a> Mask<'a> {
    /// The mask for an entity of this kind (`plugins`, `keyauth_credentials` …).
    pub fn of(kind: &'a str, entity: &'a Map<String, Value>) -> Self {
        let name = entity.get("name").and_then(Value::as_str);
        Self { rules: Rules::of(kind, name), kind, plugin: name.filter(|_| kind == "plugins") }
    }

    /// The value of the field at `path` (a member's name, then names inside of it), its secrets covered.
    pub fn cover(&self, path: &[&str], value: &Value) -> Value {
        let is_marked = || !is_harmless(value) && SchemaSet::any_marks_secret(self.kind, self.plugin, path);
        if self.rules.is_secret(path, value) || is_marked() {
            return Value::from(MASK);
        }

        match value {
            Value::Object(members) => {
                let covered = members.iter().map(|(name, value)| {
                    let path = [path, &[name.as_str()]].concat();
                    (name.clone(), self.cover(&path, value))
                });
                Value::Object(covered.collect())
            }
            Value::Array(elements) => elements.iter().map(|element| self.cover(path, element)).collect(),
            plain => plain.clone(),
        }
    }
}

/// The whole configuration as JSON with its secrets covered, one entity per line.
pub fn masked(configuration: &Configuration) -> Vec<u8> {
    let mut out = Vec::with_capacity(configuration.json().len());
    write(configuration.json(), &mut out).expect("a configuration is known to be JSON since it was made");
    out
}

fn write(json: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let mut before: &[u8] = b"{\n";
    Lexer::new(json)?.members(|lexer, name| {
        out.extend_from_slice(std::mem::replace(&mut before, b",\n"));
        out.push(b'"');
        out.extend_from_slice(name.raw);
        out.extend_from_slice(b"\":");

        let kind = String::from_utf8_lossy(&name.content()).into_owned();
        if lexer.peek()? != b'[' {
            let value = lexer.value(&mut ())?;
            out.extend_from_slice(&covered(&kind, value));
            return Ok(());
        }

        let mut between: &[u8] = b"[\n";
        let count = lexer.elements(|lexer| {
            out.extend_from_slice(std::mem::replace(&mut between, b",\n"));
            let element = lexer.value(&mut ())?;
            out.extend_from_slice(&covered(&kind, element));
            Ok(())
        })?;

        out.extend_from_slice(if count == 0 { b"[]" } else { b"\n]" });
        Ok(())
    })?;
    out.extend_from_slice(if before == b"{\n" { b"{}\n" } else { b"\n}\n" });
    Ok(())
}

fn covered(kind: &str, json: &[u8]) -> Vec<u8> {
    let covered = match serde_json::from_slice::<Value>(json) {
        Ok(value) => match value.as_object() {
            Some(entity) => Mask::of(kind, entity).cover(&[], &value),
            None => Mask::of(kind, &Map::new()).cover(&[kind], &value),
        },
        // More deeply nested than serde_json reads: nobody has looked inside.
        Err(_) => Value::from(MASK),
    };
    covered.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::kong::reconfigure::{DEFAULT_MAX_CONFIG, decode};

    const RECORDED: &[u8] = include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-last.json.gz");

    fn masked_text(configuration: &Configuration) -> String {
        String::from_utf8(masked(configuration)).unwrap()
    }

    #[test]
    fn of_a_recorded_configuration_only_the_secrets_are_gone() {
        let recorded = decode(RECORDED, DEFAULT_MAX_CONFIG).unwrap().configuration;
        let text = masked_text(&recorded);
        for secret in ["alice-secret-key", "6ec1def57f28bb5e720ebdefdfcbde725a3c7f02"] {
            assert!(std::str::from_utf8(recorded.json()).unwrap().contains(secret));
            assert!(!text.contains(secret), "{text}");
        }
        for plain in ["orders.internal", "/echo", "alice", "my-env", "BEGIN CERTIFICATE"] {
            assert!(text.contains(plain), "{plain} in {text}");
        }
        let covered = Configuration::from_json(Bytes::from(text)).unwrap();
        assert_eq!(covered.counts(), recorded.counts());
    }

    #[test]
    fn what_kong_itself_takes_for_a_secret_is_covered_whatever_it_is_called() {
        let entity = serde_json::json!({"name": "ai-proxy", "config": {"route_type": "llm/v1/chat", "auth": {
            "gcp_service_account_json": "hidden", "param_location": "query", "aws_access_key_id": null}}});
        let covered = Mask::of("plugins", entity.as_object().unwrap()).cover(&[], &entity);
        let expected = serde_json::json!({"name": "ai-proxy", "config": {"route_type": "llm/v1/chat", "auth": {
            "gcp_service_account_json": MASK, "param_location": "query", "aws_access_key_id": null}}});
        assert_eq!(covered, expected);
    }

    #[test]
    fn what_is_printed_is_json_also_when_there_is_nothing() {
        for (json, expected) in [
            ("{}", "{}\n"),
            (r#"{"a":[],"_b":1}"#, "{\n\"a\":[],\n\"_b\":1\n}\n"),
            (r#"{"a":[1]}"#, "{\n\"a\":[\n1\n]\n}\n"),
        ] {
            let configuration = Configuration::from_json(Bytes::from_static(json.as_bytes())).unwrap();
            assert_eq!(masked_text(&configuration), expected);
        }
    }

    #[test]
    fn what_is_too_deep_to_be_looked_into_is_covered() {
        let deep = format!(r#"{{"plugins":[{}"secret"{}]}}"#, "[".repeat(200), "]".repeat(200));
        let configuration = Configuration::from_json(Bytes::from(deep)).unwrap();
        assert_eq!(masked_text(&configuration), "{\n\"plugins\":[\n\"(masked)\"\n]\n}\n");
    }
}
