//! The yardstick: one PUT and one GET and nothing else, with the library that the program uses too.

use std::time::{Duration, Instant};

use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use super::store::{ACCESS_KEY, BUCKET, SECRET_KEY};

pub(crate) struct Bare(AmazonS3);

impl Bare {
    pub(crate) fn new(endpoint: &str) -> Self {
        let builder = AmazonS3Builder::new()
            .with_endpoint(endpoint)
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_bucket_name(BUCKET)
            .with_access_key_id(ACCESS_KEY)
            .with_secret_access_key(SECRET_KEY);
        Self(builder.build().expect("it has all that it needs"))
    }

    /// How long each of them takes.
    pub(crate) async fn put_and_get(&self, bytes: &Bytes) -> (Duration, Duration) {
        let key = Path::from("bare");
        let began = Instant::now();
        self.0.put(&key, PutPayload::from_bytes(bytes.clone())).await.expect("the store takes it");
        let put = began.elapsed();
        let began = Instant::now();
        let got = self.0.get(&key).await.expect("it is there").bytes().await.expect("all of it");
        let get = began.elapsed();
        assert!(got == bytes, "the store has something else");
        (put, get)
    }
}
