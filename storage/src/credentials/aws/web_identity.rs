//! Credentials of a role for a token of another identity provider, from the security token service: IAM roles for service
//! accounts. <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>

use async_trait::async_trait;
use http::Request;
use http::header::CONTENT_TYPE;
use object_store::aws::AwsCredential;
use object_store::client::HttpRequestBody;
use reqwest::Url;
use serde::Deserialize;

use super::Temporary;
use crate::access::Secret;
use crate::credentials::CredentialError;
use crate::credentials::endpoint::{Endpoint, Question, urlencoded};
use crate::credentials::refreshed::{Fetch, Fetched};
use crate::credentials::shown;

#[derive(Debug)]
pub(super) struct WebIdentity {
    pub(super) endpoint: Endpoint,
    pub(super) sts: Url,
    pub(super) token: Secret,
    pub(super) role_arn: String,
    pub(super) session_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    assume_role_with_web_identity_result: Assumed,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Assumed {
    credentials: Temporary,
}

const CURE: &str =
    "let the trust policy of AWS_ROLE_ARN name the provider and the subject of AWS_WEB_IDENTITY_TOKEN_FILE";

#[async_trait]
impl Fetch for WebIdentity {
    type Credential = AwsCredential;

    async fn fetch(&self) -> Result<Fetched<AwsCredential>, CredentialError> {
        // Kubernetes replaces it within its hour or day.
        let token = shown("AWS_WEB_IDENTITY_TOKEN", &self.token)?;
        // In the body: what stands in a URL gets into the logs of proxies.
        let form = urlencoded(&[
            ("Action", "AssumeRoleWithWebIdentity".to_owned()),
            ("Version", "2011-06-15".to_owned()),
            ("RoleArn", self.role_arn.clone()),
            ("RoleSessionName", self.session_name.clone()),
            ("WebIdentityToken", token.clone()),
        ]);
        let request = Request::post(self.sts.as_str())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(HttpRequestBody::from(form))
            .expect("it was a URL before");
        let answer = self.endpoint.ask(Question { request, secrets: vec![token] }).await;
        let answer = answer.map_err(|no_answer| no_answer.into_error(CURE))?;
        let response: Response = quick_xml::de::from_reader(&answer.body[..]).map_err(|_| {
            CredentialError::Unavailable("STS answered with something that is no credentials".to_owned())
        })?;

        response.assume_role_with_web_identity_result.credentials.fetched()
    }
}
