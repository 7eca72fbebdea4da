//! What is said after the hello: calls and answers, each in one Snappy block.

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::json;

use super::snappy;

/// How many bytes a node's call may have. Its own have about a hundred.
const CALL_LIMIT: usize = 64 * 1024;
/// The id of the calls that are made here, which a control plane's own, counted from 0, don't reach. Kong's JSON keeps
/// 14 digits.
pub const NOTIFY_ID: u64 = 1_000_000_000;

/// The id of a node's call, as the node wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CallId {
    /// What Kong's nodes use.
    Number(serde_json::Number),
    /// What the protocol allows besides.
    Text(String),
}

/// What a node says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromNode {
    /// It asks for what is newer than the version that it has: 0 if it has none, or one that came by `/v1/outlet`.
    GetDelta {
        /// To be named by the answer.
        id: CallId,
        /// What it has.
        version: i64,
    },
    /// It calls something else.
    OtherCall {
        /// To be named by the answer.
        id: CallId,
    },
    /// It answers the call that is made here.
    NotifyAnswered,
    /// Anything else that is a message.
    Other,
}

#[derive(Deserialize)]
struct Message {
    method: Option<String>,
    id: Option<CallId>,
    #[serde(default)]
    params: Value,
}

impl FromNode {
    /// Reads a frame's payload; none if it is no message.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let json = snappy::decompress(payload, CALL_LIMIT)?;
        let Message { method, id, params } = serde_json::from_slice(&json).ok()?;

        Some(match (method.as_deref(), id) {
            (Some("kong.sync.v2.get_delta"), Some(id)) => match version(&params) {
                Some(version) => Self::GetDelta { id, version },
                None => Self::OtherCall { id },
            },
            (Some(_), Some(id)) => Self::OtherCall { id },
            (None, Some(CallId::Number(id))) if id.as_u64() == Some(NOTIFY_ID) => Self::NotifyAnswered,
            _ => Self::Other,
        })
    }
}

// `[{"default":{"version":0}}]`. Above 14 digits Kong writes a float.
fn version(params: &Value) -> Option<i64> {
    let version = params.get(0)?.get("default")?.get("version")?;
    version.as_i64().or_else(|| version.as_f64().map(|version| version as i64))
}

/// The answer to a node that has the newest: it keeps what it has.
pub fn no_deltas(id: &CallId) -> Bytes {
    // An empty list is an object in Lua; a node takes both.
    block(&json!({ "jsonrpc": "2.0", "id": id, "result": { "default": { "wipe": false, "deltas": {} } } }))
}

/// Tells a node that there is something newer. The version is always 1: a node without a configuration takes itself to be
/// at 0 and ignores a negative one, one that was restored is below 0 in any case, and one that has a control plane's is
/// at 1 or above and ignores it, as it should.
pub fn notify() -> Bytes {
    block(&json!({
        "jsonrpc": "2.0",
        "id": NOTIFY_ID,
        "method": "kong.sync.v2.notify_new_version",
        "params": [{ "default": { "new_version": 1 } }],
    }))
}

/// The answer to a call that isn't known here.
pub fn method_not_found(id: &CallId) -> Bytes {
    block(&json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32601, "message": "Method not found" } }))
}

fn block(message: &Value) -> Bytes {
    snappy::compress(message.to_string().as_bytes()).into()
}

/// What stands before the deltas of a full answer, and after them.
fn envelope(id: &CallId) -> (Vec<u8>, &'static [u8]) {
    let id = serde_json::to_string(id).expect("a number or a string always has a JSON form");
    let head = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"default":{{"wipe":true,"deltas":"#);
    (head.into_bytes(), b"}}}")
}

/// A Snappy block around compressed deltas: what comes before them, and what comes after.
pub(crate) fn around(id: &CallId, deltas: &snappy::Elements) -> (Bytes, Bytes) {
    let (head, tail) = envelope(id);
    let mut first = BytesMut::with_capacity(head.len() + 12);
    snappy::put_length(&mut first, head.len() as u64 + deltas.length + tail.len() as u64);
    snappy::put_literal(&mut first, &head);
    let mut last = BytesMut::with_capacity(tail.len() + 1);
    snappy::put_literal(&mut last, tail);
    (first.freeze(), last.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kong::rpc::recorded::{Frame, recorded};
    use crate::kong::rpc::{Hello, NotHello, hello_answer, lists_sync};

    fn said(frame: &Frame) -> FromNode {
        FromNode::decode(&frame.raw).unwrap()
    }

    fn json_of(block: &[u8]) -> Value {
        serde_json::from_slice(&snappy::decompress(block, CALL_LIMIT).unwrap()).unwrap()
    }

    #[test]
    fn what_a_real_node_said_is_understood() {
        let mut asked = Vec::new();
        for frame in recorded().filter(|frame| frame.kind == "binary" && frame.from_node && frame.is_snappy) {
            match (said(&frame), frame.json["method"].as_str()) {
                (FromNode::GetDelta { id, version }, Some("kong.sync.v2.get_delta")) => {
                    assert_eq!(json!(id), frame.json["id"]);
                    assert_eq!(frame.json["params"], json!([{ "default": { "version": version } }]));
                    asked.push(version);
                }
                // It answers a control plane, whose ids begin with 0.
                (FromNode::Other, None) => assert_eq!(frame.json["result"], true),
                other => panic!("{other:?}: {}", frame.json),
            }
        }
        asked.dedup();
        assert_eq!(asked[..5], [0, 16, 17, 18, 19]);
    }

    #[test]
    fn what_a_real_node_says_first_is_understood_in_any_order_of_its_members() {
        let mut hellos = 0;
        for frame in recorded().filter(|frame| frame.kind == "binary" && frame.from_node && !frame.is_snappy) {
            let hello = Hello::decode(&frame.raw).unwrap();
            assert_eq!((hello.announced.as_str(), hello.syncs, hello.limits.max_payload), ("3.9.1", true, 16_777_216));
            assert!(hello.can_be_synced());
            hellos += 1;
        }
        assert!(hellos >= 4, "{hellos}");
    }

    #[test]
    fn what_is_answered_is_what_a_real_control_plane_answered() {
        let (mut none, mut hellos) = (0, 0);
        for frame in recorded().filter(|frame| frame.kind == "binary" && !frame.from_node) {
            if !frame.is_snappy {
                assert_eq!(serde_json::from_slice::<Value>(&hello_answer(true)).unwrap(), frame.json);
                assert_eq!((lists_sync(&frame.raw), lists_sync(&hello_answer(false))), (Some(true), Some(false)));
                hellos += 1;
            } else if frame.json["result"]["default"]["deltas"] == json!({}) {
                let id = serde_json::from_value(frame.json["id"].clone()).unwrap();
                assert_eq!(json_of(&no_deltas(&id)), frame.json);
                none += 1;
            } else if frame.json["method"] == "kong.sync.v2.notify_new_version" {
                let own = json_of(&notify());
                assert_eq!((&own["method"], &own["jsonrpc"]), (&frame.json["method"], &frame.json["jsonrpc"]));
                assert_eq!(own["params"], json!([{ "default": { "new_version": 1 } }]));
            }
        }
        assert!(none > 5 && hellos >= 2, "{none} {hellos}");
    }

    #[test]
    fn a_call_is_answered_under_its_id_whatever_that_is() {
        for id in [json!(0), json!(7), json!("seven"), json!(-1)] {
            let call = json!({ "jsonrpc": "2.0", "id": id, "method": "kong.debug.v1", "params": [] });
            let FromNode::OtherCall { id: read } = FromNode::decode(&block(&call)).unwrap() else { panic!("{call}") };
            assert_eq!(json_of(&method_not_found(&read))["id"], id);
            assert_eq!(json_of(&no_deltas(&read))["id"], id);
        }
        let answer = json!({ "jsonrpc": "2.0", "id": NOTIFY_ID, "result": true });
        assert_eq!(FromNode::decode(&block(&answer)), Some(FromNode::NotifyAnswered));
    }

    #[test]
    fn a_version_of_more_than_fourteen_digits_is_read_as_the_float_that_kong_writes() {
        let call = br#"{"jsonrpc":"2.0","id":0,"method":"kong.sync.v2.get_delta","params":[{"default":{"version":9.00719925474e+15}}]}"#;
        let block = snappy::compress(call);
        assert!(matches!(FromNode::decode(&block), Some(FromNode::GetDelta { version: 9_007_199_254_740_000, .. })));
    }

    #[test]
    fn what_no_control_plane_should_be_given_is_refused() {
        let hello = |change: fn(&mut Value)| {
            let mut hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "kong.meta.v1.hello", "params": [{
                "rpc_capabilities": {}, "rpc_frame_encodings": ["x-snappy-framed"], "kong_version": "3.9.1",
                "kong_node_id": "0707cde5-c018-4bb3-88d5-f4c8e60823ad", "kong_hostname": "dp-1",
            }] });
            change(&mut hello);
            Hello::decode(hello.to_string().as_bytes())
        };
        assert!(!hello(|_| {}).unwrap().syncs);
        let refused = [
            ((|hello| hello["params"][0]["kong_node_id"] = json!("' OR 1=1")) as fn(&mut Value), NotHello::NodeId),
            (|hello| hello["params"][0]["kong_node_id"] = json!("0707cde5c0184bb388d5f4c8e60823ad"), NotHello::NodeId),
            (
                |hello| hello["params"][0]["rpc_capabilities"] = json!(vec!["kong.sync.v2"; 5000]),
                NotHello::TooManyCapabilities,
            ),
            (|hello| hello["params"][0]["rpc_frame_encodings"] = json!(["none"]), NotHello::Encoding),
            (|hello| hello["method"] = json!("kong.sync.v2.get_delta"), NotHello::Form),
            (|hello| hello["params"] = json!([]), NotHello::Form),
        ];
        for (change, expected) in refused {
            assert_eq!(hello(change).unwrap_err(), expected);
        }
        // Two of a name would be one thing to us and another to the control plane.
        let twice = br#"{"method":"kong.meta.v1.hello","params":[{"rpc_capabilities":[],"rpc_frame_encodings":["x-snappy-framed"],
            "kong_node_id":"0707cde5-c018-4bb3-88d5-f4c8e60823ad","kong_node_id":"x"}]}"#;
        assert_eq!(Hello::decode(twice), Err(NotHello::Form));
        assert_eq!(Hello::decode(b"ping"), Err(NotHello::Form));
    }

    #[test]
    fn only_open_source_nodes_of_3_9_mean_the_protocol_that_is_spoken_here() {
        for (version, can) in [
            ("3.9.0", true),
            ("3.9.3", true),
            ("3.9.0.1-enterprise-edition", false),
            ("3.10.0", false),
            ("3.8.1", false),
            ("", false),
        ] {
            let hello = json!({ "method": "kong.meta.v1.hello", "params": [{
                "rpc_capabilities": ["kong.sync.v2"], "rpc_frame_encodings": ["x-snappy-framed"], "kong_version": version,
                "kong_node_id": "0707cde5-c018-4bb3-88d5-f4c8e60823ad",
            }] });
            assert_eq!(Hello::decode(hello.to_string().as_bytes()).unwrap().can_be_synced(), can, "{version}");
        }
    }
}
