//! Tokens of a managed identity: the machine's, from its metadata service
//! <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>, or the app's
//! <https://learn.microsoft.com/azure/app-service/overview-managed-identity>.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use http::Request;
use http::header::HeaderValue;
use object_store::azure::AzureCredential;
use object_store::client::HttpRequestBody;

use super::Token;
use crate::access::ManagedIdentity;
use crate::credentials::CredentialError;
use crate::credentials::endpoint::{Endpoint, NoAnswer, Question};
use crate::credentials::refreshed::{Fetch, Fetched};
use crate::credentials::shown;

#[derive(Debug)]
pub(super) struct Managed {
    endpoint: Endpoint,
    identity: ManagedIdentity,
    client_id: Option<String>,
    has_answered: AtomicBool,
}

const RESOURCE: &str = "https://storage.azure.com/";
const LOOKED_FOR: &str = "none of AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN, AZURE_CLIENT_SECRET, \
                          AZURE_FEDERATED_TOKEN_FILE and IDENTITY_ENDPOINT is set";
const CURE: &str =
    "assign a managed identity, name it in AZURE_CLIENT_ID where there are several, or set AZURE_STORAGE_KEY";

impl Managed {
    pub(super) fn new(endpoint: Endpoint, identity: ManagedIdentity, client_id: Option<String>) -> Self {
        Self { endpoint, identity, client_id, has_answered: AtomicBool::new(false) }
    }

    fn question(&self) -> Result<Question, CredentialError> {
        let (ManagedIdentity::Machine { url } | ManagedIdentity::App { url, .. }) = &self.identity;
        let version = if matches!(self.identity, ManagedIdentity::App { .. }) { "2019-08-01" } else { "2018-02-01" };
        let mut url = url.clone();

        url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", RESOURCE);
        if let Some(client_id) = &self.client_id {
            url.query_pairs_mut().append_pair("client_id", client_id);
        }
        let request = Request::get(url.as_str());
        let mut secrets = Vec::new();
        let request = match &self.identity {
            ManagedIdentity::Machine { .. } => request.header("metadata", "true"),
            ManagedIdentity::App { header, .. } => {
                let value = shown("IDENTITY_HEADER", header)?;
                let mut header = HeaderValue::from_str(&value).expect("what is shown is printable");
                header.set_sensitive(true);
                secrets.push(value);
                request.header("x-identity-header", header)
            }
        };
        let request = request.body(HttpRequestBody::empty()).expect("it was a URL before");
        Ok(Question { request, secrets })
    }
}

#[async_trait]
impl Fetch for Managed {
    type Credential = AzureCredential;

    async fn fetch(&self) -> Result<Fetched<AzureCredential>, CredentialError> {
        let has_answered = self.has_answered.load(Ordering::Relaxed);
        let answer = match self.endpoint.ask(self.question()?).await {
            Ok(answer) => answer,
            Err(NoAnswer::Unreachable(text) | NoAnswer::Broken(text)) if !has_answered => {
                let text = format!("there are no credentials for Azure: {LOOKED_FOR}, and {text}: {CURE}");
                return Err(CredentialError::Misconfigured(text));
            }
            Err(no_answer) => return Err(no_answer.into_error(CURE)),
        };
        self.has_answered.store(true, Ordering::Relaxed);
        let token: Result<Token, _> = serde_json::from_slice(&answer.body);
        let token = token.map_err(|_| CredentialError::Unavailable("the managed identity gave no token".to_owned()));
        token?.fetched()
    }
}
