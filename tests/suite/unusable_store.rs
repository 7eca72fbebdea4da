//! A store that is away, or that is not the one that was meant: the control-plane link doesn't suffer, and the log names
//! the setting.

use lifeboat_fakes::control_plane::Event;
use lifeboat_fakes::recorded;
use lifeboat_tests::stage::play;
use lifeboat_tests::world::{World, configuration};

#[test]
fn a_dead_store_does_not_disturb_the_control_plane_link_and_the_newest_is_published_when_it_is_back() {
    play(async {
        let world = World::begin().await;
        let (older, newest) = (configuration(&recorded::first()), configuration(&recorded::after_change()));
        world.store.stop().await;
        world.control_plane.push(recorded::first());
        let backup = world.backup();
        // While the older one is still being tried, the next is received and confirmed as ever.
        world.log.wait_for(&["DEBUG", "the store failed, trying again"]).await;
        world.control_plane.push(recorded::after_change());
        let scene = world.confirmed(&backup.id, &newest).await;
        assert!(!scene.events.iter().any(|event| matches!(event, Event::Disconnected(..))), "{:?}", scene.events);

        // The older one failed meanwhile and must not have taken the newer one's place.
        world.log.wait_for(&["ERROR", "is not published yet", &newest.hash]).await;
        world.store.come_back().await.unwrap();
        world.published(&newest).await;
        assert_eq!(world.manifest().sequence, 1);
        assert!(world.object("3.9.1/config.json") == newest.table);
        assert!(!world.kept().iter().any(|key| key.contains(&older.hash)), "{:?}", world.kept());
        let events = world.control_plane.state().events;
        assert!(!events.iter().any(|event| matches!(event, Event::Disconnected(..))), "{events:?}");
    });
}

#[test]
fn a_wrong_secret_is_named_by_its_setting_and_never_shown() {
    play(async {
        let mut world = World::begin().await;
        world.set("AWS_SECRET_ACCESS_KEY", "a-mistyped-secret");
        world.control_plane.push(recorded::first());
        let _backup = world.backup();
        let line = world.log.wait_for(&["ERROR", "is not published yet"]).await;
        assert!(line.contains("AWS_SECRET_ACCESS_KEY is not the secret of AWS_ACCESS_KEY_ID"), "{line}");
        assert!(!world.log.text().contains("a-mistyped-secret"));

        // A node learns as little, and the relay says the same.
        let relay = world.relay().await;
        world.control_plane.stop().await;
        let _node = world.node(relay.address);
        world.log.wait_for(&["can't be restored yet", "AWS_SECRET_ACCESS_KEY is not the secret"]).await;
    });
}

#[test]
fn an_unknown_access_key_is_named_by_its_setting() {
    play(async {
        let mut world = World::begin().await;
        world.set("AWS_ACCESS_KEY_ID", "AKIDUNKNOWN");
        world.control_plane.push(recorded::first());
        let _backup = world.backup();
        let line = world.log.wait_for(&["ERROR", "is not published yet"]).await;
        assert!(line.contains("AWS_ACCESS_KEY_ID"), "{line}");
    });
}

#[test]
fn a_bucket_that_does_not_exist_is_named_by_its_setting() {
    play(async {
        let mut world = World::begin().await;
        world.set("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", "s3://no-such-bucket/backups");
        world.control_plane.push(recorded::first());
        let backup = world.backup();
        let line = world.log.wait_for(&["ERROR", "not publishing yet"]).await;
        assert!(line.contains("s3://no-such-bucket/backups"), "{line}");
        assert!(line.contains("bucket does not exist: check KONG_CLUSTER_FALLBACK_CONFIG_STORAGE"), "{line}");
        // With the right one the same configuration is published.
        backup.stop().await;
        world.set("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", "s3://kong/backups/edge");
        let _backup = world.backup();
        world.published(&configuration(&recorded::first())).await;
    });
}

#[test]
fn an_empty_store_is_reported_and_a_backup_that_comes_later_reaches_the_node() {
    play(async {
        let world = World::begin().await;
        world.control_plane.stop().await;
        let relay = world.relay().await;
        let node = world.node(relay.address);
        world
            .log
            .wait_for(&["new nodes of Kong 3.9.1 can't be restored yet", "there is no backup for Kong 3.9.1"])
            .await;
        assert_eq!(node.state().received, 0);
        world.keep(&recorded::first()).await;
        node.wait_for(|state| state.applied == 1).await;
        assert_eq!(node.configuration(), Some(configuration(&recorded::first()).table));
        assert_eq!(node.state().connections, 1);
    });
}
