//! Tokens of an application in a directory, which proves itself by a secret or by another identity provider's token.
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>

use async_trait::async_trait;
use http::Request;
use http::header::{ACCEPT, CONTENT_TYPE};
use object_store::azure::AzureCredential;
use object_store::client::HttpRequestBody;

use super::Token;
use crate::access::{Secret, Tenant};
use crate::credentials::CredentialError;
use crate::credentials::endpoint::{Endpoint, Question, urlencoded};
use crate::credentials::refreshed::{Fetch, Fetched};
use crate::credentials::shown;

#[derive(Debug)]
pub(super) struct Application {
    pub(super) endpoint: Endpoint,
    pub(super) tenant: Tenant,
    pub(super) proof: Proof,
}

/// How an application proves itself.
#[derive(Debug)]
pub(super) enum Proof {
    /// The first case of the page above.
    Secret(Secret),
    /// The third case: the token of a federated identity, whose file is replaced by its provider.
    Assertion(Secret),
}

const SCOPE: &str = "https://storage.azure.com/.default";
const CURE_SECRET: &str =
    "check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, and whether the secret has expired";
const CURE_ASSERTION: &str = "let a federated credential of AZURE_CLIENT_ID name the issuer and the subject of the token in \
                              AZURE_FEDERATED_TOKEN_FILE";

#[async_trait]
impl Fetch for Application {
    type Credential = AzureCredential;

    async fn fetch(&self) -> Result<Fetched<AzureCredential>, CredentialError> {
        let mut form = vec![
            ("grant_type", "client_credentials".to_owned()),
            ("client_id", self.tenant.client_id.clone()),
            ("scope", SCOPE.to_owned()),
        ];
        let (proof, cure) = match &self.proof {
            Proof::Secret(secret) => {
                let secret = shown("AZURE_CLIENT_SECRET", secret)?;
                form.push(("client_secret", secret.clone()));
                (secret, CURE_SECRET)
            }
            Proof::Assertion(token) => {
                let token = shown("AZURE_FEDERATED_TOKEN", token)?;
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                form.push(("client_assertion_type", kind.to_owned()));
                form.push(("client_assertion", token.clone()));
                (token, CURE_ASSERTION)
            }
        };
        let request = Request::post(self.tenant.token_url.as_str())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(HttpRequestBody::from(urlencoded(&form)))
            .expect("it was a URL before");

        self.endpoint.ask_json::<Token>(Question { request, secrets: vec![proof] }, cure).await?.fetched()
    }
}
