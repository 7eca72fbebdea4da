//! How to get into a container of Azure Blob Storage. Which form of credentials is used follows Azure's
//! `DefaultAzureCredential` (client secret, workload identity, managed identity), after what is for this store alone: an
//! account key, a shared access signature.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lifeboat_storage::access::{AzureAccess, AzureCredentials, ManagedIdentity, Secret, Tenant};
use reqwest::Url;

use super::{endpoint, is_https_or_own};
use crate::settings::{Reader, secret};

/// <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>
const INSTANCE_METADATA: &str = "http://169.254.169.254";
const AUTHORITY: &str = "https://login.microsoftonline.com";

/// Access to a container, by the settings.
pub(super) fn read(reader: &mut Reader<'_>, account: &str) -> Option<AzureAccess> {
    let valid = "https://account.blob.core.windows.net";
    let endpoint = endpoint(reader, "AZURE_STORAGE_ENDPOINT", valid);
    let credentials = credentials(reader);
    let endpoint = match endpoint.ok()? {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => format!("https://{account}.blob.core.windows.net"),
    };
    Some(AzureAccess { endpoint, credentials: credentials? })
}

fn credentials(reader: &mut Reader<'_>) -> Option<AzureCredentials> {
    let is_set = |reader: &mut Reader<'_>, name: &str| {
        reader.text(name).is_some() || reader.text(&format!("{name}_FILE")).is_some()
    };
    if let Some(name) = ["AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY"].into_iter().find(|name| is_set(reader, name))
    {
        account_key(reader, name)
    } else if is_set(reader, "AZURE_STORAGE_SAS_TOKEN") {
        signature(reader)
    } else if is_set(reader, "AZURE_CLIENT_SECRET") {
        let secret = secret::read(reader, "AZURE_CLIENT_SECRET");
        let application = tenant(reader, "AZURE_CLIENT_SECRET");
        Some(AzureCredentials::ClientSecret { tenant: application?, secret: secret? })
    } else if let Some(file) = reader.text("AZURE_FEDERATED_TOKEN_FILE") {
        let token = Secret::File(file.value.trim().into());
        if let Err(error) = token.reveal() {
            reader.wrong(format!("{}: {error}", file.name));
        }
        Some(AzureCredentials::WorkloadIdentity { tenant: tenant(reader, "AZURE_FEDERATED_TOKEN_FILE")?, token })
    } else {
        let client_id = reader.text("AZURE_CLIENT_ID").map(|given| given.value.trim().to_owned());
        Some(AzureCredentials::Managed { identity: managed_identity(reader)?, client_id })
    }
}

fn account_key(reader: &mut Reader<'_>, name: &str) -> Option<AzureCredentials> {
    let key = secret::read(reader, name)?;
    // It was read a moment ago; a file that is gone meanwhile is noticed when it is used.
    if key.reveal().is_ok_and(|key| STANDARD.decode(key).is_err()) {
        reader.wrong(format!("{name}: an account's key is base64, 88 characters that end with =="));
        return None;
    }
    Some(AzureCredentials::AccountKey(key))
}

fn signature(reader: &mut Reader<'_>) -> Option<AzureCredentials> {
    let name = "AZURE_STORAGE_SAS_TOKEN";
    let signature = secret::read(reader, name)?;
    if signature.reveal().is_ok_and(|text| !text.contains("sig=") || text.contains("://")) {
        reader.wrong(format!("{name}: it must be the query of a shared access signature (valid: sv=…&sp=…&sig=…)"));
        return None;
    }
    Some(AzureCredentials::SharedAccessSignature(signature))
}

fn tenant(reader: &mut Reader<'_>, wanted_by: &str) -> Option<Tenant> {
    let why = format!("{wanted_by} is for an application in a directory");
    let example = "11111111-2222-3333-4444-555555555555";
    let client = reader.required("AZURE_CLIENT_ID", &why, example);
    let tenant = reader.required("AZURE_TENANT_ID", &why, example);
    let authority = endpoint(reader, "AZURE_AUTHORITY_HOST", AUTHORITY).ok()?;
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
    let url = endpoint(reader, "IDENTITY_ENDPOINT", "http://127.0.0.1:41234/msi/token").ok()?;
    let header = secret::read(reader, "IDENTITY_HEADER");
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
    let machine = endpoint(reader, "AZURE_POD_IDENTITY_AUTHORITY_HOST", INSTANCE_METADATA).ok()?;
    let machine = machine.as_ref().map_or(INSTANCE_METADATA, Url::as_str).trim_end_matches('/');
    let url = format!("{machine}/metadata/identity/oauth2/token").parse().expect("it was a URL before");
    Some(ManagedIdentity::Machine { url })
}

fn is_link_local(url: &Url) -> bool {
    url.host_str().and_then(|host| host.parse::<std::net::Ipv4Addr>().ok()).is_some_and(|host| host.is_link_local())
}
