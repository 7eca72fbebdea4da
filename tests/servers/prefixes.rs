//! A prefix with the most unusual characters that are taken, on servers that decode and sign in their own ways: what is
//! written with one library is read by links that another one signs, or the server itself checks.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use lifeboat::settings::{Source, StoreSettings};
use lifeboat_core::time::WallTime;
use lifeboat_storage::{Storage, Write};

use super::azurite::Azurite;
use super::s3_with_iam::S3WithIam;

const KEY: &str = "3.9.1/lifeboat/manifest.json";
const OBJECT: &[u8] = b"{\"an\":\"object\"}";

/// The store of these settings, with another prefix.
fn storage(settings: Vec<(String, String)>, below: &str, prefix: &str) -> Storage {
    let place = ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE".to_owned(), format!("{below}/{prefix}"));
    let settings = settings.into_iter().filter(|(name, _)| *name != place.0).chain([place.clone()]);
    let settings = StoreSettings::read_alone(&Source::from_environment(settings.collect::<Vec<_>>()));
    Storage::open(&settings.unwrap_or_else(|problems| panic!("{problems}")).location()).unwrap()
}

async fn writes_lists_and_reads(storage: &Storage) {
    storage.write(KEY, Bytes::from_static(OBJECT), Write::Create).await.unwrap();
    let found = storage.read_optional(KEY, 1024).await.unwrap().expect("it was written");
    assert_eq!(&found.0[..], OBJECT);
    assert_eq!(storage.list("3.9.1/lifeboat", None).await.unwrap(), [KEY]);
    assert_eq!(storage.folders().await.unwrap(), ["3.9.1"]);
}

async fn a_link_reads_it(storage: &Storage) {
    let now = WallTime::from_system(SystemTime::now());
    let link = storage.presign(KEY, Duration::from_secs(600), now).await.unwrap();
    let answer = reqwest::get(link.url.as_str()).await.expect("the server answers");
    let (status, body) = (answer.status(), answer.bytes().await.unwrap());
    assert!(status == 200 && body == OBJECT, "{status} {body:?}");
}

/// Every character that is neither a letter nor a digit, and that is taken.
const PREFIX: &str = "kong-backups/env=prod!$&'()+,-.:;=@_";

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_with_every_character_that_is_taken_is_the_same_in_s3() {
    // Any prefix: moto compares these characters in a policy otherwise than Amazon does.
    let server = S3WithIam::with_prefix("*").await;
    writes_lists_and_reads(&storage(server.settings("thinner"), "s3://kong-backups", PREFIX)).await;

    // moto answers links only where nobody needs a permission.
    let server = S3WithIam::empty().await;
    let made = reqwest::Client::new().put(format!("{}/kong-backups", server.endpoint())).send().await;
    assert!(made.expect("the server answers").status().is_success());
    let anybody = [
        ("AWS_CONFIG_STORAGE_ENDPOINT", server.endpoint()),
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
    ];
    let anybody = anybody.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let storage = storage(anybody, "s3://kong-backups", PREFIX);
    writes_lists_and_reads(&storage).await;
    a_link_reads_it(&storage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_with_every_character_that_is_taken_is_the_same_in_azure() {
    let server = Azurite::start().await;
    let storage = storage(server.settings(), "azure://devstoreaccount1/kong-backups", PREFIX);
    writes_lists_and_reads(&storage).await;
    a_link_reads_it(&storage).await;
}
