//! The ids of entities that are written without one. Kong derives them from what tells an entity from others (source:
//! `kong/db/schema/others/declarative_config.lua`, Apache-2.0), so an id is the one that a DB-less node would give.

use serde_json::{Map, Value};
use uuid::{Uuid, uuid};

use super::schema::{Key, Kind, Part};

/// The namespace of Kong's namespaces: in it each kind of entity has one.
const NAMESPACE: Uuid = uuid!("fd02801f-0957-4a15-a55a-c8d9606f30b5");

/// Whose child an entity was written as: the field that says so, and the parent's id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parent<'a> {
    pub(crate) field: &'a str,
    pub(crate) id: &'a str,
}

/// The id that Kong would give to an entity as it is written; none where Kong would choose one at random.
pub(crate) fn kongs_own(kind: &Kind, entity: &Map<String, Value>, parent: Option<Parent<'_>>) -> Option<String> {
    let name = match &kind.key {
        Some(key) if entity.get(key.field()).is_some_and(|value| !value.is_null()) => named(key, entity, parent)?,
        _ if kind.together.is_empty() => return None,
        _ => together(kind, entity, parent)?,
    };
    Some(id(kind.name, &name))
}

/// An id for an entity that nothing tells from others but all that it is: the same for the same, where Kong would take
/// another one at each load. `count` tells twins apart.
pub(crate) fn of_content(kind: &str, entity: &Map<String, Value>, count: usize) -> String {
    let mut text = format!("content:{count}:");
    write_sorted(&Value::Object(entity.clone()), &mut text);
    id(kind, &text)
}

fn id(kind: &str, name: &str) -> String {
    Uuid::new_v5(&Uuid::new_v5(&NAMESPACE, kind.as_bytes()), name.as_bytes()).to_string()
}

fn named(key: &Key, entity: &Map<String, Value>, parent: Option<Parent<'_>>) -> Option<String> {
    let own = entity.get(key.field())?.as_str()?;
    match key {
        Key::Unique(_) => Some(own.to_owned()),
        Key::UniqueWithin(_, field) => {
            let of = parent.map_or_else(|| entity.get(*field)?.as_str(), |parent| Some(parent.id))?;
            Some(format!("{own}:{of}"))
        }
    }
}

fn together(kind: &Kind, entity: &Map<String, Value>, parent: Option<Parent<'_>>) -> Option<String> {
    let mut name = kind.name.to_owned();
    for part in kind.together {
        let (Part::Required(field) | Part::Optional(field)) = part;
        let value = match (entity.get(*field), parent, part) {
            (Some(Value::String(value)), ..) => value.as_str(),
            // Kong leaves out what is there and no text.
            (Some(_), ..) => continue,
            (None, Some(parent), _) if parent.field == *field => parent.id,
            (None, _, Part::Required(_)) => return None,
            (None, _, Part::Optional(_)) => "",
        };
        name.push(':');
        name.push_str(value);
    }

    // Enterprise's: without one, an id is the one that open-source Kong derives.
    if kind.name == "plugins" {
        let group = match (entity.get("consumer_group"), parent) {
            (Some(Value::String(group)), _) => Some(group.as_str()),
            (_, Some(Parent { field: "consumer_group", id })) => Some(id),
            _ => None,
        };
        if let Some(group) = group {
            name.push(':');
            name.push_str(group);
        }
    }
    Some(name)
}

/// JSON with sorted members, whatever order they are kept in.
fn write_sorted(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);

            for (name, value) in sorted {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write_sorted(value, text);
                text.push(';');
            }
            text.push('}');
        }
        Value::Array(elements) => {
            for element in elements {
                write_sorted(element, text);
                text.push(';');
            }
            text.push(']');
        }
        plain => text.push_str(&plain.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn own(kind: &str, entity: Value) -> Option<String> {
        kongs_own(Kind::named(kind).unwrap(), entity.as_object().unwrap(), None)
    }

    #[test]
    fn ids_are_those_that_kongs_own_client_expects() {
        // From the tests of Kong's Go client, github.com/Kong/go-kong, kong/ids_test.go (Apache-2.0).
        for (kind, entity, expected) in [
            ("services", json!({"name": "some.service.name"}), "d9bee1f8-db6e-5a37-9281-fd4aca16dc00"),
            ("routes", json!({"name": "some.service.name"}), "7f0753cd-bff2-5f74-85b0-e8e2057d9500"),
            ("consumers", json!({"username": "some.username"}), "782780c4-d345-5682-bdf6-722dccaf93e0"),
            ("vaults", json!({"name": "env", "prefix": "test-env"}), "837665c3-856f-5ca2-9db4-52a1cf8a32be"),
        ] {
            assert_eq!(own(kind, entity).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_plugin_is_told_from_others_by_what_it_applies_to() {
        let plugins = Kind::named("plugins").unwrap();
        let written = json!({"name": "cors", "config": {}});
        let nested = |field| kongs_own(plugins, written.as_object().unwrap(), Some(Parent { field, id: "an-id" }));
        assert_eq!(nested("service"), Some(id("plugins", "plugins:cors::an-id:")));
        assert_eq!(nested("route"), Some(id("plugins", "plugins:cors:an-id::")));
        assert_eq!(own("plugins", json!({"name": "cors"})), Some(id("plugins", "plugins:cors:::")));
        assert_eq!(own("plugins", json!({"name": "cors", "instance_name": "a"})), Some(id("plugins", "a")));
    }

    #[test]
    fn a_target_is_told_from_others_by_its_upstream() {
        let target = |upstream: &str| own("targets", json!({"target": "10.0.0.1:80", "upstream": upstream}));
        assert_eq!(target("orders"), Some(id("targets", "10.0.0.1:80:orders")));
        assert_ne!(target("orders"), target("payments"));
        assert_eq!(own("targets", json!({"target": "10.0.0.1:80"})), None);
    }

    #[test]
    fn what_has_no_name_is_known_by_all_that_it_is() {
        let of = |entity: Value, count| of_content("routes", entity.as_object().unwrap(), count);
        assert_eq!(own("routes", json!({"paths": ["/a"]})), None);
        let (one, other) = (json!({"paths": ["/a"], "methods": null}), json!({"methods": null, "paths": ["/a"]}));
        assert_eq!(of(one.clone(), 0), of(other, 0));
        assert_ne!(of(one.clone(), 0), of(one, 1));
        assert_ne!(of(json!({"paths": ["/a"]}), 0), of(json!({"paths": [["/a"]]}), 0));
    }
}
