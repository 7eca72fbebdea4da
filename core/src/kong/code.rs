//! Which entities carry Lua code: whoever writes such a one into a configuration runs it in every node.

use serde_json::{Map, Value};

/// Plugins that do nothing but run the code of their settings.
const RUN_CODE: [&str; 3] = ["pre-function", "post-function", "exit-transformer"];

/// Whether nodes run code that stands in this entity: a plugin of functions, one with a field of Lua, or a plugin that is
/// streamed itself (from Kong 3.15 on: `custom_plugins`, with a handler and a schema in Lua; developer.konghq.com,
/// "Streaming custom plugins").
pub(crate) fn is_in(kind: &str, members: &Map<String, Value>) -> bool {
    match kind {
        "custom_plugins" => true,
        "plugins" => {
            let name = members.get("name").and_then(Value::as_str).unwrap_or_default();
            RUN_CODE.contains(&name) || members.get("config").is_some_and(has_lua)
        }
        _ => false,
    }
}

fn has_lua(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(name, value)| {
            let is_lua = name == "lua" || name.ends_with("_lua") || name.starts_with("lua_");
            is_lua && is_something(value) || has_lua(value)
        }),
        Value::Array(elements) => elements.iter().any(has_lua),
        _ => false,
    }
}

fn is_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(elements) => !elements.is_empty(),
        Value::Object(members) => members.values().any(is_something),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn code_is_found_in_plugins_that_run_it_or_are_made_of_it() {
        for (kind, entity, expected) in [
            ("plugins", json!({"name": "pre-function", "config": {}}), true),
            ("plugins", json!({"name": "http-log", "config": {"custom_fields_by_lua": {"a": "return 1"}}}), true),
            ("plugins", json!({"name": "http-log", "config": {"custom_fields_by_lua": null}}), false),
            (
                "plugins",
                json!({"name": "request-callout", "config": {"callouts": [{"response": {"by_lua": "x"}}]}}),
                true,
            ),
            ("plugins", json!({"name": "cors", "config": {"origins": ["*"]}}), false),
            ("custom_plugins", json!({"name": "mine", "handler": "return {}", "schema": "return {}"}), true),
            ("services", json!({"name": "pre-function"}), false),
        ] {
            assert_eq!(is_in(kind, entity.as_object().unwrap()), expected, "{kind} {entity}");
        }
    }
}
