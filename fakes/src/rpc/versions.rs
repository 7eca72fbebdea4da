//! A control plane's configurations as incremental sync numbers them: what it answers to get_delta.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::entities::{self, FALLBACK_WORKSPACE};
use crate::message::Configuration;

/// So many deltas are kept; a node that is further behind gets all.
const KEPT: u64 = 512;

/// The entities of one configuration, by kind and key, in the order in which they are sent.
#[derive(Debug)]
pub(super) struct Entities {
    workspace: String,
    ordered: Vec<(String, String, Value)>,
}

impl Entities {
    fn of(message: &Bytes) -> Self {
        let table = Configuration::from_message(message).ok();
        let table: Option<Value> = table.and_then(|configuration| serde_json::from_slice(&configuration.table).ok());
        let table = table.unwrap_or_else(|| json!({}));
        // One that was made up for a test may have no workspace; a real one always has.
        let own = entities::default_workspace(&table).unwrap_or(FALLBACK_WORKSPACE).to_owned();
        let list = table.as_object().map(entities::of_table).unwrap_or_default();
        let keyed = list.into_iter().map(|(kind, entity)| {
            let key = entity[entities::key_of(&kind)].as_str().unwrap_or_default().to_owned();
            (kind, key, entity)
        });
        Self { workspace: own, ordered: keyed.collect() }
    }

    fn by_key(&self) -> BTreeMap<(&str, &str), &Value> {
        self.ordered.iter().map(|(kind, key, entity)| ((kind.as_str(), key.as_str()), entity)).collect()
    }
}

/// An answer to get_delta.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub(super) wipe: bool,
    pub(super) deltas: Vec<Value>,
}

impl Answer {
    /// What stands under `result`. Of nothing cjson makes an object.
    pub(super) fn result(&self) -> Value {
        let deltas = if self.deltas.is_empty() { json!({}) } else { self.deltas.clone().into() };
        json!({ "default": { "wipe": self.wipe, "deltas": deltas } })
    }
}

/// What was read of the messages so far.
#[derive(Default)]
pub(super) struct Versions(Mutex<BTreeMap<usize, Arc<Entities>>>);

impl Versions {
    fn entities(&self, messages: &[Bytes], index: usize) -> Arc<Entities> {
        let mut known = self.0.lock().expect("nothing panics while it is locked");
        known.entry(index).or_insert_with(|| Arc::new(Entities::of(&messages[index]))).clone()
    }

    /// Answers a node at `asked`. The first of the messages has the version `first`, each other one more.
    pub(super) fn answer(&self, messages: &[Bytes], first: u64, asked: f64) -> Answer {
        let none = Answer { wipe: false, deltas: Vec::new() };
        let Some(last) = messages.len().checked_sub(1) else { return none };
        let newest = first + last as u64;
        // A node at 0 is empty, also for one whose own version is 0: it sends all every time.
        if asked >= newest as f64 && asked > 0.0 {
            return none;
        }

        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between the two")]
        if asked >= first as f64 && asked > 0.0 && newest - asked as u64 <= KEPT {
            let from = (asked as u64 - first) as usize;
            let steps = from..last;
            let deltas = steps.flat_map(|index| self.step(messages, index, first)).collect();
            return Answer { wipe: false, deltas };
        }
        Answer { wipe: true, deltas: full(&self.entities(messages, last), newest) }
    }

    /// What changed from one message to the next.
    fn step(&self, messages: &[Bytes], from: usize, first: u64) -> Vec<Value> {
        let (before, after) = (self.entities(messages, from), self.entities(messages, from + 1));
        let (old, new) = (before.by_key(), after.by_key());
        let version = first + from as u64 + 1;
        let delta = |kind: &str, key: &str, entity: Value| {
            let pk = json!({ entities::key_of(kind): key });
            json!({ "type": kind, "pk": pk, "entity": entity, "version": version, "ws_id": after.workspace })
        };

        let gone = before.ordered.iter().filter(|(kind, key, _)| !new.contains_key(&(kind.as_str(), key.as_str())));
        let changed = after
            .ordered
            .iter()
            .filter(|(kind, key, entity)| old.get(&(kind.as_str(), key.as_str())).is_none_or(|was| *was != entity));
        let gone = gone.map(|(kind, key, _)| delta(kind, key, Value::Null));
        gone.chain(changed.map(|(kind, key, entity)| delta(kind, key, entity.clone()))).collect()
    }
}

fn full(entities: &Entities, version: u64) -> Vec<Value> {
    let delta = |(kind, _, entity): &(String, String, Value)| json!({ "type": kind, "entity": entity, "version": version, "ws_id": entities.workspace });
    entities.ordered.iter().map(delta).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorded;

    const FIRST: u64 = 16;

    fn answer(asked: f64) -> Answer {
        Versions::default().answer(&[recorded::first(), recorded::after_change()], FIRST, asked)
    }

    #[test]
    fn a_node_at_the_newest_version_or_beyond_gets_nothing() {
        for asked in [17.0, 18.0, 1_000_000.0] {
            assert_eq!(answer(asked).result(), json!({ "default": { "wipe": false, "deltas": {} } }));
        }
    }

    #[test]
    fn a_node_one_behind_gets_what_was_changed() {
        let answer = answer(16.0);
        assert!(!answer.wipe);
        let kinds: Vec<&str> = answer.deltas.iter().filter_map(|delta| delta["type"].as_str()).collect();
        assert_eq!(kinds, ["routes"]);
        let delta = &answer.deltas[0];
        assert_eq!((&delta["version"], &delta["pk"]["id"]), (&json!(17), &delta["entity"]["id"]));
    }

    #[test]
    fn a_node_at_a_negative_version_or_0_or_too_far_behind_gets_all() {
        for asked in [-999_999_990.0, -5.0, 0.0, 15.0] {
            let answer = answer(asked);
            assert!(answer.wipe && answer.deltas[0]["type"] == "workspaces", "{asked}");
            assert!(answer.deltas.iter().all(|delta| delta["version"] == 17), "{asked}");
        }
        let changes: Vec<Bytes> = (0..=KEPT + 1)
            .map(|index| if index % 2 == 0 { recorded::first() } else { recorded::after_change() })
            .collect();
        let versions = Versions::default();
        assert!(!versions.answer(&changes, 1, 2.0).wipe);
        assert!(versions.answer(&changes, 1, 1.0).wipe);
    }

    #[test]
    fn a_control_plane_at_version_0_sends_all_each_time() {
        let answer = Versions::default().answer(&[recorded::first()], 0, 0.0);
        assert!(answer.wipe && answer.deltas.iter().all(|delta| delta["version"] == 0));
    }

    #[test]
    fn what_was_deleted_is_a_delta_without_an_entity() {
        let answer = Versions::default().answer(&[recorded::after_change(), recorded::first()], FIRST, 16.0);
        let delta = &answer.deltas[0];
        assert_eq!((answer.deltas.len(), &delta["entity"], &delta["type"]), (1, &Value::Null, &json!("routes")));
    }

    /// The configurations of the recorded control plane from version 16 on, made of what it answered.
    fn recorded_messages(answers: &[Value]) -> Vec<Bytes> {
        let mut entities: BTreeMap<(String, String), Value> = BTreeMap::new();
        let mut messages = Vec::new();
        for answer in answers {
            for delta in answer["deltas"].as_array().unwrap() {
                let kind = delta["type"].as_str().unwrap().to_owned();
                let of = if delta["entity"].is_null() { &delta["pk"] } else { &delta["entity"] };
                let key = (kind.clone(), of[entities::key_of(&kind)].as_str().unwrap().to_owned());
                match &delta["entity"] {
                    Value::Null => drop(entities.remove(&key)),
                    entity => drop(entities.insert(key, entities::with_plain_ids(&kind, entity.clone()))),
                }
            }
            let mut table = serde_json::Map::new();
            for ((kind, _), entity) in &entities {
                let list = table.entry(kind.clone()).or_insert_with(|| json!([]));
                list.as_array_mut().unwrap().push(entity.clone());
            }
            let table = Value::Object(table).to_string().into();
            messages.push(Configuration { hash: "0".repeat(32), table }.to_message().unwrap());
        }
        messages
    }

    /// What the recorded control plane answered with deltas, oldest first.
    fn recorded_answers() -> Vec<Value> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/kong-3.9.1/sync2/recorded.jsonl.gz");
        let lines = std::io::BufReader::new(flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()));
        let lines = serde_json::Deserializer::from_reader(lines).into_iter::<Value>();
        let results = lines.map(|line| line.unwrap()["json"]["result"]["default"].clone());
        results.filter(|answer| answer["deltas"].is_array()).collect()
    }

    #[test]
    fn the_recorded_questions_get_the_recorded_answers() {
        let answers = recorded_answers();
        assert_eq!(answers.len(), 5);
        let messages = recorded_messages(&answers);
        let versions = Versions::default();
        let sorted = |deltas: &[Value]| {
            let mut deltas: Vec<String> = deltas.iter().map(Value::to_string).collect();
            deltas.sort();
            deltas
        };
        for (index, asked) in [0.0, 16.0, 17.0, 18.0, 19.0].into_iter().enumerate() {
            let answer = versions.answer(&messages[..=index], FIRST, asked);
            let recorded = answers[index]["deltas"].as_array().unwrap();
            assert_eq!((answer.wipe, sorted(&answer.deltas)), (index == 0, sorted(recorded)), "asked with {asked}");
            let kinds = |deltas: &[Value]| {
                let mut kinds: Vec<Value> = deltas.iter().map(|delta| delta["type"].clone()).collect();
                kinds.dedup();
                kinds
            };
            assert_eq!(kinds(&answer.deltas), kinds(recorded), "asked with {asked}");
        }
        let none = versions.answer(&messages, FIRST, 20.0).result();
        assert_eq!(none, json!({ "default": { "wipe": false, "deltas": {} } }));
    }
}
