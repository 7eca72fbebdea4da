//! Credentials from an endpoint inside the container: ECS tasks, EKS Pod Identity.
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>

use async_trait::async_trait;
use http::Request;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use object_store::aws::AwsCredential;
use object_store::client::HttpRequestBody;
use reqwest::Url;

use super::Temporary;
use crate::access::Secret;
use crate::credentials::CredentialError;
use crate::credentials::endpoint::{Endpoint, Question};
use crate::credentials::refreshed::{Fetch, Fetched};
use crate::credentials::shown;

#[derive(Debug)]
pub(super) struct Container {
    pub(super) endpoint: Endpoint,
    pub(super) url: Url,
    pub(super) authorization: Option<Secret>,
}

const CURE: &str = "give the task or the pod a role that it may take, and check AWS_CONTAINER_AUTHORIZATION_TOKEN";

#[async_trait]
impl Fetch for Container {
    type Credential = AwsCredential;

    async fn fetch(&self) -> Result<Fetched<AwsCredential>, CredentialError> {
        let mut request = Request::get(self.url.as_str()).header(ACCEPT, "application/json");
        let mut secrets = Vec::new();
        if let Some(authorization) = &self.authorization {
            // Its file is replaced by the platform that made it.
            let token = shown("AWS_CONTAINER_AUTHORIZATION_TOKEN", authorization)?;
            let mut header = HeaderValue::from_str(&token).expect("what is shown is printable");
            header.set_sensitive(true);
            request = request.header(AUTHORIZATION, header);
            secrets.push(token);
        }
        let request = request.body(HttpRequestBody::empty()).expect("it was a URL before");
        self.endpoint.ask_json::<Temporary>(Question { request, secrets }, CURE).await?.fetched()
    }
}
