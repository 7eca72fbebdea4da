//! The trap of the default workspace, versions, and what a restart changes.

use super::*;
use crate::incremental::database::Database;
use crate::message::Configuration;
use crate::recorded;

const GOOD: [u16; 2] = [200, 200];
const BAD: [u16; 2] = [401, 401];

#[test]
fn a_second_full_sync_with_the_same_workspace_refuses_all_credentials_after_the_next_restart() {
    let mut stage = Stage::given(deltas(16, OWN));
    assert_eq!(stage.key_auth(), GOOD);
    stage = stage.restarted();
    assert_eq!(stage.key_auth(), GOOD);
    stage.notify(0, 17);
    stage.give(0, deltas(17, OWN));
    assert_eq!(stage.key_auth(), GOOD);
    stage = stage.restarted();
    assert_eq!((stage.key_auth(), stage.is_ready(), stage.route()), (BAD.to_vec(), true, 200));
}

#[test]
fn only_another_workspace_mends_it() {
    let mut stage = Stage::given(deltas(16, OWN));
    stage.notify(0, 17);
    stage.give(0, deltas(17, OWN));
    stage = stage.restarted();
    // A change does not.
    stage.notify(0, 18);
    let change = delta("consumers", &json!(18), OWN, json!({ "id": CONSUMER, "username": "bob" }));
    stage.answer(0, &json!({ "default": { "wipe": false, "deltas": [change] } }));
    stage.answer(0, &json!({ "default": { "wipe": false, "deltas": {} } }));
    assert_eq!(stage.key_auth(), BAD);
    stage.notify(0, 19);
    stage.give(0, deltas(19, OWN));
    assert_eq!(stage.restarted().key_auth(), GOOD);
}

#[test]
fn the_fallback_workspace_is_immune_and_so_is_the_return_of_the_control_plane() {
    let mut stage = Stage::given(of_relay(-999_999_990));
    for version in -999_999_989..-999_999_969 {
        stage.give_more(of_relay(version));
        assert_eq!(stage.key_auth(), GOOD);
    }
    stage = stage.restarted();
    assert_eq!((stage.key_auth(), stage.machine.database.version()), (GOOD.to_vec(), -999_999_970.0));
    stage.give_more(deltas(16, OWN));
    stage = stage.restarted();
    assert_eq!((stage.key_auth(), stage.machine.database.version()), (GOOD.to_vec(), 16.0));
}

#[test]
fn a_snapshot_with_the_control_planes_own_workspace_breaks_at_its_return() {
    let mut stage = Stage::given(deltas(-5, OWN));
    stage.give_more(deltas(16, OWN));
    assert_eq!((stage.key_auth(), stage.restarted().key_auth()), (GOOD.to_vec(), BAD.to_vec()));
}

#[test]
fn without_a_workspace_in_the_answer_credentials_are_refused() {
    let mut without = deltas(16, OWN);
    without.as_array_mut().unwrap().remove(0);
    let stage = Stage::given(without);
    assert_eq!((stage.is_ready(), stage.route(), stage.key_auth()), (true, 200, BAD.to_vec()));
}

/// Good but for its last delta.
fn failing(version: i64, workspace: &str) -> Value {
    let mut deltas = deltas(version, workspace);
    deltas[4]["type"] = "not_here".into();
    deltas
}

#[test]
fn a_failing_answer_changes_the_workspace_of_the_worker_that_got_it() {
    let mut stage = Stage::given(of_relay(-5));
    stage.did();
    stage.notify(1, 1);
    stage.answer(1, &full(failing(-4, OWN)));
    assert_eq!((stage.key_auth(), stage.machine.database.version(), stage.is_ready()), (vec![200, 401], -5.0, true));
    assert_eq!(stage.restarted().key_auth(), GOOD);
}

#[test]
fn after_a_failing_answer_a_good_one_of_the_same_workspace_does_not_write_it() {
    let feed = |workspace: &str| {
        let mut stage = Stage::connected();
        stage.until(ms(250));
        stage.answer(0, &full(failing(-5, workspace)));
        stage.give_more(deltas(-4, workspace));
        assert_eq!(stage.key_auth(), GOOD);
        stage.restarted().key_auth()
    };
    assert_eq!((feed(OWN), feed(FALLBACK_WORKSPACE)), (BAD.to_vec(), GOOD.to_vec()));
}

#[test]
fn a_version_survives_a_restart_and_is_asked_with() {
    for version in [-999_999_990, -2, 5, 2_147_483_650, -12_345_678_901_234] {
        let mut stage = Stage::given(of_relay(version)).restarted();
        assert_eq!(stage.asked().first(), Some(&(0, 0, version as f64)));
        assert_eq!((stage.is_ready(), stage.route(), stage.key_auth()), (true, 200, GOOD.to_vec()));
    }
}

#[test]
fn at_version_0_a_node_serves_and_is_not_ready() {
    let mut stage = Stage::given(deltas(0, OWN));
    assert_eq!((stage.is_ready(), stage.route(), stage.key_auth()), (false, 200, GOOD.to_vec()));
    // With the first change it is.
    stage.give_more(deltas(1, OWN));
    assert!(stage.is_ready());
}

#[test]
fn a_version_with_more_than_14_digits_comes_back_changed_and_a_fraction_is_cut() {
    for (version, asked) in [
        (9_007_199_254_740_001.0, 9_007_199_254_740_000.0),
        (123_456_789_012_345.0, 123_456_789_012_340.0),
        (-1.5, -1.0),
    ] {
        let mut stage = Stage::given(deltas(version, FALLBACK_WORKSPACE));
        assert_eq!(stage.asked()[1], (0, 1, asked));
    }
}

#[test]
fn the_version_of_the_last_delta_counts() {
    let mut mixed = of_relay(-7);
    mixed[4]["version"] = json!(-3);
    assert_eq!(Stage::given(mixed).machine.database.version(), -3.0);
}

#[test]
fn a_node_that_is_warm_from_v1_says_0_serves_all_the_time_and_is_wiped_by_a_full_sync() {
    let first = Configuration::from_message(&recorded::first()).unwrap();
    let mut stage = Stage::with(|options| options.database = Database::from_v1(&first));
    stage.until(ms(60));
    (0..2).for_each(|worker| stage.connect(worker));
    assert_eq!((stage.is_ready(), stage.route(), stage.key_auth()), (true, 200, GOOD.to_vec()));
    stage.until(ms(250));
    stage.say_no_deltas(0);
    assert_eq!(stage.asked(), [(0, 0, 0.0), (0, 1, 0.0)]);
    stage = stage.restarted();
    assert_eq!((stage.machine.database.hash(), stage.is_ready()), (first.hash.as_str(), true));
    stage.give_more(of_relay(-5));
    assert_eq!(
        (stage.machine.router.serves().unwrap().of_kind("routes").count(), stage.key_auth()),
        (1, GOOD.to_vec())
    );
}

#[test]
fn a_positive_version_leads_to_a_node_that_does_not_come_up_again() {
    let mut stage = Stage::given(deltas(5, FALLBACK_WORKSPACE));
    // A control plane sends the rest of what it did since its own fifth change, to a base that it never had.
    let mut route = route("7b0d9b4e-4c6e-4e8e-9d0e-0a3c4fb7d8a1");
    route["service"]["id"] = "1b0d9b4e-4c6e-4e8e-9d0e-0a3c4fb7d8a1".into();
    stage.notify(0, 600);
    let rest = json!([delta("routes", &json!(600), OWN, route)]);
    stage.answer(0, &json!({ "default": { "wipe": false, "deltas": rest } }));
    stage.answer(0, &json!({ "default": { "wipe": false, "deltas": {} } }));
    stage.after(ms(5_000));
    assert!(stage.log().contains("could not rebuild router via timer: could not find service for route"));
    assert!(stage.is_ready());
    let stage = stage.restarted();
    assert_eq!((stage.is_ready(), stage.route()), (false, 404));
}
