//! What routes of each protocol need. Kong has schemas of its own for them, which its Admin API doesn't show (source:
//! `kong/db/schema/entities/routes_subschemas.lua`, Apache-2.0; recorded: "must set one of 'methods' …").

use serde_json::Value;

use super::view::Shape;
use super::{Check, Members, Step, is_empty_table};
use crate::schema::language::EntityCheck;

/// What a route for HTTP matches.
const HTTP: [&str; 4] = ["methods", "hosts", "headers", "paths"];

impl<'a> Check<'a> {
    /// A route whose fields are right each by itself.
    pub(super) fn route(&mut self, shape: Shape<'a>, members: &'a Members) {
        let protocols = shape.value(Some(members), &["protocols".to_owned()]).as_array();
        let protocols: Vec<&str> = protocols.into_iter().flatten().filter_map(Value::as_str).collect();
        let has = |protocol: &str| protocols.contains(&protocol);
        let is_set =
            |field: &&&str| members.get(**field).is_some_and(|value| !value.is_null() && !is_empty_table(value));

        // A route of expressions matches by its expression alone.
        if is_set(&&"expression") {
            return;
        }
        let (needed, named): (Vec<&str>, &str) = match () {
            () if has("https") => ([&HTTP[..], &["snis"]].concat(), "https"),
            () if has("http") => (HTTP.to_vec(), "http"),
            () if has("grpcs") => (vec!["hosts", "headers", "paths", "snis"], "grpcs"),
            () if has("grpc") => (vec!["hosts", "headers", "paths"], "grpc"),
            () if has("tcp") || has("tls") || has("udp") => {
                (vec!["sources", "destinations", "snis"], "tcp', 'tls' or 'udp")
            }
            () if has("tls_passthrough") => (vec!["sources", "destinations", "snis"], "tls_passthrough"),
            () => return,
        };

        if !needed.iter().any(|field| is_set(&field)) {
            let needed: Vec<String> = needed.iter().map(|field| format!("'{field}'")).collect();
            self.violate(format!("must set one of {} when 'protocols' is '{named}'", needed.join(", ")));
        }
        let refused: &[&str] = match named {
            "http" | "https" => &["sources", "destinations"],
            "grpc" | "grpcs" => &["methods", "sources", "destinations"],
            _ => &HTTP,
        };

        for field in refused.iter().filter(is_set) {
            self.within(Step::Field(field), |check| {
                check.violate(format!("cannot set '{field}' when 'protocols' is '{named}'"));
            });
        }
        if named.starts_with("grpc") && members.get("strip_path") == Some(&Value::Bool(true)) {
            self.within(Step::Field("strip_path"), |check| {
                check.violate("cannot set 'strip_path' when 'protocols' is 'grpc' or 'grpcs'");
            });
        }
        self.headers(shape, members);
    }

    /// From 3.0 on Kong makes an expression of what a route matches, and none of a header without values.
    fn headers(&mut self, shape: Shape<'a>, members: &'a Members) {
        let is_made = |check: &EntityCheck| matches!(check, EntityCheck::Hidden(_, sources) if sources.iter().any(|path| path == &["expression"]));
        let headers = members.get("headers").and_then(Value::as_object);
        let empty = headers.and_then(|headers| headers.iter().find(|(_, values)| is_empty_table(values)));
        if let Some((header, _)) = empty.filter(|_| shape.checks().any(is_made)) {
            self.violate(format!("Router Expression failed validation: header {header} has no values"));
        }
    }
}
