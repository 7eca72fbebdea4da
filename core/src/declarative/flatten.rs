//! From nested entities without ids to lists of entities that refer to one another by id, as Kong itself does when it
//! loads a file. What Kong would refuse is refused by name.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value};

use super::Refused;
use super::identity::{Parent, kongs_own, of_content};
use crate::kong::entity_name;
use crate::kong::schema::{Key, Kind};

type Members = Map<String, Value>;

/// What decK keeps beside entities and Kong doesn't take: harmless, since it only steers decK.
const FOR_DECK_ALONE: [&str; 3] = ["_comment", "_ignore", "_konnect"];

/// The configuration in its final form.
pub(super) fn flatten(document: Members) -> Result<Members, Refused> {
    let mut flattener = Flattener::default();
    let mut flat = Members::new();
    let mut lists = Vec::new();
    for (name, value) in document {
        match (name.as_str(), value) {
            ("_format_version", format) => drop(flat.insert(name, format)),
            ("_transform", Value::Bool(transform)) => drop(flat.insert(name, transform.into())),
            ("_plugin_configs", Value::Object(shared)) => flattener.shared_plugin_configs = shared,
            (meta, value) if meta.starts_with('_') => check_meta(meta, &value)?,
            (_, Value::Array(entities)) => lists.push((name, entities)),
            (_, Value::Null) => {}
            _ => return Err(member(name, "it must be a list of entities")),
        }
    }
    for (kind, entities) in lists {
        flattener.add_list(&kind, entities)?;
    }
    // Kong's own default, said aloud: passwords in a file written by hand are plain, and each node hashes them.
    flat.entry("_transform").or_insert(true.into());
    for (kind, entities) in flattener.finish()? {
        flat.insert(kind, Value::Array(entities.into_iter().map(Value::Object).collect()));
    }
    Ok(flat)
}

fn check_meta(name: &str, value: &Value) -> Result<(), Refused> {
    let is_default = |value: &Value| value.is_null() || value == "default";
    match name {
        _ if FOR_DECK_ALONE.contains(&name) => Ok(()),
        "_info" if value.get("defaults").is_none_or(|defaults| defaults == &Value::Object(Members::new())) => Ok(()),
        "_info" => Err(member(name, "decK's defaults are unknown to Kong: write them into the entities")),
        "_workspace" if is_default(value) => Ok(()),
        "_workspace" => Err(member(name, "a node without a control plane knows no workspace but default")),
        _ => Err(member(name, "it is neither one of Kong's nor one of decK's that can be kept: take it out")),
    }
}

fn member(name: impl Into<String>, reason: &str) -> Refused {
    Refused::Member { member: name.into(), reason: reason.to_owned() }
}

fn refused(kind: &str, entity: &Members, reason: impl Into<String>) -> Refused {
    let name = entity_name::of(kind, entity, |_| None);
    Refused::Entity { kind: kind.to_owned(), name, reason: reason.into() }
}

#[derive(Default)]
struct Flattener {
    /// By kind.
    entities: BTreeMap<String, Vec<Members>>,
    /// decK's: configurations that several plugins share.
    shared_plugin_configs: Members,
    /// How often entities of the same content have come.
    twins: HashMap<String, usize>,
}

impl Flattener {
    fn add_list(&mut self, kind: &str, entities: Vec<Value>) -> Result<(), Refused> {
        match Kind::named(kind) {
            Some(kind) => entities.into_iter().try_for_each(|entity| self.add(kind, entity, None)),
            None => entities.into_iter().try_for_each(|entity| self.add_unknown(kind, entity)),
        }
    }

    /// An entity of a custom plugin or of Enterprise: what an id of it is made of isn't known.
    fn add_unknown(&mut self, kind: &str, entity: Value) -> Result<(), Refused> {
        let Value::Object(entity) = entity else { return Err(member(kind, "its entities must be objects")) };
        if !entity.get("id").is_some_and(Value::is_string) {
            let reason = "this kind of entity is not one of open-source Kong's. One of a custom plugin or of Enterprise \
                          can be kept if it has an id; `deck file format dbless` converts what only decK knows";
            return Err(refused(kind, &entity, reason));
        }
        self.entities.entry(kind.to_owned()).or_default().push(entity);
        Ok(())
    }

    fn add(&mut self, kind: &Kind, entity: Value, parent: Option<Parent<'_>>) -> Result<(), Refused> {
        let Value::Object(mut entity) = entity else {
            return Err(member(kind.name, "its entities must be objects, also where they are nested"));
        };
        entity.retain(|name, _| name != "_comment" && name != "_ignore");
        if kind.name == "plugins" {
            self.resolve_shared_config(&mut entity)?;
        }
        if kind.name == "consumers" && entity.contains_key("groups") {
            let reason = "only decK knows groups inside of a consumer: `deck file format dbless` converts them";
            return Err(refused(kind.name, &entity, reason));
        }
        let mut children = Vec::new();
        for (child, field) in kind.children() {
            if entity.get(child.name).is_some_and(|value| value.is_array() || value.is_null()) {
                children.push((child, field, entity.remove(child.name)));
            }
        }
        let id = self.identify(kind, &mut entity, parent)?;
        for (child, field, nested) in children {
            let Some(Value::Array(nested)) = nested else { continue };
            for entity in nested {
                self.add(child, entity, Some(Parent { field, id: &id }))?;
            }
        }
        self.entities.entry(kind.name.to_owned()).or_default().push(entity);
        Ok(())
    }

    /// The entity's id, which it has from now on, and with it whose it is.
    fn identify(&mut self, kind: &Kind, entity: &mut Members, parent: Option<Parent<'_>>) -> Result<String, Refused> {
        let primary = kind.primary_key();
        let written = entity.get(primary).filter(|id| !id.is_null()).cloned();
        let derived = if written.is_none() { kongs_own(kind, entity, parent) } else { None };
        if let Some(parent) = parent {
            entity.insert(parent.field.to_owned(), parent.id.into());
        }
        let id = match (written, derived) {
            (Some(Value::String(id)), _) => return Ok(id),
            (Some(_), _) => return Err(refused(kind.name, entity, format!("its {primary} must be a text"))),
            (None, _) if primary != "id" => return Err(refused(kind.name, entity, format!("it has no {primary}"))),
            (None, Some(id)) => id,
            (None, None) => {
                entity.remove("id");
                let count = self.twins.entry(of_content(kind, entity, 0)).or_default();
                *count += 1;
                of_content(kind, entity, *count)
            }
        };
        entity.insert("id".to_owned(), id.as_str().into());
        Ok(id)
    }

    /// decK's `_config`: the name of a shared configuration, over which the plugin's own wins.
    fn resolve_shared_config(&self, plugin: &mut Members) -> Result<(), Refused> {
        let Some(name) = plugin.remove("_config") else { return Ok(()) };
        let shared = name.as_str().and_then(|name| self.shared_plugin_configs.get(name)?.as_object());
        let Some(shared) = shared else {
            return Err(refused("plugins", plugin, format!("_plugin_configs has no {name}, which is its _config")));
        };
        let mut config = shared.clone();
        if let Some(Value::Object(own)) = plugin.remove("config") {
            config.extend(own);
        }
        plugin.insert("config".to_owned(), Value::Object(config));
        Ok(())
    }

    /// All entities, referring to one another by id.
    fn finish(mut self) -> Result<BTreeMap<String, Vec<Members>>, Refused> {
        let known: BTreeMap<String, Known> = self
            .entities
            .iter()
            .map(|(kind, of_kind)| Ok((kind.clone(), Known::of(kind, of_kind)?)))
            .collect::<Result<_, Refused>>()?;
        for (name, of_kind) in &mut self.entities {
            let Some(kind) = Kind::named(name) else { continue };
            for entity in of_kind {
                for reference in kind.references {
                    let known = known.get(reference.kind);
                    match entity.get(reference.field).filter(|value| !value.is_null()) {
                        None if !reference.is_required => {}
                        None => {
                            let reason =
                                format!("it must say in {} to which of {} it belongs", reference.field, reference.kind);
                            return Err(refused(name, entity, reason));
                        }
                        Some(written) => match known.and_then(|known| known.find(written)) {
                            Some(id) => drop(entity.insert(reference.field.to_owned(), id.into())),
                            None => {
                                let reason = format!("its {} {written} is none of {}", reference.field, reference.kind);
                                return Err(refused(name, entity, reason));
                            }
                        },
                    }
                }
            }
        }
        Ok(self.entities)
    }
}

/// What entities of one kind can be referred to by.
struct Known {
    key: Option<&'static str>,
    ids: HashSet<String>,
    by_name: HashMap<String, String>,
}

impl Known {
    fn of(name: &str, entities: &[Members]) -> Result<Self, Refused> {
        let kind = Kind::named(name);
        let primary = kind.map_or("id", Kind::primary_key);
        let key = kind.and_then(|kind| kind.key.as_ref());
        let mut known = Self { key: key.map(Key::field), ids: HashSet::new(), by_name: HashMap::new() };
        for entity in entities {
            let text = |field: &str| entity.get(field).and_then(Value::as_str).map(str::to_owned);
            let id = text(primary).unwrap_or_default();
            if !known.ids.insert(id.clone()) {
                let reason = "there are two of it: the same id, or the same name where each needs its own".to_owned();
                return Err(refused(name, entity, reason));
            }
            let is_unique = matches!(key, Some(Key::Unique(_)));
            if let Some(own) = known.key.and_then(text)
                && known.by_name.insert(own, id).is_some()
                && is_unique
            {
                return Err(refused(name, entity, "there are two with this name".to_owned()));
            }
        }
        Ok(known)
    }

    /// The id of the entity that is referred to by name, by id, or as decK does by an object with one of them.
    fn find(&self, written: &Value) -> Option<String> {
        let found =
            |text: &str| self.by_name.get(text).cloned().or_else(|| self.ids.contains(text).then(|| text.to_owned()));
        match written {
            Value::String(text) => found(text),
            Value::Object(members) => {
                let field = |name: &str| members.get(name).and_then(Value::as_str);
                field("id").or_else(|| field(self.key?)).and_then(found)
            }
            _ => None,
        }
    }
}
