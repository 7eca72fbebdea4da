//! What a store's conditional writes are worth is found out by trying, said once, and acted on; and the trying leaves
//! nothing behind that could not be deleted.

use bytes::Bytes;
use lifeboat::archive::{Archive, Author};
use lifeboat_core::manifest::Exporter;
use lifeboat_fakes::recorded;
use lifeboat_storage::{Ability, Conditions, ProbeKeys, Storage, StorageError, Write};
use lifeboat_tests::peculiar_store::{ConditionalWrites, PeculiarStore, Peculiarities, Permission, VersionNames};
use lifeboat_tests::stage::play;
use lifeboat_tests::world::{VERSION, World, configuration};

const NODE: &str = "7f6c2e4e-8f3e-4c0a-9c39-0b9f8e2f6a11";

/// A world whose store is this one.
async fn world_with(peculiarities: Peculiarities) -> (World, PeculiarStore) {
    let store = PeculiarStore::start(peculiarities).await;
    let mut world = World::begin().await;
    world.set("AWS_CONFIG_STORAGE_ENDPOINT", store.endpoint());
    (world, store)
}

fn author() -> Author {
    let exporter = Exporter { node_id: NODE.into(), hostname: "host".into(), lifeboat: "0".into() };
    Author { exporter, version: VERSION }
}

async fn probed(archive: &Archive) -> Conditions {
    archive.probe(&author()).await.expect("the store answers")
}

fn without_deleting(conditional_writes: ConditionalWrites) -> Peculiarities {
    Peculiarities { conditional_writes, deleting: Permission::Denied, ..Peculiarities::default() }
}

fn with(conditional_writes: ConditionalWrites) -> Peculiarities {
    Peculiarities { conditional_writes, ..Peculiarities::default() }
}

/// A store that gives versions no names, as JuiceFS' gateway: creating is an ordinary write there.
fn nameless() -> Peculiarities {
    Peculiarities { version_names: VersionNames::None, ..with(ConditionalWrites::Ignored) }
}

#[test]
fn a_store_that_honours_conditions_is_found_to_and_nothing_is_left_in_it() {
    play(async {
        let world = World::begin().await;
        let conditions = probed(&world.archive()).await;
        assert!(conditions.lease_possible(), "{conditions}");
        assert_eq!(world.keys(), Vec::<String>::new());
        assert!(world.store.counts().delete > 0);
    });
}

#[test]
fn where_deleting_is_not_allowed_only_the_nodes_own_registration_is_left() {
    play(async {
        for how in [ConditionalWrites::Honoured, ConditionalWrites::NotImplemented, ConditionalWrites::Ignored] {
            let (world, store) = world_with(without_deleting(how)).await;
            probed(&world.archive()).await;
            let key = format!("kong/backups/edge/3.9.1/election/{NODE}.json");
            assert_eq!(store.keys(), [key.as_str()], "{how:?}");
            let registration: serde_json::Value = serde_json::from_slice(&store.object(&key).unwrap()).unwrap();
            assert_eq!((&registration["format"], &registration["node_id"]), (&1.into(), &NODE.into()));
            assert_eq!(registration["hostname"], "host");
        }
    });
}

#[test]
fn where_deleting_is_allowed_nothing_is_left_whatever_the_store_is_like() {
    play(async {
        for how in [ConditionalWrites::NotImplemented, ConditionalWrites::Ignored, ConditionalWrites::CheckedTooEarly] {
            let (world, store) = world_with(with(how)).await;
            probed(&world.archive()).await;
            assert_eq!(store.keys(), Vec::<String>::new(), "{how:?}");
        }
    });
}

#[test]
fn a_store_that_says_that_it_has_no_conditions_is_believed() {
    play(async {
        for peculiarities in
            [with(ConditionalWrites::NotImplemented), without_deleting(ConditionalWrites::NotImplemented)]
        {
            let (world, _store) = world_with(peculiarities).await;
            let Conditions { create, swap } = probed(&world.archive()).await;
            assert!(matches!(&create, Ability::Refused(reason) if reason.contains("NotImplemented")), "{create}");
            assert!(matches!(swap, Ability::Refused(_)), "{swap}");
        }
    });
}

#[test]
fn a_store_that_ignores_conditions_is_found_out() {
    play(async {
        for peculiarities in [with(ConditionalWrites::Ignored), without_deleting(ConditionalWrites::Ignored)] {
            let (world, _store) = world_with(peculiarities).await;
            let conditions = probed(&world.archive()).await;
            assert_eq!(conditions, Conditions { create: Ability::Ignored, swap: Ability::Ignored });
        }
    });
}

#[test]
fn a_store_that_refuses_the_right_name_and_one_that_gives_none_are_found_out() {
    play(async {
        let (world, _store) = world_with(with(ConditionalWrites::QuotesRefused)).await;
        let Conditions { create, swap } = probed(&world.archive()).await;
        assert_eq!(create, Ability::Honoured);
        assert!(matches!(&swap, Ability::Refused(reason) if reason.contains("version that was read")), "{swap}");

        let (world, _store) = world_with(nameless()).await;
        let Conditions { create, swap } = probed(&world.archive()).await;
        assert_eq!(create, Ability::Ignored);
        assert!(matches!(&swap, Ability::Refused(reason) if reason.contains("ETag")), "{swap}");
    });
}

#[test]
fn where_nothing_is_known_of_a_store_without_names_nothing_is_overwritten_unseen() {
    play(async {
        let (world, _store) = world_with(nameless()).await;
        let storage = Storage::open(&world.settings().store.location()).unwrap();
        let write = async |text: &'static str, write| storage.write("a.json", Bytes::from(text), write).await;
        let first = write("1", Write::Replace).await.unwrap();
        let second = write("2", Write::Update(first.clone())).await.unwrap();
        assert!(matches!(write("3", Write::Update(first)).await, Err(StorageError::Conflict { .. })));
        write("4", Write::Update(second)).await.unwrap();
        assert_eq!(storage.read("a.json", 9).await.unwrap().0, "4");
    });
}

#[test]
fn two_exporters_at_a_store_without_names_have_one_leader_who_goes_on_publishing() {
    play(async {
        let (world, _store) = world_with(nameless()).await;
        world.control_plane.push(recorded::first());
        let (_one, _other) = (world.backup(), world.backup());
        for message in [recorded::first(), recorded::after_change(), recorded::first(), recorded::after_change()] {
            world.control_plane.push(message.clone());
            world.published(&configuration(&message)).await;
        }
    });
}

#[test]
fn a_store_at_which_two_writers_at_once_both_win_is_found_out() {
    play(async {
        for peculiarities in
            [with(ConditionalWrites::CheckedTooEarly), without_deleting(ConditionalWrites::CheckedTooEarly)]
        {
            let (world, _store) = world_with(peculiarities).await;
            let Conditions { create, swap } = probed(&world.archive()).await;
            assert!(matches!(create, Ability::Racy { winners: 2.., writers: 8 }), "{create}");
            assert!(matches!(swap, Ability::Racy { winners: 2.., writers: 8 }), "{swap}");
        }
    });
}

#[test]
fn a_store_from_which_another_deletes_during_a_race_is_not_taken_for_one_that_lets_two_win() {
    play(async {
        for peculiarities in [with(ConditionalWrites::EmptiedOnce), without_deleting(ConditionalWrites::EmptiedOnce)] {
            let (world, _store) = world_with(peculiarities).await;
            let conditions = probed(&world.archive()).await;
            assert!(conditions.lease_possible(), "{peculiarities:?}: {conditions}");
        }
    });
}

#[test]
fn writes_that_happen_without_an_answer_prove_nothing() {
    play(async {
        let (world, store) = world_with(with(ConditionalWrites::Unanswered)).await;
        let conditions = probed(&world.archive()).await;
        assert!(conditions.are_unclear() && !conditions.deceive() && !conditions.lease_possible(), "{conditions}");
        assert_eq!(store.keys(), Vec::<String>::new());
    });
}

#[test]
fn a_probe_that_fails_half_way_takes_its_objects_away_and_may_be_repeated() {
    play(async {
        let (world, store) = world_with(with(ConditionalWrites::CreateOnly)).await;
        let archive = world.archive();
        let error = archive.probe(&author()).await.unwrap_err();
        assert!(error.to_string().contains("s3:PutObject"), "{error}");
        assert!(store.requests().iter().any(|request| request.starts_with("PUT")));
        assert_eq!(store.keys(), Vec::<String>::new());
        // Nothing is known yet: with the right to replace, the same archive finds out.
        store.becomes(Peculiarities::default());
        assert!(probed(&archive).await.lease_possible());
    });
}

#[test]
fn a_store_that_is_away_is_no_outcome() {
    play(async {
        let world = World::begin().await;
        world.store.stop().await;
        let archive = world.archive();
        let error = archive.probe(&author()).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        world.store.come_back().await.unwrap();
        assert!(probed(&archive).await.lease_possible());
    });
}

#[test]
fn without_conditions_a_write_looks_first_what_is_there() {
    play(async {
        for how in [
            with(ConditionalWrites::NotImplemented),
            with(ConditionalWrites::Ignored),
            with(ConditionalWrites::CheckedTooEarly),
            with(ConditionalWrites::QuotesRefused),
            nameless(),
        ] {
            let (world, _store) = world_with(how).await;
            let storage = Storage::open(&world.settings().store.location()).unwrap();
            let [passing, lasting, lasting_too] = ["probe.json", "node.json", "other.json"].map(str::to_owned);
            let keys = ProbeKeys { passing, lasting, lasting_too };
            storage.probe(&keys, b"{}").await.unwrap();
            let write = async |text: &'static str, write| storage.write("a.json", Bytes::from(text), write).await;
            let first = write("1", Write::Create).await.unwrap();
            assert!(matches!(write("2", Write::Create).await, Err(StorageError::Conflict { .. })), "{how:?}");
            write("3", Write::Update(first.clone())).await.unwrap();
            assert!(matches!(write("4", Write::Update(first)).await, Err(StorageError::Conflict { .. })), "{how:?}");
            assert_eq!(storage.read("a.json", 9).await.unwrap().0, "3", "{how:?}");
        }
    });
}

#[test]
fn an_exporter_finds_out_once_and_says_so() {
    play(async {
        let world = World::begin().await;
        world.control_plane.push(recorded::first());
        let _backup = world.backup();
        world.published(&configuration(&recorded::first())).await;
        world.control_plane.push(recorded::after_change());
        world.published(&configuration(&recorded::after_change())).await;
        let said = world.log.lines_with("conditional writes are honoured");
        assert!(matches!(&said[..], [line] if line.contains("INFO")), "{said:?}");
        assert_eq!(world.log.lines_with("this exporter leads, in epoch 1").len(), 1);
    });
}

#[test]
fn an_exporter_publishes_to_a_store_without_conditions_and_warns() {
    let parts = ["WARN", "does not honour all conditional writes", "let only one exporter write to it"];
    play(is_published_to(without_deleting(ConditionalWrites::NotImplemented), parts));
}

#[test]
fn an_exporter_publishes_to_a_store_that_ignores_conditions_and_says_that_it_can_not_be_trusted() {
    let parts = ["ERROR", "can't be trusted", "said yes to what it should have refused"];
    play(is_published_to(without_deleting(ConditionalWrites::Ignored), parts));
}

#[test]
fn an_exporter_publishes_to_a_store_that_checks_too_early_and_says_that_it_can_not_be_trusted() {
    play(is_published_to(
        without_deleting(ConditionalWrites::CheckedTooEarly),
        ["ERROR", "can't be trusted", "were told that they had won"],
    ));
}

#[test]
fn an_exporter_publishes_to_a_store_that_refuses_the_right_name_and_warns() {
    play(is_published_to(
        without_deleting(ConditionalWrites::QuotesRefused),
        ["WARN", "does not honour all conditional writes", "let only one exporter write to it"],
    ));
}

#[test]
fn an_exporter_publishes_to_a_store_that_gives_versions_no_names() {
    let peculiarities = Peculiarities { deleting: Permission::Denied, ..nameless() };
    play(is_published_to(peculiarities, ["ERROR", "can't be trusted", "no names (ETags)"]));
}

#[test]
fn an_exporter_publishes_once_where_it_may_only_create() {
    play(async {
        let (world, store) = world_with(with(ConditionalWrites::CreateOnly)).await;
        world.control_plane.push(recorded::first());
        let _backup = world.backup();
        let sent = configuration(&recorded::first());
        world.published(&sent).await;
        assert!(store.object("kong/backups/edge/3.9.1/config.json").unwrap() == sent.table);
        assert_eq!(world.log.lines_with("no leader can be elected").len(), 1);
    });
}

async fn is_published_to(peculiarities: Peculiarities, said: [&str; 3]) {
    let (world, store) = world_with(peculiarities).await;
    let messages = [recorded::first(), recorded::after_change()];
    world.control_plane.push(messages[0].clone());
    let backup = world.backup();
    world.published(&configuration(&messages[0])).await;
    world.control_plane.push(messages[1].clone());
    world.published(&configuration(&messages[1])).await;
    let line = world.log.wait_for(&said).await;
    assert!(line.contains("s3://kong/backups/edge"), "{line}");
    assert_eq!(world.log.lines_with(said[1]).len(), 1, "it is said once");
    let sent = configuration(&messages[1]);
    assert!(store.object("kong/backups/edge/3.9.1/config.json").unwrap() == sent.table);
    let mut registered = vec![format!("kong/backups/edge/3.9.1/election/{}.json", backup.id)];
    if peculiarities.conditional_writes == ConditionalWrites::CheckedTooEarly {
        registered.push(format!("kong/backups/edge/3.9.1/election/probe-{}.json", backup.id));
    }
    assert_eq!(store.keys().into_iter().filter(|key| key.contains("election")).collect::<Vec<_>>(), registered);
}
