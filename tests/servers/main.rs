//! Tests against stores that somebody else wrote, as the real HTTP servers that they are: moto (S3 with IAM) and Azurite.
//! `tests/servers/run` installs and starts them.

mod azurite;
mod installed;
mod s3_with_iam;

use azurite::Azurite;
use s3_with_iam::S3WithIam;

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_start() {
    let s3 = S3WithIam::start().await;
    assert_eq!(s3.settings("exporter").len(), 4);
    let azurite = Azurite::start().await;
    assert_eq!(azurite.settings().len(), 3);
}
