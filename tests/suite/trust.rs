//! What somebody can do who can write to the store and has no key: nothing that a node would run. And what an operator
//! can do who has them: switch them on, and change them, while everything runs.

use lifeboat_core::manifest::Manifest;
use lifeboat_fakes::message::Configuration;
use lifeboat_fakes::node::NodeOptions;
use lifeboat_fakes::recorded;
use lifeboat_tests::keys::{encryption, signing};
use lifeboat_tests::stage::{Actor, play};
use lifeboat_tests::world::{World, configuration};
use serde_json::{Value, json};

const MANIFEST: &str = "3.9.1/lifeboat/manifest.json";
const CONFIG_JSON: &str = "3.9.1/config.json";

/// A world in which the exporter signs, the relay trusts it, and neither has anything else.
async fn signed() -> World {
    let mut world = World::begin().await;
    let (private, public) = signing("prod");
    world.set("LIFEBOAT_SIGNING_KEY", private);
    world.set("LIFEBOAT_TRUSTED_KEYS", public);
    world
}

/// A world in which everybody has an encryption key and nothing else.
async fn sealed() -> World {
    let mut world = World::begin().await;
    world.set("LIFEBOAT_ENCRYPTION_KEYS", encryption("prod"));
    world
}

/// With two snapshots, the control plane gone.
async fn with_two_snapshots(world: World) -> World {
    world.keep(&recorded::first()).await;
    world.keep(&recorded::after_change()).await;
    world.control_plane.stop().await;
    world
}

fn put(world: &World, key: &str, bytes: impl AsRef<[u8]>) {
    let path = world.path_of(key);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn change(world: &World, key: &str, change: impl FnOnce(&mut Value)) {
    let mut document = serde_json::from_slice(&world.object(key)).unwrap();
    change(&mut document);
    put(world, key, serde_json::to_vec_pretty(&document).unwrap());
}

/// The key of a snapshot's own manifest.
fn own_manifest(manifest: &Manifest) -> String {
    manifest.snapshot.key.replace(".json.gz", ".manifest.json")
}

/// A fresh node is given this and has never been sent anything else.
async fn a_node_is_given(world: &World, expected: &Configuration) {
    let relay = world.relay().await;
    let node = world.node(relay.address);
    let state = node.wait_for(|state| state.applied == 1).await;
    assert_eq!((state.configuration.as_ref(), state.received), (Some(expected), 1), "{:?}", state.log);
}

/// A fresh node is given nothing, however often the store is asked, and the log says why.
async fn a_node_is_given_nothing(world: &World, parts: &[&str]) {
    let relay = world.relay().await;
    let node = world.node(relay.address);
    world.log.wait_for(parts).await;
    world.log.wait_for_count(parts[parts.len() - 1], 2).await;
    assert_eq!(node.state().received, 0);
}

#[test]
fn a_tampered_manifest_is_never_delivered() {
    let tampered = |world: World, message: &'static str| async move {
        let world = with_two_snapshots(world).await;
        let own = own_manifest(&world.manifest());
        for key in [MANIFEST, &own] {
            change(&world, key, |manifest| manifest["epoch"] = json!(2));
        }
        a_node_is_given(&world, &configuration(&recorded::first())).await;
        for key in [MANIFEST, &own] {
            world.log.wait_for(&["WARN", key, "is not used", message]).await;
        }
    };
    play(async { tampered(signed().await, "the manifest's signature by \"prod\" is wrong").await });
    let message = "the manifest's authentication with encryption key \"prod\" is wrong";
    play(async { tampered(sealed().await, message).await });
}

#[test]
fn a_forged_snapshot_is_never_delivered() {
    // Made by Lifeboat itself, with another key and with none.
    let (stranger, _) = signing("stranger");
    for (key, message) in [
        (stranger.as_str(), "signed by \"stranger\", and LIFEBOAT_TRUSTED_KEYS accepts only \"prod\""),
        ("", "the manifest is not signed: LIFEBOAT_TRUSTED_KEYS accepts only what \"prod\" has signed"),
    ] {
        play(async {
            let mut world = signed().await;
            world.keep(&recorded::first()).await;
            world.control_plane.stop().await;
            let (private, public) = signing("prod");
            world.set("LIFEBOAT_SIGNING_KEY", key);
            world.set("LIFEBOAT_TRUSTED_KEYS", "");
            std::fs::remove_file(world.path_of(MANIFEST)).unwrap();
            world.keep(&recorded::lost_database()).await;
            assert_eq!(world.manifest().sequence, 2);
            world.set("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT", "off");
            world.set("LIFEBOAT_SIGNING_KEY", "");
            world.set("LIFEBOAT_TRUSTED_KEYS", public);
            a_node_is_given(&world, &configuration(&recorded::first())).await;
            world.log.wait_for(&["WARN", MANIFEST, "is not used", message]).await;
            assert!(world.log.lines_with(&private).is_empty());
        });
    }
}

#[test]
fn swapped_payloads_and_manifests_are_never_delivered() {
    play(async {
        // Another snapshot's payload under the name of this one.
        let world = with_two_snapshots(signed().await).await;
        let newest = world.manifest();
        let first = world.object(&world.kept()[2]);
        assert_ne!(first, world.object(&newest.snapshot.key));
        put(&world, &newest.snapshot.key, first);
        a_node_is_given(&world, &configuration(&recorded::first())).await;
        world.log.wait_for(&["WARN", &newest.snapshot.key, "is not used", "the payload"]).await;

        // Another snapshot's manifest under the name of this one's, which is signed after all.
        let world = with_two_snapshots(signed().await).await;
        let newest = world.manifest();
        let of_first: Vec<String> = world.kept().into_iter().filter(|key| key.contains("/0000000001-")).collect();
        put(&world, &own_manifest(&newest), world.object(&of_first[1]));
        put(&world, MANIFEST, "{");
        a_node_is_given(&world, &configuration(&recorded::first())).await;
        let swapped = "the manifest is that of snapshot 1";
        world.log.wait_for(&["WARN", &own_manifest(&newest), "is not used", swapped, "manifests were swapped"]).await;
    });
}

#[test]
fn a_snapshot_of_another_version_is_never_delivered() {
    play(async {
        let world = signed().await;
        world.keep(&recorded::first()).await;
        world.control_plane.stop().await;
        for key in world.kept() {
            put(&world, &key.replacen("3.9.1", "3.8.1", 1), world.object(&key));
        }
        let relay = world.relay().await;
        let node = Actor::start(NodeOptions { version: "3.8.1".into(), ..world.node_options(relay.address) });
        let message = "the manifest is for Kong 3.9.1, and this path is for Kong 3.8.1";
        world.log.wait_for(&["no usable backup for Kong 3.8.1", "3.8.1/lifeboat/manifest.json", message]).await;
        world.log.wait_for_count("can't be restored yet", 2).await;
        assert_eq!(node.state().received, 0);
    });
}

#[test]
fn a_bare_config_json_is_never_delivered_to_who_has_keys() {
    let bare = |world: World| async move {
        world.control_plane.stop().await;
        put(&world, CONFIG_JSON, &configuration(&recorded::first()).table);
        let message = "nothing proves who wrote a config.json without a manifest";
        a_node_is_given_nothing(&world, &["no usable backup for Kong 3.9.1", CONFIG_JSON, message]).await;
    };
    play(async { bare(signed().await).await });
    play(async { bare(sealed().await).await });
}

#[test]
fn whoever_deletes_the_manifest_does_not_stop_a_restore() {
    play(async {
        let world = with_two_snapshots(signed().await).await;
        std::fs::remove_file(world.path_of(MANIFEST)).unwrap();
        put(&world, CONFIG_JSON, &configuration(&recorded::lost_database()).table);
        a_node_is_given(&world, &configuration(&recorded::after_change())).await;
    });
}

#[test]
fn of_a_sealed_snapshot_nothing_can_be_read_and_a_relay_without_the_key_says_which_it_needs() {
    play(async {
        let mut world = sealed().await;
        world.control_plane.push(recorded::first());
        let sent = configuration(&recorded::first());
        let backup = world.backup();
        world.published(&sent).await;
        backup.stop().await;
        world.control_plane.stop().await;
        assert!(!world.kept().contains(&CONFIG_JSON.to_owned()), "{:?}", world.kept());
        for key in world.kept() {
            let object = world.object(&key);
            let gunzipped = flate2::read::GzDecoder::new(&object[..]);
            assert!(std::io::read_to_string(gunzipped).is_err(), "{key} can be expanded");
            let text = String::from_utf8_lossy(&object).into_owned();
            assert!(!text.contains("alice-secret-key") && !text.contains("_format_version"), "{key}");
        }
        a_node_is_given(&world, &sent).await;
        world.log.wait_for(&["authenticated with encryption key \"prod\""]).await;
        for (keys, message) in [
            (String::new(), "the payload is sealed with encryption key \"prod\": set LIFEBOAT_ENCRYPTION_KEYS"),
            (
                encryption("other"),
                "authenticated with encryption key \"prod\", and LIFEBOAT_ENCRYPTION_KEYS has only \"other\"",
            ),
        ] {
            world.set("LIFEBOAT_ENCRYPTION_KEYS", keys);
            a_node_is_given_nothing(&world, &["no usable backup for Kong 3.9.1", message]).await;
        }
    });
}

#[test]
fn keys_are_changed_in_their_files_while_everything_runs() {
    play(async {
        let mut world = World::begin().await;
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let ((old_private, old_public), (new_private, new_public)) = (signing("old"), signing("new"));
        let (old, new) = (encryption("old"), encryption("new"));
        for (setting, name, text) in [
            ("LIFEBOAT_SIGNING_KEY_FILE", "signing", &old_private),
            ("LIFEBOAT_TRUSTED_KEYS_FILE", "trusted", &old_public),
            ("LIFEBOAT_ENCRYPTION_KEYS_FILE", "encryption", &old),
        ] {
            std::fs::write(file(name), text).unwrap();
            world.set(setting, file(name).display().to_string());
        }
        let _backup = world.backup();
        let relay = world.relay().await;
        world.control_plane.push(recorded::first());
        world.published(&configuration(&recorded::first())).await;

        // It knows by then that this is written, and with which keys.
        world.control_plane.push(recorded::first());
        world.log.wait_for(&["is the published one already"]).await;

        // First everybody learns to open and to trust both, then the exporter begins with the new ones.
        std::fs::write(file("trusted"), format!("{old_public}\n{new_public}\n")).unwrap();
        std::fs::write(file("encryption"), format!("{new}\n{old}\n")).unwrap();
        std::fs::write(file("signing"), &new_private).unwrap();
        world.control_plane.push(recorded::after_change());
        world.published(&configuration(&recorded::after_change())).await;
        let manifest = world.manifest();
        assert_eq!(manifest.snapshot.sealed.as_ref().unwrap().key.to_string(), "new");
        let proofs: Vec<String> = manifest.proofs.iter().map(|proof| proof.key.to_string()).collect();
        assert_eq!(proofs, ["new", "new"]);

        // The same relay, which has never been restarted, gives what was sealed with the new key, and with the old.
        world.control_plane.stop().await;
        let node = world.node(relay.address);
        let state = node.wait_for(|state| state.applied == 1).await;
        assert_eq!(state.configuration, Some(configuration(&recorded::after_change())));
        world.log.wait_for(&["snapshot 2 from", "signed by \"new\""]).await;
        std::fs::remove_file(world.path_of(&manifest.snapshot.key)).unwrap();
        a_node_is_given(&world, &configuration(&recorded::first())).await;
        world.log.wait_for(&["snapshot 1 from", "signed by \"old\""]).await;
    });
}

#[test]
fn an_exporter_whose_keys_were_switched_on_publishes_the_same_configuration_anew() {
    play(async {
        let mut world = World::begin().await;
        world.control_plane.push(recorded::first());
        let sent = configuration(&recorded::first());
        world.keep(&recorded::first()).await;
        let (private, public) = signing("prod");
        world.set("LIFEBOAT_SIGNING_KEY", &private);
        world.set("LIFEBOAT_TRUSTED_KEYS", &public);
        let backup = world.backup();
        world.log.wait_for(&["WARN", MANIFEST, "is not accepted and will be replaced", "is not signed"]).await;
        world.log.wait_for(&["published configuration", &sent.hash, "as snapshot 2"]).await;
        backup.stop().await;

        // Encryption comes later: what is signed is accepted, and still isn't what would be written now.
        world.set("LIFEBOAT_ENCRYPTION_KEYS", encryption("prod"));
        let backup = world.backup();
        world.log.wait_for(&["WARN", CONFIG_JSON, "in plain text", "delete it"]).await;
        world.log.wait_for(&["published configuration", &sent.hash, "as snapshot 3"]).await;
        backup.stop().await;
        assert!(world.manifest().snapshot.sealed.is_some());

        // And once it is as it should be, it is left alone.
        let backup = world.backup();
        world.log.wait_for(&["this configuration is the published one already"]).await;
        backup.stop().await;
        assert_eq!(world.manifest().sequence, 3);
    });
}

#[test]
fn an_exporter_without_the_key_does_not_lay_open_what_is_sealed() {
    play(async {
        let mut world = sealed().await;
        world.keep(&recorded::first()).await;
        let before = world.kept();
        world.set("LIFEBOAT_ENCRYPTION_KEYS", "");
        world.control_plane.push(recorded::after_change());
        let _backup = world.backup();
        world
            .log
            .wait_for(&[
                "ERROR",
                "is not published yet",
                "sealed with encryption key \"prod\"",
                "set LIFEBOAT_ENCRYPTION_KEYS",
            ])
            .await;
        assert_eq!(world.kept(), before);
    });
}

#[test]
fn whoever_can_write_without_a_key_does_not_stop_an_exporter() {
    for forged in [
        "{".to_owned(),
        json!({ "format": 2 }).to_string(),
        json!({ "format": 1, "sequence": u64::MAX, "epoch": u64::MAX }).to_string(),
    ] {
        play(async move {
            let world = signed().await;
            world.keep(&recorded::first()).await;
            put(&world, MANIFEST, &forged);
            for number in ["9999999999", "18446744073709551615"] {
                put(&world, &format!("3.9.1/lifeboat/snapshots/{number}-{}.json.gz", "a".repeat(32)), "x");
            }
            world.control_plane.push(recorded::after_change());
            let sent = configuration(&recorded::after_change());
            let backup = world.backup();
            world.log.wait_for(&["WARN", MANIFEST, "is not accepted and will be replaced"]).await;
            world.log.wait_for(&["published configuration", &sent.hash, "as snapshot 2"]).await;
            backup.stop().await;
            world.control_plane.stop().await;
            a_node_is_given(&world, &sent).await;
        });
    }
}

#[test]
fn who_has_no_keys_is_told_at_every_start_who_owns_the_nodes() {
    play(async {
        let warning = "controls the nodes that are restored from it";
        let world = signed().await;
        world.companion().await.stop().await;
        assert!(world.log.lines_with(warning).is_empty());
        let world = World::begin().await;
        world.companion().await.stop().await;
        let line = world.log.wait_for(&["WARN", warning]).await;
        assert!(line.contains("LIFEBOAT_TRUSTED_KEYS") && line.contains("s3://kong/backups/edge"), "{line}");
    });
}
