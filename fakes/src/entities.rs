//! A configuration as single entities, which is how incremental sync transfers it: with references as objects instead of
//! plain ids. That is all in which the two forms differ (seen on a 3.9.1 that was asked both ways).

use serde_json::{Map, Value, json};

/// The workspace that Kong takes for the default one when its database names none.
pub const FALLBACK_WORKSPACE: &str = "0dc6f45b-8f8d-40d2-a504-473544ee190b";

/// The kinds of entities that a 3.9 knows, in the order in which a control plane sends them (as far as it was seen).
pub(crate) const KINDS: &[&str] = &[
    "workspaces",
    "certificates",
    "ca_certificates",
    "consumers",
    "parameters",
    "vaults",
    "key_sets",
    "keys",
    "services",
    "routes",
    "plugins",
    "filter_chains",
    "snis",
    "upstreams",
    "targets",
    "acls",
    "basicauth_credentials",
    "hmacauth_credentials",
    "jwt_secrets",
    "keyauth_credentials",
    "oauth2_credentials",
];

/// Kind, field, and the kind that it refers to.
const REFERENCES: &[(&str, &str, &str)] = &[
    ("routes", "service", "services"),
    ("plugins", "route", "routes"),
    ("plugins", "service", "services"),
    ("plugins", "consumer", "consumers"),
    ("targets", "upstream", "upstreams"),
    ("snis", "certificate", "certificates"),
    ("services", "client_certificate", "certificates"),
    ("upstreams", "client_certificate", "certificates"),
    ("keys", "set", "key_sets"),
    ("filter_chains", "route", "routes"),
    ("filter_chains", "service", "services"),
    ("acls", "consumer", "consumers"),
    ("basicauth_credentials", "consumer", "consumers"),
    ("hmacauth_credentials", "consumer", "consumers"),
    ("jwt_secrets", "consumer", "consumers"),
    ("keyauth_credentials", "consumer", "consumers"),
    ("oauth2_credentials", "consumer", "consumers"),
];

/// The fields of a kind that refer to other entities.
pub(crate) fn references(kind: &str) -> impl Iterator<Item = &'static str> {
    REFERENCES.iter().filter(move |(of, ..)| *of == kind).map(|(_, field, _)| *field)
}

/// The field that identifies an entity of this kind.
pub(crate) fn key_of(kind: &str) -> &'static str {
    if kind == "parameters" { "key" } else { "id" }
}

/// The default workspace of a configuration.
pub(crate) fn default_workspace(table: &Value) -> Option<&str> {
    let workspaces = table["workspaces"].as_array()?;
    workspaces.iter().find(|workspace| workspace["name"] == "default")?["id"].as_str()
}

/// All entities of a `config_table`, each with its kind.
pub(crate) fn of_table(table: &Map<String, Value>) -> Vec<(String, Value)> {
    let place = |kind: &str| KINDS.iter().position(|known| *known == kind).unwrap_or(KINDS.len());
    let mut lists: Vec<(&String, &Vec<Value>)> =
        table.iter().filter_map(|(kind, list)| Some((kind, list.as_array()?))).collect();
    lists.sort_by_key(|(kind, _)| place(kind));

    let entity = |kind: &String, entity: &Value| (kind.clone(), with_objects(kind, entity.clone()));
    lists.iter().flat_map(|(kind, list)| list.iter().map(|one| entity(kind, one))).collect()
}

fn with_objects(kind: &str, mut entity: Value) -> Value {
    for field in references(kind) {
        if let Some(id) = entity.get(field).and_then(Value::as_str) {
            entity[field] = json!({ "id": id });
        }
    }
    entity
}

/// An entity as it stands in a `config_table`.
pub(crate) fn with_plain_ids(kind: &str, mut entity: Value) -> Value {
    for field in references(kind) {
        let id = entity.get(field).and_then(|reference| reference["id"].as_str()).map(str::to_owned);
        if let Some(id) = id {
            entity[field] = id.into();
        }
    }
    entity
}
