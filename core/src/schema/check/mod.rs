//! A declarative configuration checked against schemas, as a node without a database does when it loads one: every
//! entity, nested ones too, then what they refer to and what may not stand twice.

mod conditions;
mod entity;
mod references;
mod route;
mod scope;
mod value;
mod view;

use std::sync::LazyLock;

use serde_json::{Map, Value};

pub use scope::{CheckScope, Published, UnknownPlugins};

use super::finding::{Findings, Unchecked, Violation};
use super::lua_pattern::Budget;
use super::{SchemaSet, SchemaSource};
use references::References;

/// The formats that Kong reads.
const FORMATS: [&str; 3] = ["1.1", "2.1", "3.0"];

type Members = Map<String, Value>;

/// What Kong makes of an entity or a field that is left out.
static NO_MEMBERS: LazyLock<Members> = LazyLock::new(Members::new);

/// Checks a whole configuration.
pub(super) fn document(set: &SchemaSet, document: &Members, scope: &CheckScope<'_>) -> Findings {
    let references = References::of(set, document);
    let mut check = Check {
        set,
        scope,
        references,
        findings: Findings::default(),
        budget: Budget::default(),
        path: Vec::new(),
        subject: None,
    };
    check.members(document);
    check.findings
}

/// A check under way.
struct Check<'a> {
    set: &'a SchemaSet,
    scope: &'a CheckScope<'a>,
    references: References<'a>,
    findings: Findings,
    budget: Budget,
    /// Where in the entity.
    path: Vec<Step<'a>>,
    /// The entity.
    subject: Option<Subject<'a>>,
}

/// A step from a value to one inside of it.
#[derive(Clone, Copy)]
enum Step<'a> {
    Field(&'a str),
    /// An element by its place, the first is 0.
    Element(usize),
}

#[derive(Clone, Copy)]
struct Subject<'a> {
    kind: &'a str,
    /// None where it is no object.
    members: Option<&'a Members>,
}

impl<'a> Check<'a> {
    fn members(&mut self, document: &'a Members) {
        self.within(Step::Field("_format_version"), |check| match document.get("_format_version") {
            None | Some(Value::Null) => check.violate("required field missing"),
            Some(Value::String(format)) if FORMATS.contains(&format.as_str()) => {}
            Some(Value::String(_)) => check.violate(format!("expected one of: {}", FORMATS.join(", "))),
            Some(_) => check.violate("expected a string"),
        });

        for (name, value) in document {
            self.within(Step::Field(name), |check| match (name.as_str(), value) {
                ("_format_version", _) | (_, Value::Null) => {}
                ("_transform", Value::Bool(_)) | ("_comment", Value::String(_)) | ("_ignore", Value::Array(_)) => {}
                ("_transform", _) => check.violate("expected a boolean"),
                ("_comment", _) => check.violate("expected a string"),
                ("_ignore", value) if is_empty_table(value) => {}
                ("_ignore", _) => check.violate("expected an array"),
                (kind, value) if check.set.has_entity(kind) => check.list(kind, value, None),
                (kind, Value::Array(_)) if check.may_be_a_plugins_own() => {
                    check.findings.leave(Unchecked::Kind(kind.to_owned()));
                }
                _ => check.violate("unknown field"),
            });
        }
    }

    /// Whether nodes have plugins that nothing is known of, which may bring kinds of entities with them. Which kinds a
    /// control plane has, its Admin API doesn't list.
    fn may_be_a_plugins_own(&self) -> bool {
        self.set.source == SchemaSource::ControlPlane
            || self.scope.plugins.iter().any(|plugin| !self.set.has_plugin(plugin))
    }

    /// The entities of a kind, at the top or nested in another, which `parent` names.
    fn list(&mut self, kind: &'a str, value: &'a Value, parent: Option<&'a str>) {
        match value {
            Value::Array(entities) => {
                let path = std::mem::take(&mut self.path);
                let subject = self.subject.take();
                for (at, entity) in entities.iter().enumerate() {
                    self.entity(kind, at, entity, parent);
                }
                self.path = path;
                self.subject = subject;
            }
            // Lua has one word for an empty list and an empty object.
            value if is_empty_table(value) => {}
            _ => self.violate("expected an array"),
        }
    }

    fn within(&mut self, step: Step<'a>, check: impl FnOnce(&mut Self)) {
        self.path.push(step);
        check(self);
        self.path.pop();
    }

    fn violate(&mut self, reason: impl Into<String>) {
        let mut field = String::new();
        for step in &self.path {
            match step {
                Step::Field(name) if field.is_empty() => field.push_str(name),
                Step::Field(name) => field.extend([".", name]),
                Step::Element(at) => field.push_str(&format!("[{at}]")),
            }
        }
        let (kind, entity) = self.subject.map_or_else(Default::default, |subject| {
            let name = subject.members.map_or_else(String::new, |members| self.references.name(subject.kind, members));
            (subject.kind.to_owned(), name)
        });
        self.findings.violate(Violation { kind, entity, field, reason: reason.into() });
    }

    /// How many violations there are, to see whether some were added.
    fn count(&self) -> usize {
        self.findings.violations.len() + self.findings.further
    }
}

/// `{}` and `[]` are the same to Lua.
fn is_empty_table(value: &Value) -> bool {
    match value {
        Value::Array(elements) => elements.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}
