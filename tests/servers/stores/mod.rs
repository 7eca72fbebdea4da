//! Stores that somebody else wrote, each as its own processes, which can be killed, stopped and started again: Ceph's RGW, OpenStack
//! Swift with s3api, JuiceFS' gateway, `rclone serve s3`, s3rver, Azurite and fake-gcs-server. `start` starts them.
//! Each keeps the archive's contract, survives an outage with two exporters, and is understood when it refuses somebody.

mod credentials;
mod fake_gcs;
mod outage;
mod server;

use lifeboat::archive::Archive;
use lifeboat_tests::archive_contract::{archive_contract, author};

use self::outage::{Election, an_outage_with_two_exporters};
use self::server::{Kind, Store};

/// What a store does with conditional writes, by how the answer begins: of create-if-absent one of these, and of compare-and-swap.
type ConditionalWrites = (&'static [&'static str], &'static str);

/// One module for each store, so that `tests/servers/run NAME` runs one.
macro_rules! stores {
    ($($name:ident: $kind:ident elects by $election:ident, $create:expr, $swap:literal;)*) => {$(
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn it_keeps_the_contract() {
                keeps_the_contract(Store::start(Kind::$kind).await, (&$create, $swap)).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn an_outage_with_two_exporters_is_survived() {
                an_outage_with_two_exporters(Store::start(Kind::$kind).await, Election::$election).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn a_refusal_is_explained_by_what_is_really_wrong() {
                credentials::each_mistake_is_named(Store::start(Kind::$kind).await).await;
            }
        }
    )*};
}

stores! {
    azurite: Azurite elects by Lease, ["is honoured"], "is honoured";
    // RGW 16 compares If-Match with its own tag without the quotes that it sends.
    ceph: Ceph elects by Registry, ["is honoured"], "is refused (it also refuses what names the version that was read)";
    juicefs: JuiceFs elects by Registry, ["is ignored"], "is refused (it gives the versions of an object no names (ETags))";
    rclone: Rclone elects by Registry, ["is ignored"], "is ignored";
    s3rver: S3rver elects by Registry, ["is ignored"], "is ignored";
    // It looks first and writes later: a race may have one winner by chance.
    swift: Swift elects by Registry, ["is racy", "is honoured"], "is refused (";
}

// Every exporter finds out first what the store's conditional writes are worth.
async fn keeps_the_contract(store: Store, (create, swap): ConditionalWrites) {
    let storage = store.storage();
    let conditions = Archive::over(storage.clone(), 1 << 20).probe(&author()).await.expect("it answers");
    let found = (conditions.create.to_string(), conditions.swap.to_string());
    assert!(create.iter().any(|begins| found.0.starts_with(begins)) && found.1.starts_with(swap), "{found:?}");

    archive_contract(&storage).await;
}
