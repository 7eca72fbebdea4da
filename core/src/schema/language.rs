//! Kong's schema language: what a field may be. How it is written is in `read.rs`, what follows for a value in `check/`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::known::Known;
use super::lua_pattern::LuaPattern;

/// The fields of an entity, of a plugin, or of a field that has fields.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) fields: BTreeMap<String, Field>,
    /// Other names for what Kong moves into the fields before it checks them.
    pub(super) shorthands: BTreeMap<String, Field>,
    pub(super) checks: Vec<EntityCheck>,
}

/// What a field may be.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) of_type: Type,
    pub(super) is_required: bool,
    /// Kong fills it in: an id, a time, a generated key.
    pub(super) is_auto: bool,
    /// Something else says what it is: a plugin's `config`.
    pub(super) is_abstract: bool,
    pub(super) is_unique: bool,
    pub(super) is_encrypted: bool,
    /// It may be a vault's reference instead of the value.
    pub(super) is_referenceable: bool,
    pub(super) default: Option<Value>,
    pub(super) rules: Vec<Rule>,
    /// The reason that is given instead of the rule's own.
    pub(super) reason: Option<String>,
    /// What Kong checks by code that its schema doesn't show.
    pub(super) known: Option<Known>,
}

/// A field's type.
#[derive(Debug)]
pub(super) enum Type {
    Text,
    Integer,
    Number,
    Boolean,
    Array(Box<Field>),
    Set(Box<Field>),
    Map {
        keys: Box<Field>,
        values: Box<Field>,
    },
    Record(Record),
    /// A reference to an entity of this kind.
    Foreign(String),
    /// Anything, or something that this program doesn't know.
    Any,
}

/// What a value must be besides its type.
#[derive(Debug)]
pub(super) enum Rule {
    OneOf(Vec<Value>),
    NotOneOf(Vec<Value>),
    Equal(Value),
    NotEqual(Value),
    GreaterThan(f64),
    Between(f64, f64),
    LengthAtLeast(usize),
    LengthAtMost(usize),
    Length(usize),
    StartsWith(String),
    Uuid,
    Timestamp,
    Contains(Value),
    Matches(LuaPattern),
    MatchesAll(Vec<(LuaPattern, Option<String>)>),
    MatchesNone(Vec<(LuaPattern, Option<String>)>),
    MatchesAny(Vec<LuaPattern>, Option<String>),
    Regex,
    /// Elements of one of these lists only.
    ExclusiveSubsets(Vec<Vec<Value>>),
    /// Each element is this.
    Elements(Box<Field>),
}

/// Names of a field and of fields in it.
pub(super) type FieldPath = Vec<String>;

/// What must be true of several fields together.
#[derive(Debug)]
pub(super) enum EntityCheck {
    AtLeastOneOf(Vec<FieldPath>),
    OnlyOneOf(Vec<FieldPath>),
    Distinct(Vec<FieldPath>),
    MutuallyRequired(Vec<FieldPath>),
    MutuallyExclusive(Vec<FieldPath>),
    MutuallyExclusiveSets(Vec<FieldPath>, Vec<FieldPath>),
    Conditional(Box<Conditional>),
    ConditionalAtLeastOneOf {
        if_field: FieldPath,
        if_match: Box<Field>,
        then_at_least_one_of: Vec<FieldPath>,
        reason: Option<String>,
        otherwise: Option<(Box<Field>, Vec<FieldPath>, Option<String>)>,
    },
    /// One that Kong computes, or that this program doesn't know: its name and the fields that it reads.
    Hidden(String, Vec<FieldPath>),
}

/// If one field matches, another must match too.
#[derive(Debug)]
pub(super) struct Conditional {
    pub(super) if_field: FieldPath,
    pub(super) if_match: Field,
    pub(super) then_field: FieldPath,
    pub(super) then_match: Field,
    pub(super) reason: Option<String>,
}

impl Field {
    /// A field of which nothing is known.
    pub(super) fn of_type(of_type: Type) -> Self {
        Self {
            of_type,
            is_required: false,
            is_auto: false,
            is_abstract: false,
            is_unique: false,
            is_encrypted: false,
            is_referenceable: false,
            default: None,
            rules: Vec::new(),
            reason: None,
            known: None,
        }
    }

    fn marks_secret(&self, path: &[&str]) -> bool {
        if self.is_encrypted || self.is_referenceable {
            return true;
        }
        match (&self.of_type, path) {
            (Type::Record(record), path) => record.marks_secret(path),
            (Type::Array(elements) | Type::Set(elements), path) => elements.marks_secret(path),
            (Type::Map { values, .. }, [_, rest @ ..]) => values.marks_secret(rest),
            _ => false,
        }
    }

    /// Its fields, if it has some.
    pub(super) fn record(&self) -> Option<&Record> {
        match &self.of_type {
            Type::Record(record) => Some(record),
            _ => None,
        }
    }
}

impl Record {
    /// The field at the end of a path.
    pub(super) fn at(&self, path: &[String]) -> Option<&Field> {
        let (first, rest) = path.split_first()?;
        let field = self.fields.get(first)?;
        if rest.is_empty() { Some(field) } else { field.record()?.at(rest) }
    }

    /// Whether the field at the end of a path, or one around it, is marked as a secret.
    pub(super) fn marks_secret(&self, path: &[&str]) -> bool {
        let Some((first, rest)) = path.split_first() else { return false };
        let field = self.fields.get(*first).or_else(|| self.shorthands.get(*first));
        field.is_some_and(|field| field.marks_secret(rest))
    }
}
