//! A node's first message on its link, and what it says of itself when it opens that.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_core::kong::basic_info::{BasicInfo, DEFAULT_MAX_PAYLOAD, NodeInfo};
use lifeboat_core::kong::limits;
use serde_json::Value;

use super::choices::Choices;

/// Plays what these bytes say.
///
/// # Panics
/// When something that must hold doesn't: another reader of JSON understands the message differently, or our own message
/// isn't read as it was meant.
pub fn play_basic_info(bytes: &[u8]) {
    let decoded = NodeInfo::decode(bytes);
    let read = serde_json::from_slice::<Value>(bytes);
    if let Ok(info) = &decoded {
        // Numbers that no double can hold stand in members that nobody asks for.
        if let Ok(read) = &read {
            assert_eq!(read["type"], "basic_info");
            let conf = &read["process_conf"];
            assert_eq!(info.max_payload, conf["cluster_max_payload"].as_u64().unwrap_or(DEFAULT_MAX_PAYLOAD));
            assert_eq!(info.map_size, conf["lmdb_map_size"].as_str().and_then(size));
        }
    }
    if let Ok(Value::Object(read)) = &read
        && read.get("type").is_some_and(|name| name == "basic_info")
    {
        let error = decoded.as_ref().err().map(ToString::to_string).unwrap_or_default();
        assert!(decoded.is_ok() || error.contains("duplicate field"), "{error}");
    }

    if let Ok(text) = std::str::from_utf8(bytes) {
        assert_eq!(limits::size(text), size(text));
    }
    ours_is_read_as_it_was_meant(&mut Choices(bytes));
}

/// What Kong says of sizes: digits, and perhaps one of three letters after them.
fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let letters = [('k', 10), ('m', 20), ('g', 30)];
    let letter = letters.iter().find(|(letter, _)| text.ends_with([*letter, letter.to_ascii_uppercase()]));
    let digits = if letter.is_some() { &text[..text.len() - 1] } else { text };
    let shift = letter.map_or(0, |(_, shift)| *shift);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    let number: u128 = if significant.len() > 20 { u128::MAX >> 40 } else { format!("0{significant}").parse().ok()? };
    u64::try_from(number << shift).ok().filter(|bytes| *bytes > 0)
}

fn ours_is_read_as_it_was_meant(choices: &mut Choices<'_>) {
    let mut names = |most: u8| -> Vec<String> {
        let count = choices.byte() % most;
        (0..count).map(|_| String::from_utf8_lossy(choices.bytes()).into_owned()).collect()
    };
    let (plugins, filters, labels) = (names(8), names(4), names(4));
    let labels: BTreeMap<String, String> = labels.into_iter().map(|name| (name.clone(), name)).collect();
    let message = BasicInfo::with_plugins(plugins.clone(), &filters, labels.clone()).encode();

    let info = NodeInfo::decode(&message).expect("it is a basic_info");
    assert_eq!((info.max_payload, info.map_size), (DEFAULT_MAX_PAYLOAD, None));
    let read: Value = serde_json::from_slice(&message).expect("it is JSON");
    let listed = read["plugins"].as_array().expect("a list").iter().map(|plugin| plugin["name"].as_str());
    let listed: Vec<&str> = listed.map(|name| name.expect("each has a name")).collect();
    assert_eq!(listed, BTreeSet::from_iter(plugins.iter().map(String::as_str)).into_iter().collect::<Vec<_>>());
    for name in &filters {
        assert_eq!(read["filters"][name]["name"], **name);
    }
    for (name, value) in labels.iter().filter(|(name, _)| *name != "lifeboat") {
        assert_eq!(read["labels"][name], **value);
    }
    assert_eq!(read["labels"]["lifeboat"], "backup");
}
