//! Differences between recorded configurations, and between small ones made for one rule each.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::kong::reconfigure::{DEFAULT_MAX_CONFIG, decode};
use crate::masking::{TagKey, write_tagged};

const FIRST: &[u8] = include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-first.json.gz");
const AFTER_CHANGE: &[u8] = include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-after-change.json.gz");
const LOST: &[u8] = include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-lost-database.json.gz");

fn recorded(message: &[u8]) -> Configuration {
    decode(message, DEFAULT_MAX_CONFIG).unwrap().configuration
}

fn configuration(json: Value) -> Configuration {
    Configuration::from_json(Bytes::from(json.to_string())).unwrap()
}

fn between(before: Value, after: Value) -> Vec<Change> {
    Difference::between(&configuration(before), &configuration(after)).changes
}

fn shown(before: impl Into<Value>, after: impl Into<Value>) -> Values {
    Values::Shown { before: Some(before.into()), after: Some(after.into()) }
}

fn fields(changes: &[Change]) -> BTreeMap<&str, &Values> {
    let [Change { what: What::Changed { fields }, .. }] = changes else { panic!("{changes:?}") };
    fields.iter().map(|field| (field.field.as_str(), &field.values)).collect()
}

#[test]
fn the_route_that_was_added_is_all_that_differs() {
    let difference = Difference::between(&recorded(FIRST), &recorded(AFTER_CHANGE));
    let [change] = &difference.changes[..] else { panic!("{difference:?}") };
    assert_eq!((change.kind.as_str(), &change.what), ("routes", &What::Added));
    assert!(!change.name.is_empty() && change.id.is_some(), "{change:?}");
    assert_eq!(difference.counts(), (1, 0, 0));
    assert_eq!(difference.unchanged, recorded(FIRST).counts().iter().map(|(_, count)| count).sum::<u64>());
}

#[test]
fn the_same_configuration_sent_again_in_another_order_does_not_differ() {
    let recorded = recorded(AFTER_CHANGE);
    let mut value: Value = serde_json::from_slice(recorded.json()).unwrap();
    for entities in value.as_object_mut().unwrap().values_mut().filter_map(Value::as_array_mut) {
        entities.reverse();
    }
    let reordered = configuration(value);
    assert!(recorded.json() != reordered.json(), "it is in the same order");
    assert_eq!(Difference::between(&recorded, &reordered).changes, []);
}

#[test]
fn what_a_lost_database_takes_away_is_named_entity_by_entity() {
    let difference = Difference::between(&recorded(AFTER_CHANGE), &recorded(LOST));
    let removed = |kind: &str| -> Vec<&str> {
        let of_kind = difference.changes.iter().filter(|change| change.kind == kind && change.what == What::Removed);
        of_kind.map(|change| change.name.as_str()).collect()
    };
    assert!(removed("services").contains(&"orders"), "{difference:?}");
    assert_eq!(removed("keyauth_credentials"), ["of consumer alice"]);
    // The workspace is another one and yet the same to people.
    let workspace = difference.changes.iter().find(|change| change.kind == "workspaces").unwrap();
    assert!(workspace.name == "default" && matches!(workspace.what, What::Changed { .. }), "{workspace:?}");
    let printed = serde_json::to_string(&difference).unwrap();
    for secret in ["alice-secret-key", "6ec1def57f28bb5e720ebdefdfcbde725a3c7f02"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn a_changed_field_is_shown_with_both_values_and_a_nested_one_by_its_path() {
    let plugin = |minute: u64| json!({"plugins": [{"id": "p", "name": "rate-limiting", "config": {"minute": minute, "limit_by": "ip"}}]});
    let changes = between(plugin(5), plugin(10));
    assert_eq!(changes[0].name, "rate-limiting (global)");
    assert_eq!(fields(&changes), BTreeMap::from([("config.minute", &shown(5, 10))]));
}

#[test]
fn a_secret_shows_only_that_it_changed() {
    let credential = |key: &str| json!({"keyauth_credentials": [{"id": "k", "key": key, "consumer": null}]});
    let changes = between(credential("old-secret"), credential("new-secret"));
    assert_eq!(fields(&changes), BTreeMap::from([("key", &Values::Masked { masked: True })]));
    assert_eq!(
        serde_json::to_value(&changes).unwrap(),
        json!([{"kind": "keyauth_credentials", "name": "k", "id": "k", "change": "changed",
            "fields": [{"field": "key", "masked": true}]}])
    );
}

#[test]
fn a_secret_inside_of_a_list_is_covered_where_the_list_is_shown() {
    let plugin = |host: &str, secret: &str| {
        let redis = json!([{"host": host, "password": secret}]);
        json!({"plugins": [{"id": "p", "name": "rate-limiting", "config": {"nodes": redis}}]})
    };
    let changes = between(plugin("a", "old-secret"), plugin("b", "new-secret"));
    let covered = |host: &str| json!([{"host": host, "password": "(masked)"}]);
    assert_eq!(fields(&changes), BTreeMap::from([("config.nodes", &shown(covered("a"), covered("b")))]));
    let changes = between(plugin("a", "old-secret"), plugin("a", "new-secret"));
    assert_eq!(fields(&changes), BTreeMap::from([("config.nodes", &Values::Masked { masked: True })]));
}

#[test]
fn another_entity_is_shown_by_its_name() {
    let services = json!([{"id": "s1", "name": "orders"}, {"id": "s2", "name": "payments"}]);
    let route =
        |service: &str| json!({"services": services, "routes": [{"id": "r", "name": "buy", "service": service}]});
    let changes = between(route("s1"), route("s2"));
    assert_eq!(fields(&changes), BTreeMap::from([("service", &shown("orders", "payments"))]));
}

#[test]
fn what_was_made_anew_under_another_id_is_changed_and_its_dependants_are_not() {
    let with = |id: &str| {
        json!({"services": [{"id": id, "name": "orders"}], "routes": [{"id": "r", "name": "buy", "service": id}],
            "plugins": [{"id": format!("plugin of {id}"), "name": "cors", "service": id}]})
    };
    let changes = between(with("old"), with("new"));
    let kinds: Vec<&str> = changes.iter().map(|change| change.kind.as_str()).collect();
    assert_eq!(kinds, ["plugins", "services"], "{changes:?}");
    assert_eq!(fields(&changes[1..]), BTreeMap::from([("id", &shown("old", "new"))]));
}

#[test]
fn two_of_the_same_name_are_not_taken_for_each_other() {
    let with = |ids: &[&str]| {
        let keys: Vec<Value> = ids.iter().map(|id| json!({"id": id, "key": id, "consumer": "c"})).collect();
        json!({"consumers": [{"id": "c", "username": "alice"}], "keyauth_credentials": keys})
    };
    let changes = between(with(&["1", "2"]), with(&["3", "4"]));
    let ids: Vec<_> = changes.iter().map(|change| (change.id.as_deref().unwrap(), &change.what)).collect();
    let (added, removed) = (&What::Added, &What::Removed);
    assert_eq!(ids, [("1", removed), ("2", removed), ("3", added), ("4", added)]);
}

#[test]
fn of_entities_with_one_id_as_many_are_compared_as_both_have() {
    let key = |key: &str| json!({ "id": "1", "key": key });
    let keys = |keys: &[&str]| {
        let mut entities: Vec<Value> = keys.iter().map(|one| key(one)).collect();
        entities.push(json!({ "id": "2", "key": "other" }));
        configuration(json!({ "keyauth_credentials": entities }))
    };
    for (before, after, counts, unchanged) in [
        (&["a"][..], &["a"][..], (0, 0, 0), 2),
        (&["a", "a"], &["a"], (0, 1, 0), 2),
        (&["a"], &["a", "a", "a"], (2, 0, 0), 2),
        // What stood last counts, so it is compared first.
        (&["b"], &["a", "b"], (1, 0, 0), 2),
        (&[], &["a"], (1, 0, 0), 1),
    ] {
        let difference = Difference::between(&keys(before), &keys(after));
        assert_eq!((difference.counts(), difference.unchanged), (counts, unchanged), "{before:?} {after:?}");
    }
}

#[test]
fn a_list_in_another_order_is_said_to_be_only_that() {
    let route = |methods: &[&str]| json!({"routes": [{"id": "r", "methods": methods}]});
    let changes = between(route(&["GET", "PUT"]), route(&["PUT", "GET"]));
    assert_eq!(fields(&changes), BTreeMap::from([("methods", &Values::Reordered { reordered: True })]));
    let changes = between(route(&["GET", "GET"]), route(&["GET", "PUT"]));
    assert!(matches!(fields(&changes)["methods"], Values::Shown { .. }), "{changes:?}");
}

#[test]
fn what_kong_takes_for_the_same_does_not_differ() {
    let before =
        json!({"upstreams": [{"id": "u", "slots": 10.0, "tags": [], "client_certificate": null, "created_at": 1}]});
    let after = json!({"upstreams": [{"id": "u", "slots": 10, "tags": {}, "created_at": 2, "updated_at": 2}]});
    assert_eq!(between(before, after), []);
}

#[test]
fn what_stands_beside_the_entities_is_compared_too() {
    let changes = between(json!({"_transform": true, "_format_version": "3.0"}), json!({"_format_version": "3.0"}));
    assert_eq!(changes[0].kind, "configuration");
    let expected = Values::Shown { before: Some(true.into()), after: None };
    assert_eq!(fields(&changes), BTreeMap::from([("_transform", &expected)]));
}

#[test]
fn what_is_too_deep_or_no_entity_at_all_is_still_compared() {
    let deep = |inside: &str| {
        format!(r#"{{"plugins":[{{"id":"p","config":{}"{inside}"{}}}]}}"#, "[".repeat(300), "]".repeat(300))
    };
    let read = |json: String| Configuration::from_json(Bytes::from(json)).unwrap();
    assert_eq!(Difference::between(&read(deep("a")), &read(deep("a"))).changes, []);
    let changes = Difference::between(&read(deep("a-secret")), &read(deep("b-secret"))).changes;
    assert_eq!(fields(&changes).into_keys().collect::<Vec<_>>(), ["(whole)"]);
    assert!(!format!("{changes:?}").contains("-secret"), "{changes:?}");
    assert_eq!(between(json!({"odd": [1, "x"]}), json!({"odd": [1]})).len(), 1);
}

fn entity() -> impl Strategy<Value = Value> {
    let value = prop_oneof![Just(json!(null)), any::<i32>().prop_map(Value::from), "[a-c]{0,3}".prop_map(Value::from)];
    proptest::collection::btree_map("[a-d]{1,2}", value, 0..5).prop_map(|members| json!(members))
}

proptest! {
    #[test]
    fn nothing_differs_from_itself_and_all_that_is_new_was_added(entities in proptest::collection::vec(entity(), 0..8)) {
        let with_ids = entities.iter().enumerate().map(|(at, entity)| {
            let mut entity = entity.clone();
            entity["id"] = Value::from(format!("id-{at}"));
            entity
        });
        let mut with_ids: Vec<Value> = with_ids.collect();
        let before = configuration(json!({"services": with_ids}));
        with_ids.reverse();
        let after = configuration(json!({"services": with_ids}));
        prop_assert_eq!(Difference::between(&before, &after).changes, vec![]);
        let nothing = configuration(json!({}));
        let count = with_ids.len() as u64;
        prop_assert_eq!(Difference::between(&nothing, &after).counts(), (count, 0, 0));
        prop_assert_eq!(Difference::between(&after, &nothing).counts(), (0, count, 0));
    }
}

#[test]
fn what_carries_code_comes_first() {
    let before = Configuration::from_json(r#"{"services":[],"plugins":[]}"#.into()).unwrap();
    let after = r#"{"acls":[{"id":"1","group":"g"}],"plugins":[{"id":"2","name":"cors"},{"id":"3","name":"pre-function"}],
        "services":[{"id":"4","name":"a"}]}"#;
    let difference = Difference::between(&before, &Configuration::from_json(after.into()).unwrap());
    let order: Vec<_> = difference.changes.iter().map(|change| (&*change.name, change.is_code)).collect();
    assert_eq!(order[0], ("pre-function (global)", true));
    assert!(order[1..].iter().all(|(_, is_code)| !is_code) && order.len() == 4, "{order:?}");
    let json = serde_json::to_value(&difference.changes).unwrap();
    assert_eq!((&json[0]["is_code"], json[1].get("is_code")), (&true.into(), None));
}

fn tagged(configuration: &Configuration, key: u8) -> Configuration {
    let mut json = Vec::new();
    write_tagged(configuration, &TagKey::new([key; 32]), &mut json).unwrap();
    Configuration::from_json(json.into()).unwrap()
}

#[test]
fn what_was_masked_by_one_key_differs_as_it_did_before() {
    let (first, change, lost) = (recorded(FIRST), recorded(AFTER_CHANGE), recorded(LOST));
    for (before, after) in [(&first, &change), (&change, &lost), (&lost, &first)] {
        let masked = Difference::between(&tagged(before, 1), &tagged(after, 1));
        assert_eq!(masked, Difference::between(before, after));
    }

    let with = |key: &str| configuration(json!({"keyauth_credentials": [{"id": "i", "consumer": "c", "key": key}]}));
    let changed = Difference::between(&tagged(&with("a"), 1), &tagged(&with("b"), 1));
    assert_eq!(fields(&changed.changes), BTreeMap::from([("key", &Values::Masked { masked: True })]));
    assert_eq!(Difference::between(&tagged(&with("a"), 1), &tagged(&with("a"), 1)).changes, []);
}

#[test]
fn secrets_of_one_masked_side_are_not_compared_and_all_else_is() {
    let service = |host: &str| json!({"id": "s", "name": "orders", "host": host});
    let side = |host: &str, key: &str, pem: &str| {
        configuration(json!({
            "services": [service(host)],
            "keyauth_credentials": [{"id": "i", "consumer": "c", "key": key}],
            "certificates": [{"id": "z", "cert": pem, "key": "-----BEGIN PRIVATE KEY-----"}],
        }))
    };
    let (snapshot, file) = (tagged(&side("a", "one", "p"), 1), side("b", "another", "q"));
    let mut difference = Difference::between(&snapshot, &file);
    assert_eq!(difference.take_out_secrets(), 2);
    let names: Vec<&str> = difference.changes.iter().map(|change| change.kind.as_str()).collect();
    assert_eq!(names, ["certificates", "services"]);
    assert_eq!(difference.unchanged, 1);

    let What::Changed { fields: of_certificate } = &difference.changes[0].what else { panic!("{difference:?}") };
    let named: Vec<_> = of_certificate.iter().map(|field| (field.field.as_str(), &field.values)).collect();
    let not_compared = Values::NotCompared { not_compared: True };
    assert_eq!(named, [("cert", &shown("p", "q")), ("key", &not_compared)]);
}

#[test]
fn a_secret_in_an_unexpected_place_is_not_compared_either() {
    let with = |value: &str| configuration(json!({"services": [{"id": "s", "name": "x", "path": value}]}));
    let url = "https://user:wonderful@example.com";
    let mut difference = Difference::between(&tagged(&with(url), 1), &with(url));
    assert_eq!((difference.take_out_secrets(), difference.changes.len()), (1, 0));
}
