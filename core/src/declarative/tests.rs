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
    written(text).map(|written| written.configuration)
}

fn written(text: &str) -> Result<Written, Refused> {
    read(&Bytes::from(text.to_owned()), VERSION, DEFAULT_MAX_CONFIG)
}

fn value(configuration: &Configuration) -> Value {
    serde_json::from_slice(configuration.json()).unwrap()
}

/// All that is said against a text.
fn refusal(text: &str) -> String {
    match written(text) {
        Err(refused) => refused.to_string(),
        Ok(written) => said(written, Severity::Refused),
    }
}

fn warning(text: &str) -> String {
    said(written(text).unwrap(), Severity::Warning)
}

fn said(written: Written, severity: Severity) -> String {
    let judgement = Judgement::of(&written, None, &Yardstick::default());
    let findings = if severity == Severity::Refused { judgement.refused } else { judgement.warnings };
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
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
        let read = read(&file, VERSION, DEFAULT_MAX_CONFIG).unwrap().configuration;
        assert!(read.json() == recorded.json(), "it was written anew");
    }
    // What was made of a file is in its final form too.
    let made = read_text(WRITTEN).unwrap();
    assert_eq!(read(made.json(), VERSION, DEFAULT_MAX_CONFIG).unwrap().configuration, made);
}

#[test]
fn what_is_not_final_in_json_is_converted_as_in_yaml() {
    let written: Value = yaml::parse(WRITTEN).unwrap().document.into_inner();
    let from_json = read_text(&written.to_string()).unwrap();
    assert_eq!(from_json, read_text(WRITTEN).unwrap());
    let mut final_one = value(&from_json);
    final_one["routes"][0]["service"] = json!("orders");
    assert_eq!(value(&read_text(&final_one.to_string()).unwrap()), value(&from_json));
}

#[test]
fn a_number_is_the_nearest_one_that_can_be_written_and_stays_that() {
    // Read fast instead of exactly, the first becomes 1.7959859999999998e41.
    for (written, is) in [("1795986E35", 1_795_986e35), ("122.416294033786585", 122.416_294_033_786_58)] {
        let file =
            format!(r#"{{"_format_version": "3.0", "consumers": [{{"username": "alice", "since": {written}}}]}}"#);
        let first = read_text(&file).unwrap();
        assert_eq!(value(&first)["consumers"][0]["since"].as_f64(), Some(is), "{written}");
        let again = read(first.json(), VERSION, DEFAULT_MAX_CONFIG).unwrap().configuration;
        assert_eq!(value(&again), value(&first));
    }
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
        ("routes: [{name: buy, service: nobody}]", &["routes \"buy", "service", "\"nobody\" is none of services"][..]),
        ("services: [{name: a}, {name: a}]", &["services \"a\"", "name", "two with the same"]),
        ("services: [{name: a, id: x}, {name: a, id: y}]", &["services \"a\"", "name", "two with the same"]),
        ("services: [{name: a, id: x}, {name: b, id: x}]", &["services \"b\"", "id", "two with the same"]),
        ("targets: [{target: 'a:80'}]", &["targets \"a:80\"", "must say to which of upstreams"]),
        ("consumers: [{username: al, groups: [{name: g}]}]", &["consumers \"al\"", "groups", "Enterprise"]),
        ("consumer_groups: [{name: g}]", &["consumer_groups", "Enterprise"]),
        ("plugins: [{name: cors, consumer_group: g}]", &["plugins", "consumer_group", "Enterprise"]),
        ("services: {name: a}", &["services: it must be a list"]),
        ("services: [a]", &["services", "it must be an object"]),
        ("certificates: [{cert: c, key: k, snis: [example.com]}]", &["snis", "it must be an object"]),
        ("plugins: [{name: cors, _config: none}]", &["plugins \"cors (global)\"", "_plugin_configs has no \"none\""]),
        ("_workspace: team-a", &["_workspace"]),
        ("_info: {defaults: {routing: {}}}", &["_info", "defaults"]),
        ("_surprise: 1", &["_surprise"]),
        ("_transform: maybe", &["_transform", "true or false"]),
        ("parameters: [{value: v}]", &["parameters", "no key"]),
        ("services: [{id: 5}]", &["services", "id: it must be a text"]),
        ("services: [{name: a}]\nservices: [{name: b}]", &["services stands here twice"]),
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
    assert!(refusal.contains("must say to which of consumers") && !refusal.contains("wonderful"), "{refusal}");
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
        assert!(read(&file(format), version, 1 << 20).unwrap().findings.is_empty(), "{format} for {version}");
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
    assert!(matches!(read_text("{}").unwrap_err(), Refused::NoFormat { .. }));
    assert!(refusal("services: []").contains("add _format_version: \"3.0\""));
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

#[test]
fn an_empty_object_is_an_empty_list_and_of_several_documents_the_first_counts() {
    let read = value(&read_text(&with("services: {}\nroutes: [{name: r, plugins: {}}]")).unwrap());
    assert_eq!(read["services"], json!([]));
    assert!(read["routes"][0].get("plugins").is_none());
    let two = with("services: [{name: a}]\n---\nservices: [{name: b}]\n");
    assert_eq!(value(&read_text(&two).unwrap())["services"][0]["name"], "a");
    assert!(warning(&two).contains("reads the first one only"), "{}", warning(&two));
}

#[test]
fn a_name_that_stands_twice_in_json_is_refused_with_its_place() {
    let refusal = refusal(r#"{"_format_version":"3.0","services":[{"name":"s","name":"t"}]}"#);
    assert!(refusal.contains("services[0].name stands there twice"), "{refusal}");
}

#[test]
fn placeholders_are_refused_by_name_without_what_stands_there() {
    for (rest, parts) in [
        ("services: [{name: a, host: '${{ env \"H\" }}'}]", &["services \"a\", host: this placeholder"][..]),
        ("services: [{name: a, url: 'http://$HOST/'}]", &["services \"a\", url: it contains a placeholder"]),
        ("services: [{name: a, host: h, port: '${PORT}'}]", &["services \"a\", port"]),
        ("routes: [{name: '{{ .Name }}'}]", &["routes", "name: this placeholder"]),
        ("routes: [{name: a, hosts: ['{{ .Host }}.test']}]", &["routes \"a\", hosts"]),
        (
            "consumers: [{username: al, keyauth_credentials: [{key: $SERVICE_KEY}]}]",
            &["keyauth_credentials \"of consumer al\", key: this placeholder", "--accept"],
        ),
        (
            "plugins: [{name: request-transformer, config: {add: {headers: ['Authorization: $TOKEN']}}}]",
            &["plugins \"request-transformer (global)\", config.add.headers: this placeholder"],
        ),
    ] {
        let refusal = refusal(&with(rest));
        assert!(parts.iter().all(|part| refusal.contains(part)), "{rest}: {refusal}");
        assert!(!refusal.contains("SERVICE_KEY"), "{refusal}");
    }
    let template = refusal(&with("services:\n- {name: a, port: {{ .Port }}}\n"));
    assert!(template.contains("render the file first"), "{template}");
    let small = with("consumers: [{username: al, keyauth_credentials: [{key: $ecret-less}, {key: $ecret}]}]");
    assert_eq!(refusal(&small), "");
    assert!(warning(&small).contains("begins with a dollar sign"), "{}", warning(&small));
    assert_eq!(refusal(&with("plugins: [{name: ai-prompt-template, config: {templates: [{template: '{{q}}'}]}}]")), "");
}

#[test]
fn a_password_that_is_a_hash_is_not_hashed_again() {
    let hash = "0123456789abcdef0123456789abcdef01234567";
    let file = |meta: &str, consumer: &str, password: &str| {
        with(&format!(
            "{meta}\nconsumers: [{{username: al{consumer}, basicauth_credentials: [{{username: a, password: {password}}}]}}]"
        ))
    };
    let id = ", id: 00000000-0000-4000-8000-000000000001";
    let skip = "_info: {skip_hash_for_basic_auth: true}";
    for (meta, consumer, password, refused, warned) in [
        ("", "", "plain", "", ""),
        ("", id, hash, "hash it once more", ""),
        ("_transform: true", id, hash, "hash it once more", ""),
        ("_transform: false", id, hash, "", ""),
        ("_transform: false", "", hash, "which id that is", ""),
        ("_transform: false", id, "plain", "", "take it for a hash"),
        (skip, id, hash, "", ""),
        (skip, "", hash, "", "which id that is"),
    ] {
        let file = file(meta, consumer, password);
        let (refusal, warning) = (refusal(&file), warning(&file));
        assert!(refusal.contains(refused) && refusal.is_empty() == refused.is_empty(), "{file}: {refusal}");
        assert!(warning.contains(warned) && warning.is_empty() == warned.is_empty(), "{file}: {warning}");
        assert!(!refusal.contains(hash) && !warning.contains(password), "{refusal} {warning}");
        let is_hashed_by_nodes = !matches!(meta, "_transform: false") && meta != skip;
        assert_eq!(value(&read_text(&file).unwrap())["_transform"], is_hashed_by_nodes, "{file}");
    }
}

#[test]
fn entities_of_the_ingress_controller_and_of_groups_get_what_they_need() {
    let text = with("degraphql_routes: [{uri: /a, query: q}, {uri: /b, query: q}, {uri: /a, query: q}]");
    let one = value(&read_text(&text).unwrap());
    let ids: std::collections::HashSet<_> =
        one["degraphql_routes"].as_array().unwrap().iter().map(|entity| entity["id"].to_string()).collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(one, value(&read_text(&text).unwrap()));

    let enterprise: KongVersion = "3.9.0.1".parse().unwrap();
    let text = with(
        "consumer_groups: [{name: gold, id: g, plugins: [{name: cors}]}, {name: tin, plugins: [{name: cors}]}]\n\
         consumers: [{username: al, id: c, groups: [{name: gold}]}]\nplugins: [{name: cors}]",
    );
    let written = read(&Bytes::from(text), enterprise, DEFAULT_MAX_CONFIG).unwrap();
    assert_eq!(Judgement::of(&written, None, &Yardstick::default()), Judgement::default());
    let read = value(&written.configuration);
    assert_eq!(read["consumer_group_consumers"], json!([{"consumer": "c", "consumer_group": "gold"}]));
    assert_eq!(read["plugins"][0]["consumer_group"], "g");
    assert_eq!(read["plugins"].as_array().unwrap().len(), 3);
}

#[test]
fn what_enterprise_has_written_down_stays_as_it_is_also_beside_what_a_person_adds() {
    let enterprise: KongVersion = "3.9.0.1".parse().unwrap();
    let read_it = |document: &Value| read(&Bytes::from(document.to_string()), enterprise, DEFAULT_MAX_CONFIG).unwrap();
    let mut document = json!({
        "_format_version": "3.0", "_transform": false,
        "workspaces": [{"id": "w1", "name": "default"}, {"id": "w2", "name": "team"}],
        "services": [
            {"id": "1", "name": "orders", "ws_id": "w1", "host": "a"}, {"id": "2", "name": "orders", "ws_id": "w2", "host": "b"},
        ],
        "routes": [{"id": "3", "name": "r", "ws_id": "w2", "service": {"name": "orders"}}],
        "consumers": [{"id": "c", "username": "al", "ws_id": "w1"}],
        "consumer_groups": [{"id": "g", "name": "gold", "ws_id": "w1"}],
        "consumer_group_consumers": [{"consumer": "c", "consumer_group": "g"}],
        "plugins": [{"id": "p", "name": "cors", "consumer_group": "g"}],
    });
    assert_eq!(value(&read_it(&document).configuration)["routes"][0]["service"], "2");
    document["routes"][0]["service"] = "2".into();
    let written = read_it(&document);
    assert_eq!(written.configuration.json().as_ref(), document.to_string().as_bytes());
    assert_eq!(Judgement::of(&written, None, &Yardstick::default()), Judgement::default());

    document["services"].as_array_mut().unwrap().push(json!({"name": "new", "url": "http://new.test"}));
    let written = read_it(&document);
    assert_eq!(Judgement::of(&written, None, &Yardstick::default()), Judgement::default());
    let read = value(&written.configuration);
    let added = read["services"][2]["id"].clone();
    document["services"][2]["id"] = added;
    assert_eq!(read, document);
}

#[test]
fn decks_defaults_are_written_into_what_does_not_overrule_them() {
    let text = with(
        "_info: {defaults: {service: {retries: 2, port: 81}, upstream: {healthchecks: {threshold: 5}}}}\n\
         services: [{name: a, host: h, port: 80}]\nupstreams: [{name: u, healthchecks: {active: {timeout: 1}}}]",
    );
    let read = value(&read_text(&text).unwrap());
    assert_eq!((&read["services"][0]["retries"], &read["services"][0]["port"]), (&json!(2), &json!(80)));
    assert_eq!(read["upstreams"][0]["healthchecks"], json!({"threshold": 5, "active": {"timeout": 1}}));
}

/// What is meant to be other than what a real Kong 3.9.1 says, and is in the table of docs/backups.md.
const ON_PURPOSE: [(&str, &str); 10] = [
    ("env placeholder as a key", "refuses: a placeholder"),
    ("shell placeholder as a key", "refuses: a placeholder"),
    ("hash as a password", "refuses: hashed twice"),
    ("json with the same key twice", "refuses: a name twice"),
    ("yaml with the same key twice", "refuses: a name twice"),
    ("decK _info", "understands decK"),
    ("_workspace default", "understands decK"),
    ("foreign key as an object", "understands decK"),
    ("bad lua", "does not check code"),
    ("plugin not bundled", "nothing is known of it"),
];

#[test]
fn files_as_people_write_them_are_judged_as_a_real_kong_judged_them() {
    let by = Yardstick { schemas: crate::schema::SchemaSet::recorded(VERSION), ..Yardstick::default() };
    let recorded = include_str!("../../../tests/data/kong-3.9.1/files.jsonl");
    let mut differ = Vec::new();
    for line in recorded.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let name = case["name"].as_str().unwrap();
        let ours = match written(case["text"].as_str().unwrap()) {
            Err(refused) => vec![refused.to_string()],
            Ok(written) => Judgement::of(&written, None, &by).refused.iter().map(ToString::to_string).collect(),
        };
        if ours.is_empty() != case["accepted"].as_bool().unwrap() {
            differ.push(name.to_owned());
        }
    }
    assert_eq!(recorded.lines().count(), 61);
    let (mut differ, mut expected) = (differ, ON_PURPOSE.map(|(name, _)| name.to_owned()).to_vec());
    differ.sort();
    expected.sort();
    assert_eq!(differ, expected);
}

#[test]
fn configurations_with_mistakes_by_chance_are_judged_as_a_real_kong_judged_them() {
    let by = Yardstick { schemas: crate::schema::SchemaSet::recorded(VERSION), ..Yardstick::default() };
    let mut recorded = String::new();
    let packed = &include_bytes!("../../../tests/data/kong-3.9.1/acceptance.jsonl.gz")[..];
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(packed), &mut recorded).unwrap();
    let (mut differ, mut judged) = (Vec::new(), 0);
    for line in recorded.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let ours = match written(&case["config"].to_string()) {
            Err(refused) => vec![refused.to_string()],
            Ok(written) => Judgement::of(&written, None, &by).refused.iter().map(ToString::to_string).collect(),
        };
        judged += 1;
        if ours.is_empty() != case["accepted"].as_bool().unwrap() {
            differ.push(format!("{}: {:?} / {ours:?}", case["id"], case["message"]));
        }
    }
    assert!(judged == 300 && differ.is_empty(), "{judged}: {differ:#?}");
}

#[test]
fn only_what_a_person_added_or_changed_is_judged() {
    let by = Yardstick { schemas: crate::schema::SchemaSet::recorded(VERSION), ..Yardstick::default() };
    let published = json!({
        "_format_version": "3.0", "_transform": false,
        "services": [
            {"id": "00000000-0000-4000-8000-000000000001", "name": "orders", "host": "a", "of_a_later_version": 1},
            {"id": "00000000-0000-4000-8000-000000000002", "name": "bills", "host": "b"},
        ],
        "routes": [{
            "id": "00000000-0000-4000-8000-000000000003", "name": "r", "paths": ["/a"],
            "service": "00000000-0000-4000-8000-000000000002",
        }],
        "consumers": [{"id": "00000000-0000-4000-8000-000000000004", "username": "al"}],
        "keyauth_credentials": [{
            "id": "00000000-0000-4000-8000-000000000005", "key": "$TAKEN_LITERALLY",
            "consumer": "00000000-0000-4000-8000-000000000004",
        }],
    });
    let judge = |change: &dyn Fn(&mut Value)| {
        let mut changed = published.clone();
        change(&mut changed);
        let before = Configuration::from_json(published.to_string().into()).unwrap();
        let judgement = Judgement::of(&written(&changed.to_string()).unwrap(), Some(&before), &by);
        judgement.refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(judge(&|_| {}), "");
    // Also in what was changed, only what is new.
    assert_eq!(judge(&|all| all["services"][0]["host"] = "moved.test".into()), "");
    assert_eq!(judge(&|all| all["services"].as_array_mut().unwrap().push(json!({"name": "c", "url": "http://c"}))), "");
    assert!(judge(&|all| all["services"][0]["hots"] = "moved.test".into()).contains("hots: unknown field"));
    assert!(judge(&|all| drop(all["services"].as_array_mut().unwrap().pop())).contains("invalid reference"));
    let twin = judge(&|all| all["services"].as_array_mut().unwrap().insert(0, json!({"name": "orders", "host": "c"})));
    assert!(twin.contains("uniqueness violation"), "{twin}");
    let added = judge(&|all| all["keyauth_credentials"][0]["key"] = "$OTHER".into());
    assert_eq!(added, "");
}
