//! A configuration as a node with incremental sync takes it: each entity is a delta, compressed once for all nodes. Of
//! `/v1/outlet`'s form it differs in three things: references are `{"id": …}`, everything belongs to a workspace and has a
//! version.

mod unsyncable;

use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};

pub use unsyncable::Unsyncable;

use crate::kong::Configuration;
use crate::kong::entities::{Entities, Entity};
use crate::kong::rpc::snappy::{Compressor, Elements};
use crate::kong::rpc::{CallId, DEFAULT_WORKSPACE, SyncVersion, around};
use crate::schema::SchemaSet;
use crate::sensitive::Sensitive;

/// A whole configuration as deltas, compressed. Cloning shares it.
#[derive(Clone)]
pub struct Deltas {
    elements: Sensitive<Elements>,
    version: SyncVersion,
    config_bytes: u64,
}

impl fmt::Debug for Deltas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Deltas({} bytes, {:?})", self.elements.bytes.len(), self.version)
    }
}

#[derive(Serialize)]
struct Delta<'a> {
    r#type: &'a str,
    entity: &'a Map<String, Value>,
    version: i64,
    ws_id: &'static str,
}

impl Deltas {
    /// The deltas of a configuration that is known to be what was published. Outside of this crate only
    /// [`Verified::deltas`](crate::verify::Verified::deltas) makes them.
    pub(crate) fn of(
        configuration: &Configuration,
        version: SyncVersion,
        schemas: &SchemaSet,
    ) -> Result<Self, Unsyncable> {
        let entities = Entities::of(configuration);
        check_workspace(entities.of_kind("workspaces"))?;
        let mut writer = Writer { compressor: Compressor::new(), version, count: 0 };

        // The workspace first, as a control plane sends it.
        let others = entities.kinds.keys().map(String::as_str).filter(|kind| *kind != "workspaces");
        for kind in std::iter::once("workspaces").chain(others) {
            for entity in entities.of_kind(kind) {
                writer.add(kind, &delta(&entities, kind, entity, schemas)?);
            }
        }

        let config_bytes = configuration.json().len() as u64;
        Ok(Self { elements: writer.finish().into(), version, config_bytes })
    }

    /// The version that a node has once it runs them.
    pub fn version(&self) -> SyncVersion {
        self.version
    }

    /// The size of the configuration's JSON in bytes.
    pub fn config_bytes(&self) -> u64 {
        self.config_bytes
    }

    /// How many bytes the answer to a call has, compressed, within some: what a node's `cluster_max_payload` limits.
    pub fn message_bytes(&self) -> u64 {
        self.elements.bytes.len() as u64 + 128
    }

    /// The answer to a node's call, as three pieces of one frame. The middle one is shared by all nodes.
    pub fn answer(&self, id: &CallId) -> [Bytes; 3] {
        let (first, last) = around(id, &self.elements);
        [first, self.elements.bytes.clone(), last]
    }
}

struct Writer {
    compressor: Compressor,
    version: SyncVersion,
    count: usize,
}

impl Writer {
    fn add(&mut self, kind: &str, entity: &Map<String, Value>) {
        let delta = Delta { r#type: kind, entity, version: self.version.number(), ws_id: DEFAULT_WORKSPACE };
        let json = serde_json::to_vec(&delta).expect("JSON values always have a JSON form");
        self.compressor.write(if self.count == 0 { b"[" } else { b"," });
        self.compressor.write(&json);
        self.count += 1;
    }

    fn finish(mut self) -> Elements {
        self.compressor.write(b"]");
        self.compressor.finish()
    }
}

fn check_workspace(workspaces: &[Entity<'_>]) -> Result<(), Unsyncable> {
    match workspaces {
        [one] if one.members().get("name") == Some(&Value::from("default")) => Ok(()),
        [] | [_] => Err(Unsyncable::NoWorkspace),
        several => Err(Unsyncable::Workspaces(several.len())),
    }
}

// What a delta says of an entity, if it is complete.
fn delta(
    entities: &Entities<'_>,
    kind: &str,
    entity: &Entity<'_>,
    schemas: &SchemaSet,
) -> Result<Map<String, Value>, Unsyncable> {
    let mut members = match serde_json::from_slice(entity.json) {
        Ok(Value::Object(members)) => members,
        Ok(_) => return Err(Unsyncable::Unreadable(format!("one of its {kind} is no object"))),
        Err(error) => return Err(Unsyncable::Unreadable(format!("one of its {kind}: {error}"))),
    };
    let described = schemas.complete_entity(kind).ok_or_else(|| Unsyncable::UnknownKind(kind.to_owned()))?;
    if let Some(field) = described.missing(&members) {
        return Err(Unsyncable::Incomplete { kind: kind.to_owned(), entity: entities.name(kind, entity), field });
    }

    for (field, target) in described.foreign() {
        let id = match members.get(field) {
            None | Some(Value::Null) => continue,
            Some(Value::String(id)) => id.clone(),
            Some(other) => other.get("id").and_then(Value::as_str).unwrap_or_default().to_owned(),
        };
        if !entities.has(target, &id) {
            let entity = entities.name(kind, entity);
            return Err(Unsyncable::Dangling { kind: kind.to_owned(), entity, field: field.to_owned() });
        }
        members.insert(field.to_owned(), json!({ "id": id }));
    }

    if kind == "workspaces" {
        members.insert("id".to_owned(), DEFAULT_WORKSPACE.into());
    }
    if members.get("ws_id").is_some_and(Value::is_string) {
        members.insert("ws_id".to_owned(), DEFAULT_WORKSPACE.into());
    }
    Ok(members)
}

#[cfg(test)]
mod tests;
