//! How to get into a container of Azure Blob Storage. Which form of credentials is used follows Azure's
//! `DefaultAzureCredential` (client secret, workload identity, managed identity), after what is for this store alone: an
//! account key, a shared access signature.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lifeboat_storage::access::{AzureAccess, AzureCredentials, ManagedIdentity, Secret, Tenant};
use reqwest::Url;

use super::{endpoint, is_https_or_own};
use crate::settings::Reader;
use crate::settings::names::{self, Name};

/// <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>
const INSTANCE_METADATA: &str = "http://169.254.169.254";
const AUTHORITY: &str = "https://login.microsoftonline.com";

/// Access to a container, by the settings.
pub(super) fn read(reader: &mut Reader<'_>, account: &str) -> Option<AzureAccess> {
    let valid = "https://account.blob.core.windows.net";
    let endpoint = endpoint(reader, names::AZURE_STORAGE_ENDPOINT, valid);
    let credentials = credentials(reader);
    let endpoint = match endpoint.ok()? {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => format!("https://{account}.blob.core.windows.net"),
    };
    Some(AzureAccess { endpoint, credentials: credentials? })
}

fn credentials(reader: &mut Reader<'_>) -> Option<AzureCredentials> {
    if let Some(name) =
        [names::AZURE_STORAGE_KEY, names::AZURE_STORAGE_ACCOUNT_KEY].into_iter().find(|name| reader.is_given(*name))
    {
        account_key(reader, name)
    } else if reader.is_given(names::AZURE_STORAGE_SAS_TOKEN) {
        signature(reader)
    } else if reader.is_given(names::AZURE_CLIENT_SECRET) {
        let secret = reader.rereadable_secret(names::AZURE_CLIENT_SECRET).ok().flatten();
        let application = tenant(reader, names::AZURE_CLIENT_SECRET);
        Some(AzureCredentials::ClientSecret { tenant: application?, secret: secret? })
    } else if let Some(file) = reader.text(names::AZURE_FEDERATED_TOKEN_FILE) {
        let token = Secret::File(file.value.trim().into());
        if let Err(error) = token.reveal() {
            reader.wrong(format!("{}: {error}", file.name));
        }
        Some(AzureCredentials::WorkloadIdentity { tenant: tenant(reader, names::AZURE_FEDERATED_TOKEN_FILE)?, token })
    } else {
        let client_id = reader.text(names::AZURE_CLIENT_ID).map(|given| given.value.trim().to_owned());
        Some(AzureCredentials::Managed { identity: managed_identity(reader)?, client_id })
    }
}

fn account_key(reader: &mut Reader<'_>, name: Name) -> Option<AzureCredentials> {
    let key = reader.rereadable_secret(name).ok()??;
    // It was read a moment ago; a file that is gone meanwhile is noticed when it is used.
    if key.reveal().is_ok_and(|key| STANDARD.decode(key).is_err()) {
        reader.wrong(format!("{name}: an account's key is base64, 88 characters that end with =="));
        return None;
    }
    Some(AzureCredentials::AccountKey(key))
}

fn signature(reader: &mut Reader<'_>) -> Option<AzureCredentials> {
    let name = names::AZURE_STORAGE_SAS_TOKEN;
    let signature = reader.rereadable_secret(name).ok()??;
    if signature.reveal().is_ok_and(|text| !text.contains("sig=") || text.contains("://")) {
        reader.wrong(format!("{name}: it must be the query of a shared access signature (valid: sv=…&sp=…&sig=…)"));
        return None;
    }
    Some(AzureCredentials::SharedAccessSignature(signature))
}

fn tenant(reader: &mut Reader<'_>, wanted_by: Name) -> Option<Tenant> {
    let why = format!("{wanted_by} is for an application in a directory");
    let example = "11111111-2222-3333-4444-555555555555";
    let client = reader.required(names::AZURE_CLIENT_ID, &why, example);
    let tenant = reader.required(names::AZURE_TENANT_ID, &why, example);
    let authority = endpoint(reader, names::AZURE_AUTHORITY_HOST, AUTHORITY).ok()?;
    let (client, tenant) = (client?, tenant?);
    let id = tenant.value.trim();

    // A directory's id or one of its domains.
    if !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.') {
        reader.wrong(format!("{}: {id:?} is not a directory (valid: {example})", tenant.name));
        return None;
    }
    let authority = authority.as_ref().map_or(AUTHORITY, Url::as_str).trim_end_matches('/');
    let token_url = format!("{authority}/{id}/oauth2/v2.0/token").parse().expect("it was a URL before");
    Some(Tenant { client_id: client.value.trim().to_owned(), token_url })
}

fn managed_identity(reader: &mut Reader<'_>) -> Option<ManagedIdentity> {
    let url = endpoint(reader, names::IDENTITY_ENDPOINT, "http://127.0.0.1:41234/msi/token").ok()?;
    let header = reader.rereadable_secret(names::IDENTITY_HEADER).ok().flatten();

    if let Some(url) = url {
        if header.is_none() {
            reader.wrong("IDENTITY_HEADER is not set: IDENTITY_ENDPOINT wants it, and the platform sets both");
        }
        // App Service has link-local addresses for it: what is sent there leaves no wire.
        if !is_https_or_own(&url, &[]) && !is_link_local(&url) {
            reader.wrong("IDENTITY_ENDPOINT: plain http is only for addresses of this host: use https");
            return None;
        }
        return Some(ManagedIdentity::App { url, header: header? });
    }

    let machine = endpoint(reader, names::AZURE_POD_IDENTITY_AUTHORITY_HOST, INSTANCE_METADATA).ok()?;
    let machine = machine.as_ref().map_or(INSTANCE_METADATA, Url::as_str).trim_end_matches('/');
    let url = format!("{machine}/metadata/identity/oauth2/token").parse().expect("it was a URL before");
    Some(ManagedIdentity::Machine { url })
}

fn is_link_local(url: &Url) -> bool {
    url.host_str().and_then(|host| host.parse::<std::net::Ipv4Addr>().ok()).is_some_and(|host| host.is_link_local())
}
