//! How to get into a store: where it is, who we are to it, whom we trust there. Plain data, which `lifeboat` makes of its
//! settings. How each cloud is got into is in the file of that cloud.

mod amazon;
mod azure;
mod gcs;
mod google_key;
mod put_object;
mod s3;
mod secret;

use std::fmt;

use lifeboat_core::storage_url::StorageUrl;
use lifeboat_core::ticket::Ticket;
use reqwest::Url;

pub use amazon::{AmazonEndpoints, NoFips};
pub use azure::{AzureAccess, AzureCredentials, ManagedIdentity, Tenant};
pub use gcs::{GcsAccess, GoogleCredentials};
pub use google_key::{GoogleKey, ServiceAccount};
pub use put_object::{Checksum, PutObject};
pub use s3::{Addressing, AwsCredentials, S3Access, profiles_are_not_read};
pub use secret::{Hidden, Secret};

/// Where a store is, and how to get into it.
#[derive(Clone, Debug)]
pub struct Location {
    /// The store and the prefix in it.
    pub url: StorageUrl,
    /// How to get in.
    pub access: Access,
    /// Whose certificates are trusted besides those of the system's authorities.
    pub authorities: ExtraAuthorities,
}

impl Location {
    /// A store that needs nothing to get in: a folder or memory.
    pub fn local(url: StorageUrl) -> Self {
        Self { url, access: Access::Local, authorities: ExtraAuthorities::default() }
    }
}

/// How to get into a store, by the kind of store.
#[derive(Clone, Debug)]
pub enum Access {
    /// A folder or memory: nothing is needed.
    Local,
    /// Amazon S3 or what is compatible with it.
    S3(Box<S3Access>),
    /// Google Cloud Storage.
    Gcs(GcsAccess),
    /// Azure Blob Storage.
    Azure(AzureAccess),
    /// One snapshot, by a ticket.
    Ticket(Box<Ticket>),
}

/// Certificates of authorities as PEM text, each checked; often none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ExtraAuthorities(pub Vec<u8>);

impl fmt::Debug for ExtraAuthorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExtraAuthorities({} bytes)", self.0.len())
    }
}

/// Whether a URL can be an endpoint: of http or https, and with nothing that must not be repeated in messages.
pub fn is_endpoint(url: &Url) -> bool {
    let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    matches!(url.scheme(), "http" | "https") && url.has_host() && is_bare
}
