//! What must be true of several fields together.

use serde_json::Value;

use super::value::{matches, mistake};
use super::view::Shape;
use super::{Check, Members, is_empty_table};
use crate::schema::finding::Unchecked;
use crate::schema::language::{Conditional, EntityCheck, Field, FieldPath};

impl<'a> Check<'a> {
    pub(super) fn condition(&mut self, condition: &'a EntityCheck, shape: Shape<'a>, members: &'a Members) {
        let value = |path: &FieldPath| shape.value(Some(members), path);
        let has = |path: &&FieldPath| is_something(value(path));
        let count = |paths: &[FieldPath]| paths.iter().filter(has).count();

        match condition {
            EntityCheck::AtLeastOneOf(paths) if count(paths) == 0 => {
                self.violate(format!("at least one of these fields must be non-empty: {}", names(paths)));
            }
            EntityCheck::OnlyOneOf(paths) if count(paths) != 1 => {
                self.violate(format!("exactly one of these fields must be non-empty: {}", names(paths)));
            }
            EntityCheck::MutuallyRequired(paths) if count(paths) > 0 && count(paths) < paths.len() => {
                self.violate(format!("all or none of these fields must be set: {}", names(paths)));
            }
            EntityCheck::MutuallyExclusive(paths) if count(paths) > 1 => {
                self.violate(format!("only one or none of these fields must be set: {}", names(paths)));
            }
            EntityCheck::MutuallyExclusiveSets(one, other) if count(one) > 0 && count(other) > 0 => {
                self.violate(format!("these sets are mutually exclusive: ({}), ({})", names(one), names(other)));
            }
            EntityCheck::Distinct(paths) => {
                let set: Vec<&Value> = paths.iter().map(value).filter(|value| is_something(value)).collect();
                let is_twice = |(at, value): (usize, &&Value)| set[..at].contains(value);
                if set.iter().enumerate().any(is_twice) {
                    self.violate(format!("values of these fields must be distinct: {}", names(paths)));
                }
            }
            EntityCheck::Conditional(conditional) => self.conditional(conditional, shape, members),
            EntityCheck::ConditionalAtLeastOneOf { if_field, if_match, then_at_least_one_of, reason, otherwise } => {
                let found = value(if_field);
                let (paths, reason) = match (matches(if_match, found, &mut self.budget), otherwise) {
                    (Some(true), _) => (then_at_least_one_of, reason),
                    (Some(false), Some((matcher, paths, reason)))
                        if matches(matcher, found, &mut self.budget) == Some(true) =>
                    {
                        (paths, reason)
                    }
                    _ => return,
                };
                if count(paths) == 0 {
                    let reason = reason.as_ref().map(|reason| reason.replacen("%s", &names(paths), 1));
                    self.violate(reason.unwrap_or_else(|| {
                        format!("at least one of these fields must be non-empty: {}", names(paths))
                    }));
                }
            }
            EntityCheck::Hidden(name, sources) if sources.iter().any(|path| is_written(members, path)) => {
                self.note_hidden(name, sources);
            }
            _ => {}
        }
    }

    fn conditional(&mut self, conditional: &'a Conditional, shape: Shape<'a>, members: &'a Members) {
        let Conditional { if_field, if_match, then_field, then_match, reason } = conditional;
        // Of a field that isn't known nothing is known.
        if shape.at(if_field).is_none() || shape.at(then_field).is_none() {
            return;
        }
        let condition = shape.value(Some(members), if_field);
        if condition.is_null() || matches(if_match, condition, &mut self.budget) != Some(true) {
            return;
        }
        let value = shape.value(Some(members), then_field);
        let found = match value {
            Value::Null if then_match.is_required => Some("required field missing".to_owned()),
            Value::Null if !asks_of_nothing(then_match) => None,
            value => mistake(then_match, value, &mut self.budget),
        };

        if let Some(found) = found {
            let reason = reason.clone().unwrap_or_else(|| format!("{}: {found}", then_field.join(".")));
            self.violate(reason);
        }
    }

    fn note_hidden(&mut self, name: &str, sources: &[FieldPath]) {
        // Of Kong's own kinds it is known what these check, and most of that is checked elsewhere.
        let Some(subject) = self.subject.filter(|subject| subject.kind == "plugins") else { return };
        let plugin = subject.members.and_then(|members| members.get("name")?.as_str()).unwrap_or_default();
        let sources: Vec<String> = sources.iter().map(|path| path.join(".")).collect();
        let rule = format!("{name} of {}", sources.join(", "));
        self.findings.leave(Unchecked::Rule { of: format!("plugin {plugin}"), rule });
    }
}

/// Whether a condition is about whether a value is there at all.
fn asks_of_nothing(field: &Field) -> bool {
    use crate::schema::language::Rule::{Equal, NotEqual};
    field.rules.iter().any(|rule| matches!(rule, Equal(_) | NotEqual(Value::Null)))
}

/// What Kong calls non-empty.
fn is_something(value: &Value) -> bool {
    !value.is_null() && value != "" && !is_empty_table(value)
}

fn is_written(members: &Members, path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else { return false };
    match members.get(first) {
        None | Some(Value::Null) => false,
        Some(_) if rest.is_empty() => true,
        Some(value) => value.as_object().is_some_and(|members| is_written(members, rest)),
    }
}

fn names(paths: &[FieldPath]) -> String {
    paths.iter().map(|path| format!("'{}'", path.join("."))).collect::<Vec<_>>().join(", ")
}
