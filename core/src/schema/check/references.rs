//! What entities refer to, and what may not stand twice.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{Check, Members, Step};
use crate::kong::derived_id::kongs_own;
use crate::kong::entity_name;
use crate::kong::schema::{Key, Kind};
use crate::schema::SchemaSet;
use crate::schema::language::{Record, Type};

/// Fields whose value isn't shown.
const SECRET_KEYS: [&str; 5] = ["key", "access_token", "refresh_token", "code", "session_id"];

/// All entities of a configuration, nested ones too, by what they can be referred to.
#[derive(Default)]
pub(super) struct References<'a> {
    kinds: HashMap<&'a str, Known<'a>>,
    by_id: HashMap<&'a str, (&'a str, &'a Members)>,
    /// What has been seen so far: a kind, a workspace, a field and its value; and whether nodes already run it.
    seen: HashMap<(&'a str, Option<&'a str>, &'a str, &'a str), bool>,
}

#[derive(Default)]
struct Known<'a> {
    /// Ids and names.
    names: HashSet<&'a str>,
    /// Those that Kong gives an id.
    without_id: Vec<&'a Members>,
}

impl<'a> References<'a> {
    pub(super) fn of(set: &'a SchemaSet, document: &'a Members) -> Self {
        let mut references = Self::default();
        references.add(set, document);
        references
    }

    fn add(&mut self, set: &'a SchemaSet, members: &'a Members) {
        for (name, value) in members {
            let Some((kind, record)) = set.entities.get_key_value(name) else { continue };
            for entity in value.as_array().into_iter().flatten().filter_map(Value::as_object) {
                self.add_entity(kind, record, entity);
                self.add(set, entity);
            }
        }
    }

    fn add_entity(&mut self, kind: &'a str, record: &'a Record, entity: &'a Members) {
        let known = self.kinds.entry(kind).or_default();
        let text = |field: &str| entity.get(field).and_then(Value::as_str);
        let primary = Kind::named(kind).map_or("id", Kind::primary_key);

        match text(primary) {
            Some(id) => {
                known.names.insert(id);
                self.by_id.insert(id, (kind, entity));
            }
            None => known.without_id.push(entity),
        }
        match Kind::named(kind).and_then(|kind| kind.key.as_ref()) {
            Some(key) => known.names.extend(text(key.field())),
            // By what one of a custom plugin may be referred to isn't known: by anything that is its own.
            None => {
                let unique = record.fields.iter().filter(|(_, field)| field.is_unique);
                known.names.extend(unique.filter_map(|(name, _)| text(name)));
            }
        }
    }

    fn has(&self, kind: &str, written: &str) -> bool {
        let Some(known) = self.kinds.get(kind) else { return false };
        let is_derived = || {
            Kind::named(kind).is_some_and(|kind| {
                let mut ids = known.without_id.iter().filter_map(|entity| kongs_own(kind, entity, None));
                ids.any(|id| id == written)
            })
        };
        known.names.contains(written) || is_derived()
    }

    /// What people call an entity.
    pub(super) fn name(&self, kind: &str, members: &Members) -> String {
        entity_name::of(kind, members, |id| {
            let (kind, members) = self.by_id.get(id)?;
            Some(entity_name::of(kind, members, |_| None))
        })
    }
}

impl<'a> Check<'a> {
    /// A reference to an entity of this kind.
    pub(super) fn reference(&mut self, kind: &str, written: &Value) {
        // Entities of such a kind can't stand in the configuration as far as is known.
        if !self.set.has_entity(kind) {
            return;
        }

        let reason = match written {
            Value::String(name) if self.references.has(kind, name) => return,
            Value::String(name) => {
                let field = self.path.iter().rev().find_map(|step| match step {
                    Step::Field(name) => Some(*name),
                    Step::Element(_) => None,
                });
                let field = field.unwrap_or_default();
                format!("invalid reference '{field}: {name}' (no such entry in '{kind}')")
            }
            Value::Object(members) => match members.get("id") {
                Some(Value::String(id)) if self.references.has(kind, id) => return,
                _ => "missing primary key".to_owned(),
            },
            _ => "expected a string".to_owned(),
        };
        self.violate(reason);
    }

    /// The references alone of an entity whose fields are known to be right.
    pub(super) fn references_of(&mut self, record: &'a Record, members: &'a Members) {
        for (name, field) in &record.fields {
            let Type::Foreign(kind) = &field.of_type else { continue };
            if let Some(written) = members.get(name).filter(|written| !written.is_null()) {
                self.within(Step::Field(name), |check| check.reference(kind, written));
            }
        }
    }

    /// What Kong refuses when it stands twice: an id, and what names an entity.
    pub(super) fn twins(&mut self, kind: &'a str, members: &'a Members) {
        let known = Kind::named(kind);
        let primary = known.map_or("id", Kind::primary_key);
        let is_unique = |field: &str| self.set.entities.get(kind)?.fields.get(field).map(|field| field.is_unique);
        let key = match known.and_then(|kind| kind.key.as_ref()) {
            Some(Key::Unique(field)) if *field != primary && is_unique(field) == Some(true) => Some(*field),
            _ => None,
        };
        let workspace = members.get("ws_id").and_then(Value::as_str);
        let is_published = self.scope.published.is_some_and(|published| published.has(kind, members));

        for (field, workspace) in [(Some(primary), None), (key, workspace)] {
            let Some((field, value)) = field.and_then(|field| Some((field, members.get(field)?.as_str()?))) else {
                continue;
            };
            let was_published = self.references.seen.insert((kind, workspace, field, value), is_published);
            // Two of them that nodes run already are not what a person has just added.
            if was_published.is_some_and(|was_published| !(was_published && is_published)) {
                let called = if field == primary { "primary key" } else { field };
                let value = if SECRET_KEYS.contains(&field) && kind != "parameters" { "the same value" } else { value };
                self.violate(format!(
                    "uniqueness violation: '{kind}' entity with {called} set to '{value}' already declared"
                ));
            }
        }
    }
}
