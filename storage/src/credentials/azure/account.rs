//! What is for one storage account: its key, or a shared access signature. One that stands in a file is read for each
//! request, so that a new one is used at once.

use std::sync::Arc;

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::azure::{AzureAccessKey, AzureCredential, split_sas};

use crate::access::Secret;
use crate::credentials::CredentialError;
use crate::credentials::shown;

#[derive(Debug)]
pub(super) struct AccountKey(pub(super) Secret);

#[derive(Debug)]
pub(super) struct SharedAccessSignature(pub(super) Secret);

#[async_trait]
impl CredentialProvider for AccountKey {
    type Credential = AzureCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AzureCredential>> {
        let key = AzureAccessKey::try_new(&shown("AZURE_STORAGE_KEY", &self.0)?);
        let key = key.map_err(|_| CredentialError::Misconfigured("AZURE_STORAGE_KEY is not base64".to_owned()))?;
        Ok(Arc::new(AzureCredential::AccessKey(key)))
    }
}

#[async_trait]
impl CredentialProvider for SharedAccessSignature {
    type Credential = AzureCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AzureCredential>> {
        let pairs = split_sas(&shown("AZURE_STORAGE_SAS_TOKEN", &self.0)?).map_err(|_| {
            CredentialError::Misconfigured("AZURE_STORAGE_SAS_TOKEN is not a query of names and values".to_owned())
        })?;
        Ok(Arc::new(AzureCredential::SASToken(pairs)))
    }
}
