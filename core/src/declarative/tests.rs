//! Files as Kong's users write them, and what becomes of them.

use std::io::Write;

use serde_json::json;

use super::*;
use crate::difference::Difference;
use crate::kong::reconfigure::{DEFAULT_MAX_CONFIG, decode};

const RECORDED: &[u8] = include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-last.json.gz");
const VERSION: KongVersion = KongVersion::new(3, 9, 1);

/// A file with most of what a file can have, after the examples of Kong's public documentation.
const WRITTEN: &str = r#"
_format_version: "3.0"
_comment: written by hand
services:
- name: orders
  url: https://orders.internal:8443
  routes:
  - name: buy
    paths: [/buy]
    plugins:
    - name: rate-limiting
      config: {minute: 5, policy: local}
  - paths: [/nameless]
  plugins:
  - name: key-auth
routes:
- name: elsewhere
  service: orders
  hosts: [example.com]
consumers:
- username: alice
  keyauth_credentials:
  - key: alice-secret-key
  acls:
  - group: admins
  _ignore: [whatever]
plugins:
- name: cors
- name: acl
  route: buy
  config: {allow: [admins]}
upstreams:
- name: orders.internal
  targets:
  - target: 10.0.0.1:8443
  - target: 10.0.0.2:8443
certificates:
- cert: public
  key: private
  snis:
  - name: example.com
"#;

fn read_text(text: &str) -> Result<Configuration, Refused> {
    read(&Bytes::from(text.to_owned()), VERSION, DEFAULT_MAX_CONFIG)
}

fn value(configuration: &Configuration) -> Value {
    serde_json::from_slice(configuration.json()).unwrap()
}

fn refusal(text: &str) -> String {
    read_text(text).unwrap_err().to_string()
}

fn with(rest: &str) -> String {
    format!("_format_version: \"3.0\"\n{rest}")
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().into()
}

#[test]
fn nested_entities_become_lists_that_refer_by_id() {
    let read = read_text(WRITTEN).unwrap();
    let counts: Vec<_> = read.counts().iter().collect();
    let expected = [
        ("acls", 1),
        ("certificates", 1),
        ("consumers", 1),
        ("keyauth_credentials", 1),
        ("plugins", 4),
        ("routes", 3),
        ("services", 1),
        ("snis", 1),
        ("targets", 2),
        ("upstreams", 1),
    ];
    assert_eq!(counts, expected);
    let read = value(&read);
    let service = &read["services"][0]["id"];
    assert!(read["routes"].as_array().unwrap().iter().all(|route| &route["service"] == service), "{read}");
    let route = |name: &str| read["routes"].as_array().unwrap().iter().find(|route| route["name"] == name).unwrap();
    let plugin = |name: &str| read["plugins"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(plugin("rate-limiting")["route"], route("buy")["id"]);
    assert_eq!(plugin("acl")["route"], route("buy")["id"]);
    assert_eq!(&plugin("key-auth")["service"], service);
    assert_eq!(plugin("cors").get("service"), None);
    assert_eq!(read["keyauth_credentials"][0]["consumer"], read["consumers"][0]["id"]);
    assert_eq!(read["targets"][1]["upstream"], read["upstreams"][0]["id"]);
    assert_eq!(read["snis"][0]["certificate"], read["certificates"][0]["id"]);
    assert_eq!((&read["_transform"], &read["_format_version"]), (&json!(true), &json!("3.0")));
    assert!(read.get("_comment").is_none() && read["consumers"][0].get("_ignore").is_none());
}

#[test]
fn the_same_file_is_the_same_configuration_each_time_and_in_any_order() {
    let reordered = WRITTEN.replace(
        "  - target: 10.0.0.1:8443\n  - target: 10.0.0.2:8443",
        "  - target: 10.0.0.2:8443\n  - target: 10.0.0.1:8443",
    );
    let (one, same, other) = (read_text(WRITTEN).unwrap(), read_text(WRITTEN).unwrap(), read_text(&reordered).unwrap());
    assert_eq!(one.json(), same.json());
    assert_ne!(one.json(), other.json());
    assert_eq!(Difference::between(&one, &other).changes, []);
}

#[test]
fn a_configuration_in_its_final_form_stays_byte_for_byte_what_it_is() {
    let recorded = decode(RECORDED, DEFAULT_MAX_CONFIG).unwrap().configuration;
    for file in [recorded.json().clone(), gzip(recorded.json())] {
        let read = read(&file, VERSION, DEFAULT_MAX_CONFIG).unwrap();
        assert!(read.json() == recorded.json(), "it was written anew");
    }
    // What was made of a file is in its final form too.
    let made = read_text(WRITTEN).unwrap();
    assert_eq!(read(made.json(), VERSION, DEFAULT_MAX_CONFIG).unwrap(), made);
}

#[test]
fn what_is_not_final_in_json_is_converted_as_in_yaml() {
    let written: Value = yaml::parse(WRITTEN).unwrap();
    let from_json = read_text(&written.to_string()).unwrap();
    assert_eq!(from_json, read_text(WRITTEN).unwrap());
    let mut final_one = value(&from_json);
    final_one["routes"][0]["service"] = json!("orders");
    assert_eq!(value(&read_text(&final_one.to_string()).unwrap()), value(&from_json));
}

#[test]
fn what_kong_exports_of_itself_is_read() {
    // The form of `kong config db_export` and of GET /config: ids and nulls spelled out, block style.
    let text = with(
        "_transform: false\nservices:\n- id: 147d26eb-168a-4a00-b6d2-efbb3386d1fc\n  name: orders\n  path: ~\n\
         routes:\n- id: 9de1e6c5-f843-4ade-9389-7f932d39e2db\n  service: 147d26eb-168a-4a00-b6d2-efbb3386d1fc\n  headers: {}\n",
    );
    let read = value(&read_text(&text).unwrap());
    assert_eq!(read["_transform"], false);
    assert_eq!(read["routes"][0]["service"], read["services"][0]["id"]);
    assert_eq!(read["services"][0]["path"], Value::Null);
}

#[test]
fn what_deck_writes_is_read_where_kong_knows_what_it_means() {
    let text = with(
        "_info: {select_tags: [team-a], defaults: {}}\n_konnect: {runtime_group_name: x}\n_workspace: default\n\
         _plugin_configs: {limits: {minute: 5, policy: local}}\n\
         services:\n- name: a\n  host: h\n  client_certificate: {id: 00000000-0000-4000-8000-000000000001}\n\
         certificates:\n- id: 00000000-0000-4000-8000-000000000001\n  cert: c\n  key: k\n\
         plugins:\n- name: rate-limiting\n  _config: limits\n  config: {minute: 9}\n  service: {name: a}\n",
    );
    let read = value(&read_text(&text).unwrap());
    assert_eq!(read["services"][0]["client_certificate"], "00000000-0000-4000-8000-000000000001");
    assert_eq!(read["plugins"][0]["config"], json!({"minute": 9, "policy": "local"}));
    assert_eq!(read["plugins"][0]["service"], read["services"][0]["id"]);
    assert!(read["plugins"][0].get("_config").is_none() && read.get("_plugin_configs").is_none());
}

#[test]
fn what_nodes_would_not_take_is_refused_by_name() {
    for (rest, parts) in [
        ("routes: [{name: buy, service: nobody}]", &["routes \"buy\"", "service \"nobody\" is none of services"][..]),
        ("services: [{name: a}, {name: a}]", &["services \"a\"", "two"]),
        ("services: [{name: a, id: x}, {name: a, id: y}]", &["services \"a\"", "two with this name"]),
        ("targets: [{target: 'a:80'}]", &["targets \"a:80\"", "must say in upstream"]),
        ("rutes: [{name: buy}]", &["rutes \"buy\"", "not one of open-source Kong's"]),
        ("consumers: [{username: al, groups: [{name: g}]}]", &["consumers \"al\"", "deck file format dbless"]),
        ("services: {name: a}", &["services: it must be a list"]),
        ("services: [a]", &["services: its entities must be objects"]),
        ("certificates: [{cert: c, key: k, snis: [example.com]}]", &["snis: its entities must be objects"]),
        ("plugins: [{name: cors, _config: none}]", &["plugins \"cors (global)\"", "_plugin_configs has no \"none\""]),
        ("_workspace: team-a", &["_workspace"]),
        ("_info: {defaults: {route: {}}}", &["_info", "defaults"]),
        ("_surprise: 1", &["_surprise"]),
        ("parameters: [{value: v}]", &["parameters", "no key"]),
        ("services: [{id: 5}]", &["services", "id must be a text"]),
    ] {
        let refusal = refusal(&with(rest));
        for part in parts {
            assert!(refusal.contains(part), "{rest}: {refusal}");
        }
    }
}

#[test]
fn a_refusal_does_not_tell_a_secret() {
    let refusal = refusal(&with("keyauth_credentials: [{key: wonderful-secret}]"));
    assert!(refusal.contains("must say in consumer") && !refusal.contains("wonderful"), "{refusal}");
}

#[test]
fn custom_entities_are_kept_as_they_are_if_they_have_ids() {
    let text = with("my_tokens: [{id: a, consumer: alice, _comment: kept}]\nconsumers: [{username: alice}]\n");
    let read = value(&read_text(&text).unwrap());
    assert_eq!(read["my_tokens"], json!([{"id": "a", "consumer": "alice", "_comment": "kept"}]));
}

#[test]
fn a_format_is_one_that_this_version_of_kong_reads() {
    let file = |format: &str| Bytes::from(format!("_format_version: {format}\nservices: []\n"));
    let old = KongVersion::new(2, 8, 5);
    for (format, version) in [("'1.1'", VERSION), ("'2.1'", VERSION), ("'3.0'", VERSION), ("'2.1'", old)] {
        assert!(read(&file(format), version, 1 << 20).is_ok(), "{format} for {version}");
    }
    for (format, version) in [("'3.0'", old), ("'4.0'", VERSION), ("3.0", VERSION)] {
        let refusal = read(&file(format), version, 1 << 20).unwrap_err().to_string();
        assert!(refusal.contains("_format_version is") && refusal.contains("in quotes"), "{refusal}");
    }
    let final_one = Bytes::from_static(br#"{"_format_version":"3.0","_transform":false}"#);
    assert!(read(&final_one, old, 1 << 20).is_err());
}

#[test]
fn what_is_something_else_is_called_that() {
    assert!(matches!(read_text("{}").unwrap_err(), Refused::NotDeclarative));
    assert!(matches!(read_text("").unwrap_err(), Refused::NotDeclarative));
    assert!(matches!(read_text("[1]").unwrap_err(), Refused::NotDeclarative));
    assert!(matches!(read_text("just words").unwrap_err(), Refused::NotDeclarative));
    assert!(matches!(read_text("{\"services\": [").unwrap_err(), Refused::Json(_)));
    assert!(matches!(read_text("a: [1").unwrap_err(), Refused::Yaml(_)));
    assert!(matches!(read(&Bytes::from_static(b"\xff\xfe"), VERSION, 99).unwrap_err(), Refused::NotText(0)));
    let whole = gzip(WRITTEN.as_bytes());
    let half = whole.slice(..whole.len() / 2);
    assert!(matches!(read(&half, VERSION, DEFAULT_MAX_CONFIG).unwrap_err(), Refused::Gzip(_)));
    for (file, limit) in [(whole, 100), (Bytes::from(WRITTEN), 100), (Bytes::from(WRITTEN), WRITTEN.len() + 10)] {
        let refusal = read(&file, VERSION, limit).unwrap_err().to_string();
        assert!(refusal.contains("LIFEBOAT_MAX_CONFIG"), "{refusal}");
    }
}

#[test]
fn a_file_may_begin_with_the_mark_of_its_encoding() {
    assert_eq!(read_text(&format!("\u{feff}{}", WRITTEN.trim_start())).unwrap(), read_text(WRITTEN).unwrap());
}
