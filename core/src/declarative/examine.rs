//! What there is to say of a configuration in its final form, whatever version of Kong it is for: entities that are there
//! twice, references to nothing, placeholders, passwords that are hashed already. What the fields themselves may be is in
//! Kong's schemas.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::finding::{Authority, Finding, Severity};
use super::placeholder::{self, Likeness};
use crate::kong::Configuration;
use crate::kong::derived_id::of_content;
use crate::kong::entities::{Entities, Entity};
use crate::kong::schema::{Key, Kind};

type Members = Map<String, Value>;

/// The last parts of the names of fields that hold a host, a URL or a part of one.
const ADDRESSES: [&str; 9] =
    ["host", "hosts", "hostname", "url", "urls", "endpoint", "target", "server_name", "issuer"];

/// Everything that there is to say of a configuration in its final form, in the order of the text within each kind.
pub(super) fn examine(configuration: &Configuration, links: Links) -> Vec<Finding> {
    let entities = Entities::of(configuration);
    let is_hashed_by_nodes = entities.rest().get("_transform").is_none_or(|transform| transform != &Value::Bool(false));
    let (seen, findings) = (HashSet::new(), Vec::new());
    let mut examiner = Examiner { entities: &entities, is_hashed_by_nodes, links, seen, findings };
    for (kind, of_kind) in &entities.kinds {
        for entity in of_kind {
            examiner.entity(kind, entity);
        }
    }
    examiner.findings
}

/// Whether a text is what Kong makes of a basic-auth password.
pub(super) fn is_password_hash(password: &str) -> bool {
    password.len() == 40 && password.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether what entities say of one another is looked at: what they refer to, and what no two may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Links {
    /// Here.
    Checked,
    /// A check against Kong's schemas, in Kong's words.
    LeftToSchemas,
}

struct Examiner<'a> {
    entities: &'a Entities<'a>,
    is_hashed_by_nodes: bool,
    links: Links,
    /// What no second entity may have: kind, workspace, field and value.
    seen: HashSet<(String, String, &'static str, String)>,
    findings: Vec<Finding>,
}

impl Examiner<'_> {
    fn entity(&mut self, name: &str, entity: &Entity<'_>) {
        let members = entity.members();
        if members.contains_key("") {
            if self.links == Links::LeftToSchemas {
                return;
            }
            self.refuse(name, entity, "", "it must be an object, as each entity is");
            return;
        }
        if let Some(kind) = Kind::named(name).filter(|_| self.links == Links::Checked) {
            self.uniqueness(kind, entity, &members);
            self.references(kind, entity, &members);
        }
        if name == "basicauth_credentials" {
            self.password(entity, &members);
        }
        let has_own_templates = name == "plugins" && text(&members, "name").is_some_and(placeholder::has_own_templates);

        for (field, value) in &members {
            if !(has_own_templates && field == "config") {
                self.placeholders(name, entity, field, value);
            }
        }
    }

    fn uniqueness(&mut self, kind: &Kind, entity: &Entity<'_>, members: &Members) {
        let primary = kind.primary_key();
        // Names are each workspace's own, and a target's address is each upstream's.
        let workspace = text(members, "ws_id").unwrap_or_default();
        let (field, within) = match &kind.key {
            Some(Key::Unique(field)) => (*field, ""),
            Some(Key::UniqueWithin(field, of)) => (*field, text(members, of).unwrap_or_default()),
            None => (primary, ""),
        };

        if field != primary
            && let Some(own) = text(members, field)
            && !self.seen.insert((kind.name.to_owned(), format!("{workspace}/{within}"), field, own.to_owned()))
        {
            self.refuse(kind.name, entity, field, "there are two with the same, and each needs its own");
            return;
        }
        match members.get(primary) {
            Some(Value::String(id)) => {
                if !self.seen.insert((kind.name.to_owned(), String::new(), primary, id.clone())) {
                    self.refuse(kind.name, entity, primary, "there are two with the same, and each needs its own");
                }
            }
            Some(Value::Null) | None => {}
            Some(_) => self.refuse(kind.name, entity, primary, "it must be a text"),
        }
    }

    fn references(&mut self, kind: &Kind, entity: &Entity<'_>, members: &Members) {
        for reference in kind.references {
            let (field, to) = (reference.field, reference.kind);

            match members.get(field) {
                None | Some(Value::Null) if !reference.is_required => {}
                None | Some(Value::Null) => {
                    self.refuse(kind.name, entity, field, format!("it must say to which of {to} it belongs"));
                }
                Some(Value::String(id)) if self.entities.has(to, id) => {}
                Some(Value::String(id)) => {
                    self.refuse(kind.name, entity, field, format!("{id:?} is none of {to}"));
                }
                Some(_) => {
                    let reason = format!("it must be the id or the name of one of {to}, and there is none like it");
                    self.refuse(kind.name, entity, field, reason);
                }
            }
        }
    }

    fn password(&mut self, entity: &Entity<'_>, members: &Members) {
        let Some(password) = text(members, "password") else { return };

        match (self.is_hashed_by_nodes, is_password_hash(password)) {
            (true, true) => self.refuse(
                "basicauth_credentials",
                entity,
                "password",
                "it looks like a hash already (40 hexadecimal digits), and nodes would hash it once more, so that no login \
                 would succeed. Kong itself takes it. If it is a hash, say _transform: false for the whole file, or decK's \
                 _info: {skip_hash_for_basic_auth: true}",
            ),
            (false, false) if !password.starts_with("{vault://") => self.say(
                Severity::Warning,
                "basicauth_credentials",
                entity,
                "password",
                "with _transform: false nodes take it for a hash, and it doesn't look like one of Kong's (40 hexadecimal \
                 digits): if it is the password itself, no login will succeed",
            ),
            _ => {}
        }
    }

    /// `path` leads to the value inside of the entity.
    fn placeholders(&mut self, kind: &str, entity: &Entity<'_>, path: &str, value: &Value) {
        match value {
            Value::String(text) => self.placeholder(kind, entity, path, text),
            Value::Array(elements) => {
                for element in elements {
                    self.placeholders(kind, entity, path, element);
                }
            }
            Value::Object(members) => {
                for (name, value) in members {
                    self.placeholders(kind, entity, &format!("{path}.{name}"), value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn placeholder(&mut self, kind: &str, entity: &Entity<'_>, path: &str, text: &str) {
        // Looked for in every text of a large configuration.
        if !text.contains('$') && !text.contains("{{") {
            return;
        }

        match placeholder::whole(text) {
            Some(Likeness::Placeholder) => {
                let reason = "this placeholder was not filled in, and Kong would use it literally, if it accepts it \
                              at all: render the file first (deck file render, envsubst, helm template). If it only \
                              looks like one, --accept publishes it";
                self.refuse(kind, entity, path, reason);
            }
            _ if is_address(kind, path) && placeholder::within(text) => {
                let reason = "it contains a placeholder that was not filled in: render the file first (deck file \
                              render, envsubst, helm template)";
                self.refuse(kind, entity, path, reason);
            }
            Some(Likeness::Perhaps) => {
                let reason = "it begins with a dollar sign, like a variable that was not filled in: Kong uses it \
                              literally";
                self.say(Severity::Warning, kind, entity, path, reason);
            }
            None => {}
        }
    }

    fn refuse(&mut self, kind: &str, entity: &Entity<'_>, field: &str, reason: impl Into<String>) {
        self.say(Severity::Refused, kind, entity, field, reason);
    }

    fn say(&mut self, severity: Severity, kind: &str, entity: &Entity<'_>, field: &str, reason: impl Into<String>) {
        let finding = Finding {
            severity,
            kind: kind.to_owned(),
            name: self.entities.name(kind, entity),
            identity: identity(kind, entity),
            field: field.to_owned(),
            reason: reason.into(),
            authority: Authority::Lifeboat,
        };
        // A list with three of them says it once.
        if self.findings.last() != Some(&finding) {
            self.findings.push(finding);
        }
    }
}

/// What tells an entity from others of its kind, however it is written down.
fn identity(kind: &str, entity: &Entity<'_>) -> String {
    match entity.id() {
        Some(id) => id.into_owned(),
        None => of_content(kind, &entity.members(), 0),
    }
}

fn is_address(kind: &str, path: &str) -> bool {
    let last = path.rsplit('.').next().unwrap_or(path);
    let ends_so = |address: &str| last.strip_suffix(address).is_some_and(|rest| rest.is_empty() || rest.ends_with('_'));
    ADDRESSES.into_iter().any(ends_so) || matches!((kind, path), ("upstreams" | "snis", "name"))
}

fn text<'a>(members: &'a Members, field: &str) -> Option<&'a str> {
    members.get(field)?.as_str()
}
