//! Opens the store that a URL names. What is particular to a kind of store is in the file of that kind; who we are to it
//! is in `credentials`.

mod azure;
mod folder;
mod gcs;
mod s3;
mod ticket;

use std::sync::{Arc, LazyLock};

use lifeboat_core::storage_url::StorageUrl;
use object_store::memory::InMemory;
use object_store::prefix::PrefixStore;
use object_store::{Certificate, ClientOptions, ObjectStore, RetryConfig};

use super::error::StorageError;
use super::presign::Presigner;
use super::wire::{CONNECT_LIMIT, Wire};
use crate::access::{Access, ExtraAuthorities, Location};

const NO_LINKS: &str = "links take S3, Google Cloud Storage or Azure";

/// The memory of this process is one place, however often it is opened.
static MEMORY: LazyLock<Arc<InMemory>> = LazyLock::new(|| Arc::new(InMemory::new()));

/// A store, and what makes links to its objects. The prefix is part of the store, and of no link.
pub(super) struct Opened {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) presigner: Presigner,
}

pub(super) use self::folder::{make, must_exist};

pub(super) fn open(location: &Location, wire: Wire) -> Result<Opened, StorageError> {
    if let StorageUrl::File { path } = &location.url {
        return Ok(Opened { store: folder::open(path), presigner: Presigner::Nothing(NO_LINKS) });
    }
    cloud(location, &wire).map_err(|error| {
        let place = location.url.to_string();
        StorageError::Misconfigured { place, reason: why(&error) }
    })
}

/// What is wrong with the settings or with this host. A client for HTTPS that can't be made keeps the reason to its causes.
fn why(error: &object_store::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| (*cause).source());
    match causes.map(ToString::to_string).find(|cause| cause.contains("CA certificates")) {
        Some(cause) => format!(
            "no HTTPS client can be made: {cause}: install this system's package ca-certificates, or name a file with \
             the certificates of authorities in SSL_CERT_FILE"
        ),
        None => error.to_string(),
    }
}

fn cloud(location: &Location, wire: &Wire) -> object_store::Result<Opened> {
    let options = client_options(&location.authorities)?;
    match (&location.url, &location.access) {
        (StorageUrl::S3 { bucket, prefix }, Access::S3(access)) => {
            let (store, presigner) = s3::open(access, bucket, &options, wire)?;
            Ok(Opened { store: below(prefix, store), presigner })
        }
        (StorageUrl::Gcs { bucket, prefix }, Access::Gcs(access)) => {
            let (store, presigner) = gcs::open(access, bucket, &options, wire)?;
            Ok(Opened { store: below(prefix, store), presigner })
        }
        (StorageUrl::Azure { account, container, prefix }, Access::Azure(access)) => {
            let store = Arc::new(azure::open(access, account, container, &options, wire)?);
            let presigner = Presigner::Cloud { signer: store.clone(), unsure: azure::UNSURE };
            Ok(Opened { store: below(prefix, store), presigner })
        }
        (StorageUrl::Ticket, Access::Ticket(ticket)) => {
            let store = Arc::new(ticket::open(ticket, &options, wire)?);
            Ok(Opened { store, presigner: Presigner::Nothing("it is itself made of one") })
        }
        (StorageUrl::Memory, _) => Ok(Opened { store: MEMORY.clone(), presigner: Presigner::Nothing(NO_LINKS) }),
        (url, _) => unreachable!("settings for {url} were read with its access"),
    }
}

fn below(prefix: &str, store: impl ObjectStore) -> Arc<dyn ObjectStore> {
    if prefix.is_empty() { Arc::new(store) } else { Arc::new(PrefixStore::new(store, prefix)) }
}

/// For objects; credentials have shorter limits.
fn client_options(authorities: &ExtraAuthorities) -> object_store::Result<ClientOptions> {
    let options = ClientOptions::new().with_connect_timeout(CONNECT_LIMIT).with_timeout_disabled();
    let certificates = Certificate::from_pem_bundle(&authorities.0)?;
    Ok(certificates.into_iter().fold(options, ClientOptions::with_root_certificate))
}

/// No retries by the store's library: it would repeat conditional writes after a 5xx, and then our own success would
/// look like a conflict.
fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

#[cfg(test)]
mod same_keys;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_without_authorities_is_told_what_to_install() {
        let cause = rustls::Error::General("No CA certificates were loaded from the system".into());
        let error = object_store::Error::Generic { store: "HTTP client", source: Box::new(cause) };
        let why = why(&error);
        assert!(why.contains("No CA certificates") && why.contains("ca-certificates"), "{why}");
    }

    #[test]
    fn what_else_is_wrong_is_said_as_it_is() {
        let error = object_store::Error::Generic { store: "S3", source: "a region is needed".into() };
        assert_eq!(why(&error), error.to_string());
    }
}
