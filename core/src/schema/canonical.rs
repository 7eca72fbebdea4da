//! One form of the same schemas. Kong completes its schemas while it uses them and shows that: the same control plane
//! describes the same field with more attributes after it has checked one. What Kong completes goes without saying.

use serde_json::{Map, Value};

/// The JSON in which a control plane's schemas are kept: each from `/schemas/<entity>` and `/schemas/plugins/<name>`.
pub fn canonical_json(entities: Map<String, Value>, plugins: Map<String, Value>) -> Vec<u8> {
    let mut set = serde_json::json!({ "entities": entities, "plugins": plugins });
    let groups = set.as_object_mut().into_iter().flat_map(|set| set.values_mut());
    groups.filter_map(Value::as_object_mut).flat_map(Map::values_mut).for_each(complete);
    set.to_string().into_bytes()
}

/// Takes out what Kong completes.
fn complete(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            // What is said to people says nothing of a value. A field may have the same name.
            let is_field = members.contains_key("type");
            members.retain(|name, value| match name.as_str() {
                "description" => !value.is_string(),
                "deprecation" => !is_field,
                _ => true,
            });

            let is_list = matches!(members.get("type").and_then(Value::as_str), Some("array" | "set" | "map"));
            // No text may be empty unless its schema says so.
            if !is_list && members.get("len_min") == Some(&Value::from(1)) {
                members.remove("len_min");
            }

            for (name, inner) in members.iter_mut() {
                // Of what a list holds all must be there.
                if matches!(name.as_str(), "elements" | "keys" | "values")
                    && let Value::Object(inner) = inner
                {
                    inner.remove("required");
                }
                // A default is a value, no schema.
                if name != "default" {
                    complete(inner);
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(complete),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn canonical(schema: Value) -> Value {
        let entities = Map::from_iter([("things".to_owned(), schema)]);
        let mut set: Value = serde_json::from_slice(&canonical_json(entities, Map::new())).unwrap();
        set["entities"]["things"].take()
    }

    #[test]
    fn a_schema_that_kong_has_used_is_the_same_as_one_that_it_has_not() {
        let unused = json!({"fields": [{"tags": {"type": "set", "elements": {"type": "string"}}}, {"description":
            {"type": "string"}}]});
        let used = json!({"fields": [{"tags": {"type": "set", "description": "Tags.", "elements":
            {"type": "string", "len_min": 1, "required": true}}}, {"description": {"type": "string", "len_min": 1}}]});
        assert_eq!(canonical(used), canonical(unused.clone()));
        assert_ne!(canonical(unused), json!({}));
    }

    #[test]
    fn what_a_schema_demands_stays() {
        let schema = json!({"fields": [{"filters": {"type": "array", "len_min": 1, "required": true,
            "elements": {"type": "string", "len_min": 0}}}, {"a": {"type": "record", "default": {"len_min": 1}}}]});
        assert_eq!(canonical(schema.clone()), schema);
    }
}
