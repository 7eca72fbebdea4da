//! A control plane that is connected and sends nothing, as Kong's does to a node that lacks a plugin: the operator is
//! told once, with the likely causes, and with the Admin API's answer where there is one.

use std::time::Duration;

use lifeboat_fakes::control_plane::Behaviour;
use lifeboat_fakes::recorded;
use lifeboat_tests::admin_api::AdminApi;
use lifeboat_tests::stage::play;
use lifeboat_tests::world::{World, configuration};

const REPORT: &str = "is connected and has sent nothing for";

#[test]
fn a_silent_control_plane_is_reported_once_with_the_likely_causes() {
    play(async {
        let mut world = World::begin().await;
        world.set("LIFEBOAT_CP_CONFIG_TIMEOUT", "200ms");
        world.control_plane.behave(Behaviour::Silent);
        world.control_plane.push(recorded::first());
        let backup = world.backup();
        let line = world.log.wait_for(&["WARN", REPORT]).await;
        for cause in
            ["LIFEBOAT_PLUGINS", "LIFEBOAT_FILTERS", "database", "sync_status", "LIFEBOAT_ADMIN_URL", &backup.id]
        {
            assert!(line.contains(cause), "{cause} is missing in {line}");
        }
        // Five times as long again: it is said once.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(world.log.lines_with(REPORT).len(), 1);
        world.control_plane.behave(Behaviour::Serving);
        world.published(&configuration(&recorded::first())).await;
    });
}

#[test]
fn the_admin_api_tells_which_cause_it_is() {
    play(async {
        let (mut world, admin) = (World::begin().await, AdminApi::start().await);
        world.set("LIFEBOAT_ADMIN_URL", admin.url());
        world.set("LIFEBOAT_CP_CONFIG_TIMEOUT", "1s");
        world.control_plane.behave(Behaviour::Silent);
        let backup = world.backup();
        world.control_plane.wait_for(|scene| scene.node(&backup.id).is_some()).await;
        admin.list(&backup.id, "plugin_set_incompatible");
        let line = world.log.wait_for(&["WARN", REPORT]).await;
        assert!(line.contains("sync_status \"plugin_set_incompatible\" of this node"), "{line}");
        assert!(line.contains("add the missing plugin to LIFEBOAT_PLUGINS"), "{line}");
    });
}

#[test]
fn plugins_and_filters_come_from_the_admin_api_where_it_is_given() {
    play(async {
        let (mut world, admin) = (World::begin().await, AdminApi::start().await);
        world.set("LIFEBOAT_ADMIN_URL", admin.url());
        let backup = world.backup();
        let scene = world.control_plane.wait_for(|scene| scene.node(&backup.id).is_some()).await;
        let basic_info = &scene.node(&backup.id).unwrap().basic_info;
        let plugins: Vec<&str> =
            basic_info["plugins"].as_array().unwrap().iter().map(|plugin| plugin["name"].as_str().unwrap()).collect();
        assert_eq!(plugins, AdminApi::plugins());
        let filters: Vec<&String> = basic_info["filters"].as_object().unwrap().keys().collect();
        assert_eq!(filters, ["tinyfilter"]);
    });
}

#[test]
fn an_admin_api_that_is_away_is_reported_and_the_bundled_plugins_are_listed() {
    play(async {
        let (mut world, admin) = (World::begin().await, AdminApi::start().await);
        world.set("LIFEBOAT_ADMIN_URL", admin.url());
        world.set("LIFEBOAT_PLUGINS", "our-own-plugin");
        drop(admin);
        world.control_plane.push(recorded::first());
        let backup = world.backup();
        world.log.wait_for(&["WARN", "LIFEBOAT_ADMIN_URL", "going on with the bundled plugins"]).await;
        let scene = world.confirmed(&backup.id, &configuration(&recorded::first())).await;
        let plugins = scene.node(&backup.id).unwrap().basic_info["plugins"].as_array().unwrap().clone();
        for name in ["our-own-plugin", "rate-limiting"] {
            assert!(plugins.iter().any(|plugin| plugin["name"] == name), "{name}");
        }
    });
}

#[test]
fn a_plugin_that_the_backup_node_lacks_leaves_it_in_silence_until_it_is_listed() {
    play(async {
        let mut world = World::begin_with(|options| options.required_plugins = vec!["our-own-plugin".to_owned()]).await;
        world.set("LIFEBOAT_CP_CONFIG_TIMEOUT", "200ms");
        world.control_plane.push(recorded::first());
        let backup = world.backup();
        world.log.wait_for(&["WARN", REPORT]).await;
        drop(backup);
        world.set("LIFEBOAT_PLUGINS", "our-own-plugin");
        let _backup = world.backup();
        world.published(&configuration(&recorded::first())).await;
    });
}
