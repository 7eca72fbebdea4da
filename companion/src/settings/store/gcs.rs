//! How to get into a bucket of Google Cloud Storage.

use lifeboat_storage::access::{GcsAccess, GoogleCredentials, GoogleKey, Secret, is_endpoint};
use reqwest::Url;

use crate::settings::Reader;
use crate::settings::names::{self, Name};
use crate::settings::source::Given;

/// <https://cloud.google.com/compute/docs/metadata/querying-metadata>
const METADATA_HOST: &str = "metadata.google.internal";

/// Access to a bucket, by the settings.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<GcsAccess> {
    let endpoint = emulator(reader);
    let key = match (own_key(reader)?, application_key(reader)?) {
        (Some(own), _) => Some(own),
        (None, other) => other,
    };
    let metadata = metadata_host(reader);
    let endpoint = endpoint?;
    let credentials = match (key, metadata?) {
        (Some(key), _) => GoogleCredentials::Key(key),
        (None, None) if endpoint.is_some() => GoogleCredentials::Anonymous,
        (None, host) => GoogleCredentials::Metadata { host: host.unwrap_or_else(|| METADATA_HOST.to_owned()) },
    };
    Some(GcsAccess { endpoint, credentials })
}

#[allow(clippy::option_option)]
fn own_key(reader: &mut Reader<'_>) -> Option<Option<Secret>> {
    let name = names::GCP_SERVICE_ACCOUNT;
    let secret = match reader.rereadable_secret(name).ok()? {
        None => return Some(None),
        // Kong's own: the JSON itself. A path is taken, too.
        Some(Secret::Value(text)) if !text.starts_with('{') && text.len() < 4096 => Secret::File(text.into()),
        Some(secret) => secret,
    };
    understood(reader, name, secret).map(Some)
}

#[allow(clippy::option_option)]
fn application_key(reader: &mut Reader<'_>) -> Option<Option<Secret>> {
    let name = names::GOOGLE_APPLICATION_CREDENTIALS;
    let Some(Given { value, .. }) = reader.text(name) else { return Some(None) };
    understood(reader, name, Secret::File(value.trim().into())).map(Some)
}

// No message repeats what stands there: it could be a key in some broken form.
fn understood(reader: &mut Reader<'_>, name: Name, secret: Secret) -> Option<Secret> {
    let problem = match secret.reveal() {
        Err(error) if matches!(&secret, Secret::File(path) if path.as_os_str().len() < 200) => error.to_string(),
        Err(_) => "it is neither the JSON of a key nor a path".to_owned(),
        Ok(text) => match GoogleKey::parse(&text) {
            Ok(_) => return Some(secret),
            Err(error) => error.to_string(),
        },
    };
    reader.wrong(format!("{name}: {problem} (valid: the JSON of a service account's key, or the path of its file)"));
    None
}

#[allow(clippy::option_option)]
fn metadata_host(reader: &mut Reader<'_>) -> Option<Option<String>> {
    let Some(given) = reader.text(names::GCE_METADATA_HOST) else { return Some(None) };
    let host = given.value.trim();
    let is_host = format!("http://{host}").parse::<Url>().is_ok_and(|url| url.path() == "/" && is_endpoint(&url));
    if is_host && !host.contains(['/', '?']) {
        return Some(Some(host.to_owned()));
    }
    reader.wrong(format!("{}: it must be a host, with a port or without (valid: {METADATA_HOST})", given.name));
    None
}

// Google's clients take it without a scheme too, and mean http then.
#[allow(clippy::option_option)]
fn emulator(reader: &mut Reader<'_>) -> Option<Option<String>> {
    let Some(given) = reader.text(names::STORAGE_EMULATOR_HOST) else { return Some(None) };
    let text = given.value.trim().trim_end_matches('/');
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    match text.parse::<Url>() {
        Ok(url) if is_endpoint(&url) && url.query().is_none() => Some(Some(text)),
        _ => {
            let valid = "valid: http://127.0.0.1:4443, https://storage.example.com";
            reader.wrong(format!("{}: it must be a URL of http or https ({valid})", given.name));
            None
        }
    }
}
