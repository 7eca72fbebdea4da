//! What a control plane, or something that stands in its place, may send instead of a configuration: it is reported,
//! nothing is written, the link stays, and the next good message is kept.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use lifeboat_fakes::control_plane::{Behaviour, Event};
use lifeboat_fakes::recorded;
use lifeboat_tests::stage::play;
use lifeboat_tests::world::{World, configuration};

const MAX_CONFIG: usize = 100_000;

fn gzip(text: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap().into()
}

// Meanwhile an exporter may already be elected, which is written elsewhere.
fn assert_nothing_is_kept(world: &World) {
    let kept: Vec<String> = world.keys().into_iter().filter(|key| !key.contains("/election/")).collect();
    assert_eq!(kept, Vec::<String>::new());
}

async fn is_reported_and_survived(message: Bytes, report: &str) {
    let mut world = World::begin().await;
    world.set("LIFEBOAT_MAX_CONFIG", MAX_CONFIG.to_string());
    world.control_plane.push(message);
    let backup = world.backup();
    let line = world.log.wait_for(&["could not be kept", report]).await;
    assert!(line.contains("ERROR"), "{line}");
    assert_nothing_is_kept(&world);

    world.control_plane.push(recorded::first());
    world.published(&configuration(&recorded::first())).await;
    assert!(world.object("3.9.1/config.json") == configuration(&recorded::first()).table);
    let scene = world.confirmed(&backup.id, &configuration(&recorded::first())).await;
    let links = scene.events.iter().filter(|event| matches!(event, Event::Connected(_))).count();
    assert_eq!(links, 1, "the link did not stay: {:?}", scene.events);
    assert_eq!(world.manifest().sequence, 1);
}

#[test]
fn a_message_that_is_not_gzip_is_reported_and_survived() {
    play(is_reported_and_survived(Bytes::from_static(br#"{"type":"reconfigure"}"#), "is not gzip"));
}

#[test]
fn a_truncated_message_is_reported_and_survived() {
    let first = recorded::first();
    play(is_reported_and_survived(first.slice(..first.len() - 100), "ends before its gzip data do"));
}

#[test]
fn a_damaged_message_is_reported_and_survived() {
    let mut damaged = recorded::first().to_vec();
    let near_the_end = damaged.len() - 6;
    damaged[near_the_end] ^= 1;
    play(is_reported_and_survived(damaged.into(), "gzip checksum"));
}

#[test]
fn a_message_that_is_not_json_is_reported_and_survived() {
    play(is_reported_and_survived(gzip(b"<html>502 Bad Gateway</html>"), "is not JSON"));
}

#[test]
fn a_message_without_a_configuration_is_reported_and_survived() {
    let message = br#"{"type":"reconfigure","config_hash":"384134637443dc79d772bc1ee8e72d62"}"#;
    play(is_reported_and_survived(gzip(message), "lacks config_table"));
}

#[test]
fn a_message_of_another_type_is_reported_and_survived() {
    play(is_reported_and_survived(gzip(br#"{"type":"error","config_table":{}}"#), "type is \"error\""));
}

#[test]
fn a_message_that_expands_without_bound_is_reported_and_survived() {
    let bomb = [br#"{"type":"reconfigure","config_table":{"x":""#.to_vec(), vec![b' '; 50_000_000], b"\"}}".to_vec()];
    let bomb = gzip(&bomb.concat());
    assert!(bomb.len() < MAX_CONFIG);
    play(is_reported_and_survived(bomb, "expands beyond LIFEBOAT_MAX_CONFIG (100000 bytes)"));
}

#[test]
fn a_fragmented_message_costs_the_link_is_reported_and_survived() {
    play(async {
        let world = World::begin().await;
        world.control_plane.behave(Behaviour::Fragmenting);
        world.control_plane.push(recorded::first());
        let _backup = world.backup();
        world.log.wait_for(&["ERROR", "sent a message in fragments"]).await;
        assert_nothing_is_kept(&world);
        world.control_plane.behave(Behaviour::Serving);
        world.published(&configuration(&recorded::first())).await;
    });
}

#[test]
fn a_message_above_cluster_max_payload_is_reported_with_the_setting() {
    play(async {
        let mut world = World::begin().await;
        world.set("KONG_CLUSTER_MAX_PAYLOAD", "2000");
        world.control_plane.push(recorded::first());
        let _backup = world.backup();
        world.log.wait_for(&["ERROR", "was given up", "KONG_CLUSTER_MAX_PAYLOAD", "2000"]).await;
        world.log.wait_for(&["lost the control plane"]).await;
        assert_eq!(world.log.lines_with("accepts no node of Kong"), Vec::<String>::new(), "that is not the reason");
        assert_nothing_is_kept(&world);
    });
}
