//! Which fields of an entity have other values, with their secrets covered.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Field, True, Values};
use crate::kong::entities::Entities;
use crate::masking::Mask;

type Members = Map<String, Value>;

/// When Kong wrote an entity down says nothing of what it does, and a node without a database writes all of them down
/// anew with each configuration.
const TIMES: [&str; 2] = ["created_at", "updated_at"];

/// The fields that differ, sorted; each entity with the configuration that it is part of.
pub(super) fn changed_fields(
    kind: &str,
    before: (&Members, &Entities<'_>),
    after: (&Members, &Entities<'_>),
) -> Vec<Field> {
    let mut comparison = Comparison {
        masks: (Mask::of(kind, before.0), Mask::of(kind, after.0)),
        entities: (before.1, after.1),
        found: Vec::new(),
    };
    comparison.members(&[], before.0, after.0);
    comparison.found
}

struct Comparison<'a> {
    masks: (Mask<'a>, Mask<'a>),
    entities: (&'a Entities<'a>, &'a Entities<'a>),
    found: Vec<Field>,
}

impl Comparison<'_> {
    fn members(&mut self, path: &[&str], before: &Members, after: &Members) {
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for name in names.into_iter().filter(|name| !(path.is_empty() && TIMES.contains(&name.as_str()))) {
            let path = [path, &[name.as_str()]].concat();
            self.field(&path, before.get(name), after.get(name));
        }
    }

    fn field(&mut self, path: &[&str], before: Option<&Value>, after: Option<&Value>) {
        if let (Some(before), Some(after)) = (before, after)
            && is_same(before, after)
        {
            return;
        }
        if let (Some(Value::Object(before)), Some(Value::Object(after))) = (before, after)
            && !before.is_empty()
            && !after.is_empty()
            && !self.is_covered(path, &Value::Object(before.clone()))
        {
            return self.members(path, before, after);
        }
        if let Some(values) = self.values(path, before, after) {
            let field = if path == [""] { "(whole)".to_owned() } else { path.join(".") };
            self.found.push(Field { field, values });
        }
    }

    fn is_covered(&self, path: &[&str], value: &Value) -> bool {
        self.masks.0.cover(path, value).is_string()
    }

    fn values(&self, path: &[&str], before: Option<&Value>, after: Option<&Value>) -> Option<Values> {
        // What isn't mentioned has its default: to say so, is no change.
        if before.is_none_or(Value::is_null) && after.is_none_or(Value::is_null) {
            return None;
        }

        if let (Some(Value::Array(before)), Some(Value::Array(after))) = (before, after)
            && is_reordered(before, after)
        {
            return Some(Values::Reordered { reordered: True });
        }
        if path.len() == 1
            && path != ["id"]
            && (self.refers(before, self.entities.0) || self.refers(after, self.entities.1))
        {
            let before = before.map(|value| name(value, self.entities.0));
            let after = after.map(|value| name(value, self.entities.1));
            return (before != after).then_some(Values::Shown { before, after });
        }
        let before = before.map(|value| self.masks.0.cover(path, value));
        let after = after.map(|value| self.masks.1.cover(path, value));
        Some(if before == after { Values::Masked { masked: True } } else { Values::Shown { before, after } })
    }

    fn refers(&self, value: Option<&Value>, entities: &Entities<'_>) -> bool {
        value.and_then(Value::as_str).is_some_and(|id| entities.name_of_id(id).is_some())
    }
}

/// The name of the entity that a value refers to, if it does.
fn name(value: &Value, entities: &Entities<'_>) -> Value {
    value.as_str().and_then(|id| entities.name_of_id(id)).map_or_else(|| value.clone(), Value::from)
}

/// Whether Kong takes them for the same: numbers by their value, and an empty list is an empty object (Lua has but one
/// empty table, and Kong's own hash sees no difference).
fn is_same(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Number(before), Value::Number(after)) => before == after || before.as_f64() == after.as_f64(),
        (Value::Array(before), Value::Array(after)) => {
            before.len() == after.len() && before.iter().zip(after).all(|(before, after)| is_same(before, after))
        }
        (Value::Object(before), Value::Object(after)) => {
            before.len() == after.len()
                && before.iter().all(|(name, value)| after.get(name).is_some_and(|other| is_same(value, other)))
        }
        (Value::Array(array), Value::Object(object)) | (Value::Object(object), Value::Array(array)) => {
            array.is_empty() && object.is_empty()
        }
        (before, after) => before == after,
    }
}

fn is_reordered(before: &[Value], after: &[Value]) -> bool {
    let sorted = |values: &[Value]| {
        let mut texts: Vec<String> = values.iter().map(Value::to_string).collect();
        texts.sort_unstable();
        texts
    };
    before.len() == after.len() && sorted(before) == sorted(after)
}
