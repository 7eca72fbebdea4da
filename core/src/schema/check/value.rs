//! One value checked against one field.

use serde_json::Value;

use super::view::{Shape, is_left_out};
use super::{Check, Members, NO_MEMBERS, Step, is_empty_table};
use crate::certificate;
use crate::schema::finding::Unchecked;
use crate::schema::known::Known;
use crate::schema::language::{Field, Rule, Type};
use crate::schema::lua_pattern::{Budget, LuaPattern};
use crate::schema::perl_regex;

/// What an entity has beside its kind's fields.
#[derive(Default)]
pub(super) struct Beside<'a> {
    /// Members that are no fields.
    pub(super) names: Vec<&'a str>,
    /// Fields that are known without being written.
    pub(super) given: Vec<&'a str>,
}

impl<'a> Check<'a> {
    /// The fields of an entity, or of a field that has fields.
    pub(super) fn fields(&mut self, shape: Shape<'a>, members: &'a Members, beside: &Beside<'_>) {
        let before = self.count();
        let has_shorthand = shape.uses_shorthand(members);

        for (name, value) in members {
            match shape.field(name) {
                _ if beside.names.contains(&name.as_str()) => {}
                Some(field) if field.is_abstract || is_left_out(field, value) => {}
                Some(field) if value.is_null() && field.is_auto => {}
                Some(field) => self.within(Step::Field(name), |check| check.value(field, value)),
                None if shape.shorthand(name).is_some() => {}
                None => self.within(Step::Field(name), |check| check.violate("unknown field")),
            }
        }
        for (name, field) in shape.fields() {
            let is_written = members.get(name).is_some_and(|value| !is_left_out(field, value));
            if is_written || beside.given.contains(&name) {
                continue;
            }
            match &field.of_type {
                // Kong makes an empty one, and fills in the defaults.
                Type::Record(record) if field.is_required && field.default.is_none() && !field.is_abstract => {
                    self.within(Step::Field(name), |check| {
                        check.fields(Shape::of(record), &NO_MEMBERS, &Beside::default())
                    });
                }
                // What a shorthand is moved to is not written in the schema.
                _ if !field.is_required || field.is_auto || field.default.is_some() || has_shorthand => {}
                Type::Record(_) => {}
                _ => self.within(Step::Field(name), |check| check.violate("required field missing")),
            }
        }

        // Kong looks at fields together only if each by itself is right.
        if self.count() == before && !has_shorthand {
            shape.checks().for_each(|one| self.condition(one, shape, members));
        }
    }

    /// A value that is there.
    pub(super) fn value(&mut self, field: &'a Field, value: &'a Value) {
        if let Some(expected) = field.rules.iter().find_map(|rule| match rule {
            Rule::Equal(expected) => Some(expected),
            _ => None,
        }) && !is_equal(expected, value)
        {
            return self.violate(format!("value must be {}", shown(expected)));
        }
        if value.is_null() {
            // Whether Kong fills in a default for what is written as null has not been seen.
            if field.is_required && field.default.is_none() {
                self.violate("required field missing");
            }
            return;
        }
        if field.is_referenceable && value.as_str().is_some_and(is_vault_reference) {
            return;
        }
        let before = self.count();

        self.typed(field, value);
        if self.count() == before
            && let Some(reason) = mistake(field, value, &mut self.budget)
        {
            self.violate(reason);
        }
    }

    fn typed(&mut self, field: &'a Field, value: &'a Value) {
        match (&field.of_type, value) {
            (Type::Any, _) => {}
            (Type::Text, Value::String(text)) => self.text(field, text),
            (Type::Text, _) => self.violate("expected a string"),
            (Type::Integer, Value::Number(number)) if is_integer(number) => {}
            (Type::Integer, _) => self.violate("expected an integer"),
            (Type::Number, Value::Number(_)) => {}
            (Type::Number, _) => self.violate("expected a number"),
            (Type::Boolean, Value::Bool(_)) => {}
            (Type::Boolean, _) => self.violate("expected a boolean"),
            (Type::Array(elements) | Type::Set(elements), Value::Array(values)) => {
                for (at, value) in values.iter().enumerate() {
                    self.within(Step::Element(at), |check| check.element(elements, value));
                }
            }
            (Type::Array(_) | Type::Set(_) | Type::Map { .. }, value) if is_empty_table(value) => {}
            (Type::Array(_), _) => self.violate("expected an array"),
            (Type::Set(_), _) => self.violate("expected a set"),
            (Type::Map { keys, values }, Value::Object(members)) => {
                for (name, value) in members {
                    self.within(Step::Field(name), |check| check.entry(keys, values, name, value));
                }
            }
            (Type::Map { .. }, _) => self.violate("expected a map"),
            (Type::Record(record), Value::Object(members)) => {
                self.fields(Shape::of(record), members, &Beside::default())
            }
            (Type::Record(record), Value::Array(elements)) if elements.is_empty() => {
                self.fields(Shape::of(record), &NO_MEMBERS, &Beside::default());
            }
            // A list's places are names that no record has.
            (Type::Record(_), Value::Array(_)) => self.violate("unknown field"),
            (Type::Record(_), _) => self.violate("expected a record"),
            (Type::Foreign(kind), value) => self.reference(kind, value),
        }
    }

    fn entry(&mut self, keys: &'a Field, values: &'a Field, name: &'a str, value: &'a Value) {
        let before = self.count();
        if let Some(reason) = mistake(keys, &Value::from(name), &mut self.budget) {
            self.violate(reason);
        }
        if self.count() == before {
            self.element(values, value);
        }
    }

    /// Of what a list or a map holds Kong requires all, whatever the schema says.
    fn element(&mut self, field: &'a Field, value: &'a Value) {
        if value.is_null() {
            return self.violate("required field missing");
        }
        self.value(field, value);
    }

    fn text(&mut self, field: &Field, text: &str) {
        let allows_empty = field.rules.iter().any(|rule| matches!(rule, Rule::LengthAtLeast(_) | Rule::Length(_)));
        match field.known {
            // Kong takes no empty text unless a schema says so.
            _ if text.is_empty() && !allows_empty => self.violate("length must be at least 1"),
            Some(Known::Code) => self.note_code(),
            Some(Known::CaCertificate) => {
                let end = self.scope.now.and_then(|now| certificate::valid_until(text).filter(|end| *end < now));
                if let Some(end) = end {
                    self.violate(format!("certificate expired: it was valid until {end}"));
                }
            }
            _ => {}
        }
    }

    fn note_code(&mut self) {
        let names = self.path.iter().filter_map(|step| match step {
            Step::Field(name) => Some(*name),
            Step::Element(_) => None,
        });
        let field = names.collect::<Vec<_>>().join(".");
        let plugin = self.subject.and_then(|subject| subject.members?.get("name")?.as_str()).unwrap_or_default();
        self.findings.leave(Unchecked::Code { plugin: plugin.to_owned(), field });
    }
}

/// Why a value of the right type is wrong, in Kong's words; nothing where that isn't certain.
pub(super) fn mistake(field: &Field, value: &Value, budget: &mut Budget) -> Option<String> {
    let reason = field
        .rules
        .iter()
        .find_map(|rule| broken(rule, field, value, budget))
        .map(|reason| field.reason.clone().unwrap_or(reason));
    reason.or_else(|| field.known?.mistake(value.as_str()?))
}

/// Whether a value matches what a condition asks for; nothing where that isn't certain.
pub(super) fn matches(field: &Field, value: &Value, budget: &mut Budget) -> Option<bool> {
    let is_understood = !field.rules.is_empty() || field.is_required;
    is_understood.then(|| mistake(field, value, budget).is_none())
}

fn broken(rule: &Rule, field: &Field, value: &Value, budget: &mut Budget) -> Option<String> {
    let text = value.as_str();
    let length = || match value {
        Value::String(text) => Some(text.len()),
        Value::Array(elements) => Some(elements.len()),
        Value::Object(members) => Some(members.len()),
        Value::Null => Some(0),
        _ => None,
    };
    let mut is_in = |pattern: &LuaPattern| pattern.is_in(text?, budget).ok();

    match rule {
        Rule::OneOf(allowed) if !allowed.iter().any(|one| is_equal(one, value)) => {
            Some(format!("expected one of: {}", listed(allowed)))
        }
        Rule::NotOneOf(refused) if refused.iter().any(|one| is_equal(one, value)) => {
            Some(format!("must not be one of: {}", listed(refused)))
        }
        Rule::Equal(expected) if !is_equal(expected, value) => Some(format!("value must be {}", shown(expected))),
        Rule::NotEqual(refused) if is_equal(refused, value) => Some(format!("value must not be {}", shown(refused))),
        Rule::GreaterThan(least) if value.as_f64().is_some_and(|number| number <= *least) => {
            Some(format!("value must be greater than {least}"))
        }
        Rule::Between(least, most) if value.as_f64().is_some_and(|number| number < *least || number > *most) => {
            Some(format!("value should be between {least} and {most}"))
        }
        Rule::LengthAtLeast(least) if length()? < *least => Some(format!("length must be at least {least}")),
        Rule::LengthAtMost(most) if length()? > *most => Some(format!("length must be at most {most}")),
        Rule::Length(exactly) if length()? != *exactly => Some(format!("length must be {exactly}")),
        Rule::StartsWith(begin) if !text?.starts_with(begin) => Some(format!("should start with: {begin}")),
        Rule::Uuid if !is_uuid(text?) => Some("expected a valid UUID".to_owned()),
        Rule::Timestamp if value.as_f64()? <= 0.0 => Some("expected a valid timestamp".to_owned()),
        Rule::Contains(wanted) => {
            let is_there = value.as_array().is_some_and(|values| values.iter().any(|one| is_equal(one, wanted)));
            (!is_there).then(|| format!("expected to contain: {}", shown(wanted)))
        }
        Rule::Matches(pattern) if !is_in(pattern)? => Some(invalid(field, text?)),
        Rule::MatchesAll(patterns) => {
            let (_, reason) = patterns.iter().find(|(pattern, _)| is_in(pattern) == Some(false))?;
            Some(reason.clone().unwrap_or_else(|| invalid(field, text.unwrap_or_default())))
        }
        Rule::MatchesNone(patterns) => {
            let (_, reason) = patterns.iter().find(|(pattern, _)| is_in(pattern) == Some(true))?;
            Some(reason.clone().unwrap_or_else(|| invalid(field, text.unwrap_or_default())))
        }
        Rule::MatchesAny(patterns, reason) => {
            let is_none = patterns.iter().all(|pattern| is_in(pattern) == Some(false));
            is_none.then(|| reason.clone().unwrap_or_else(|| invalid(field, text.unwrap_or_default())))
        }
        Rule::Regex => perl_regex::mistake(text?).map(|reason| format!("not a valid regex: {reason}")),
        Rule::ExclusiveSubsets(subsets) => {
            let used = |subset: &&Vec<Value>| {
                value.as_array().is_some_and(|values| values.iter().any(|one| subset.contains(one)))
            };
            let used: Vec<String> = subsets.iter().filter(used).map(|subset| format!("({})", quoted(subset))).collect();
            (used.len() > 1).then(|| format!("these sets are mutually exclusive: {}", used.join(", ")))
        }
        Rule::Elements(elements) => value.as_array()?.iter().find_map(|one| mistake(elements, one, budget)),
        _ => None,
    }
}

/// A text that doesn't look as it must is shown only where it can't be a secret.
fn invalid(field: &Field, text: &str) -> String {
    match field.known {
        Some(Known::RouteHost | Known::Path | Known::RoutePath) => format!("invalid value: {text}"),
        _ => "invalid value".to_owned(),
    }
}

fn is_equal(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn listed(values: &[Value]) -> String {
    values.iter().map(shown).collect::<Vec<_>>().join(", ")
}

pub(super) fn quoted(values: &[Value]) -> String {
    values.iter().map(|value| format!("'{}'", shown(value))).collect::<Vec<_>>().join(", ")
}

fn is_integer(number: &serde_json::Number) -> bool {
    number.as_f64().is_some_and(|number| number.fract() == 0.0)
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_hex = |part: &&str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(is_hex)
}

fn is_vault_reference(text: &str) -> bool {
    text.starts_with("{vault://") && text.ends_with('}')
}
