//! A configuration as deltas, beside what a real control plane sends.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::kong::rpc::snappy;

const NATIVE: &[u8] = include_bytes!("../../../tests/data/kong-3.9.1/sync2/native-full.json");
const ENVELOPE: &[u8] = include_bytes!("../../../tests/data/kong-3.9.1/sync2/envelope-vector.json");
const PUSHED: &[u8] = include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-last.json.gz");

fn schemas() -> &'static SchemaSet {
    SchemaSet::recorded("3.9.1".parse().unwrap()).unwrap()
}

fn configuration(json: &Value) -> Configuration {
    Configuration::from_json(json.to_string().into()).unwrap()
}

fn deltas(json: &Value) -> Result<Deltas, Unsyncable> {
    Deltas::of(&configuration(json), SyncVersion::of_sequence(10), schemas())
}

fn answered(deltas: &Deltas) -> Value {
    let block = deltas.answer(&CallId::Number(7.into())).concat();
    assert!(block.len() as u64 <= deltas.message_bytes());
    serde_json::from_slice(&snappy::decompress(&block, 1 << 20).unwrap()).unwrap()
}

/// A control plane's own full answer, as it pushes the same by `/v1/outlet`.
fn pushed_form(native: &Value) -> Value {
    let mut config = json!({ "_format_version": "3.0", "_transform": false });
    for delta in native["default"]["deltas"].as_array().unwrap() {
        let mut entity = delta["entity"].clone();
        for value in entity.as_object_mut().unwrap().values_mut() {
            if let Some(id) =
                value.as_object().filter(|members| members.len() == 1).and_then(|members| members.get("id"))
            {
                *value = id.clone();
            }
        }
        let list = config.as_object_mut().unwrap().entry(delta["type"].as_str().unwrap()).or_insert_with(|| json!([]));
        list.as_array_mut().unwrap().push(entity);
    }
    config
}

fn sorted(deltas: &Value) -> Vec<String> {
    let mut sorted: Vec<String> = deltas.as_array().unwrap().iter().map(Value::to_string).collect();
    sorted.sort();
    sorted
}

#[test]
fn what_a_control_plane_pushes_becomes_what_it_sends_itself() {
    let native: Value = serde_json::from_slice(NATIVE).unwrap();
    let answer = answered(&deltas(&pushed_form(&native)).unwrap());
    assert_eq!(answer["result"]["default"]["wipe"], true);

    let mut expected = native["default"]["deltas"].clone();
    for delta in expected.as_array_mut().unwrap() {
        delta["ws_id"] = DEFAULT_WORKSPACE.into();
        delta["version"] = json!(-999_999_990);
        if delta["type"] == "workspaces" {
            delta["entity"]["id"] = DEFAULT_WORKSPACE.into();
        }
    }
    assert_eq!(sorted(&answer["result"]["default"]["deltas"]), sorted(&expected));
    assert_eq!(answer["result"]["default"]["deltas"][0]["type"], "workspaces");
}

#[test]
fn what_a_real_control_plane_pushed_is_complete() {
    let pushed = crate::kong::reconfigure::decode(PUSHED, 1 << 20).unwrap().configuration;
    let deltas = Deltas::of(&pushed, SyncVersion::of_sequence(1), schemas()).unwrap();
    let answer = answered(&deltas);
    let count: u64 = pushed.counts().iter().map(|(_, count)| count).sum();
    assert_eq!(answer["result"]["default"]["deltas"].as_array().unwrap().len() as u64, count);
}

#[test]
fn the_envelope_is_the_one_that_a_real_node_took() {
    let vector: Value = serde_json::from_slice(ENVELOPE).unwrap();
    let bytes = |name: &str| STANDARD.decode(vector[name].as_str().unwrap()).unwrap();
    let json = vector["json"].as_str().unwrap();
    let (head, tail) = (json.find(":[{").unwrap() + 1, "}}}".len());

    let elements = Elements { bytes: bytes("body_snappy").into(), length: (json.len() - head - tail) as u64 };
    let (first, last) = around(&CallId::Number(7.into()), &elements);
    assert_eq!([first, elements.bytes, last].concat(), bytes("answer"));
    assert_eq!(snappy::decompress(&bytes("answer"), 1 << 20).unwrap(), json.as_bytes());
}

/// A configuration with one service and one route, in which something is changed.
fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut config = pushed_form(&serde_json::from_slice(NATIVE).unwrap());
    change(&mut config);
    config
}

#[test]
fn what_is_not_known_to_be_complete_is_refused_by_name() {
    let error = |change: fn(&mut Value)| deltas(&changed(change)).unwrap_err().to_string();
    for (change, expected) in [
        (
            (|config| drop(config["routes"][1].as_object_mut().unwrap().remove("regex_priority"))) as fn(&mut Value),
            "regex_priority",
        ),
        (|config| config["routes"][1]["regex_priority"] = Value::Null, "routes echo has no regex_priority"),
        (|config| drop(config["plugins"][0].as_object_mut().unwrap().remove("id")), "has no id"),
        (
            |config| drop(config["plugins"][0]["config"].as_object_mut().unwrap().remove("key_names")),
            "config.key_names",
        ),
        (
            |config| config["routes"][0]["service"] = json!("00000000-0000-0000-0000-000000000000"),
            "by service to an entity",
        ),
        (|config| config["routes"][0]["service"] = json!({ "name": "echo" }), "by service to an entity"),
        (|config| config["degraphql_routes"] = json!([{ "id": "x" }]), "kind degraphql_routes"),
        (|config| drop(config.as_object_mut().unwrap().remove("workspaces")), "no workspace named default"),
        (|config| config["workspaces"].as_array_mut().unwrap().push(json!({ "name": "team-a" })), "2 workspaces"),
        (|config| config["plugins"][0] = json!("echo"), "is no object"),
    ] {
        assert!(error(change).contains(expected), "{}", error(change));
    }
}

#[test]
fn of_a_plugin_without_a_schema_the_configuration_is_not_looked_at() {
    let custom = changed(|config| {
        config["plugins"][0]["name"] = json!("our-own");
        config["plugins"][0]["config"] = json!({});
    });
    assert!(deltas(&custom).is_ok());
}

#[test]
fn secrets_are_not_printed() {
    let printed = format!("{:?}", deltas(&pushed_form(&serde_json::from_slice(NATIVE).unwrap())).unwrap());
    assert!(!printed.contains("alice") && !printed.contains("PRIVATE"), "{printed}");
}
