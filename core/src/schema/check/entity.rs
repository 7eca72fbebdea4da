//! One entity: its fields, what is nested in it, and what makes its kind special.

use serde_json::Value;

use super::value::{Beside, mistake};
use super::view::Shape;
use super::{Check, Members, NO_MEMBERS, Step, Subject, UnknownPlugins};
use crate::schema::SchemaSource;
use crate::schema::finding::Unchecked;
use crate::schema::language::{Field, Record, Rule, Type};

/// Kinds that a node deletes by itself when their time is over. No schema shows that field.
const EXPIRING: [&str; 5] =
    ["keyauth_credentials", "oauth2_tokens", "oauth2_authorization_codes", "sessions", "acme_storage"];

/// What Kong has for people who write files.
const REMARKS: [&str; 2] = ["_comment", "_ignore"];

/// The vault that open-source Kong has; Enterprise has more, whose schemas `/schemas` does not give.
const ONLY_VAULT: &str = "env";

impl<'a> Check<'a> {
    /// An entity of a kind, at this place of its list; `parent` is the field by which it refers to the one it is nested
    /// in.
    pub(super) fn entity(&mut self, kind: &'a str, at: usize, entity: &'a Value, parent: Option<&'a str>) {
        let Some(record) = self.set.entities.get(kind) else { return };
        let members = match entity {
            Value::Object(members) => members,
            Value::Array(elements) if elements.is_empty() => &*NO_MEMBERS,
            _ => {
                self.subject = Some(Subject { kind, members: None });
                return self.within(Step::Element(at), |check| check.violate("expected a record"));
            }
        };

        self.subject = Some(Subject { kind, members: Some(members) });
        self.twins(kind, members);
        if self.scope.published.is_some_and(|published| published.has(kind, members)) {
            self.references_of(record, members);
        } else if let Some(shape) = self.shape(kind, record, members) {
            self.own_fields(kind, shape, members, parent);
        }
        // A certificate's names may also be written as texts.
        let are_texts = |value: &Value| {
            value.as_array().is_some_and(|values| !values.is_empty() && values.iter().all(Value::is_string))
        };
        let children = self.set.entities.iter().filter_map(|(child, nested)| {
            let value = members.get(child).filter(|value| !value.is_null())?;
            let is_field = record.fields.contains_key(child) && are_texts(value);
            (!is_field).then_some((child.as_str(), value, field_to(kind, nested)?))
        });

        for (child, value, field) in children {
            self.within(Step::Field(child), |check| check.list(child, value, Some(field)));
            self.subject = Some(Subject { kind, members: Some(members) });
        }
    }

    /// The fields that an entity may have; none where nothing can be said.
    fn shape(&mut self, kind: &str, record: &'a Record, members: &'a Members) -> Option<Shape<'a>> {
        if kind == "vaults"
            && let Some(Value::String(name)) = members.get("name")
            && name != ONLY_VAULT
        {
            let rule = "whether nodes have it, and what its config may be".to_owned();
            self.findings.leave(Unchecked::Rule { of: format!("vault {name}"), rule });
        }
        if kind != "plugins" {
            return Some(Shape::of(record));
        }
        let name = match members.get("name") {
            Some(Value::String(name)) => name,
            None | Some(Value::Null) => {
                self.within(Step::Field("name"), |check| check.violate("required field missing"));
                return None;
            }
            Some(_) => {
                self.within(Step::Field("name"), |check| check.violate("expected a string"));
                return None;
            }
        };

        if let Some(own) = self.set.plugins.get(name) {
            return Some(Shape { base: record, own: Some(own) });
        }
        let is_named = self.scope.plugins.iter().any(|plugin| plugin == name);

        if !is_named && (self.scope.unknown_plugins == UnknownPlugins::Refused || !may_be_a_plugin(name)) {
            let reason = format!("plugin '{name}' not enabled; add it to the 'plugins' configuration property");
            self.within(Step::Field("name"), |check| check.violate(reason));
            return None;
        }
        self.findings.leave(Unchecked::Plugin(name.clone()));
        Some(Shape::of(record))
    }

    fn own_fields(&mut self, kind: &'a str, shape: Shape<'a>, members: &'a Members, parent: Option<&'a str>) {
        let before = self.count();
        let mut beside = Beside::default();
        let is_beside = |name: &&String| {
            REMARKS.contains(&name.as_str())
                || *name == "ttl" && EXPIRING.contains(&kind)
                || *name == "ws_id" && self.set.source == SchemaSource::ControlPlane
                || *name == "url" && kind == "services"
                || self.set.entities.get(*name).is_some_and(|child| field_to(kind, child).is_some())
        };

        beside.names.extend(members.keys().filter(is_beside).map(String::as_str));
        // What is nested in an entity may be of a kind that the control plane didn't describe.
        if self.set.source == SchemaSource::ControlPlane {
            for (name, value) in members.iter().filter(|(name, _)| shape.field(name).is_none()) {
                let are_objects = value.as_array().is_some_and(|values| values.iter().all(Value::is_object));
                if are_objects && !self.set.has_entity(name) {
                    beside.names.push(name);
                    self.findings.leave(Unchecked::Kind(name.clone()));
                }
            }
        }

        if let Some(field) = parent {
            beside.given.push(field);
            if shape
                .field(field)
                .is_some_and(|field| field.rules.iter().any(|rule| matches!(rule, Rule::Equal(Value::Null))))
            {
                self.within(Step::Field(field), |check| check.violate("value must be null"));
            }
        }

        if kind == "services"
            && let Some(url) = members.get("url").filter(|url| !url.is_null())
        {
            self.service_url(shape, url, members);
            beside.given.push("host");
        }
        self.fields(shape, members, &beside);
        if kind == "routes" && self.count() == before {
            self.route(shape, members);
        }
        if let Some(time) = members.get("ttl").filter(|time| beside.names.contains(&"ttl") && !time.is_null())
            && !time.is_number()
        {
            self.within(Step::Field("ttl"), |check| check.violate("expected an integer"));
        }
    }

    /// A service's address in one text, which Kong takes apart before it looks.
    fn service_url(&mut self, shape: Shape<'a>, url: &Value, members: &Members) {
        let Some(url) = url.as_str() else {
            return self.within(Step::Field("url"), |check| check.violate("expected a string"));
        };
        let parts = ServiceUrl::of(url);
        let is_written = |name: &str| members.get(name).is_some_and(|value| !value.is_null());
        if parts.host.is_none() && !is_written("host") {
            self.within(Step::Field("host"), |check| check.violate("required field missing"));
        }
        let parts = [("protocol", parts.scheme), ("host", parts.host), ("port", parts.port), ("path", parts.path)];

        for (name, part) in parts {
            let (Some(part), Some(field)) = (part.filter(|_| !is_written(name)), shape.field(name)) else { continue };
            let value = match part.parse::<u64>() {
                Ok(number) if name == "port" => Value::from(number),
                _ if name == "port" => {
                    self.within(Step::Field("port"), |check| check.violate("expected an integer"));
                    continue;
                }
                _ => Value::from(part),
            };
            if let Some(reason) = mistake(field, &value, &mut self.budget) {
                self.within(Step::Field(name), |check| check.violate(reason));
            }
        }
    }
}

/// What a service's `url` stands for.
struct ServiceUrl<'a> {
    scheme: Option<&'a str>,
    host: Option<&'a str>,
    port: Option<&'a str>,
    path: Option<&'a str>,
}

impl<'a> ServiceUrl<'a> {
    fn of(url: &'a str) -> Self {
        let url = url.split('#').next().unwrap_or_default();
        let is_scheme = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        };
        let (scheme, rest) = match url.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme), rest),
            _ => (None, url),
        };

        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            None => ("", rest),
        };
        let path = path.split(['?', ';']).next().filter(|path| !path.is_empty());

        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port).filter(|port| !port.is_empty())),
            _ => (host, None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Self { scheme, host: Some(host).filter(|host| !host.is_empty()), port, path }
    }
}

fn may_be_a_plugin(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// The field by which entities of this record refer to those of a kind.
fn field_to<'a>(kind: &str, record: &'a Record) -> Option<&'a str> {
    let refers = |field: &Field| matches!(&field.of_type, Type::Foreign(to) if to == kind);
    record.fields.iter().find(|(_, field)| refers(field)).map(|(name, _)| name.as_str())
}
