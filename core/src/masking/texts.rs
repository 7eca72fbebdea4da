//! The texts in a configuration that are secret, for covering them where somebody else has written them: into a log. Which
//! values are secret, [`Mask`] says.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{MASK, Mask};
use crate::kong::Configuration;
use crate::sensitive::Sensitive;

/// Shorter ones would be found in every other word.
const SHORTEST: usize = 4;

/// Texts that nobody may see.
#[derive(Clone, Debug, Default)]
pub struct SecretTexts(Sensitive<BTreeSet<String>>);

impl SecretTexts {
    /// Those of a configuration; `None` if it is nested too deeply to be looked into, so that they can't be told.
    pub fn of(configuration: &Configuration) -> Option<Self> {
        let kinds: Map<String, Value> = serde_json::from_slice(configuration.json()).ok()?;
        let mut texts = Self::default();

        for (kind, entities) in &kinds {
            for entity in entities.as_array().map_or(std::slice::from_ref(entities), Vec::as_slice) {
                let (mask, path) = Mask::of_element(kind, entity);
                texts.gather(&mask, path.as_slice(), entity);
            }
        }
        Some(texts)
    }

    /// With another one, and each of its lines.
    pub fn and(mut self, text: &str) -> Self {
        self.add(text);
        self
    }

    /// The line with all of them covered.
    pub fn cover(&self, line: &str) -> String {
        // The longest first: one may be a part of another.
        let mut found: Vec<&str> = self.0.iter().map(String::as_str).filter(|text| line.contains(text)).collect();
        found.sort_by_key(|text| std::cmp::Reverse(text.len()));
        found.iter().fold(line.to_owned(), |line, text| line.replace(text, MASK))
    }

    fn gather(&mut self, mask: &Mask<'_>, path: &[&str], value: &Value) {
        if mask.is_secret(path, value) {
            return self.gather_all(value);
        }
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    self.gather(mask, &[path, &[name.as_str()]].concat(), value);
                }
            }
            Value::Array(elements) => elements.iter().for_each(|element| self.gather(mask, path, element)),
            _ => {}
        }
    }

    fn gather_all(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.add(text),
            Value::Array(elements) => elements.iter().for_each(|element| self.gather_all(element)),
            Value::Object(members) => members.values().for_each(|value| self.gather_all(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn add(&mut self, text: &str) {
        let parts = std::iter::once(text).chain(text.lines()).map(str::trim);
        self.0.extend(parts.filter(|part| part.len() >= SHORTEST && !part.starts_with("-----")).map(str::to_owned));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::kong::reconfigure::{DEFAULT_MAX_CONFIG, decode};

    const RECORDED: &[u8] = include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-last.json.gz");

    #[test]
    fn what_is_secret_in_a_configuration_is_covered_in_a_line_and_nothing_else() {
        let texts =
            SecretTexts::of(&decode(RECORDED, DEFAULT_MAX_CONFIG).unwrap().configuration).unwrap().and("licence-key");
        let line = "in 'key': alice-secret-key of alice at orders.internal, licence-key";
        assert_eq!(texts.cover(line), "in 'key': (masked) of alice at orders.internal, (masked)");
        assert_eq!(format!("{texts:?}"), "SecretTexts(..)");
    }

    #[test]
    fn in_a_line_the_same_is_covered_as_in_the_configuration() {
        let of = |json: &'static str| {
            SecretTexts::of(&Configuration::from_json(Bytes::from_static(json.as_bytes())).unwrap())
        };
        // Only Kong's schemas mark this field.
        let marked = of(r#"{"plugins":[{"name":"ai-proxy","config":{"auth":{"gcp_service_account_json":"hidden"}}}]}"#);
        assert_eq!(marked.unwrap().cover("bad JSON: hidden"), "bad JSON: (masked)");
        // No entity.
        let bare = of(r#"{"our_tokens":["hidden"],"our_secret":"covered"}"#);
        assert_eq!(bare.unwrap().cover("hidden, covered"), "(masked), (masked)");
    }

    #[test]
    fn of_what_is_nested_too_deeply_the_secrets_can_not_be_told() {
        let deep = format!(r#"{{"plugins":[{}"secret"{}]}}"#, "[".repeat(200), "]".repeat(200));
        assert!(SecretTexts::of(&Configuration::from_json(Bytes::from(deep)).unwrap()).is_none());
    }

    #[test]
    fn of_a_key_each_line_is_covered_by_itself() {
        let texts =
            SecretTexts::default().and("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\nBgkq\n-----END PRIVATE KEY-----");
        assert_eq!(texts.cover("parse error near MIIEvQIBADAN"), "parse error near (masked)");
        assert_eq!(texts.cover("-----BEGIN PRIVATE KEY-----"), "-----BEGIN PRIVATE KEY-----");
    }
}
