//! A bucket of Google Cloud Storage as a store, by its XML API.

use std::sync::Arc;

use object_store::ClientOptions;
use object_store::StaticCredentialProvider;
use object_store::gcp::{
    GcpCredential, GcpCredentialProvider, GoogleCloudStorage, GoogleCloudStorageBuilder, GoogleConfigKey,
};

use super::no_retries;
use crate::settings::{GcsAccess, GoogleCredentials};
use crate::storage::credentials::google;
use crate::storage::wire::Wire;

pub(super) fn open(
    access: &GcsAccess,
    bucket: &str,
    options: &ClientOptions,
    wire: &Wire,
) -> object_store::Result<GoogleCloudStorage> {
    let is_plain_http = access.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    let credentials: GcpCredentialProvider = match &access.credentials {
        GoogleCredentials::Key(key) => google::of_key(key, options, wire)?,
        GoogleCredentials::Metadata { host } => google::of_metadata(host, options, wire)?,
        GoogleCredentials::Anonymous => {
            Arc::new(StaticCredentialProvider::new(GcpCredential { bearer: String::new() }))
        }
    };
    let builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(bucket)
        .with_credentials(credentials)
        .with_skip_signature(matches!(access.credentials, GoogleCredentials::Anonymous))
        .with_retry(no_retries())
        .with_client_options(options.clone().with_allow_http(is_plain_http))
        .with_http_connector(wire.clone());
    match &access.endpoint {
        Some(endpoint) => builder.with_config(GoogleConfigKey::BaseUrl, endpoint).build(),
        None => builder.build(),
    }
}
