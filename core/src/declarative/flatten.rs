//! From nested entities without ids to lists of entities that refer to one another by id, as Kong itself does when it
//! loads a file. What can't be brought into that form stays as it is written, and is found by `examine` or said here.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value};

use super::examine::is_password_hash;
use super::finding::{Authority, Finding, Severity};

use super::meta::{Meta, fill};
use crate::kong::derived_id::{Parent, kongs_own, of_content};
use crate::kong::entity_name;
use crate::kong::schema::{Key, Kind};
use crate::kong::version::KongVersion;

type Members = Map<String, Value>;

/// Which consumers are in which group, one entity for each: Enterprise's form of decK's `groups`. They have no id.
const MEMBERSHIPS: &str = "consumer_group_consumers";

/// What belongs to consumer groups, which Enterprise alone has.
const OF_GROUPS: [&str; 3] = ["consumer_groups", MEMBERSHIPS, "consumer_group_plugins"];

const NO_GROUPS: &str = "open-source Kong has no consumer groups, and its nodes refuse a file with them: take them out, or say \
                         with --kong-version which Enterprise version (four numbers) the nodes run";

/// The configuration in its final form, and what was noticed on the way there.
pub(super) fn flatten(mut document: Members, version: KongVersion) -> (Members, Vec<Finding>) {
    let mut meta = Meta::take_from(&mut document, version);
    let transform = meta.transform.unwrap_or(true);
    let mut flat = std::mem::take(&mut meta.kept);
    let mut flattener = Flattener::new(meta, version);
    for (name, value) in document {
        match value {
            Value::Array(entities) => flattener.add_list(&name, entities),
            // To Lua an empty object is an empty list.
            Value::Object(members) if members.is_empty() => flattener.add_list(&name, Vec::new()),
            Value::Null => {}
            other => {
                let reason = if Kind::named(&name).is_some() {
                    "it must be a list of entities"
                } else {
                    "unknown field, as Kong says: take it out. What YAML anchors are for can stand below _ignore"
                };
                flattener.findings.push(Finding::of_member(Severity::Refused, &name, reason));
                flat.insert(name, other);
            }
        }
    }

    // Kong's own default, said aloud: passwords in a file written by hand are plain, and each node hashes them.
    flat.insert("_transform".to_owned(), transform.into());
    let (entities, findings) = flattener.finish(transform);
    for (kind, entities) in entities {
        flat.insert(kind, Value::Array(entities));
    }
    (flat, findings)
}

/// Whether nodes of this version know no entities of this kind, whoever brings them.
pub(super) fn is_refused(kind: &str, version: KongVersion) -> bool {
    OF_GROUPS.contains(&kind) && !version.is_enterprise()
}

struct Flattener {
    version: KongVersion,
    meta: Meta,
    /// By kind. What is no object stays where it was written.
    entities: BTreeMap<String, Vec<Value>>,
    /// How often entities of the same content have come.
    twins: HashMap<String, usize>,
    /// Consumers whose id isn't in the file, but made up from their name.
    consumers_without_ids: HashSet<String>,
    findings: Vec<Finding>,
}

impl Flattener {
    fn new(mut meta: Meta, version: KongVersion) -> Self {
        let findings = std::mem::take(&mut meta.findings);
        let (entities, twins) = (BTreeMap::new(), HashMap::new());
        Self { version, meta, entities, twins, consumers_without_ids: HashSet::new(), findings }
    }

    fn add_list(&mut self, name: &str, entities: Vec<Value>) {
        if is_refused(name, self.version) {
            self.findings.push(Finding::of_member(Severity::Refused, name, NO_GROUPS));
        }
        self.entities.entry(name.to_owned()).or_default();
        match Kind::named(name) {
            Some(kind) => entities.into_iter().for_each(|entity| self.add(kind, entity, None)),
            None => self.add_unknown(name, entities),
        }
    }

    /// Entities of a custom plugin or of Enterprise: by what they are told apart isn't known, so those without an id get
    /// one by all that they are, and keep it as long as they stay the same.
    fn add_unknown(&mut self, kind: &str, entities: Vec<Value>) {
        let has_id = |entity: &Value| entity.get("id").is_some_and(Value::is_string);
        // What a running Kong has written down has its id, where the kind has one at all.
        let get_ids = entities.iter().any(has_id) || self.meta.transform != Some(false) && kind != MEMBERSHIPS;
        for mut entity in entities {
            if get_ids
                && !has_id(&entity)
                && let Value::Object(members) = &mut entity
            {
                members.remove("id");
                let id = self.id_of_content(kind, members);
                members.insert("id".to_owned(), id.into());
            }
            self.entities.entry(kind.to_owned()).or_default().push(entity);
        }
    }

    fn add(&mut self, kind: &'static Kind, entity: Value, parent: Option<Parent<'_>>) {
        let Value::Object(mut entity) = entity else {
            self.entities.entry(kind.name.to_owned()).or_default().push(entity);
            return;
        };
        entity.retain(|name, _| name != "_comment" && name != "_ignore");
        if kind.name == "plugins" {
            self.resolve_shared_config(&mut entity);
        }
        for (of, defaults) in &self.meta.defaults {
            if of == kind.name {
                fill(&mut entity, defaults);
            }
        }

        let mut children = Vec::new();
        for (child, field) in kind.children() {
            let is_list = |value: &Value| match value {
                Value::Array(_) | Value::Null => true,
                Value::Object(members) => members.is_empty(),
                _ => false,
            };
            if entity.get(child.name).is_some_and(is_list) {
                children.push((child, field, entity.remove(child.name)));
            }
        }
        let groups = if kind.name == "consumers" { self.groups_of(&mut entity) } else { Vec::new() };
        let id = self.identify(kind, &mut entity, parent);
        for (child, field, nested) in children {
            let Some(Value::Array(nested)) = nested else { continue };
            for entity in nested {
                self.add(child, entity, Some(Parent { field, id: &id }));
            }
        }
        for group in groups {
            let membership = Members::from_iter([
                ("consumer".to_owned(), Value::from(id.as_str())),
                ("consumer_group".to_owned(), group),
            ]);
            self.entities.entry(MEMBERSHIPS.to_owned()).or_default().push(Value::Object(membership));
        }
        self.entities.entry(kind.name.to_owned()).or_default().push(Value::Object(entity));
    }

    /// decK's groups inside of a consumer, each named by a text or by an object with its name.
    fn groups_of(&mut self, consumer: &mut Members) -> Vec<Value> {
        if !consumer.get("groups").is_some_and(Value::is_array) {
            return Vec::new();
        }
        if !self.version.is_enterprise() {
            self.say(Severity::Refused, "consumers", consumer, "groups", NO_GROUPS);
            return Vec::new();
        }
        let Some(Value::Array(groups)) = consumer.remove("groups") else { return Vec::new() };
        let named = |group: Value| match group {
            Value::Object(mut members) => members.remove("id").or_else(|| members.remove("name")),
            text => Some(text),
        };
        groups.into_iter().filter_map(named).collect()
    }

    /// The entity's id, which it has from now on, and with it whose it is.
    fn identify(&mut self, kind: &Kind, entity: &mut Members, parent: Option<Parent<'_>>) -> String {
        let primary = kind.primary_key();
        let written = entity.get(primary).filter(|id| !id.is_null()).cloned();
        let derived = if written.is_none() { kongs_own(kind, entity, parent) } else { None };

        if let Some(parent) = parent {
            entity.insert(parent.field.to_owned(), parent.id.into());
        }
        let id = match (written, derived) {
            (Some(Value::String(id)), _) => return id,
            // What it is, is said by whoever examines it.
            (Some(other), _) => return other.to_string(),
            (None, _) if primary != "id" => {
                self.say(Severity::Refused, kind.name, entity, primary, format!("it has no {primary}"));
                return String::new();
            }
            (None, Some(id)) => id,
            (None, None) => {
                entity.remove("id");
                self.id_of_content(kind.name, entity)
            }
        };

        if kind.name == "consumers" {
            self.consumers_without_ids.insert(id.clone());
        }
        entity.insert("id".to_owned(), id.as_str().into());
        id
    }

    fn id_of_content(&mut self, kind: &str, entity: &Members) -> String {
        let count = self.twins.entry(of_content(kind, entity, 0)).or_default();
        *count += 1;
        of_content(kind, entity, *count)
    }

    /// decK's `_config`: the name of a shared configuration, over which the plugin's own wins.
    fn resolve_shared_config(&mut self, plugin: &mut Members) {
        let Some(name) = plugin.get("_config") else { return };
        let shared = name.as_str().and_then(|name| self.meta.shared_plugin_configs.get(name)?.as_object());
        let Some(shared) = shared else {
            let reason = format!("_plugin_configs has no {name}");
            self.say(Severity::Refused, "plugins", plugin, "_config", reason);
            return;
        };
        let mut config = shared.clone();
        plugin.remove("_config");
        if let Some(Value::Object(own)) = plugin.remove("config") {
            config.extend(own);
        }
        plugin.insert("config".to_owned(), Value::Object(config));
    }

    /// All entities, referring to one another by id where that is known.
    fn finish(mut self, transform: bool) -> (BTreeMap<String, Vec<Value>>, Vec<Finding>) {
        let known: BTreeMap<String, Known> =
            self.entities.iter().map(|(kind, of_kind)| (kind.clone(), Known::of(kind, of_kind))).collect();
        let mut entities = std::mem::take(&mut self.entities);

        for (name, of_kind) in &mut entities {
            let Some(kind) = Kind::named(name) else { continue };
            for entity in of_kind.iter_mut().filter_map(Value::as_object_mut) {
                for reference in kind.references {
                    let Some(written) = entity.get(reference.field).filter(|value| !value.is_null()) else { continue };
                    let workspace = entity.get("ws_id").and_then(Value::as_str);
                    if let Some(id) = known.get(reference.kind).and_then(|known| known.find(written, workspace)) {
                        entity.insert(reference.field.to_owned(), id.into());
                    }
                }
                if name == "plugins" && !self.version.is_enterprise() && is_set(entity, "consumer_group") {
                    self.say(Severity::Refused, "plugins", entity, "consumer_group", NO_GROUPS);
                }
                if name == "basicauth_credentials" && !transform {
                    self.check_salt(entity);
                }
            }
        }
        (entities, self.findings)
    }

    /// A hash is of password and consumer's id together.
    fn check_salt(&mut self, credential: &Members) {
        let text = |field: &str| credential.get(field).and_then(Value::as_str);
        let is_without_id = text("consumer").is_some_and(|id| self.consumers_without_ids.contains(id));
        if !is_without_id || !text("password").is_some_and(is_password_hash) {
            return;
        }
        let reason = "it is a hash of the password and the consumer's id, and the file doesn't say which id that is: logins \
                      succeed only if it is the one that Kong derives from the consumer's name. Write the consumer's id into \
                      the file (deck gateway dump --with-id)";
        let severity = if self.meta.passwords_are_hashes { Severity::Warning } else { Severity::Refused };
        self.say(severity, "basicauth_credentials", credential, "password", reason);
    }

    fn say(&mut self, severity: Severity, kind: &str, entity: &Members, field: &str, reason: impl Into<String>) {
        let id = entity.get("id").and_then(Value::as_str).unwrap_or_default();
        self.findings.push(Finding {
            severity,
            kind: kind.to_owned(),
            name: entity_name::of(kind, entity, |_| None),
            identity: id.to_owned(),
            field: field.to_owned(),
            reason: reason.into(),
            authority: Authority::Lifeboat,
        });
    }
}

fn is_set(entity: &Members, field: &str) -> bool {
    entity.get(field).is_some_and(|value| !value.is_null())
}

/// What entities of one kind can be referred to by.
struct Known {
    key: Option<&'static str>,
    ids: HashSet<String>,
    /// By name: each one's workspace, and its id.
    by_name: HashMap<String, Vec<(Option<String>, String)>>,
}

impl Known {
    fn of(name: &str, entities: &[Value]) -> Self {
        let kind = Kind::named(name);
        let primary = kind.map_or("id", Kind::primary_key);
        let key = kind.and_then(|kind| kind.key.as_ref()).map(Key::field);
        let mut known = Self { key, ids: HashSet::new(), by_name: HashMap::new() };
        for entity in entities {
            let text = |field: &str| entity.get(field).and_then(Value::as_str).map(str::to_owned);
            let Some(id) = text(primary) else { continue };
            if let Some(own) = key.and_then(text) {
                known.by_name.entry(own).or_default().push((text("ws_id"), id.clone()));
            }
            known.ids.insert(id);
        }
        known
    }

    /// The id of the entity that is referred to by name, by id, or as decK does by an object with one of them; by name
    /// rather one of the same workspace.
    fn find(&self, written: &Value, workspace: Option<&str>) -> Option<String> {
        let by_name = |text: &str| {
            let of_name = self.by_name.get(text)?;
            let of_same = of_name.iter().find(|(of, _)| of.as_deref() == workspace);
            of_same.or_else(|| of_name.first()).map(|(_, id)| id.clone())
        };
        let found = |text: &str| by_name(text).or_else(|| self.ids.contains(text).then(|| text.to_owned()));
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
