//! The store: where it is and how to get in.

use std::fmt;

use lifeboat_core::kong::reconfigure::DEFAULT_MAX_CONFIG;
use lifeboat_core::storage_url::StorageUrl;
use reqwest::Url;

use super::{KeySource, Reader};

/// Where configurations are kept.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// The store and the prefix in it.
    pub url: StorageUrl,
    /// How to get in, for S3.
    pub s3: Option<S3Access>,
    /// The largest configuration in bytes, decompressed.
    pub max_config: usize,
    /// What snapshots are sealed and signed with, and whose are accepted.
    pub keys: KeySource,
}

/// How to get into an S3 bucket.
#[derive(Clone)]
pub struct S3Access {
    /// An S3-compatible store's URL; `None` is Amazon S3.
    pub endpoint: Option<Url>,
    /// The bucket's region.
    pub region: String,
    /// The access key's name.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
    /// The session token of temporary credentials.
    pub session_token: Option<String>,
}

impl fmt::Debug for S3Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Access")
            .field("endpoint", &self.endpoint.as_ref().map(Url::as_str))
            .field("region", &self.region)
            .field("access_key_id", &self.access_key_id)
            .field("secret_access_key", &"..")
            .field("session_token", &"..")
            .finish()
    }
}

impl StoreSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let why = "configurations must be kept somewhere";
        let given = reader.required("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", why, "s3://bucket/prefix");
        let max_config = reader.number("LIFEBOAT_MAX_CONFIG", DEFAULT_MAX_CONFIG as u64, 1024..=1 << 36) as usize;
        let keys = KeySource::read(reader);
        let url: StorageUrl = reader.parse(&given?)?;
        let s3 = match &url {
            StorageUrl::S3 { .. } => Some(s3(reader)?),
            StorageUrl::File { .. } | StorageUrl::Memory => None,
        };
        Some(Self { url, s3, max_config, keys: keys? })
    }
}

fn s3(reader: &mut Reader<'_>) -> Option<S3Access> {
    let endpoint = match reader.text("AWS_CONFIG_STORAGE_ENDPOINT") {
        None => None,
        Some(given) => match given.value.trim().parse::<Url>() {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(url),
            _ => {
                let valid = "valid: https://minio.example.com:9000";
                reader.wrong(format!("{}: it must be a URL of http or https ({valid})", given.name));
                return None;
            }
        },
    };
    let region = reader.text("AWS_REGION").or_else(|| reader.text("AWS_DEFAULT_REGION"));
    let region = region.map_or("us-east-1".to_owned(), |given| given.value.trim().to_owned());
    let why = "this version signs its requests with an access key";
    let id = reader.secret("AWS_ACCESS_KEY_ID");
    let secret = reader.secret("AWS_SECRET_ACCESS_KEY");
    for (name, value) in [("AWS_ACCESS_KEY_ID", &id), ("AWS_SECRET_ACCESS_KEY", &secret)] {
        if value.is_none() && !reader.problems().mention(name) {
            reader.wrong(format!("{name} is not set: {why} (or {name}_FILE, a file that holds it)"));
        }
    }
    let session_token = reader.secret("AWS_SESSION_TOKEN");
    Some(S3Access { endpoint, region, access_key_id: id?, secret_access_key: secret?, session_token })
}
