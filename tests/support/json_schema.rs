//! Whether JSON is what one of our schemas says, and nothing besides: a member that the schema does not describe is a fault,
//! though to a schema's reader it is none. A library can't be told that, so this knows just the words that our schemas are
//! written in, and refuses all others. Patterns and formats it leaves to tests/contracts/check, where a library reads them.

use serde_json::{Map, Value};

/// What all words are that a schema may have.
const WORDS: [&str; 17] = [
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "description",
    "enum",
    "format",
    "if",
    "items",
    "minimum",
    "pattern",
    "properties",
    "required",
    "then",
    "title",
    "type",
];

/// A schema, and the whole that its references point into.
#[derive(Clone, Copy, Debug)]
pub struct Schema<'a> {
    whole: &'a Value,
    of: &'a Value,
}

impl<'a> Schema<'a> {
    /// The one at this place of a document, `/$defs/list`.
    ///
    /// # Panics
    /// When there is none.
    pub fn at(whole: &'a Value, place: &str) -> Self {
        Self { whole, of: whole.pointer(place).unwrap_or_else(|| panic!("no schema at {place}")) }
    }

    /// What is wrong with a value: each fault by the place where it is.
    pub fn faults(self, value: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.check(value, "", &mut faults);
        faults
    }

    fn check(self, value: &Value, place: &str, faults: &mut Vec<String>) {
        let Value::Object(words) = self.of else { panic!("{place}: no schema: {}", self.of) };
        for word in words.keys() {
            assert!(WORDS.contains(&word.as_str()), "{place}: this checker doesn't know {word:?}");
        }
        if let Some(reference) = words.get("$ref").and_then(Value::as_str) {
            let pointed = reference.strip_prefix('#').expect("references stay within the document");
            return Self::at(self.whole, pointed).check(value, place, faults);
        }
        if let Some(all) = words.get("anyOf").and_then(Value::as_array) {
            let of_each: Vec<Vec<String>> = all.iter().map(|of| self.of(of).faults(value)).collect();
            if !of_each.iter().any(Vec::is_empty) {
                faults.push(format!("{place}: none of several: {of_each:?}"));
            }
        }

        let types = match words.get("type") {
            Some(Value::Array(types)) => types.iter().collect(),
            Some(one) => vec![one],
            None => Vec::new(),
        };
        if !types.is_empty() && !types.iter().any(|of| is_of(value, of.as_str().expect("a type's name"))) {
            faults.push(format!("{place}: {value} is not {types:?}"));
        }
        if words.get("const").is_some_and(|only| only != value) {
            faults.push(format!("{place}: {value} is not {}", words["const"]));
        }
        if words.get("enum").is_some_and(|some| !some.as_array().expect("a list").contains(value)) {
            faults.push(format!("{place}: {value} is none of {}", words["enum"]));
        }
        if let (Some(least), Some(number)) = (words.get("minimum").and_then(Value::as_f64), value.as_f64())
            && number < least
        {
            faults.push(format!("{place}: {value} is less than {least}"));
        }

        match value {
            Value::Object(members) => self.check_members(words, members, place, faults),
            Value::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    if let Some(items) = words.get("items") {
                        self.of(items).check(element, &format!("{place}/{index}"), faults);
                    }
                }
            }
            _ => {}
        }
    }

    fn check_members(
        self,
        words: &Map<String, Value>,
        members: &Map<String, Value>,
        place: &str,
        faults: &mut Vec<String>,
    ) {
        // What is of one kind or another says so in `anyOf`; what may be any value says nothing at all.
        if !["properties", "additionalProperties"].iter().any(|word| words.contains_key(*word)) {
            return;
        }
        let required = words.get("required").and_then(Value::as_array).into_iter().flatten();
        let missing = required.filter_map(Value::as_str).filter(|name| !members.contains_key(*name));
        faults.extend(missing.map(|name| format!("{place}: no {name}")));
        for (name, member) in members {
            let place = format!("{place}/{name}");
            let own = words.get("properties").and_then(|properties| properties.get(name));
            match own.or_else(|| words.get("additionalProperties")) {
                Some(of) => self.of(of).check(member, &place, faults),
                None => faults.push(format!("{place}: the schema does not have it")),
            }
        }
    }

    fn of(self, of: &'a Value) -> Self {
        Self { of, ..self }
    }
}

fn is_of(value: &Value, of: &str) -> bool {
    match of {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type: {other}"),
    }
}
