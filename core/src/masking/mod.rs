//! A configuration with its secrets covered, for people and logs. Which values are secret is in `secret.rs`; nothing here
//! prints.

mod secret;
mod tags;
mod texts;

use std::io;

use serde_json::{Map, Value};

use self::secret::{Rules, is_harmless};
pub use self::tags::TagKey;
pub(crate) use self::tags::without_tags;
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

    /// The mask for what stands in the list `kind`, and the path at which the mask knows it. What is no entity is known by
    /// the list's own name.
    fn of_element(kind: &'a str, element: &'a Value) -> (Self, Option<&'a str>) {
        match element {
            Value::Object(entity) => (Self::of(kind, entity), None),
            _ => (Self { rules: Rules::of(kind, None), kind, plugin: None }, Some(kind)),
        }
    }

    /// The value of the field at `path` (a member's name, then names inside of it), its secrets covered.
    pub fn cover(&self, path: &[&str], value: &Value) -> Value {
        self.cover_by(path, value, Cover::Alike)
    }

    /// Whether nothing of the value at `path` may be shown: by our rules, or because Kong's schemas mark it.
    fn is_secret(&self, path: &[&str], value: &Value) -> bool {
        let is_marked = || !is_harmless(value) && SchemaSet::any_marks_secret(self.kind, self.plugin, path);
        self.rules.is_secret(path, value) || is_marked()
    }

    fn cover_by(&self, path: &[&str], value: &Value, cover: Cover<'_>) -> Value {
        if self.is_secret(path, value) {
            return cover.instead_of(value);
        }

        match value {
            Value::Object(members) => {
                let covered = members.iter().map(|(name, value)| {
                    let path = [path, &[name.as_str()]].concat();
                    (name.clone(), self.cover_by(&path, value, cover))
                });
                Value::Object(covered.collect())
            }
            Value::Array(elements) => elements.iter().map(|element| self.cover_by(path, element, cover)).collect(),
            plain => plain.clone(),
        }
    }
}

/// What stands where a secret was.
#[derive(Debug, Clone, Copy)]
enum Cover<'a> {
    /// The same everywhere.
    Alike,
    /// The same for equal secrets.
    ByTag(&'a TagKey),
}

impl Cover<'_> {
    fn instead_of(self, secret: &Value) -> Value {
        match self {
            Self::Alike => Value::from(MASK),
            Self::ByTag(key) => Value::from(key.tag(secret)),
        }
    }
}

/// The whole configuration as JSON with its secrets covered, one entity per line.
pub fn masked(configuration: &Configuration) -> Vec<u8> {
    let mut out = Vec::with_capacity(configuration.json().len());
    write(configuration.json(), Cover::Alike, &mut out).expect("a vector takes everything");
    out
}

/// Writes the same with a tag for each secret, which is the same for the same secret. No more than one entity is held as
/// values at a time.
///
/// # Errors
/// What `out` says.
pub fn write_tagged(configuration: &Configuration, key: &TagKey, out: &mut impl io::Write) -> io::Result<()> {
    write(configuration.json(), Cover::ByTag(key), out)
}

fn write(json: &[u8], cover: Cover<'_>, out: &mut impl io::Write) -> io::Result<()> {
    // The lexer has only its own errors, and there are none: a configuration is known to be JSON since it was made.
    let mut result = Ok(());
    let read = Lexer::new(json).and_then(|mut lexer| {
        let mut before: &[u8] = b"{\n";
        lexer.members(|lexer, name| {
            let kind = String::from_utf8_lossy(&name.content()).into_owned();
            let begin = std::mem::replace(&mut before, b",\n");
            keep(&mut result, || out.write_all(&[begin, b"\"", name.raw, b"\":"].concat()));

            if lexer.peek()? != b'[' {
                let value = lexer.value(&mut ())?;
                keep(&mut result, || out.write_all(&covered(&kind, value, cover)));
                return Ok(());
            }
            let mut between: &[u8] = b"[\n";
            let count = lexer.elements(|lexer| {
                let element = lexer.value(&mut ())?;
                let begin = std::mem::replace(&mut between, b",\n");
                keep(&mut result, || out.write_all(&[begin, &covered(&kind, element, cover)].concat()));
                Ok(())
            })?;
            keep(&mut result, || out.write_all(if count == 0 { b"[]" } else { b"\n]" }));
            Ok(())
        })?;
        keep(&mut result, || out.write_all(if before == b"{\n" { b"{}\n" } else { b"\n}\n" }));
        Ok::<_, Error>(())
    });
    read.expect("a configuration is known to be JSON since it was made");
    result
}

/// Does the next step, unless one has failed.
fn keep(result: &mut io::Result<()>, step: impl FnOnce() -> io::Result<()>) {
    if result.is_ok() {
        *result = step();
    }
}

fn covered(kind: &str, json: &[u8], cover: Cover<'_>) -> Vec<u8> {
    let covered = match serde_json::from_slice::<Value>(json) {
        Ok(value) => {
            let (mask, path) = Mask::of_element(kind, &value);
            mask.cover_by(path.as_slice(), &value, cover)
        }
        // More deeply nested than serde_json reads: nobody has looked inside.
        Err(_) => cover.instead_of(&Value::from(String::from_utf8_lossy(json))),
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

    #[test]
    fn with_tags_no_secret_is_left_and_equal_ones_can_be_told_from_others() {
        let recorded = decode(RECORDED, DEFAULT_MAX_CONFIG).unwrap().configuration;
        let mut tagged = Vec::new();
        write_tagged(&recorded, &TagKey::new([5; 32]), &mut tagged).unwrap();
        let text = String::from_utf8(tagged).unwrap();
        assert!(!text.contains("alice-secret-key"), "{text}");
        assert_eq!(text.matches("(masked ").count(), masked_text(&recorded).matches(MASK).count());
        assert_eq!(Configuration::from_json(Bytes::from(text)).unwrap().counts(), recorded.counts());

        let json = r#"{"keyauth_credentials":[{"id":"1","key":"a"},{"id":"2","key":"a"},{"id":"3","key":"b"}]}"#;
        let configuration = Configuration::from_json(Bytes::from_static(json.as_bytes())).unwrap();
        let mut tagged = Vec::new();
        write_tagged(&configuration, &TagKey::new([5; 32]), &mut tagged).unwrap();
        let tagged: Value = serde_json::from_slice(&tagged).unwrap();
        let key = |index: usize| &tagged["keyauth_credentials"][index]["key"];
        assert!(key(0) == key(1) && key(0) != key(2), "{tagged}");
    }

    #[test]
    fn what_can_not_be_written_is_said() {
        let configuration = Configuration::from_json(Bytes::from_static(br#"{"a":[1,2,3]}"#)).unwrap();
        let mut small = [0; 4];
        assert!(write_tagged(&configuration, &TagKey::new([5; 32]), &mut small.as_mut_slice()).is_err());
    }
}
