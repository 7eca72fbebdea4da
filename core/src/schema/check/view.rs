//! Fields as Kong sees them when it checks: a plugin's own over those that all plugins have, and defaults filled in.

use serde_json::{Map, Value};

use crate::schema::language::{EntityCheck, Field, Record};

/// The fields of an entity: its kind's, and over them those of its sort.
#[derive(Clone, Copy)]
pub(super) struct Shape<'a> {
    pub(super) base: &'a Record,
    /// A plugin's own.
    pub(super) own: Option<&'a Record>,
}

impl<'a> Shape<'a> {
    pub(super) fn of(base: &'a Record) -> Self {
        Self { base, own: None }
    }

    pub(super) fn field(&self, name: &str) -> Option<&'a Field> {
        self.own.and_then(|own| own.fields.get(name)).or_else(|| self.base.fields.get(name))
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = (&'a str, &'a Field)> + use<'a> {
        let Self { base, own } = *self;
        let own_fields = own.into_iter().flat_map(|own| own.fields.iter());
        let others = base.fields.iter().filter(move |(name, _)| !own.is_some_and(|own| own.fields.contains_key(*name)));
        own_fields.chain(others).map(|(name, field)| (name.as_str(), field))
    }

    pub(super) fn checks(&self) -> impl Iterator<Item = &'a EntityCheck> + use<'a> {
        self.base.checks.iter().chain(self.own.into_iter().flat_map(|own| own.checks.iter()))
    }

    pub(super) fn shorthand(&self, name: &str) -> Option<&'a Field> {
        self.base.shorthands.get(name)
    }

    /// Whether something is written by another name, in this or in a field of it: where Kong moves it to isn't in the
    /// schema, so what seems to be missing may be there.
    pub(super) fn uses_shorthand(&self, members: &Map<String, Value>) -> bool {
        members.iter().any(|(name, value)| match (self.field(name), value) {
            (None, value) => !value.is_null() && self.shorthand(name).is_some(),
            (Some(field), Value::Object(members)) => {
                field.record().is_some_and(|record| Shape::of(record).uses_shorthand(members))
            }
            _ => false,
        })
    }

    /// The field at the end of a path.
    pub(super) fn at(&self, path: &[String]) -> Option<&'a Field> {
        let (first, rest) = path.split_first()?;
        let field = self.field(first)?;
        if rest.is_empty() { Some(field) } else { field.record()?.at(rest) }
    }

    /// The value at the end of a path, a default where there is none.
    pub(super) fn value(&self, members: Option<&'a Map<String, Value>>, path: &[String]) -> &'a Value {
        let Some((first, rest)) = path.split_first() else { return &Value::Null };
        let Some(field) = self.field(first) else { return &Value::Null };
        let written = members.and_then(|members| members.get(first)).filter(|value| !is_left_out(field, value));
        let value = written.or(field.default.as_ref()).unwrap_or(&Value::Null);
        match (rest.is_empty(), field.record()) {
            (true, _) => value,
            (false, Some(record)) if value.is_object() || field.is_required => {
                Shape::of(record).value(value.as_object(), rest)
            }
            (false, _) => &Value::Null,
        }
    }
}

/// What Kong takes for a field that isn't there: of those that have fields also `false` and null.
pub(super) fn is_left_out(field: &Field, value: &Value) -> bool {
    field.record().is_some() && matches!(value, Value::Bool(false) | Value::Null)
}
