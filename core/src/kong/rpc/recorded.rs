//! What a real node and a real control plane of 3.9.1 said to each other (`tests/data/README.md`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::kong::inflate::inflate;

const RECORDED: &[u8] = include_bytes!("../../../../tests/data/kong-3.9.1/sync2/recorded.jsonl.gz");

/// A frame.
pub(crate) struct Frame {
    pub(crate) from_node: bool,
    pub(crate) kind: String,
    pub(crate) is_snappy: bool,
    pub(crate) json: Value,
    pub(crate) raw: Vec<u8>,
}

/// All frames, in order.
pub(crate) fn recorded() -> impl Iterator<Item = Frame> {
    let lines = inflate(RECORDED, 1 << 24).unwrap();
    let lines: Vec<Value> = serde_json::Deserializer::from_slice(&lines).into_iter().map(Result::unwrap).collect();
    lines.into_iter().map(|line| Frame {
        from_node: line["dir"] == "dp->cp",
        kind: line["kind"].as_str().unwrap_or_default().to_owned(),
        is_snappy: line["enc"] == "snappy-raw",
        json: line["json"].clone(),
        raw: line["raw"].as_str().map(|raw| STANDARD.decode(raw).unwrap()).unwrap_or_default(),
    })
}
