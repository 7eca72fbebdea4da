//! The archive's contract, and what their conditional writes are worth, on servers that somebody else wrote.

use lifeboat::settings::{Source, StoreSettings};
use lifeboat_storage::Storage;
use lifeboat_tests::archive_contract::archive_contract;

use super::azurite::Azurite;
use super::s3_with_iam::S3WithIam;

fn storage(settings: Vec<(String, String)>) -> Storage {
    let settings = StoreSettings::read_alone(&Source::from_environment(settings));
    let settings = settings.unwrap_or_else(|problems| panic!("{problems}"));
    Storage::open(&settings.location()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn motos_s3_keeps_the_contract_under_the_policies_of_an_exporter_who_may_thin() {
    let server = S3WithIam::start().await;
    archive_contract(&storage(server.settings("thinner"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn azurite_keeps_the_contract() {
    let server = Azurite::start().await;
    archive_contract(&storage(server.settings())).await;
}
