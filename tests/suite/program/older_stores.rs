//! The format's promise (docs/upgrading.md): what earlier programs have written is worked on, and what later ones may add
//! is no hindrance. The stores were written by the first programs; tests/data/README.md says which.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lifeboat_core::keys::{Keyring, SigningKey, read_key};
use lifeboat_core::manifest::{Document, Proof};
use lifeboat_fakes::message::Configuration;
use lifeboat_fakes::recorded;
use lifeboat_tests::program::{Finished, Invocation};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Cluster, Store, configuration, relay_address, stored};

const LIMIT: Duration = Duration::from_secs(40);
/// Keys of these tests alone, as tests/data/README.md tells them.
const KEYS: [(&str, &str); 3] = [
    ("LIFEBOAT_ENCRYPTION_KEYS", "golden-2026:ek1_ERERERERERERERERERERERERERERERERERERERERERE"),
    ("LIFEBOAT_SIGNING_KEY", "golden-2026:sk1_IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiI"),
    ("LIFEBOAT_TRUSTED_KEYS", "golden-2026:pk1_oJql9HpnWYAv-VX43C0qFKXJnSO-l_hkEn_5ODRVpPA"),
];

/// A copy of a store that an earlier program has written, and the keys that it needs.
struct Older {
    cluster: Cluster,
    store: Store,
    keys: &'static [(&'static str, &'static str)],
}

impl Older {
    async fn plain() -> Self {
        Self::of("first-program", &[]).await
    }

    async fn sealed() -> Self {
        Self::of("sealed-signed-held", &KEYS).await
    }

    async fn of(name: &str, keys: &'static [(&'static str, &'static str)]) -> Self {
        let (cluster, store) = (Cluster::start().await, Store::folder());
        let written = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/data/stores")).join(name);
        for file in stored::files(&written) {
            let copy = store.objects.join(file.strip_prefix(&written).unwrap());
            std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
            std::fs::copy(&file, copy).unwrap();
        }
        Self { cluster, store, keys }
    }

    fn lifeboat<const N: usize>(&self, arguments: [&str; N]) -> Invocation {
        let invocation = self.store.given_to(self.cluster.lifeboat(arguments));
        self.keys.iter().fold(invocation, |invocation, (name, value)| invocation.with(name, value))
    }

    async fn ends_with<const N: usize>(&self, code: i32, arguments: [&str; N]) -> Finished {
        let finished = self.lifeboat(arguments).finish().await;
        assert_eq!(finished.code, Some(code), "{arguments:?}: {finished}");
        finished
    }

    async fn listed(&self) -> Vec<(u64, String)> {
        let listed = self.ends_with(0, ["list", "--output", "json"]).await;
        let listed: Value = serde_json::from_str(&listed.stdout).unwrap_or_else(|error| panic!("{error}: {listed}"));
        let snapshots =
            listed["versions"][0]["snapshots"].as_array().unwrap_or_else(|| panic!("no snapshots: {listed}"));
        let snapshot = |snapshot: &Value| {
            (snapshot["sequence"].as_u64().unwrap(), snapshot["state"].as_str().unwrap_or_default().to_owned())
        };
        snapshots.iter().map(snapshot).collect()
    }

    /// What a new node gets while the control plane is gone, and what the relay has said.
    async fn restored(&self) -> (Option<Configuration>, String) {
        self.cluster.control_plane.stop().await;
        let relay = self.lifeboat(["run", "--import", "on"]).start();
        let node = self.cluster.node(relay_address(&relay).await);
        let fed = timeout(LIMIT, node.wait_for(|state| state.configuration.is_some())).await;
        assert!(fed.is_ok(), "the node is empty:\n{}", relay.log());
        (node.state().configuration, relay.log())
    }

    fn manifest(&self) -> PathBuf {
        self.store.manifest_json()
    }

    /// Changes the published manifest as a later program might have written it, with proofs of what it says then.
    fn rewrite(&self, change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut manifest: Value = serde_json::from_slice(&std::fs::read(self.manifest()).unwrap()).unwrap();
        change(&mut manifest);
        manifest.as_object_mut().unwrap().remove("proofs");
        if !self.keys.is_empty() {
            let signing: SigningKey = read_key(KEYS[1].1).unwrap();
            let keys = Keyring::new(vec![read_key(KEYS[0].1).unwrap()], Some(signing), Vec::new()).unwrap();
            let text = Document::decode(manifest.to_string().as_bytes()).unwrap().proven_text();
            manifest["proofs"] = serde_json::to_value(Proof::all(&keys, &text)).unwrap();
        }
        let written = serde_json::to_vec_pretty(&manifest).unwrap();
        std::fs::write(self.manifest(), &written).unwrap();
        written
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_first_program_has_kept_is_read_restored_and_continued() {
    let older = Older::plain().await;
    let published = stored::published(&older.store.objects).unwrap().expect("a manifest");
    assert_eq!(published.config_json, std::fs::read(older.store.config_json()).unwrap(), "gunzip is all that it takes");
    let received = |sequence| (sequence, "received".to_owned());
    assert_eq!(older.listed().await, [received(2), received(1)]);
    older.ends_with(0, ["verify", "--all"]).await;
    let differs = older.ends_with(0, ["diff", "1", "2"]).await;
    assert!(differs.stdout.contains("1 added, 0 removed, 0 changed"), "{differs}");

    older.cluster.control_plane.push(recorded::first());
    older.ends_with(0, ["export"]).await;
    older.ends_with(0, ["rollback", "2"]).await;
    let numbers: Vec<u64> = older.listed().await.iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(numbers, [4, 3, 2, 1]);
    older.ends_with(0, ["verify", "--all"]).await;
    let (given, said) = older.restored().await;
    assert_eq!(given, Some(configuration(&recorded::after_change())), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_early_program_has_sealed_signed_and_held_is_read_restored_and_released() {
    let older = Older::sealed().await;
    let said: Vec<(u64, String)> = older.listed().await;
    let said: Vec<(u64, &str)> = said.iter().map(|(sequence, state)| (*sequence, state.as_str())).collect();
    assert_eq!(said, [(3, "held"), (2, "received"), (1, "received")]);
    older.ends_with(0, ["verify", "--all"]).await;
    let (given, said) = older.restored().await;
    assert_eq!(given, Some(configuration(&recorded::after_change())), "{said}");

    older.ends_with(0, ["release"]).await;
    let (given, said) = older.restored().await;
    assert_eq!(given, Some(configuration(&recorded::lost_database())), "{said}");
}

/// Members and objects that nobody knows yet.
fn a_later_programs(older: &Older) {
    older.rewrite(|manifest| {
        manifest["weather"] = json!({ "wind": [1, 2.5, null], "is_fair": true });
        manifest["snapshot"]["folded"] = "twice".into();
        manifest["exporter"]["lifeboat"] = "7.0.0".into();
        manifest["times"]["thought_about"] = "2031-01-01T00:00:00.000Z".into();
    });
    let folder = older.manifest().parent().unwrap().to_owned();
    for name in ["weather.json", "snapshots/0000000003-weather.json.br", "snapshots/index.json", "maps/1.bin"] {
        std::fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
        std::fs::write(folder.join(name), "of a later program").unwrap();
    }
}

async fn goes_on_with_what_a_later_program_has_added(older: Older) {
    a_later_programs(&older);
    older.ends_with(0, ["verify", "--all"]).await;
    older.cluster.control_plane.push(recorded::first());
    let (before, _) = (older.listed().await[0].0, older.ends_with(0, ["export"]).await);
    assert_eq!(older.listed().await[0].0, before + 1);
    older.ends_with(0, ["verify"]).await;
    a_later_programs(&older);
    let (given, said) = older.restored().await;
    assert_eq!(given, Some(configuration(&recorded::first())), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_and_objects_of_a_later_program_are_no_hindrance() {
    goes_on_with_what_a_later_program_has_added(Older::plain().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_a_later_program_are_under_its_signature_and_accepted() {
    goes_on_with_what_a_later_program_has_added(Older::sealed().await).await;
}

async fn leaves_a_later_format_alone(older: Older) {
    let written = older.rewrite(|manifest| {
        manifest["format"] = 2.into();
        manifest["sequence"] = 9.into();
    });
    older.cluster.control_plane.push(recorded::first());
    let refused = older.ends_with(1, ["export"]).await;
    assert!(refused.stderr.contains("format 2") && refused.stderr.contains("update lifeboat"), "{refused}");
    assert!(std::fs::read(older.manifest()).unwrap() == written, "it was overwritten");
    let verified = older.ends_with(1, ["verify", "--all"]).await;
    assert!(verified.stdout.contains("leave the object as it is") && !verified.stdout.contains("delete"), "{verified}");
    let looked_at = older.ends_with(1, ["doctor"]).await;
    assert!(looked_at.stdout.contains("format 2") && !looked_at.stdout.contains("elete"), "{looked_at}");
    let (given, said) = older.restored().await;
    assert_eq!(given, Some(configuration(&recorded::after_change())), "{said}");
    assert!(said.contains("format 2") && said.contains("update lifeboat"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_older_than_a_restore_allows_is_called_so() {
    let older = Older::plain().await;
    older.cluster.control_plane.push(recorded::first());
    for arguments in [["verify", "--max-age", "1h"], ["doctor", "--max-age", "1h"]] {
        let said = older.ends_with(1, arguments).await;
        assert!(said.stdout.contains("LIFEBOAT_MAX_AGE allows"), "{said}");
        assert!(!said.stdout.contains("are restored from snapshot"), "{said}");
    }
    older.ends_with(0, ["verify"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_get_the_newest_readable_snapshot_where_a_later_format_is_published() {
    leaves_a_later_format_alone(Older::plain().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_format_that_our_key_has_signed_is_left_alone_too() {
    leaves_a_later_format_alone(Older::sealed().await).await;
}
