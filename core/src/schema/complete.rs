//! Whether an entity has everything that a control plane sends of it. A control plane fills in what is left out, and so does
//! a node that takes its configuration by `/v1/outlet`; one with incremental sync does not.

use serde_json::{Map, Value};

use super::SchemaSet;
use super::language::{Field, Record, Type};

/// A kind of entities, as far as completeness goes.
pub(crate) struct CompleteEntity<'a> {
    set: &'a SchemaSet,
    kind: &'a str,
    record: &'a Record,
}

impl SchemaSet {
    /// What a complete entity of this kind has, if there is a schema of it.
    pub(crate) fn complete_entity<'a>(&'a self, kind: &'a str) -> Option<CompleteEntity<'a>> {
        let record = self.entities.get(kind)?;
        Some(CompleteEntity { set: self, kind, record })
    }
}

impl<'a> CompleteEntity<'a> {
    /// The fields that refer to other entities, and to which kind.
    pub(crate) fn foreign(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.record.fields.iter().filter_map(|(name, field)| match &field.of_type {
            Type::Foreign(target) => Some((name.as_str(), target.as_str())),
            _ => None,
        })
    }

    /// The first field that is missing. Of a plugin without a schema the configuration is not looked at.
    pub(crate) fn missing(&self, entity: &Map<String, Value>) -> Option<String> {
        let is_given = |name: &str| entity.get(name).is_some_and(|value| !value.is_null());
        let of_entity = self.record.fields.iter().find_map(|(name, field)| {
            let is_needed = name == "id" || (field.is_filled_in() && !field.is_abstract);
            if is_needed && !is_given(name) { Some(name.clone()) } else { within(name, field, entity) }
        });

        of_entity.or_else(|| {
            let plugin = entity.get("name").and_then(Value::as_str).filter(|_| self.kind == "plugins")?;
            let config = self.set.plugins.get(plugin)?.fields.get("config")?;
            within("config", config, entity)
        })
    }
}

impl Field {
    /// Whether Kong gives it a value where none is written, or refuses what has none.
    fn is_filled_in(&self) -> bool {
        !self.is_auto && (self.default.is_some() || (self.is_required && self.record().is_none()))
    }
}

// What is missing in a field that has fields. A control plane sends what has no value as null.
fn within(name: &str, field: &Field, around: &Map<String, Value>) -> Option<String> {
    let (record, members) = (field.record()?, around.get(name)?.as_object()?);
    record.fields.iter().find_map(|(inner, field)| {
        let missing = if field.is_filled_in() && !members.contains_key(inner) {
            Some(inner.clone())
        } else {
            within(inner, field, members)
        };
        missing.map(|missing| format!("{name}.{missing}"))
    })
}
