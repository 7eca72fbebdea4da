//! A bucket of Google Cloud Storage as a store, by its XML API.

use std::sync::Arc;

use object_store::gcp::{
    GcpCredential, GcpCredentialProvider, GoogleCloudStorage, GoogleCloudStorageBuilder, GoogleConfigKey,
};
use object_store::{ClientOptions, StaticCredentialProvider};

use super::no_retries;
use crate::access::{GcsAccess, GoogleCredentials};
use crate::credentials::google;
use crate::presign::Presigner;
use crate::wire::Wire;

pub(super) fn open(
    access: &GcsAccess,
    bucket: &str,
    options: &ClientOptions,
    wire: &Wire,
) -> object_store::Result<(GoogleCloudStorage, Presigner)> {
    let is_plain_http = access.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    let credentials: GcpCredentialProvider = match &access.credentials {
        GoogleCredentials::Key(key) => google::of_key(key, options, wire)?,
        GoogleCredentials::Metadata { host } => google::of_metadata(host, options, wire)?,
        GoogleCredentials::Anonymous => {
            Arc::new(StaticCredentialProvider::new(GcpCredential { bearer: String::new() }))
        }
    };
    let builder = at(access, bucket)
        .with_credentials(credentials)
        .with_skip_signature(matches!(access.credentials, GoogleCredentials::Anonymous))
        .with_retry(no_retries())
        .with_client_options(options.clone().with_allow_http(is_plain_http))
        .with_http_connector(wire.clone());

    Ok((builder.build()?, presigner(access, bucket)))
}

fn at(access: &GcsAccess, bucket: &str) -> GoogleCloudStorageBuilder {
    let builder = GoogleCloudStorageBuilder::new().with_bucket_name(bucket);
    match &access.endpoint {
        Some(endpoint) => builder.with_config(GoogleConfigKey::BaseUrl, endpoint),
        None => builder,
    }
}

/// What Google wants percent-encoded in a path that is signed, and the client library leaves as it is.
/// <https://cloud.google.com/storage/docs/request-endpoints#encoding>
const UNSURE: &str = "!$&'()+,:;=@";

// Signing is computing: this client never sends anything.
fn presigner(access: &GcsAccess, bucket: &str) -> Presigner {
    let GoogleCredentials::Key(key) = &access.credentials else {
        return Presigner::Nothing(
            "links to Google Cloud Storage are signed with a service account's key: set GCP_SERVICE_ACCOUNT",
        );
    };
    let signer = key.reveal().ok().and_then(|key| at(access, bucket).with_service_account_key(key).build().ok());
    match signer {
        Some(signer) => Presigner::Cloud { signer: Arc::new(signer), unsure: UNSURE },
        None => Presigner::Nothing("the key in GCP_SERVICE_ACCOUNT can't be read"),
    }
}
