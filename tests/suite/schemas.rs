//! The control plane's own schemas: kept with what is published where `LIFEBOAT_ADMIN_URL` is set, never in its way.

use lifeboat_core::kong::version::KongVersion;
use lifeboat_fakes::recorded;
use lifeboat_tests::admin_api::AdminApi;
use lifeboat_tests::stage::play;
use lifeboat_tests::world::{World, configuration};

#[test]
fn the_control_planes_own_schemas_are_kept_with_what_is_published() {
    play(async {
        let (mut world, admin) = (World::begin().await, AdminApi::start().await);
        world.set("LIFEBOAT_ADMIN_URL", admin.url());
        world.control_plane.push(recorded::first());
        let companion = world.companion().await;
        world.log.wait_for(&["INFO", "kept the control plane's schemas with snapshot 1"]).await;
        // What is published later names them as well.
        world.control_plane.push(recorded::after_change());
        world.published(&configuration(&recorded::after_change())).await;

        let archive = world.archive();
        let published = archive.published(KongVersion::new(3, 9, 1)).await.unwrap().unwrap();
        assert_eq!(published.manifest.sequence, 2);
        let schemas = archive.schemas(&published.manifest).await.unwrap().expect("they lie there");
        assert!(schemas.has_plugin("rate-limiting") && schemas.has_entity("services"));
        let key = &published.manifest.schemas.as_ref().unwrap().object.key;
        assert!(world.keys().iter().any(|there| there.ends_with(key)), "{key} in {:?}", world.keys());
        companion.stop().await;
    });
}

#[test]
fn an_admin_api_that_is_away_keeps_no_configuration_back() {
    play(async {
        let mut world = World::begin().await;
        let admin = AdminApi::start().await;
        world.set("LIFEBOAT_ADMIN_URL", admin.url());
        drop(admin);
        world.control_plane.push(recorded::first());
        let companion = world.companion().await;
        world.published(&configuration(&recorded::first())).await;
        world.log.wait_for(&["WARN", "the control plane's schemas for Kong 3.9.1 are not kept"]).await;
        let published = world.archive().published(KongVersion::new(3, 9, 1)).await.unwrap().unwrap();
        assert_eq!(published.manifest.schemas, None);
        companion.stop().await;
    });
}
