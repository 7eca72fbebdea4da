//! The first message of a worker, and what it makes of the answer.

use serde_json::{Value, json};

use super::options::{IncrementalOptions, Sync};
use crate::recorded;
use crate::wire::{ENCODING, KeyOrder, SYNC};

/// hello as the recorded node says it, with this node's own values.
pub(super) fn text(options: &IncrementalOptions, order: KeyOrder) -> String {
    let mut hello: Value = serde_json::from_slice(recorded::hello()).expect("what was recorded is JSON");
    let capabilities = match options.sync {
        Sync::On => json!([SYNC]),
        Sync::Off => json!([]),
    };

    let params = &mut hello["params"][0];
    params["rpc_capabilities"] = capabilities;
    params["rpc_frame_encodings"] = json!([ENCODING]);
    params["kong_version"] = options.version.as_str().into();
    params["kong_hostname"] = options.hostname.as_str().into();
    params["kong_node_id"] = options.node_id.as_str().into();

    let conf = &mut params["kong_conf"];
    conf["cluster_control_plane"] = options.control_plane.to_string().into();
    conf["cluster_max_payload"] = options.max_payload.into();
    conf["cluster_incremental_sync"] = (options.sync == Sync::On).into();
    // cjson writes an empty table as an object.
    conf["cluster_dp_labels"] = if options.labels.is_empty() { json!({}) } else { options.labels.clone().into() };
    conf["nginx_worker_processes"] = options.workers.to_string().into();
    conf["nginx_main_worker_processes"] = options.workers.to_string().into();
    order.text(&hello)
}

/// What an answer does to a worker.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The link is up; with whether the peer has incremental sync.
    Accepted { sync: bool },
    /// It closes the link and tries again later.
    Refused(String),
    /// A Lua error, after which this worker never connects again.
    Deadly(&'static str),
}

/// Judges the payload of the first binary frame.
pub(super) fn judge(payload: &[u8]) -> Answer {
    let Ok(answer) = serde_json::from_slice::<Value>(payload) else {
        return Answer::Deadly("manager.lua:258: attempt to index a nil value: the answer to hello is no JSON");
    };
    if answer["jsonrpc"] != "2.0" {
        return Answer::Deadly("manager.lua:258: assertion failed!");
    }
    let Some(result) = answer.get("result").and_then(Value::as_object) else {
        return Answer::Deadly("manager.lua:259: attempt to index field 'result' (a nil value)");
    };
    let Some(capabilities) = result.get("rpc_capabilities").filter(|list| list.is_array() || list.is_object()) else {
        return Answer::Deadly("manager.lua: rpc_capabilities is missing");
    };

    match result.get("rpc_frame_encoding").and_then(Value::as_str) {
        None => Answer::Deadly("manager.lua: rpc_frame_encoding is missing"),
        Some(ENCODING) => {
            let sync = capabilities.as_array().is_some_and(|list| list.iter().any(|one| one == SYNC));
            Answer::Accepted { sync }
        }
        Some(other) => Answer::Refused(format!("unknown encoding: {other}")),
    }
}
