//! Each alert of `deploy/prometheus/lifeboat.rules.yml`, fired by what the program itself tells of a world in which it should
//! be: metrics are scraped while all is well and afterwards, and Prometheus' own promtool says which alerts come of it. How
//! it is asked is in `timeline`; numbers that were made up are in the rules' own tests.

mod timeline;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lifeboat::companion::Companion;
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_fakes::certificate::{CLUSTER_VALIDITY, ClusterCertificate};
use lifeboat_fakes::message::Configuration;
use lifeboat_fakes::node::NodeOptions;
use lifeboat_fakes::recorded;
use lifeboat_tests::admin_api::AdminApi;
use lifeboat_tests::page::{Page, page_until};
use lifeboat_tests::stage::{Actor, play};
use lifeboat_tests::world::{VERSION, World, configuration};
use serde_json::{Value, json};

use self::timeline::{Scrape, Timeline, promtool};
use super::installed::of_repository;

/// How long all is well before something happens, in minutes: longer than any rule waits or looks back, but an hour.
const WELL: u64 = 40;

const HELD: &[&str] = &["LifeboatConfigurationHeld", "LifeboatNewestNotPublished", "LifeboatNodesDiffer"];
const OUTAGE: &[&str] =
    &["LifeboatExporterWithoutControlPlane", "LifeboatNodesServedFromStore", "LifeboatRelayWithoutControlPlane"];
const NOT_ADOPTING: &str = "LifeboatNodesNotAdopting";
const TOO_OLD: &str = "LifeboatBackupTooOld";
const DEAD_STORE: &[&str] = &["LifeboatExportFailing", "LifeboatNewestNotPublished", "LifeboatNoLeader"];
const TWO_LEADERS: &[&str] = &["LifeboatTwoLeaders"];
const OTHER_STORE: &[&str] = &["LifeboatOtherStoreBehind"];
const ANOTHER_EXPORTER: &[&str] = &["LifeboatAnotherExporter"];
const PAYLOAD_LOST: &[&str] = &["LifeboatConfigurationHeld", "LifeboatPayloadLost"];
const DRILL: &[&str] = &["LifeboatDrillFailing"];
const CONFIGURATION_ENDS: &[&str] = &["LifeboatConfigurationExpiring"];
const CA_EXPIRED: &[&str] = &["LifeboatCaCertificateExpired", "LifeboatConfigurationExpiring"];
const LIMIT_NEAR: &[&str] = &["LifeboatNodeLimitNear"];
const WITH_TTL: &[&str] = &["LifeboatCredentialsWithTtl"];
const WITHOUT_BACKUP: &[&str] = &["LifeboatNodesWithoutBackup"];
const NO_EXPORTER: &str = "LifeboatExporterMissing";
const EXPIRING: &str = "LifeboatCertificateExpiring";
const ENDS_SOON: &str = "LifeboatCertificateEndsSoon";
const NOT_READY: &str = "LifeboatRelayNotReady";

fn series(name: &str) -> String {
    format!("lifeboat_{name}{{kong_version=\"3.9.1\"}}")
}

fn at(companion: &Companion) -> SocketAddr {
    companion.http_address().expect("it listens")
}

/// What the program tells once it is so.
async fn scrape(companion: &Companion, is_so: impl Fn(&Page) -> bool) -> Scrape {
    Scrape::of(page_until(at(companion), "/metrics", is_so).await)
}

fn is_ready(found: &Page) -> bool {
    found.number(&series("keep_ready")) == 1.0
}

/// A world in which all is well, and the program in it.
async fn well(world: &World) -> (Companion, Actor, Scrape) {
    world.control_plane.push(recorded::first());
    let companion = world.companion().await;
    let node = world.node(companion.relay_address().expect("import is on"));
    world.confirmed(node.node_id(), &configuration(&recorded::first())).await;
    // Whether nodes have a backup may have been asked before there was one.
    let has_backup = |found: &Page| found.body.contains(&format!("{} 0", series("relay_nodes_without_backup")));
    let is_well = |found: &Page| is_ready(found) && found.body.contains("state=\"confirmed\"") && has_backup(found);
    let quiet = scrape(&companion, is_well).await;
    (companion, node, quiet)
}

/// What it told while all was well, for a while.
fn begin(quiet: &Scrape) -> Timeline {
    let mut timeline = Timeline::default();
    timeline.holds(&[("a", quiet)], WELL);
    timeline.fires(&[]);
    timeline
}

/// After a while in which all was well, this for so many minutes: then these fire, and no others.
fn after_a_quiet_while(quiet: &Scrape, told: &[(&str, &Scrape)], minutes: u64, fire: &[&str]) {
    let mut timeline = begin(quiet);
    timeline.holds(told, minutes);
    timeline.fires(fire);
    timeline.check();
}

#[test]
fn while_all_is_well_nothing_fires_and_every_line_is_as_prometheus_wants_it() {
    play(async {
        let mut world = World::begin().await;
        let other = tempfile::tempdir().unwrap();
        world.set("LIFEBOAT_FALLBACK_STORAGE", format!("file://{}", other.path().display()));
        world.set("LIFEBOAT_DRILL_EVERY", "1s");
        let (companion, _node, _) = well(&world).await;
        let other = "lifeboat_keep_other_store_current";
        let is_busy =
            |found: &Page| found.body.contains("lifeboat_drill_success{") && found.sum(other, "store=") == 1.0;
        let quiet = scrape(&companion, is_busy).await;
        let mut timeline = Timeline::default();
        for minutes in [1, 4, 10, 20, 30, 35] {
            timeline.holds(&[("a", &quiet)], minutes);
            timeline.fires(&[]);
        }
        timeline.check();
        let checked = promtool(&["check", "metrics"], quiet.text());
        assert!(checked.is_ok(), "{checked:?}");
        companion.stop().await;
    });
}

#[test]
fn a_control_plane_that_has_lost_its_database() {
    play(async {
        let world = World::begin().await;
        let (companion, node, quiet) = well(&world).await;
        let table = r#"{"_format_version":"3.0","_transform":false,"workspaces":[{"id":"w"}],"parameters":[]}"#;
        let lost = Configuration { table: table.into(), hash: "0123456789abcdef0123456789abcdef".to_owned() };
        world.control_plane.push(lost.to_message().unwrap());
        world.confirmed(node.node_id(), &lost).await;
        let differs = |found: &Page| found.number(&series("keep_nodes_that_differ")) == 1.0;
        let held = |found: &Page| found.number(&series("keep_held")) == 1.0 && differs(found);
        let held = scrape(&companion, held).await;
        after_a_quiet_while(&quiet, &[("a", &held)], 20, HELD);
        companion.stop().await;
    });
}

#[test]
fn a_held_configuration_is_told_by_the_leader_though_another_exporter_follows_and_is_ready() {
    play(async {
        let world = World::begin().await;
        let (leader, node, quiet) = well(&world).await;
        let follower = world.companion().await;
        let follows = |found: &Page| is_ready(found) && found.number(&series("keep_leader")) == 0.0;
        let following = scrape(&follower, follows).await;

        let told = page_until(at(&follower), "/readyz/export", |page| page.body.contains("leads")).await;
        assert_eq!(told.status, 200, "{}", told.body);
        assert!(told.body.contains("ask that one whether the newest is published"), "{}", told.body);

        let table = r#"{"_format_version":"3.0","_transform":false,"workspaces":[{"id":"w"}],"parameters":[]}"#;
        let lost = Configuration { table: table.into(), hash: "0123456789abcdef0123456789abcdef".to_owned() };
        world.control_plane.push(lost.to_message().unwrap());
        world.confirmed(node.node_id(), &lost).await;
        let differs = |found: &Page| found.number(&series("keep_nodes_that_differ")) == 1.0;
        let held = scrape(&leader, |found| found.number(&series("keep_held")) == 1.0 && differs(found)).await;
        let following_still = scrape(&follower, follows).await;

        let mut timeline = Timeline::default();
        timeline.holds(&[("a", &quiet), ("b", &following)], WELL);
        timeline.fires(&[]);
        timeline.holds(&[("a", &held), ("b", &following_still)], 20);
        timeline.fires(HELD);
        timeline.check();
        leader.stop().await;
        follower.stop().await;
    });
}

#[test]
fn an_outage_in_which_nodes_are_restored_and_one_is_not() {
    play(async {
        let world = World::begin().await;
        let (companion, _node, quiet) = well(&world).await;
        let relay = companion.relay_address().unwrap();
        world.control_plane.stop().await;
        let restored = world.node(relay);
        restored.wait_for(|state| state.applied == 1).await;
        let is_so = |found: &Page| {
            found.number("lifeboat_relay_nodes_served_from_store") == 1.0
                && found.number(&series("keep_control_plane_connected")) == 0.0
                && found.number(&series("keep_nodes_that_differ")) == 0.0
        };
        let outage = scrape(&companion, is_so).await;
        let mut timeline = begin(&quiet);
        timeline.holds(&[("a", &outage)], 20);
        timeline.fires(OUTAGE);
        let options = NodeOptions { rejects: Some(Arc::new(|_| true)), ..world.node_options(relay) };
        let _rejecting = Actor::start(options);
        let is_so = |found: &Page| found.number("lifeboat_relay_nodes_not_adopting_total") == 1.0;
        let not_adopting = scrape(&companion, is_so).await;
        timeline.goes_on(&[("a", &not_adopting)], 10);
        timeline.fires(&[OUTAGE, &[NOT_ADOPTING]].concat());
        timeline.goes_on(&[("a", &outage)], 100);
        timeline.fires(&[OUTAGE, &[TOO_OLD]].concat());
        timeline.check();
        companion.stop().await;
    });
}

#[test]
fn a_store_that_is_dead() {
    play(async {
        let world = World::begin().await;
        let (companion, _node, quiet) = well(&world).await;
        companion.stop().await;
        world.store.stop().await;
        let companion = world.companion().await;
        let failures = "lifeboat_keep_failures_total";
        let fails = |more_than: f64| move |found: &Page| found.sum(failures, "class=\"unavailable\"") > more_than;
        let first = scrape(&companion, fails(0.0)).await;
        let then = scrape(&companion, fails(first.sum(failures, "class=\"unavailable\""))).await;
        let mut timeline = begin(&quiet);
        timeline.holds(&[("a", &first)], 1);
        timeline.grows("a", &first, &then, 20);
        timeline.fires(DEAD_STORE);
        timeline.check();
        companion.stop().await;
    });
}

#[test]
fn two_exporters_without_an_election() {
    play(async {
        let mut world = World::begin().await;
        world.set("LIFEBOAT_ELECTION", "none");
        let (one, _node, quiet) = well(&world).await;
        let other = world.companion().await;
        let (of_one, of_other) = (scrape(&one, is_ready).await, scrape(&other, is_ready).await);
        after_a_quiet_while(&quiet, &[("a", &of_one), ("b", &of_other)], 6, TWO_LEADERS);
        one.stop().await;
        other.stop().await;
    });
}

#[test]
fn a_further_store_that_cannot_be_written() {
    play(async {
        let mut world = World::begin().await;
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other");
        world.set("LIFEBOAT_FALLBACK_STORAGE", format!("file://{}", other.display()));
        let (companion, node, _) = well(&world).await;
        let is_current = |number: f64| {
            move |found: &Page| {
                let name = "lifeboat_keep_other_store_current";
                found.body.contains(name) && found.sum(name, "store=") == number && is_ready(found)
            }
        };
        let quiet = scrape(&companion, is_current(1.0)).await;
        // Below a file there is no folder.
        std::fs::remove_dir_all(&other).unwrap();
        std::fs::write(&other, "").unwrap();
        world.control_plane.push(recorded::after_change());
        world.confirmed(node.node_id(), &configuration(&recorded::after_change())).await;
        let behind = scrape(&companion, is_current(0.0)).await;
        after_a_quiet_while(&quiet, &[("a", &behind)], 35, OTHER_STORE);
        companion.stop().await;
    });
}

#[test]
fn somebody_else_who_writes_config_json() {
    play(async {
        let world = World::begin().await;
        let (companion, _node, quiet) = well(&world).await;
        companion.stop().await;
        let theirs = configuration(&recorded::after_change()).table;
        // S3 tells the time of a write in whole seconds.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        std::fs::write(world.path_of(&ObjectKeys::new(VERSION).config_json()), &theirs).unwrap();
        let companion = world.companion().await;
        let name = "lifeboat_keep_other_exporter_total";
        let noticed = |found: &Page| found.sum(name, "object=\"config_json\"") > 0.0 && is_ready(found);
        let noticed = scrape(&companion, noticed).await;
        after_a_quiet_while(&quiet, &[("a", &noticed)], 20, ANOTHER_EXPORTER);
        companion.stop().await;
    });
}

#[test]
fn a_backup_that_no_node_could_be_restored_from() {
    play(async {
        let mut world = World::begin().await;
        world.set("LIFEBOAT_DRILL_EVERY", "1s");
        let (companion, _node, _) = well(&world).await;
        let drilled = |number: f64| {
            move |found: &Page| {
                found.body.contains("lifeboat_drill_success{") && found.number(&series("drill_success")) == number
            }
        };
        let quiet = scrape(&companion, drilled(1.0)).await;
        for key in world.kept().iter().filter(|key| key.ends_with(".json.gz")) {
            std::fs::write(world.path_of(key), b"damaged").unwrap();
        }
        let failed = scrape(&companion, drilled(0.0)).await;
        after_a_quiet_while(&quiet, &[("a", &failed)], 22, DRILL);
        companion.stop().await;
    });
}

#[test]
fn a_store_that_has_lost_what_is_published() {
    play(async {
        let world = World::begin().await;
        let (companion, node, quiet) = well(&world).await;
        drop(node);
        companion.stop().await;
        // Nobody has it any more but the control plane, and what that has now is held.
        for key in [world.manifest().snapshot.key, ObjectKeys::new(VERSION).config_json()] {
            std::fs::remove_file(world.path_of(&key)).unwrap();
        }
        world.control_plane.push(recorded::lost_database());
        let companion = world.companion().await;
        let is_lost = |found: &Page| {
            found.number(&series("keep_payload_lost")) == 1.0 && found.number(&series("keep_held")) == 1.0
        };
        let lost = scrape(&companion, is_lost).await;
        after_a_quiet_while(&quiet, &[("a", &lost)], 3, PAYLOAD_LOST);
        companion.stop().await;
    });
}

#[test]
fn a_ca_certificate_in_the_configuration_that_ends_and_has_expired() {
    play(async {
        let world = World::begin().await;
        let (companion, node, quiet) = well(&world).await;
        let ends_at = "keep_configuration_expiry_timestamp_seconds";
        let ends_at = format!("lifeboat_{ends_at}{{kong_version=\"3.9.1\",of=\"ca_certificate\"}}");
        let now = SystemTime::now();
        let (day, mut timeline) = (Duration::from_secs(24 * 60 * 60), begin(&quiet));

        for (ends, hash, fires) in
            [(now + 40 * day, "1", &[][..]), (now + 20 * day, "2", CONFIGURATION_ENDS), (now - day, "3", CA_EXPIRED)]
        {
            let sent = with_ca_certificate(ends, hash);
            world.control_plane.push(sent.to_message().unwrap());
            world.confirmed(node.node_id(), &sent).await;

            let ends = ends.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
            let is_told = |found: &Page| {
                found.body.contains(&ends_at) && (found.number(&ends_at) - ends).abs() < 2.0 && is_ready(found)
            };
            timeline.holds(&[("a", &scrape(&companion, is_told).await)], 5);
            timeline.fires(fires);
        }
        timeline.check();
        companion.stop().await;
    });
}

#[test]
fn credentials_that_a_restored_node_keeps_for_too_long() {
    play(async {
        let world = World::begin().await;
        let (companion, node, quiet) = well(&world).await;
        let mut table: Value = serde_json::from_slice(&configuration(&recorded::first()).table).unwrap();
        let credential = json!({ "id": "8f1b2f6c-1d9a-4a1e-9f57-0d6a4e3c2b11", "key": "k", "ttl": 3600 });
        let credentials = table["keyauth_credentials"].as_array_mut().expect("the recorded one has some");
        credentials.push(credential);
        let sent = Configuration { table: table.to_string().into(), hash: "4".repeat(32) };
        world.control_plane.push(sent.to_message().unwrap());
        world.confirmed(node.node_id(), &sent).await;
        let told = |found: &Page| found.number(&series("keep_credentials_with_ttl")) == 1.0 && is_ready(found);
        let told = scrape(&companion, told).await;
        after_a_quiet_while(&quiet, &[("a", &told)], 20, WITH_TTL);
        companion.stop().await;
    });
}

/// The first configuration with a CA certificate in it that ends at this time, and with a hash of this digit.
fn with_ca_certificate(ends: SystemTime, digit: &str) -> Configuration {
    let mut table: Value = serde_json::from_slice(&configuration(&recorded::first()).table).unwrap();
    let certificate = ClusterCertificate::version_1(ends - CLUSTER_VALIDITY).certificate_pem;
    table["ca_certificates"] = json!([{ "id": "8f1b2f6c-1d9a-4a1e-9f57-0d6a4e3c2b10", "cert": certificate }]);
    Configuration { table: table.to_string().into(), hash: digit.repeat(32) }
}

#[test]
fn a_relay_whose_certificate_grows_old_and_an_exporter_that_is_gone() {
    play(async {
        let mut world = World::begin().await;
        let (companion, node, quiet) = well(&world).await;
        drop(node);
        companion.stop().await;
        world.set("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT", "off");
        let mut timeline = begin(&quiet);
        let day = Duration::from_secs(24 * 60 * 60);
        for (ends, fires) in [
            (Some(100 * day), &[NO_EXPORTER][..]),
            (Some(20 * day), &[NO_EXPORTER, EXPIRING]),
            (Some(2 * day), &[NO_EXPORTER, EXPIRING, ENDS_SOON]),
            (None, &[NO_EXPORTER, EXPIRING, ENDS_SOON, NOT_READY]),
        ] {
            let begins = SystemTime::now() - CLUSTER_VALIDITY + ends.unwrap_or_default() - Duration::from_secs(60);
            let old = ClusterCertificate::version_1(begins);
            world.set("KONG_CLUSTER_CERT", old.certificate_pem.clone());
            world.set("KONG_CLUSTER_CERT_KEY", old.key_pem.clone());
            let relay = world.companion().await;
            let is_ready = if ends.is_some() { 1.0 } else { 0.0 };
            let told = scrape(&relay, |found| found.number("lifeboat_relay_ready") == is_ready).await;
            timeline.holds(&[("a", &told)], 16);
            timeline.fires(fires);
            relay.stop().await;
        }
        timeline.check();
    });
}

#[test]
fn a_configuration_that_needs_nearly_all_that_nodes_take() {
    play(async {
        let mut world = World::begin().await;
        let (companion, node, quiet) = well(&world).await;
        drop(node);
        companion.stop().await;
        // The control plane's message is to get through still.
        let needed = (recorded::first().len() as u64).max(world.manifest().snapshot.bytes);
        world.set("KONG_CLUSTER_MAX_PAYLOAD", (needed + needed / 20).to_string());
        let companion = world.companion().await;
        let used = "lifeboat_keep_node_limit_used_ratio";
        let is_near = |found: &Page| found.sum(used, "limit=\"cluster_max_payload\"") > 0.8 && is_ready(found);
        let near = scrape(&companion, is_near).await;
        assert!(near.sum(used, "limit=\"lmdb_map_size\"") < 0.01, "that is far");
        after_a_quiet_while(&quiet, &[("a", &near)], 7, LIMIT_NEAR);
        companion.stop().await;
    });
}

#[test]
fn nodes_of_a_version_that_nobody_keeps() {
    play(async {
        let world = World::begin().await;
        let (companion, _node, quiet) = well(&world).await;
        let options =
            NodeOptions { version: "3.8.1".to_owned(), ..world.node_options(companion.relay_address().unwrap()) };
        let _other = Actor::start(options);
        let without = |found: &Page| found.sum("lifeboat_relay_nodes_without_backup", "kong_version=\"3.8.1\"") == 1.0;
        let without = scrape(&companion, without).await;
        after_a_quiet_while(&quiet, &[("a", &without)], 20, WITHOUT_BACKUP);
        companion.stop().await;
    });
}

#[test]
fn nodes_of_a_version_that_nobody_keeps_and_that_only_the_control_plane_knows() {
    play(async {
        let mut world = World::begin().await;
        let (companion, node, quiet) = well(&world).await;
        drop(node);
        companion.stop().await;
        let admin = AdminApi::start().await;
        admin.sees("3.8.1");
        world.set("LIFEBOAT_ADMIN_URL", admin.url());
        let companion = world.companion().await;
        let without = |found: &Page| found.sum("lifeboat_keep_nodes_without_backup", "kong_version=\"3.8.1\"") == 1.0;
        let without = scrape(&companion, |found| without(found) && is_ready(found)).await;
        after_a_quiet_while(&quiet, &[("a", &without)], 20, WITHOUT_BACKUP);
        companion.stop().await;
    });
}

#[test]
fn there_is_a_scene_for_every_alert() {
    let single = [NOT_ADOPTING, TOO_OLD, NO_EXPORTER, EXPIRING, ENDS_SOON, NOT_READY];
    let scenes = [
        HELD,
        OUTAGE,
        DEAD_STORE,
        TWO_LEADERS,
        OTHER_STORE,
        ANOTHER_EXPORTER,
        PAYLOAD_LOST,
        DRILL,
        CA_EXPIRED,
        LIMIT_NEAR,
        WITHOUT_BACKUP,
        WITH_TTL,
        &single,
    ];
    let played: BTreeSet<String> = scenes.concat().into_iter().map(str::to_owned).collect();
    let rules = std::fs::read_to_string(of_repository("deploy/prometheus/lifeboat.rules.yml")).unwrap();
    let written = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).map(str::to_owned);
    assert_eq!(played, written.collect());
}

#[test]
fn an_alert_that_does_not_fire_and_one_that_should_not_are_both_noticed() {
    let told = |number: u32| {
        let body = format!("lifeboat_keep_held{{kong_version=\"3.9.1\"}} {number}\nlifeboat_keep_ready 1\n");
        Scrape::of(Page { status: 200, content_type: String::new(), body })
    };
    for (number, fires, is_right) in [(1, HELD[0], true), (0, HELD[0], false), (1, "", false), (0, "", true)] {
        let mut timeline = Timeline::default();
        timeline.holds(&[("a", &told(number))], 5);
        let fires: Vec<&str> = [fires].into_iter().filter(|alert| !alert.is_empty()).collect();
        timeline.fires(&fires);
        assert_eq!(timeline.verdict().is_ok(), is_right, "{number}, {fires:?}");
    }
}
