//! The texts in a configuration that are secret, for covering them where somebody else has written them: into a log. Which
//! values are secret is in `secret.rs`.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::secret::Rules;
use super::{MASK, Mask};
use crate::kong::Configuration;
use crate::sensitive::Sensitive;

/// Shorter ones would be found in every other word.
const SHORTEST: usize = 4;

/// Texts that nobody may see.
#[derive(Clone, Debug, Default)]
pub struct SecretTexts(Sensitive<BTreeSet<String>>);

impl SecretTexts {
    /// Those of a configuration.
    pub fn of(configuration: &Configuration) -> Self {
        let mut texts = Self::default();
        if let Ok(Value::Object(kinds)) = serde_json::from_slice(configuration.json()) {
            for (kind, entities) in &kinds {
                for entity in entities.as_array().into_iter().flatten() {
                    let nothing = Map::new();
                    let members = entity.as_object().unwrap_or(&nothing);
                    texts.gather(&Mask::of(kind, members).rules, &[], entity);
                }
            }
        }
        texts
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

    fn gather(&mut self, rules: &Rules, path: &[&str], value: &Value) {
        if !path.is_empty() && rules.is_secret(path, value) {
            return self.gather_all(value);
        }
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    self.gather(rules, &[path, &[name.as_str()]].concat(), value);
                }
            }
            Value::Array(elements) => elements.iter().for_each(|element| self.gather(rules, path, element)),
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
    use super::*;
    use crate::kong::reconfigure::{DEFAULT_MAX_CONFIG, decode};

    const RECORDED: &[u8] = include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-last.json.gz");

    #[test]
    fn what_is_secret_in_a_configuration_is_covered_in_a_line_and_nothing_else() {
        let texts = SecretTexts::of(&decode(RECORDED, DEFAULT_MAX_CONFIG).unwrap().configuration).and("licence-key");
        let line = "in 'key': alice-secret-key of alice at orders.internal, licence-key";
        assert_eq!(texts.cover(line), "in 'key': (masked) of alice at orders.internal, (masked)");
        assert_eq!(format!("{texts:?}"), "SecretTexts(..)");
    }

    #[test]
    fn of_a_key_each_line_is_covered_by_itself() {
        let texts =
            SecretTexts::default().and("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\nBgkq\n-----END PRIVATE KEY-----");
        assert_eq!(texts.cover("parse error near MIIEvQIBADAN"), "parse error near (masked)");
        assert_eq!(texts.cover("-----BEGIN PRIVATE KEY-----"), "-----BEGIN PRIVATE KEY-----");
    }
}
