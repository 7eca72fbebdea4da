//! What Kong says is wrong with a configuration, in lines for people: each entity as Kong names it, each of its fields.
//! What else stands in the answer, the entities themselves, holds secrets and is left out.

use serde_json::Value;

/// How many entities are named.
const MOST: usize = 10;
/// How much of one message is repeated, in characters.
const LONGEST: usize = 300;
/// How deep fields are nested at most.
const DEEPEST: usize = 16;

/// Whether an answer names entities.
pub(super) fn is_flattened(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|body| !flattened(&body["flattened_errors"]).is_empty())
}

/// Describes the body of an answer that refuses a configuration.
pub(super) fn described(body: &[u8]) -> String {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return "it gives no reason".to_owned() };
    let mut lines = flattened(&body["flattened_errors"]);
    if lines.is_empty() {
        nested(&body["fields"], &mut String::new(), 0, &mut lines);
    }
    if lines.is_empty() {
        return body["message"].as_str().map_or_else(|| "it gives no reason".to_owned(), told);
    }
    let more = lines.len().saturating_sub(MOST);
    lines.truncate(MOST);
    let listed: String = lines.iter().map(|line| format!("\n  - {line}")).collect();
    if more > 0 { format!("{listed}\n  and {more} more") } else { listed }
}

/// What the body of a 413 says was too small. Three limits answer so: nginx's for a body, in a page of its own or in JSON; and
/// Kong's for what a configuration becomes, LMDB's map or, before Kong 3.0, the memory cache, which it calls by their settings.
pub(super) fn too_large(body: &[u8], bytes: usize) -> String {
    let body: Option<Value> = serde_json::from_slice(body).ok();
    let message = body.as_ref().and_then(|body| body["message"].as_str());
    let said = message.map(|message| format!("{}: ", told(message))).unwrap_or_default();
    let cure = match message.map(str::to_ascii_lowercase) {
        Some(message) if message.contains("lmdb") => {
            "raise lmdb_map_size there (valid: KONG_LMDB_MAP_SIZE=4096m)".to_owned()
        }
        Some(message) if message.contains("cache") => {
            "raise mem_cache_size there (valid: KONG_MEM_CACHE_SIZE=512m)".to_owned()
        }
        _ => format!(
            "raise nginx_admin_client_max_body_size there, or the limit of a proxy before it (valid: \
             KONG_NGINX_ADMIN_CLIENT_MAX_BODY_SIZE={}m)",
            bytes.div_ceil(1 << 20) + 1
        ),
    };
    format!("{said}{cure}")
}

// Entity by entity.
fn flattened(errors: &Value) -> Vec<String> {
    errors.as_array().into_iter().flatten().map(entity).collect()
}

fn entity(error: &Value) -> String {
    let text = |member: &str| error[member].as_str();
    let kind = text("entity_type").unwrap_or("entity");
    let name = match (text("entity_name"), text("entity_id")) {
        (Some(name), Some(id)) => format!("{kind} {name:?} ({id})"),
        (Some(name), None) => format!("{kind} {name:?}"),
        (None, Some(id)) => format!("{kind} {id}"),
        (None, None) => format!("a {kind} without a name"),
    };
    let problems: Vec<String> = error["errors"].as_array().into_iter().flatten().map(problem).collect();
    format!("{}: {}", told(&name), problems.join("; "))
}

fn problem(error: &Value) -> String {
    // Several for a field stand in a list.
    let message = match &error["message"] {
        Value::String(message) => told(message),
        Value::Array(messages) => messages.iter().filter_map(Value::as_str).map(told).collect::<Vec<_>>().join(", "),
        _ => "no reason is given".to_owned(),
    };
    match error["field"].as_str() {
        Some(field) => format!("{} {message}", told(field)),
        None => message,
    }
}

// Otherwise: where each message stands among the entities, such as services[2].host.
fn nested(fields: &Value, path: &mut String, depth: usize, lines: &mut Vec<String>) {
    if depth > DEEPEST {
        return;
    }
    let mut below = |step: String, value: &Value| {
        let length = path.len();
        path.push_str(&step);
        nested(value, path, depth + 1, lines);
        path.truncate(length);
    };

    match fields {
        Value::String(message) => lines.push(format!("{}: {}", told(path), told(message))),
        Value::Array(elements) => elements.iter().enumerate().for_each(|(at, value)| below(format!("[{at}]"), value)),
        Value::Object(members) => {
            let dot = if depth == 0 { "" } else { "." };
            members.iter().for_each(|(name, value)| below(format!("{dot}{name}"), value));
        }
        _ => {}
    }
}

// Where two entities have one credential, Kong's message repeats it.
fn told(text: &str) -> String {
    const BEFORE: &str = " set to '";
    let text = match text.find(BEFORE) {
        Some(at) => {
            let rest = &text[at + BEFORE.len()..];
            let after = rest.rfind('\'').map_or("", |end| &rest[end..]);
            format!("{}{BEFORE}..{after}", &text[..at])
        }
        None => text.to_owned(),
    };
    text.chars().filter(|character| !character.is_control()).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entities_are_named_with_their_fields_and_what_is_in_them_is_not_repeated() {
        let body = json!({
            "code": 14, "name": "invalid declarative configuration", "message": "declarative config is invalid: {..}",
            "fields": {},
            "flattened_errors": [
                { "entity_type": "service", "entity_name": "orders", "entity_id": "0f6a",
                  "entity": { "client_certificate": "wonderful-secret" },
                  "errors": [{ "type": "field", "field": "host", "message": "required field missing" }] },
                { "entity_type": "keyauth_credential",
                  "errors": [{ "type": "entity",
                    "message": "uniqueness violation: 'keyauth_credentials' entity with key set to 'it's secret' already declared" }] },
                { "entity_type": "route", "entity_name": "buy",
                  "errors": [{ "type": "field", "field": "paths", "message": ["too short", "too\nlong"] }] },
            ],
        });
        let text = described(body.to_string().as_bytes());
        assert_eq!(
            text,
            "\n  - service \"orders\" (0f6a): host required field missing\
             \n  - a keyauth_credential without a name: uniqueness violation: 'keyauth_credentials' entity with key set to \
             '..' already declared\
             \n  - route \"buy\": paths too short, toolong"
        );
    }

    #[test]
    fn without_a_flat_list_the_way_to_each_field_is_told() {
        let body =
            json!({ "fields": { "services": [null, { "host": "required field missing" }], "wrong": "unknown field" } });
        let text = described(body.to_string().as_bytes());
        assert_eq!(text, "\n  - services[1].host: required field missing\n  - wrong: unknown field");
    }

    #[test]
    fn a_long_list_ends_with_how_much_more_there_is() {
        let errors: Vec<_> = (0..25).map(|at| json!({ "entity_type": "route", "entity_id": at.to_string() })).collect();
        let text = described(json!({ "flattened_errors": errors }).to_string().as_bytes());
        assert!(text.ends_with("and 15 more") && text.lines().count() == 12, "{text}");
    }

    #[test]
    fn what_is_too_large_is_told_by_the_limit_that_the_answer_names() {
        let page = b"<html><head><title>413 Request Entity Too Large</title></head></html>";
        assert!(too_large(page, 12 << 20).ends_with("KONG_NGINX_ADMIN_CLIENT_MAX_BODY_SIZE=13m)"));
        let lmdb = br#"{"message":"Configuration does not fit in LMDB database, consider raising lmdb_map_size"}"#;
        let told = too_large(lmdb, 12 << 20);
        assert!(
            told.starts_with("Configuration does not fit in LMDB") && told.contains("KONG_LMDB_MAP_SIZE"),
            "{told}"
        );
        assert!(!told.contains("BODY_SIZE"), "{told}");
        assert!(too_large(br#"{"message":"does not fit in Kong cache"}"#, 1).contains("KONG_MEM_CACHE_SIZE"));
        let other = too_large(br#"{"message":"Request body too large"}"#, 1);
        assert!(other.starts_with("Request body too large: ") && other.contains("BODY_SIZE=2m"), "{other}");
    }

    #[test]
    fn other_answers_are_shown_as_far_as_they_say_anything() {
        assert_eq!(
            described(br#"{"message":"this endpoint is only available without a database"}"#),
            "this endpoint is only available without a database"
        );
        assert_eq!(described(b"<html>"), "it gives no reason");
        assert_eq!(described(b"{}"), "it gives no reason");
    }
}
