//! A container of Azure Blob Storage as a store.

use object_store::ClientOptions;
use object_store::azure::{AzureCredentialProvider, MicrosoftAzure, MicrosoftAzureBuilder};

use super::no_retries;
use crate::access::AzureAccess;
use crate::credentials::azure;
use crate::wire::Wire;

/// None. Azure signs a blob's decoded name, and the client library signs the name as it is in the URL; for all
/// characters that a prefix may have, both are the same.
/// <https://learn.microsoft.com/rest/api/storageservices/create-service-sas#specify-the-signature>
pub(super) const UNSURE: &str = "";

pub(super) fn open(
    access: &AzureAccess,
    account: &str,
    container: &str,
    options: &ClientOptions,
    wire: &Wire,
) -> object_store::Result<MicrosoftAzure> {
    let credentials: AzureCredentialProvider = azure::credentials(&access.credentials, options, wire)?;
    MicrosoftAzureBuilder::new()
        .with_account(account)
        .with_container_name(container)
        .with_endpoint(access.endpoint.clone())
        .with_credentials(credentials)
        .with_retry(no_retries())
        .with_client_options(options.clone().with_allow_http(access.endpoint.starts_with("http://")))
        .with_http_connector(wire.clone())
        .build()
}
