//! Declarative files as people and programs write them, in JSON and in YAML, and as nobody writes them.

use bytes::Bytes;
use lifeboat_core::declarative::{Judgement, Refused, Severity, Written, Yardstick, read};
use lifeboat_core::json;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::schema::SchemaSet;
use serde_json::Value;

use super::choices::Choices;

/// How much a file may hold.
const LIMIT: usize = 256 << 10;

/// Plays what these bytes say.
///
/// # Panics
/// When something that must hold doesn't: a file becomes more than is allowed, or something that isn't read as itself, or
/// means one thing as JSON and another as YAML.
pub fn play_files(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let version = match choices.byte() % 4 {
        0 => KongVersion::new(2, 8, 5),
        1 => KongVersion::new(3, 4, 2),
        2 => KongVersion::new(3, 9, 1),
        _ => "3.9.1.2".parse().expect("it is a version"),
    };
    let text = Bytes::copy_from_slice(choices.rest());
    let written = read(&text, version, LIMIT);
    if let Ok(written) = &written {
        is_read_as_itself(written, version);
        let schemas = SchemaSet::recorded(version);
        let by = Yardstick { schemas, ..Yardstick::default() };
        let judgement = Judgement::of(written, None, &by);
        let same = Judgement::of(written, Some(&written.configuration), &by);
        assert!(same.refused.len() <= judgement.refused.len());
    }
    means_the_same_as_yaml(&text, &written, version);
}

/// The form that everything is brought into is a form that stays as it is.
fn is_read_as_itself(written: &Written, version: KongVersion) {
    let json = written.configuration.json();
    assert!(json.len() <= LIMIT);
    json::check(json).expect("it was made of values");
    if written.findings.iter().any(|finding| finding.severity == Severity::Refused) {
        return;
    }
    let again = read(json, version, LIMIT).expect("what was made of a file is a file");
    let (first, second): (Value, Value) = (parsed(json), parsed(again.configuration.json()));
    assert_eq!(first, second, "it became something else when it was read again");
}

/// A comment makes it YAML.
fn means_the_same_as_yaml(text: &Bytes, written: &Result<Written, Refused>, version: KongVersion) {
    let Ok(document @ Value::Object(_)) = serde_json::from_slice::<Value>(text) else { return };
    // What has no name is named after its content, which is not the same with `1e1` and with 10.
    if has_fractions(&document) {
        return;
    }
    let yaml = Bytes::from([b"# this is YAML\n", &text[..]].concat());
    if let (Ok(json), Ok(yaml)) = (written, read(&yaml, version, LIMIT)) {
        let (json, yaml) = (parsed(json.configuration.json()), parsed(yaml.configuration.json()));
        assert!(is_same(&with_defaults(json), &with_defaults(yaml.clone())), "JSON and YAML differ: {yaml}");
    }
}

/// A JSON file that is in its final form stays as it is, also without `_transform`. That is true where it isn't written, as
/// in Kong.
fn with_defaults(mut configuration: Value) -> Value {
    if let Value::Object(members) = &mut configuration {
        members.entry("_transform").or_insert(Value::Bool(true));
    }
    configuration
}

fn parsed(json: &Bytes) -> Value {
    serde_json::from_slice(json).expect("it is JSON")
}

/// Whether a number in it isn't written as a whole one.
pub(crate) fn has_fractions(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(values) => values.iter().any(has_fractions),
        Value::Object(members) => members.values().any(has_fractions),
        _ => false,
    }
}

/// Numbers are written in more than one way.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| is_same(one, other)))
        }
        _ => one == other,
    }
}
