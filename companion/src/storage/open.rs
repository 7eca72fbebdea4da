//! Opens the store that a URL names.

use std::io::ErrorKind;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use lifeboat_core::storage_url::StorageUrl;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, ObjectStore, RetryConfig};

use super::error::{IN_THE_WAY, StorageError};
use super::wire::Wire;
use crate::settings::{S3Access, StoreSettings};

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Between two pieces of a body.
const READ_LIMIT: Duration = Duration::from_secs(30);
/// A whole request: what a configuration of the largest size takes on a slow line.
const REQUEST_LIMIT: Duration = Duration::from_secs(300);

/// The memory of this process is one place, however often it is opened.
static MEMORY: LazyLock<Arc<InMemory>> = LazyLock::new(|| Arc::new(InMemory::new()));

pub(super) fn open(settings: &StoreSettings, wire: Wire) -> Result<Arc<dyn ObjectStore>, StorageError> {
    let place = settings.url.to_string();
    match &settings.url {
        StorageUrl::Memory => Ok(MEMORY.clone()),
        StorageUrl::File { path } => folder(path, place),
        StorageUrl::S3 { bucket, prefix } => {
            let access = settings.s3.as_ref().expect("settings with an S3 URL have its access");
            let store = bucket_at(access, bucket).with_http_connector(wire).build();
            let store = store.map_err(|error| StorageError::Misconfigured { place, reason: error.to_string() })?;
            Ok(if prefix.is_empty() { Arc::new(store) } else { Arc::new(PrefixStore::new(store, prefix.as_str())) })
        }
    }
}

fn folder(path: &str, place: String) -> Result<Arc<dyn ObjectStore>, StorageError> {
    let failed = |error: std::io::Error| {
        let cure = match error.kind() {
            ErrorKind::NotADirectory | ErrorKind::AlreadyExists => IN_THE_WAY,
            _ => "let the user that runs lifeboat make, read and write it",
        };
        let reason = format!("the folder can't be used ({error}): {cure}");
        StorageError::Misconfigured { place: place.clone(), reason }
    };
    std::fs::create_dir_all(path).map_err(failed)?;
    // Synced before it is renamed: what was published survives a power cut too.
    let store = LocalFileSystem::new_with_prefix(path).map_err(|error| failed(error.into()))?;
    Ok(Arc::new(store.with_fsync(true)))
}

fn bucket_at(access: &S3Access, bucket: &str) -> AmazonS3Builder {
    let is_plain_http = access.endpoint.as_ref().is_some_and(|endpoint| endpoint.scheme() == "http");
    let options = ClientOptions::new()
        .with_allow_http(is_plain_http)
        .with_connect_timeout(CONNECT_LIMIT)
        .with_read_timeout(READ_LIMIT)
        .with_timeout(REQUEST_LIMIT);
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(&access.region)
        .with_access_key_id(&access.access_key_id)
        .with_secret_access_key(&access.secret_access_key)
        .with_virtual_hosted_style_request(access.endpoint.is_none())
        // One DELETE per object: not every S3-compatible store has the other way, and none says there which permission it is.
        .with_disable_bulk_delete(true)
        // It would repeat conditional writes after a 5xx, and one's own success would look like a conflict.
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
        .with_client_options(options);
    if let Some(token) = &access.session_token {
        builder = builder.with_token(token);
    }
    if let Some(endpoint) = &access.endpoint {
        builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/'));
    }
    builder
}
