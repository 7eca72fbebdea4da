//! What people call an entity. Never anything secret: a credential is named by whose it is.

use serde_json::{Map, Value};

/// Fields that may hold an entity's own name, the most telling first.
const NAMES: [&str; 6] = ["name", "username", "custom_id", "target", "group", "kid"];

/// Fields that say whose an entity is.
const OWNERS: [&str; 9] =
    ["service", "route", "consumer", "consumer_group", "upstream", "certificate", "set", "credential", "plugin"];

/// The name of an entity of this kind; `owner` gives the name of the entity with an id.
pub(crate) fn of(kind: &str, members: &Map<String, Value>, owner: impl Fn(&str) -> Option<String>) -> String {
    let own = own_name(kind, members);
    let owners: Vec<String> = OWNERS
        .iter()
        .filter_map(|field| Some((field, members.get(*field)?.as_str()?)))
        .map(|(field, id)| format!("{} {}", field.replace('_', " "), owner(id).unwrap_or_else(|| id.to_owned())))
        .collect();
    let owners = owners.join(", ");

    match (kind, own) {
        ("plugins", Some(own)) if owners.is_empty() => format!("{own} (global)"),
        // Those whose own name is theirs alone need no owner.
        ("services" | "routes" | "upstreams" | "snis", Some(own)) if text(members, "name").is_some() => own,
        ("consumers" | "vaults", Some(own)) => own,
        (_, Some(own)) if owners.is_empty() => own,
        ("plugins" | "filter_chains", Some(own)) => format!("{own} on {owners}"),
        (_, Some(own)) => format!("{own} of {owners}"),
        (_, None) if !owners.is_empty() => format!("of {owners}"),
        (_, None) => text(members, "id").unwrap_or_else(|| "(without a name)".to_owned()),
    }
}

fn own_name(kind: &str, members: &Map<String, Value>) -> Option<String> {
    match kind {
        // A vault's name is its sort.
        "vaults" | "vaults_beta" => text(members, "prefix"),
        "parameters" => text(members, "key"),
        "plugins" => match (text(members, "name"), text(members, "instance_name")) {
            (Some(name), Some(instance)) => Some(format!("{name} {instance:?}")),
            (name, _) => name,
        },
        _ => NAMES.iter().find_map(|field| text(members, field)).or_else(|| what_it_matches(members)),
    }
}

/// A route without a name: its methods, hosts and paths. A service without one: where it leads.
fn what_it_matches(members: &Map<String, Value>) -> Option<String> {
    let lists =
        ["methods", "hosts", "paths", "snis", "expression"].iter().filter_map(|field| match members.get(*field)? {
            Value::Array(values) if !values.is_empty() => {
                Some(values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","))
            }
            Value::String(expression) => Some(expression.clone()),
            _ => None,
        });
    let lists: Vec<String> = lists.collect();
    if !lists.is_empty() {
        return Some(lists.join(" "));
    }
    let host = text(members, "host")?;
    Some(members.get("port").and_then(Value::as_u64).map_or(host.clone(), |port| format!("{host}:{port}")))
}

fn text(members: &Map<String, Value>, field: &str) -> Option<String> {
    members.get(field)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn name(kind: &str, entity: Value) -> String {
        let Value::Object(members) = entity else { panic!("an entity is an object") };
        of(kind, &members, |id| (id == "1").then(|| "orders".to_owned()))
    }

    #[test]
    fn an_entity_is_called_what_people_call_it() {
        for (kind, entity, expected) in [
            ("services", json!({"name": "orders", "id": "x"}), "orders"),
            ("services", json!({"name": null, "host": "h", "port": 80}), "h:80"),
            ("routes", json!({"name": "echo", "service": "1"}), "echo"),
            (
                "routes",
                json!({"methods": ["GET", "PUT"], "paths": ["/a"], "service": "1"}),
                "GET,PUT /a of service orders",
            ),
            ("consumers", json!({"username": null, "custom_id": "c-1"}), "c-1"),
            ("plugins", json!({"name": "cors", "route": null}), "cors (global)"),
            ("plugins", json!({"name": "cors", "service": "1"}), "cors on service orders"),
            ("plugins", json!({"name": "cors", "instance_name": "a", "route": "9"}), "cors \"a\" on route 9"),
            ("targets", json!({"target": "10.0.0.1:80", "upstream": "1"}), "10.0.0.1:80 of upstream orders"),
            ("acls", json!({"group": "admins", "consumer": "1"}), "admins of consumer orders"),
            ("vaults", json!({"name": "env", "prefix": "my-env"}), "my-env"),
            ("parameters", json!({"key": "cluster_id", "value": "v"}), "cluster_id"),
            ("certificates", json!({"id": "x", "key": "secret"}), "x"),
            ("anything", json!({}), "(without a name)"),
        ] {
            assert_eq!(name(kind, entity), expected);
        }
    }

    #[test]
    fn a_credential_is_never_called_by_its_secret() {
        let entity = json!({"id": "x", "key": "secret", "secret": "secret", "password": "secret", "client_id": "secret",
            "access_token": "secret", "consumer": "1"});
        for kind in ["keyauth_credentials", "jwt_secrets", "oauth2_credentials", "oauth2_tokens"] {
            assert_eq!(name(kind, entity.clone()), "of consumer orders");
        }
    }
}
