//! Memory, a folder and an S3 server that checks signatures keep the archive's contract. The clouds' own forms of it are in
//! `clouds`, and servers that somebody else wrote in `tests/servers/`.

use std::sync::Arc;

use lifeboat::settings::{Source, StoreSettings};
use lifeboat_fakes::store::{S3Store, S3StoreOptions};
use lifeboat_storage::Storage;
use lifeboat_tests::archive_contract::archive_contract;
use object_store::memory::InMemory;

fn settings(pairs: &[(&str, &str)]) -> StoreSettings {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    StoreSettings::read_alone(&Source::from_environment(pairs)).unwrap_or_else(|problems| panic!("{problems}"))
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    archive_contract(&Storage::over(Arc::new(InMemory::new()), "memory://")).await;
}

#[tokio::test]
async fn a_folder_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    let settings = settings(&[("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", &url)]);
    archive_contract(&Storage::open(&settings.location()).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_s3_server_that_checks_signatures_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let (access_key, secret_key) = ("AKIDLIFEBOAT".to_owned(), "wonderful".to_owned());
    let options =
        S3StoreOptions { folder: folder.path().to_owned(), bucket: "kong".to_owned(), access_key, secret_key };
    let store = S3Store::start(&options).await.unwrap();
    let settings = settings(&[
        ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", "s3://kong/backups/edge"),
        ("AWS_CONFIG_STORAGE_ENDPOINT", &store.endpoint()),
        ("AWS_ACCESS_KEY_ID", &options.access_key),
        ("AWS_SECRET_ACCESS_KEY", &options.secret_key),
    ]);
    archive_contract(&Storage::open(&settings.location()).unwrap()).await;
}
