//! What a node does with an answer to get_delta: it takes it, or refuses it with the database unchanged.

use std::sync::Arc;

use serde_json::Value;

use super::database::{Database, Row, Workspace};
use crate::entities;

/// What became of an answer.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It has no deltas. Nothing is wiped then, whatever it says.
    Nothing,
    /// Its deltas were added to what was there.
    Added(Database),
    /// They replaced it.
    Replaced(Database),
}

/// Applies a result. `workspace` is the default one in the worker's memory, **which changes before an error is found**.
///
/// # Errors
/// What Kong's log says. The round is over then.
pub(super) fn apply(database: &Database, result: &Value, workspace: &mut String) -> Result<Outcome, String> {
    let default = result.get("default").filter(|default| default.is_object());
    let default = default.ok_or("rpc.lua:231: default namespace does not exist inside params")?;
    let deltas = match default.get("deltas") {
        Some(Value::Array(deltas)) => deltas.as_slice(),
        Some(Value::Object(members)) if members.is_empty() => &[],
        _ => return Err("bad argument #1 to 'isempty' (table expected)".to_owned()),
    };
    if deltas.is_empty() {
        return Ok(Outcome::Nothing);
    }

    let wipe = default.get("wipe") == Some(&Value::Bool(true));
    let mut next = if wipe { Database::default() } else { database.clone() };
    let before = workspace.clone();
    let mut version = database.version();
    for delta in deltas {
        version = take(&mut next, delta, workspace)?;
    }

    // Kong's own mistake: a wipe drops the key, and only a changed id writes it again.
    if *workspace != before {
        next.default_workspace = Some(workspace.clone());
    }
    next.set_version(version);
    Ok(if wipe { Outcome::Replaced(next) } else { Outcome::Added(next) })
}

/// Returns the delta's version.
fn take(database: &mut Database, delta: &Value, workspace: &mut String) -> Result<f64, String> {
    let kind = delta["type"].as_str().filter(|kind| entities::KINDS.contains(kind));
    let kind = kind.ok_or("rpc.lua:278: attempt to index a nil value")?;
    let version = delta["version"].as_f64().ok_or("rpc.lua:339: assertion failed!")?;
    if delta["entity"].is_null() {
        let key = key(kind, &delta["pk"])?;
        database.rows.remove(&(kind.to_owned(), key));
        return Ok(version);
    }

    let entity = &delta["entity"];
    if kind == "workspaces"
        && entity["name"] == "default"
        && let Some(id) = entity["id"].as_str()
    {
        id.clone_into(workspace);
    }
    let row = Row { workspace: stored_under(delta, workspace)?, entity: Arc::new(entity.clone()) };
    let key = key(kind, entity)?;
    if entities::references(kind).any(|field| entity.get(field).is_some_and(Value::is_string)) {
        return Err("import.lua:360: assertion failed!".to_owned());
    }

    database.rows.insert((kind.to_owned(), key), row);
    Ok(version)
}

fn stored_under(delta: &Value, workspace: &str) -> Result<Workspace, String> {
    match delta.get("ws_id") {
        None => Ok(Workspace::Id(workspace.to_owned())),
        Some(Value::Null) => Ok(Workspace::Null),
        Some(Value::String(id)) => Ok(Workspace::Id(id.clone())),
        Some(_) => Err("import.lua: ws_id is no string".to_owned()),
    }
}

/// What identifies it: a UUID, and of parameters a name.
fn key(kind: &str, entity: &Value) -> Result<String, String> {
    if !entity.is_object() {
        return Err("primary_key must be a table".to_owned());
    }
    let field = entities::key_of(kind);
    let Some(key) = entity[field].as_str() else {
        return Err(format!("invalid primary key: '{{{field}=\"missing primary key\"}}'"));
    };
    if field == "id" && uuid::Uuid::try_parse(key).is_err() {
        return Err(format!("invalid primary key: '{{id=\"expected a valid UUID: {key}\"}}'"));
    }
    Ok(key.to_owned())
}
