//! An exporter that thins the history beside its work: what stays in the store, and what it does where nothing may be
//! deleted. Which snapshots go is tried in `core` and beside the archive.

use std::time::Duration;

use lifeboat::archive::{Pruned, Timekeeper};
use lifeboat_fakes::message::Configuration;
use lifeboat_fakes::recorded;
use lifeboat_runtime::clock::Clock;
use lifeboat_tests::peculiar_store::{PeculiarStore, Peculiarities, Permission};
use lifeboat_tests::stage::play;
use lifeboat_tests::world::{VERSION, World, configuration};

/// The recorded configuration with its first service named so.
fn named(name: &str, number: u8) -> Configuration {
    let mut table: serde_json::Value = serde_json::from_slice(&configuration(&recorded::first()).table).unwrap();
    table["services"][0]["name"] = name.into();
    Configuration { table: table.to_string().into(), hash: format!("{number:032x}") }
}

/// Lets the control plane send one after the other and waits until each is published.
async fn published_one_by_one(world: &World, numbers: std::ops::Range<u8>) {
    for number in numbers {
        let configuration = named(&format!("service-{number}"), number);
        world.control_plane.push(configuration.to_message().unwrap());
        world.published(&configuration).await;
    }
}

#[test]
fn who_leads_deletes_the_oldest_snapshots_beyond_the_limit() {
    play(async {
        let mut world = World::begin().await;
        world.set("LIFEBOAT_HISTORY", "all");
        let backup = world.backup();
        published_one_by_one(&world, 1..6).await;
        backup.stop().await;
        assert_eq!(world.archive().past(VERSION).await.unwrap().len(), 5);

        world.set("LIFEBOAT_HISTORY", "3");
        // It publishes the manifest anew, as its own.
        let _backup = world.backup();
        world.log.wait_for(&["old snapshots of Kong 3.9.1 were deleted", "1 of them", "numbers 1 to 1"]).await;
        let archive = world.archive();
        let left: Vec<u64> = archive.past(VERSION).await.unwrap().iter().map(|past| past.id.sequence).collect();
        assert_eq!(left, [2, 3, 4, 5], "a tenth a day");
        let restored = archive.restore(VERSION).await.unwrap();
        assert!(restored.skipped.is_empty());
        assert_eq!(restored.verified.config_hash().to_string(), named("service-5", 5).hash);
    });
}

#[test]
fn where_nothing_may_be_deleted_that_is_said_and_the_exporter_goes_on() {
    play(async {
        let deleting = Permission::Denied;
        let store = PeculiarStore::start(Peculiarities { deleting, ..Peculiarities::default() }).await;
        let mut world = World::begin().await;
        world.set("AWS_CONFIG_STORAGE_ENDPOINT", store.endpoint());
        world.set("LIFEBOAT_HISTORY", "all");
        let backup = world.backup();
        published_one_by_one(&world, 1..4).await;
        backup.stop().await;

        world.set("LIFEBOAT_HISTORY", "1");
        let _backup = world.backup();
        published_one_by_one(&world, 4..5).await;
        let line = world.log.wait_for(&["WARN", "old snapshots stay"]).await;
        assert!(line.contains("s3:DeleteObject") && line.contains("LIFEBOAT_HISTORY=all"), "{line}");
        published_one_by_one(&world, 5..6).await;
        let payloads = store.keys().iter().filter(|key| key.ends_with(".json.gz")).count();
        assert_eq!((payloads, world.log.lines_with("old snapshots stay").len()), (5, 1));
    });
}

#[test]
fn a_host_whose_clock_is_ahead_deletes_nothing_too_early() {
    play(async {
        let world = World::begin().await;
        for _ in 0..2 {
            world.keep(&recorded::first()).await;
            world.keep(&recorded::after_change()).await;
        }
        let archive = world.archive();
        let in_a_year = Clock::start().wall() + Duration::from_secs(365 * 24 * 60 * 60);
        // All are of one day. Of a day in the past one would stay, beside what is published and the one before that.
        let thinned = archive.prune_expired(VERSION, None, &mut Timekeeper::begin(in_a_year)).await.unwrap();
        assert_eq!(thinned, Pruned::default());
        assert_eq!(archive.past(VERSION).await.unwrap().len(), 4);
    });
}
