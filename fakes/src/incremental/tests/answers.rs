//! Which answers a node takes, which it refuses, and when its router has them.

use super::*;

/// A node that runs a configuration, after it was answered so.
fn answered(result: &Value) -> Stage {
    let mut stage = Stage::given(of_relay(-5));
    stage.did();
    stage.machine.log.clear();
    stage.notify(0, 1);
    stage.answer(0, result);
    stage
}

fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut deltas = of_relay(-4);
    change(&mut deltas);
    full(deltas)
}

#[test]
fn a_refused_answer_leaves_the_database_alone_and_ends_the_round_after_one_call() {
    let answers = [
        changed(|deltas| deltas[2]["type"] = "not_here".into()),
        changed(|deltas| deltas[3]["entity"]["service"] = SERVICE.into()),
        changed(|deltas| deltas[2]["version"] = Value::Null),
        changed(|deltas| deltas[2]["version"] = "-4".into()),
        changed(|deltas| drop(deltas[4].as_object_mut().unwrap().remove("version"))),
        changed(|deltas| deltas[2]["entity"] = "text".into()),
        changed(|deltas| drop(deltas[2]["entity"].as_object_mut().unwrap().remove("id"))),
        changed(|deltas| deltas[2]["entity"]["id"] = "no-uuid".into()),
        json!({ "another": {} }),
        Value::Null,
        json!(true),
        json!(false),
        json!({ "default": { "wipe": true, "deltas": null } }),
        json!({ "default": { "wipe": true } }),
    ];
    for answer in answers {
        let mut stage = answered(&answer);
        assert_eq!((stage.asked().len(), stage.machine.refused), (1, 1), "{answer}");
        assert_eq!((stage.machine.database.version(), stage.is_ready(), stage.route()), (-5.0, true, 200), "{answer}");
        assert!(stage.log().starts_with("unable to create worker mutex and sync: "), "{answer}");
        assert_eq!((stage.machine.log.len(), stage.rpc(0)), (1, Rpc::Up), "{answer}");
        stage.notify(0, 1);
        assert_eq!(stage.asked().len(), 1, "its round is not over: {answer}");
    }
}

#[test]
fn any_order_unknown_fields_duplicates_and_a_pk_are_taken() {
    let reversed = changed(|deltas| deltas.as_array_mut().unwrap().reverse());
    let unknown = changed(|deltas| deltas[3]["entity"]["not_here"] = json!({ "a": 1 }));
    let pk = changed(|deltas| deltas[3]["pk"] = json!({ "id": ROUTE }));
    let own_workspace = changed(|deltas| deltas[3]["entity"]["ws_id"] = FALLBACK_WORKSPACE.into());
    let twice = changed(|deltas| {
        let route = deltas[3].clone();
        deltas.as_array_mut().unwrap().push(route);
    });
    let no_workspace = changed(|deltas| {
        for delta in deltas.as_array_mut().unwrap() {
            delta.as_object_mut().unwrap().remove("ws_id");
        }
    });
    for answer in [reversed, unknown, pk, own_workspace, twice, no_workspace] {
        let stage = answered(&answer);
        let state = (stage.machine.database.version(), stage.is_ready(), stage.route(), stage.key_auth());
        assert_eq!(state, (-4.0, true, 200, vec![200, 200]), "{answer}");
    }
}

#[test]
fn a_full_answer_replaces_all_that_was_there() {
    let other = "7b0d9b4e-4c6e-4e8e-9d0e-0a3c4fb7d8a1";
    let stage = answered(&changed(|deltas| {
        deltas[3]["entity"]["id"] = other.into();
        deltas[3]["entity"]["name"] = "other".into();
    }));
    assert_eq!((stage.route(), stage.machine.router.answer("other")), (404, 200));
}

#[test]
fn a_change_is_in_the_database_at_once_and_in_the_router_with_the_next_timer() {
    let mut stage = Stage::given(deltas(16, OWN));
    stage.notify(1, 17);
    let gone = json!({ "type": "routes", "version": 17, "ws_id": OWN, "pk": { "id": ROUTE }, "entity": null });
    stage.answer(1, &json!({ "default": { "wipe": false, "deltas": [gone] } }));
    assert_eq!(stage.asked().last(), Some(&(1, 1, 17.0)));
    assert_eq!((stage.machine.database.hash(), stage.route()), ("00000000000000000000000000000017", 200));
    stage.after(ms(5_000));
    assert_eq!(stage.route(), 404);
}

#[test]
fn without_wipe_a_full_answer_is_in_the_router_with_the_next_timer() {
    let mut answer = full(of_relay(-4));
    answer["default"]["wipe"] = false.into();
    let mut stage = Stage::connected();
    stage.until(ms(250));
    stage.answer(0, &answer);
    assert_eq!((stage.is_ready(), stage.route()), (true, 404));
    stage.until(ms(5_000));
    assert_eq!(stage.route(), 200);
}

#[test]
fn more_than_2048_routes_are_there_with_the_next_timer_and_the_node_says_ready_before() {
    let many = |count: usize| {
        let mut deltas = of_relay(-4);
        for _ in 1..count {
            let route = route(&uuid::Uuid::new_v4().to_string());
            deltas.as_array_mut().unwrap().push(delta("routes", &json!(-4), FALLBACK_WORKSPACE, route));
        }
        Stage::given(deltas)
    };
    assert_eq!(many(2_048).route(), 200);
    let mut stage = many(2_049);
    assert_eq!((stage.is_ready(), stage.route()), (true, 404));
    assert!(stage.log().contains("router was changed while rebuilding it"));
    stage.until(ms(5_000));
    assert_eq!(stage.route(), 200);
}

#[test]
fn a_service_that_is_not_enabled_has_no_routes() {
    let stage = answered(&changed(|deltas| deltas[2]["entity"]["enabled"] = false.into()));
    assert_eq!(stage.route(), 404);
}

#[test]
fn with_a_workspace_alone_a_node_is_ready() {
    let mut stage = Stage::connected();
    stage.until(ms(250));
    stage.answer(0, &changed(|deltas| deltas.as_array_mut().unwrap().truncate(1)));
    assert_eq!((stage.is_ready(), stage.route()), (true, 404));
}

#[test]
fn one_compressed_body_in_a_literal_envelope_is_taken() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/kong-3.9.1/sync2/envelope-vector.json");
    let vector: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let block = vector["answer"].as_str().expect("the vector has the whole answer");
    let block = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, block).unwrap();
    assert_eq!(unpack(&block), serde_json::from_str(vector["json"].as_str().unwrap()).ok());

    // It answers a call with the id 7: the eighth one on a link.
    let mut stage = Stage::given(of_relay(-1_000_000_000));
    for _ in 0..2 {
        stage.notify(0, 1);
        stage.say_no_deltas(0);
    }
    stage.notify(0, 1);
    stage.answer(0, &json!({ "default": { "wipe": false, "deltas": {} } }));
    assert_eq!(stage.asked().last(), Some(&(0, 7, -1_000_000_000.0)));
    stage.frame(0, Arrived::Binary(block.into()));
    assert_eq!(stage.machine.database.version(), -999_999_990.0);
}
