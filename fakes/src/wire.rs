//! Kong's RPC as the fakes write and read it: raw Snappy blocks, one JSON each, whose keys have an order that differs from
//! process to process. Written apart from the product's on purpose.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

/// The subprotocol of the WebSocket.
pub(crate) const PROTOCOL: &str = "kong.meta.v1";
/// The only encoding of frames there is. In spite of its name it is Snappy's raw format.
pub(crate) const ENCODING: &str = "x-snappy-framed";
/// The capability of incremental sync.
pub(crate) const SYNC: &str = "kong.sync.v2";
/// What a node asks for.
pub(crate) const GET_DELTA: &str = "kong.sync.v2.get_delta";
/// What a control plane tells.
pub(crate) const NOTIFY: &str = "kong.sync.v2.notify_new_version";

/// A block claims no more than this when it is unpacked.
const LARGEST: usize = 1 << 30;

/// The order in which a process writes the keys of its objects: LuaJIT's, which is by hashes with a seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyOrder(u64);

impl KeyOrder {
    pub(crate) fn of_a_new_process() -> Self {
        Self(rand::random())
    }

    /// JSON text in this order.
    pub(crate) fn text(self, value: &Value) -> String {
        let mut text = String::new();
        self.write(value, &mut text);
        text
    }

    fn write(self, value: &Value, text: &mut String) {
        match value {
            Value::Object(members) => {
                let mut members: Vec<(&String, &Value)> = members.iter().collect();
                members.sort_by_cached_key(|(key, _)| self.place(key));
                self.write_list(text, ['{', '}'], members, |(key, value), text| {
                    text.push_str(&Value::from(key.as_str()).to_string());
                    text.push(':');
                    self.write(value, text);
                });
            }
            Value::Array(items) => {
                self.write_list(text, ['[', ']'], items, |item, text| self.write(item, text));
            }
            plain => text.push_str(&plain.to_string()),
        }
    }

    fn write_list<T>(
        self,
        text: &mut String,
        [open, close]: [char; 2],
        items: impl IntoIterator<Item = T>,
        write: impl Fn(T, &mut String),
    ) {
        text.push(open);
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            write(item, text);
        }
        text.push(close);
    }

    fn place(self, key: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.0, key).hash(&mut hasher);
        hasher.finish()
    }
}

/// One raw Snappy block.
pub(crate) fn pack(text: &str) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(text.as_bytes()).expect("no message has 4 GiB")
}

/// The JSON in a raw Snappy block.
pub(crate) fn unpack(block: &[u8]) -> Option<Value> {
    if snap::raw::decompress_len(block).ok()? > LARGEST {
        return None;
    }
    let text = snap::raw::Decoder::new().decompress_vec(block).ok()?;
    serde_json::from_slice(&text).ok()
}

/// A number as cjson writes it: with 14 digits, and so as a float from 10^14 on.
pub(crate) fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e14 {
        #[allow(clippy::cast_possible_truncation, reason = "it is whole and below 10^14")]
        return Value::from(value as i64);
    }
    let rounded: f64 = format!("{value:.13e}").parse().expect("a number that was just printed");
    Value::from(rounded)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_keys_differs_from_process_to_process_and_the_content_does_not() {
        let value = json!({ "method": "m", "id": 1, "params": [{ "a": 1, "b": [true, null, "\"x\""], "c": {} }], "jsonrpc": "2.0" });
        let texts: std::collections::BTreeSet<String> =
            (0..50).map(|_| KeyOrder::of_a_new_process().text(&value)).collect();
        assert!(texts.len() > 5, "{texts:?}");
        assert!(texts.iter().all(|text| serde_json::from_str::<Value>(text).unwrap() == value));
    }

    #[test]
    fn numbers_have_fourteen_digits() {
        let texts = [-999_999_990.0, 99_999_999_999_999.0, 9_007_199_254_740_000.0, 123_456_789_012_345.0]
            .map(|value| number(value).to_string());
        assert_eq!(texts, ["-999999990", "99999999999999", "9007199254740000.0", "123456789012340.0"]);
    }

    #[test]
    fn what_is_no_block_is_not_unpacked() {
        assert_eq!(unpack(&pack(r#"{"id":1}"#)), Some(json!({ "id": 1 })));
        assert_eq!(unpack(br#"{"id":1}"#), None);
        assert_eq!(unpack(&pack("no json")), None);
        assert_eq!(unpack(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0]), None);
    }
}
