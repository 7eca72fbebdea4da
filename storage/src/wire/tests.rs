//! That what is observed of a request reaches the operation that made it, for every kind of operation and every cloud.

use bytes::Bytes;
use object_store::client::HttpRequestBody;

use super::*;
use crate::access::{
    Access, Addressing, AmazonEndpoints, AwsCredentials, AzureAccess, AzureCredentials, GcsAccess, GoogleCredentials,
    Location, PutObject, S3Access, Secret,
};
use crate::{Storage, StorageError, Write};

/// A store that refuses everything in a way of which object_store's own errors tell no more than the status.
#[derive(Debug)]
struct Refusing;

impl HttpConnector for Refusing {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Self))
    }
}

#[async_trait]
impl HttpService for Refusing {
    async fn call(&self, _: http::Request<HttpRequestBody>) -> Result<HttpResponse, HttpError> {
        let answer = http::Response::builder().status(418).header("retry-after", "7");
        Ok(answer.body(HttpResponseBody::from(Bytes::new())).unwrap())
    }
}

fn stores() -> [Storage; 3] {
    let secret = |text: &str| Secret::Value(text.to_owned());
    let (id, key) = (secret("AKID"), secret("c2VjcmV0"));
    let s3 = Access::S3(Box::new(S3Access {
        endpoint: Some("http://127.0.0.1:1".parse().unwrap()),
        amazon: AmazonEndpoints::new("us-east-1"),
        addressing: Addressing::Usual,
        credentials: AwsCredentials::Keys { id, secret: key.clone(), session_token: None, expires: None },
        put_object: PutObject::default(),
    }));
    let endpoint = Some("http://127.0.0.1:1".to_owned());
    let gcs = Access::Gcs(GcsAccess { endpoint, credentials: GoogleCredentials::Anonymous });
    let azure = Access::Azure(AzureAccess {
        endpoint: "http://127.0.0.1:1/account".to_owned(),
        credentials: AzureCredentials::AccountKey(key),
    });
    [("s3://bucket/kong", s3), ("gs://bucket/kong", gcs), ("azure://account/container/kong", azure)].map(
        |(url, access)| {
            let location = Location { access, ..Location::local(url.parse().unwrap()) };
            Storage::open_over(&location, Arc::new(Refusing)).unwrap()
        },
    )
}

fn is_observed<T: std::fmt::Debug>(result: Result<T, StorageError>) {
    let error = result.unwrap_err().to_string();
    assert!(error.contains("it asks to wait 7 s"), "nothing reached the operation: {error}");
}

#[tokio::test]
async fn every_operation_of_every_cloud_observes_its_own_requests() {
    for storage in stores() {
        is_observed(storage.read("key", 1024).await);
        is_observed(storage.list("folder", None).await);
        is_observed(storage.list("folder", Some("after")).await);
        is_observed(storage.folders().await);
        is_observed(storage.delete("key").await);
        for write in [Write::Replace, Write::Create] {
            is_observed(storage.write("key", Bytes::from_static(b"{}"), write).await);
        }
    }
}
