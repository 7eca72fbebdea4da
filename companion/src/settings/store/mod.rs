//! The store: where it is and how to get in. How each cloud is got into is in the file of that cloud.

mod azure;
mod gcs;
mod s3;

use lifeboat_core::kong::reconfigure::DEFAULT_MAX_CONFIG;
use lifeboat_core::storage_url::StorageUrl;
use lifeboat_core::ticket::Ticket;
use lifeboat_link::tls::{Authorities, AuthoritySource};
use lifeboat_storage::access::{Access, ExtraAuthorities, Location, PutObject, is_endpoint};
use reqwest::Url;
use serde_json::{Map, Value};

use super::cluster::checked;
use super::names::{self, Name};
use super::source::Given;
use super::{HistoryLimit, KeySource, Reader, RestoreRules};

/// Where configurations are kept.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// The store and the prefix in it.
    pub url: StorageUrl,
    /// How to get in.
    pub access: Access,
    /// Whose certificates are trusted besides those of the system's authorities.
    pub authorities: ExtraAuthorities,
    /// The largest configuration in bytes, decompressed.
    pub max_config: usize,
    /// What snapshots are sealed and signed with, and whose are accepted.
    pub keys: KeySource,
    /// How many snapshots of a version stay.
    pub history: HistoryLimit,
    /// Further stores, which get what is published in the first and are restored from, and how to get into them.
    pub fallbacks: Vec<(StorageUrl, Access)>,
    /// Where the election is held, if not with the backups.
    pub election: Option<(StorageUrl, Access)>,
    /// Which snapshots may be restored.
    pub restore: RestoreRules,
}

impl StoreSettings {
    /// Every setting that says how to get into a store. Each that holds a secret may also have `_FILE` after its name.
    pub const ACCESS: &[Name] = &[
        names::KONG_CLUSTER_FALLBACK_EXPORT_S3_CONFIG,
        names::LIFEBOAT_STORAGE_CA,
        names::LIFEBOAT_STORAGE_ADDRESSING,
        names::AWS_CONFIG_STORAGE_ENDPOINT,
        names::AWS_REGION,
        names::AWS_DEFAULT_REGION,
        names::AWS_USE_DUALSTACK_ENDPOINT,
        names::AWS_USE_FIPS_ENDPOINT,
        names::AWS_ACCESS_KEY_ID,
        names::AWS_SECRET_ACCESS_KEY,
        names::AWS_SESSION_TOKEN,
        names::AWS_CREDENTIAL_EXPIRATION,
        names::AWS_WEB_IDENTITY_TOKEN_FILE,
        names::AWS_ROLE_ARN,
        names::AWS_ROLE_SESSION_NAME,
        names::AWS_ENDPOINT_URL_STS,
        names::AWS_CONTAINER_CREDENTIALS_RELATIVE_URI,
        names::AWS_CONTAINER_CREDENTIALS_FULL_URI,
        names::AWS_CONTAINER_AUTHORIZATION_TOKEN,
        names::AWS_EC2_METADATA_SERVICE_ENDPOINT,
        names::AWS_EC2_METADATA_DISABLED,
        names::GCP_SERVICE_ACCOUNT,
        names::GOOGLE_APPLICATION_CREDENTIALS,
        names::GCE_METADATA_HOST,
        names::STORAGE_EMULATOR_HOST,
        names::AZURE_STORAGE_KEY,
        names::AZURE_STORAGE_ACCOUNT_KEY,
        names::AZURE_STORAGE_SAS_TOKEN,
        names::AZURE_TENANT_ID,
        names::AZURE_CLIENT_ID,
        names::AZURE_CLIENT_SECRET,
        names::AZURE_FEDERATED_TOKEN_FILE,
        names::AZURE_AUTHORITY_HOST,
        names::IDENTITY_ENDPOINT,
        names::IDENTITY_HEADER,
        names::AZURE_POD_IDENTITY_AUTHORITY_HOST,
        names::AZURE_STORAGE_ENDPOINT,
    ];

    /// A store that needs nothing to get in: a folder or memory.
    pub fn local(url: StorageUrl, max_config: usize) -> Self {
        Self {
            url,
            access: Access::Local,
            authorities: ExtraAuthorities::default(),
            max_config,
            keys: KeySource::default(),
            history: HistoryLimit::default(),
            fallbacks: Vec::new(),
            election: None,
            restore: RestoreRules::default(),
        }
    }

    /// Where the store is, and how to get into it.
    pub fn location(&self) -> Location {
        Location { url: self.url.clone(), access: self.access.clone(), authorities: self.authorities.clone() }
    }

    /// Where the election is held and how to get in there, if not with the backups.
    pub fn election_location(&self) -> Option<Location> {
        let (url, access) = self.election.clone()?;
        Some(Location { url, access, authorities: self.authorities.clone() })
    }

    /// Each further store by itself, with all else as it is for the first.
    pub fn others(&self) -> Vec<Self> {
        let other = |(url, access): &(StorageUrl, Access)| Self {
            url: url.clone(),
            access: access.clone(),
            fallbacks: Vec::new(),
            election: None,
            ..self.clone()
        };
        self.fallbacks.iter().map(other).collect()
    }

    /// Where to restore from: a ticket if there is one, else the store.
    pub(super) fn read_to_restore(reader: &mut Reader<'_>) -> Option<Self> {
        match reader.secret(names::LIFEBOAT_TICKET).ok()? {
            Some(text) => Self::of_ticket(reader, &text),
            None => Self::read(reader),
        }
    }

    /// What a ticket holds, with the settings that are about restoring it.
    pub(super) fn of_ticket(reader: &mut Reader<'_>, text: &str) -> Option<Self> {
        let max_config = max_config(reader);
        let authorities = storage_authorities(reader);
        let keys = KeySource::read(reader);
        let restore = RestoreRules::read(reader);
        let ticket = match Ticket::decode(text) {
            Ok(ticket) => Access::Ticket(Box::new(ticket)),
            Err(error) => {
                reader.wrong(format!("LIFEBOAT_TICKET: {error}"));
                return None;
            }
        };

        Some(Self {
            url: StorageUrl::Ticket,
            access: ticket,
            authorities: authorities?,
            max_config,
            keys: keys?,
            history: HistoryLimit::default(),
            fallbacks: Vec::new(),
            election: None,
            restore,
        })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let why = "configurations must be kept somewhere";
        let given = reader.required(names::KONG_CLUSTER_FALLBACK_CONFIG_STORAGE, why, "s3://bucket/prefix");
        let max_config = max_config(reader);
        let authorities = storage_authorities(reader);
        let keys = KeySource::read(reader);
        let history = HistoryLimit::read(reader);
        // Checked also where another cloud's store is named: a mistake in it is one all the same.
        let put_object = put_object(reader);
        let given = given?;
        let restore = RestoreRules::read(reader);
        let (url, access) = store_at(reader, &given, &put_object)?;
        let fallbacks = fallbacks(reader, &url, &put_object)?;
        let election = election(reader, &url, &put_object)?;
        let (authorities, keys) = (authorities?, keys?);
        Some(Self { url, access, authorities, max_config, keys, history, fallbacks, election, restore })
    }
}

fn store_at(reader: &mut Reader<'_>, given: &Given, put_object: &Option<PutObject>) -> Option<(StorageUrl, Access)> {
    let url: StorageUrl = reader.parse(given)?;
    if let Some(warning) = StorageUrl::warning(&given.value) {
        tracing::warn!("{}: {warning}", given.name);
    }
    let access = match &url {
        StorageUrl::S3 { bucket, .. } => Access::S3(Box::new(s3::read(reader, bucket, put_object.clone())?)),
        StorageUrl::Gcs { .. } => Access::Gcs(gcs::read(reader)?),
        StorageUrl::Azure { account, .. } => Access::Azure(azure::read(reader, account)?),
        StorageUrl::File { .. } | StorageUrl::Memory | StorageUrl::Ticket => Access::Local,
    };
    Some((url, access))
}

// Naming the first store again is refused: it would be asked twice, and protect from nothing.
fn fallbacks(
    reader: &mut Reader<'_>,
    first: &StorageUrl,
    put_object: &Option<PutObject>,
) -> Option<Vec<(StorageUrl, Access)>> {
    let mut fallbacks: Vec<(StorageUrl, Access)> = Vec::new();
    for value in reader.list(names::LIFEBOAT_FALLBACK_STORAGE) {
        let given = Given { value, name: "LIFEBOAT_FALLBACK_STORAGE".to_owned(), is_argument: false };
        let (url, access) = store_at(reader, &given, put_object)?;
        if url == *first || fallbacks.iter().any(|(known, _)| *known == url) {
            reader.wrong(format!("LIFEBOAT_FALLBACK_STORAGE: {url} is named twice: name another store"));
            return None;
        }
        fallbacks.push((url, access));
    }
    Some(fallbacks)
}

// The same as the first store is the usual place.
#[allow(clippy::option_option)]
fn election(
    reader: &mut Reader<'_>,
    first: &StorageUrl,
    put_object: &Option<PutObject>,
) -> Option<Option<(StorageUrl, Access)>> {
    let Some(given) = reader.text(names::LIFEBOAT_ELECTION_STORAGE) else { return Some(None) };
    let election = reader.text(names::LIFEBOAT_ELECTION).map(|given| given.value.trim().to_owned());
    if election.as_deref() == Some("none") {
        reader.wrong(format!("{}: there is no election with LIFEBOAT_ELECTION=none: unset one of them", given.name));
        return None;
    }
    // The election's objects are replaced every few seconds, so they must not be locked.
    let unlocked = put_object.as_ref().map(PutObject::without_lock);
    let (url, access) = store_at(reader, &given, &unlocked)?;
    Some((url != *first).then_some((url, access)))
}

/// What every object is written with; nothing if that isn't set.
fn put_object(reader: &mut Reader<'_>) -> Option<PutObject> {
    let Some(given) = reader.text(names::KONG_CLUSTER_FALLBACK_EXPORT_S3_CONFIG) else {
        return Some(PutObject::default());
    };
    let Ok(parameters) = serde_json::from_str::<Map<String, Value>>(&given.value) else {
        let valid = r#"valid: {"ServerSideEncryption":"aws:kms","SSEKMSKeyId":"arn:aws:kms:…"}"#;
        reader.wrong(format!("{}: it must be one JSON object ({valid})", given.name));
        return None;
    };
    if given.is_argument && parameters.contains_key("SSECustomerKey") {
        let (flag, variable) = (given.name, names::KONG_CLUSTER_FALLBACK_EXPORT_S3_CONFIG);
        reader.wrong(format!("{flag}: SSECustomerKey is a secret, and arguments are public: set {variable}"));
        return None;
    }

    match PutObject::from_parameters(&parameters) {
        Ok(put_object) => Some(put_object),
        Err(problems) => {
            problems.iter().for_each(|problem| reader.wrong(format!("{}: {problem}", given.name)));
            None
        }
    }
}

pub(super) fn max_config(reader: &mut Reader<'_>) -> usize {
    reader.size(names::LIFEBOAT_MAX_CONFIG, DEFAULT_MAX_CONFIG as u64, 1024..=1 << 36) as usize
}

fn storage_authorities(reader: &mut Reader<'_>) -> Option<ExtraAuthorities> {
    extra_authorities(reader, names::LIFEBOAT_STORAGE_CA, "/etc/lifeboat/storage-ca.crt")
}

/// Certificates of authorities that are trusted besides the system's; none if that isn't set.
pub(super) fn extra_authorities(reader: &mut Reader<'_>, name: Name, valid: &str) -> Option<ExtraAuthorities> {
    let Some(given) = reader.text(name) else { return Some(ExtraAuthorities::default()) };
    let pem = checked(reader, &given)?;
    match Authorities::new([AuthoritySource::Pem(&pem)]) {
        Ok(_) => Some(ExtraAuthorities(pem)),
        Err(error) => {
            reader.wrong(format!("{}: {error} (valid: {valid})", given.name));
            None
        }
    }
}

/// A URL of http or https, without what doesn't belong into an endpoint.
fn endpoint(reader: &mut Reader<'_>, name: Name, example: &str) -> Result<Option<Url>, ()> {
    let Some(given) = reader.text(name) else { return Ok(None) };
    match given.value.trim().parse::<Url>() {
        Ok(url) if is_endpoint(&url) => Ok(Some(url)),
        _ => {
            reader.wrong(format!("{}: it must be a URL of http or https (valid: {example})", given.name));
            Err(())
        }
    }
}

/// Plain http only to where nobody else listens: this host, or one of these addresses that a cloud has for it.
fn is_https_or_own(url: &Url, own: &[&str]) -> bool {
    let Some(host) = url.host_str() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback =
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    url.scheme() == "https" || is_loopback || own.contains(&host)
}

#[cfg(test)]
mod tests;
