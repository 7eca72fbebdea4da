//! A bucket with Object Lock and a default retention, which takes only objects with a checksum, as moto has it.

use lifeboat::settings::{Source, StoreSettings};
use lifeboat_storage::Storage;
use lifeboat_tests::archive_contract::archive_contract;
use tokio::process::Command;

use super::installed::installed;
use super::s3_with_iam::{BUCKET, S3WithIam};

/// Makes a bucket whose objects are locked for a day.
async fn lock(endpoint: &str) {
    let script = "
import boto3, sys
s3 = boto3.client('s3', endpoint_url=sys.argv[1], region_name='us-east-1', aws_access_key_id='x', aws_secret_access_key='x')
s3.create_bucket(Bucket=sys.argv[2], ObjectLockEnabledForBucket=True)
retention = {'DefaultRetention': {'Mode': 'GOVERNANCE', 'Days': 1}}
s3.put_object_lock_configuration(
    Bucket=sys.argv[2], ObjectLockConfiguration={'ObjectLockEnabled': 'Enabled', 'Rule': retention}
)
";
    let mut python = Command::new(installed("python/bin/python"));
    let done = python.args(["-c", script, endpoint, BUCKET]).output().await.expect("python runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_bucket_keeps_the_contract_once_it_has_asked_for_checksums() {
    let server = S3WithIam::empty().await;
    lock(server.endpoint()).await;
    let settings = [
        ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", format!("s3://{BUCKET}/backups")),
        ("AWS_CONFIG_STORAGE_ENDPOINT", server.endpoint().to_owned()),
        ("AWS_ACCESS_KEY_ID", "x".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "x".to_owned()),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value));
    let settings = StoreSettings::read_alone(&Source::from_environment(settings)).unwrap();

    // Without a checksum the first write of all would be refused.
    let refused = reqwest::Client::new()
        .put(format!("{}/{BUCKET}/plain", server.endpoint()))
        .body("x")
        .send()
        .await
        .expect("the server answers");
    assert_eq!(refused.status(), 400, "{}", refused.text().await.unwrap_or_default());
    archive_contract(&Storage::open(&settings.location()).unwrap()).await;
}
