//! From the Admin API's JSON to the schema language. What isn't understood is left out: it can't refuse anything then.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::language::{Conditional, EntityCheck, Field, FieldPath, Record, Rule, Type};
use super::lua_pattern::LuaPattern;
use super::{SchemaSet, SchemaSource, known};

/// Why something is no set of schemas.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableSchemas {
    /// It isn't JSON.
    #[error("it is not JSON: {0}")]
    Json(serde_json::Error),
    /// It is larger than any.
    #[error("it has more than 8 MiB")]
    TooLarge,
    /// It has no entities, or they are no schemas.
    #[error("it is not a set of schemas, which is an object with entities and plugins")]
    NotSchemas,
}

type Members = Map<String, Value>;

/// A set from JSON.
pub(super) fn set(json: &[u8], source: SchemaSource) -> Result<SchemaSet, UnreadableSchemas> {
    let document: Members = serde_json::from_slice(json).map_err(UnreadableSchemas::Json)?;
    let schemas = |group: &str| -> Result<BTreeMap<String, Record>, UnreadableSchemas> {
        let of_group = document.get(group).and_then(Value::as_object).ok_or(UnreadableSchemas::NotSchemas)?;
        let is_schema = |schema: &Value| schema.get("fields").is_some_and(Value::is_array);
        if !of_group.values().all(is_schema) {
            return Err(UnreadableSchemas::NotSchemas);
        }
        Ok(of_group.iter().filter_map(|(name, schema)| Some((name.clone(), record(schema.as_object()?)))).collect())
    };
    let mut set = SchemaSet { source, entities: schemas("entities")?, plugins: schemas("plugins")? };
    if set.entities.is_empty() {
        return Err(UnreadableSchemas::NotSchemas);
    }

    known::add(&mut set);
    Ok(set)
}

fn record(schema: &Members) -> Record {
    let fields = named_fields(schema.get("fields"));
    let shorthands = named_fields(schema.get("shorthand_fields"));
    let checks = schema.get("entity_checks").and_then(Value::as_array).into_iter().flatten();
    let checks = checks.filter_map(Value::as_object).flat_map(|checks| checks.iter().map(entity_check)).collect();
    Record { fields, shorthands, checks }
}

/// Kong lists fields as objects of one member, so that they have an order.
fn named_fields(list: Option<&Value>) -> BTreeMap<String, Field> {
    let fields = list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object).flatten();
    fields.map(|(name, schema)| (name.clone(), field(schema))).collect()
}

fn field(schema: &Value) -> Field {
    let Some(schema) = schema.as_object() else { return Field::of_type(Type::Any) };
    let says = |attribute: &str| schema.get(attribute) == Some(&Value::Bool(true));
    let inner = |attribute: &str| Box::new(schema.get(attribute).map_or_else(|| Field::of_type(Type::Any), field));
    let of_type = match schema.get("type").and_then(Value::as_str) {
        Some("string") => Type::Text,
        Some("integer") => Type::Integer,
        Some("number") => Type::Number,
        Some("boolean") => Type::Boolean,
        Some("array") => Type::Array(inner("elements")),
        Some("set") => Type::Set(inner("elements")),
        Some("map") => Type::Map { keys: inner("keys"), values: inner("values") },
        Some("record") if schema.contains_key("fields") => Type::Record(record(schema)),
        Some("foreign") => Type::Foreign(text(schema.get("reference")).unwrap_or_default()),
        _ => Type::Any,
    };
    let mut rules: Vec<Rule> = schema.iter().filter_map(|(attribute, value)| rule(attribute, value)).collect();

    // What is asked of a value whose type another schema gives.
    if matches!(of_type, Type::Any) && schema.contains_key("elements") {
        rules.push(Rule::Elements(inner("elements")));
    }

    Field {
        is_required: says("required"),
        is_auto: says("auto"),
        is_abstract: says("abstract"),
        is_unique: says("unique"),
        is_encrypted: says("encrypted"),
        is_referenceable: says("referenceable"),
        default: schema.get("default").filter(|value| !value.is_null()).cloned(),
        rules,
        reason: text(schema.get("err")),
        ..Field::of_type(of_type)
    }
}

fn rule(attribute: &str, value: &Value) -> Option<Rule> {
    let length = || value.as_u64().and_then(|length| usize::try_from(length).ok());
    let is_on = || (value == true).then_some(());

    Some(match attribute {
        "one_of" => Rule::OneOf(value.as_array()?.clone()),
        "not_one_of" => Rule::NotOneOf(value.as_array()?.clone()),
        "eq" => Rule::Equal(value.clone()),
        "ne" => Rule::NotEqual(value.clone()),
        "gt" => Rule::GreaterThan(value.as_f64()?),
        "between" => match value.as_array()?.as_slice() {
            [least, most] => Rule::Between(least.as_f64()?, most.as_f64()?),
            _ => return None,
        },
        "len_min" => Rule::LengthAtLeast(length()?),
        "len_max" => Rule::LengthAtMost(length()?),
        "len_eq" => Rule::Length(length()?),
        "starts_with" => Rule::StartsWith(text(Some(value))?),
        "uuid" => is_on().map(|()| Rule::Uuid)?,
        "timestamp" => is_on().map(|()| Rule::Timestamp)?,
        "is_regex" => is_on().map(|()| Rule::Regex)?,
        "contains" => Rule::Contains(value.clone()),
        "match" => Rule::Matches(pattern(value)?),
        "match_all" => Rule::MatchesAll(patterns_with_reasons(value)?),
        "match_none" => Rule::MatchesNone(patterns_with_reasons(value)?),
        "match_any" => {
            let patterns = value.get("patterns")?.as_array()?.iter().map(pattern).collect::<Option<_>>()?;
            Rule::MatchesAny(patterns, text(value.get("err")))
        }
        "mutually_exclusive_subsets" => {
            Rule::ExclusiveSubsets(value.as_array()?.iter().map(|set| set.as_array().cloned()).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

fn patterns_with_reasons(value: &Value) -> Option<Vec<(LuaPattern, Option<String>)>> {
    value.as_array()?.iter().map(|one| Some((pattern(one.get("pattern")?)?, text(one.get("err"))))).collect()
}

fn pattern(value: &Value) -> Option<LuaPattern> {
    LuaPattern::new(value.as_str()?)
}

fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
}

fn entity_check((name, arguments): (&String, &Value)) -> EntityCheck {
    known_check(name, arguments).unwrap_or_else(|| {
        EntityCheck::Hidden(name.clone(), arguments.get("field_sources").and_then(paths).unwrap_or_default())
    })
}

fn known_check(name: &str, arguments: &Value) -> Option<EntityCheck> {
    let matcher = |attribute: &str| arguments.get(attribute).map(field);

    Some(match name {
        "at_least_one_of" => EntityCheck::AtLeastOneOf(paths(arguments)?),
        "only_one_of" => EntityCheck::OnlyOneOf(paths(arguments)?),
        "distinct" => EntityCheck::Distinct(paths(arguments)?),
        "mutually_required" => EntityCheck::MutuallyRequired(paths(arguments)?),
        "mutually_exclusive" => EntityCheck::MutuallyExclusive(paths(arguments)?),
        "mutually_exclusive_sets" => {
            EntityCheck::MutuallyExclusiveSets(paths(arguments.get("set1")?)?, paths(arguments.get("set2")?)?)
        }
        "conditional" => EntityCheck::Conditional(Box::new(Conditional {
            if_field: path(arguments.get("if_field")?)?,
            if_match: matcher("if_match")?,
            then_field: path(arguments.get("then_field")?)?,
            then_match: matcher("then_match")?,
            reason: text(arguments.get("then_err")),
        })),
        "conditional_at_least_one_of" => EntityCheck::ConditionalAtLeastOneOf {
            if_field: path(arguments.get("if_field")?)?,
            if_match: Box::new(matcher("if_match")?),
            then_at_least_one_of: paths(arguments.get("then_at_least_one_of")?)?,
            reason: text(arguments.get("then_err")),
            otherwise: match (matcher("else_match"), arguments.get("else_then_at_least_one_of").and_then(paths)) {
                (Some(matcher), Some(paths)) => Some((Box::new(matcher), paths, text(arguments.get("else_then_err")))),
                _ => None,
            },
        },
        _ => return None,
    })
}

fn paths(value: &Value) -> Option<Vec<FieldPath>> {
    value.as_array()?.iter().map(path).collect()
}

fn path(value: &Value) -> Option<FieldPath> {
    Some(value.as_str()?.split('.').map(str::to_owned).collect())
}
