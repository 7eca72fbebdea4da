//! What a node takes without a check, and then is broken by. It says ready in all these cases.

use super::*;

fn given(change: impl FnOnce(&mut Value)) -> Stage {
    let mut stage = Stage::given(of_relay(-9));
    let mut deltas = of_relay(-8);
    change(&mut deltas);
    stage.give_more(deltas);
    assert_eq!((stage.is_ready(), stage.machine.database.version()), (true, -8.0));
    stage
}

#[test]
fn a_route_with_few_fields_blocks_the_router_until_kong_is_restarted() {
    let mut stage = given(|deltas| {
        deltas[3]["entity"] = json!({ "id": ROUTE, "name": "few", "paths": ["/few"], "service": { "id": SERVICE } });
    });
    assert_eq!((stage.machine.router.answer("few"), stage.route()), (404, 200), "the old router goes on");
    let mut good = of_relay(-7);
    good[3]["entity"]["name"] = "good".into();
    stage.give_more(good);
    stage.after(ms(13_000));
    assert!(stage.log().contains("concurrent incremental router rebuild without mutex, this is unsafe"));
    assert_eq!((stage.is_ready(), stage.machine.router.answer("good")), (true, 404));
    assert_eq!(stage.restarted().machine.router.answer("good"), 200);
}

#[test]
fn a_null_workspace_breaks_all_until_a_good_answer() {
    let mut stage = given(|deltas| deltas[3]["ws_id"] = Value::Null);
    assert_eq!(stage.route(), 500);
    assert!(stage.log().contains("unexpected end of buffer"));
    stage.give_more(of_relay(-7));
    assert_eq!(stage.route(), 200);
}

#[test]
fn a_route_to_a_service_that_is_not_there_is_stored_but_not_built_until_a_good_answer() {
    let mut stage = given(|deltas| drop(deltas.as_array_mut().unwrap().remove(2)));
    assert!(stage.log().contains("could not find service for route"));
    assert_eq!(stage.machine.router.serves().unwrap().version(), -9.0);
    stage.give_more(of_relay(-7));
    assert_eq!(stage.machine.router.serves().unwrap().version(), -7.0);
}

#[test]
fn a_plugin_that_the_node_does_not_have_is_stored_but_not_built_until_a_good_answer() {
    let plugin = json!({ "id": "7b0d9b4e-4c6e-4e8e-9d0e-0a3c4fb7d8a1", "name": "not-here", "config": {} });
    let plugin = delta("plugins", &json!(-8), FALLBACK_WORKSPACE, plugin);
    let mut stage = given(|deltas| deltas.as_array_mut().unwrap().push(plugin));
    assert!(stage.log().contains("not-here plugin is in use but not enabled"));
    assert_eq!(stage.machine.router.serves().unwrap().version(), -9.0);
    stage.give_more(of_relay(-7));
    assert_eq!(stage.machine.router.serves().unwrap().version(), -7.0);
}

#[test]
fn a_service_without_its_defaults_answers_502() {
    let stage = given(|deltas| deltas[2]["entity"] = json!({ "id": SERVICE, "host": "echo.internal" }));
    assert_eq!(stage.route(), 502);
}
