//! Credentials of the instance's role, from version 2 of the instance metadata service only: version 1 gives them to
//! anyone who can make this host send a GET.
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use http::header::HeaderValue;
use http::{Request, StatusCode};
use object_store::aws::AwsCredential;
use object_store::client::HttpRequestBody;

use super::Temporary;
use crate::credentials::CredentialError;
use crate::credentials::endpoint::{Endpoint, NoAnswer, Question, Reason};
use crate::credentials::refreshed::{Fetch, Fetched};

#[derive(Debug)]
pub(super) struct Instance {
    endpoint: Endpoint,
    base: String,
    /// What to do where there are none.
    cure: String,
    has_answered: AtomicBool,
}

const ROLES: &str = "latest/meta-data/iam/security-credentials/";
const LOOKED_FOR: &str = "none of AWS_ACCESS_KEY_ID, AWS_WEB_IDENTITY_TOKEN_FILE, AWS_CONTAINER_CREDENTIALS_RELATIVE_URI \
                          and AWS_CONTAINER_CREDENTIALS_FULL_URI is set";
const CURE: &str = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where the platform gives credentials: an \
                    instance with a role (in a container its metadata needs a hop limit of 2), IRSA, Pod Identity, ECS";

impl Instance {
    /// `besides` is said after what to do where there are no credentials.
    pub(super) fn new(endpoint: Endpoint, url: &str, besides: &str) -> Self {
        let (base, cure) = (url.trim_end_matches('/').to_owned(), format!("{CURE}{besides}"));
        Self { endpoint, base, cure, has_answered: AtomicBool::new(false) }
    }

    async fn token(&self) -> Result<HeaderValue, CredentialError> {
        let request = Request::put(format!("{}/latest/api/token", self.base));
        let request = request.header("x-aws-ec2-metadata-token-ttl-seconds", "300").body(HttpRequestBody::empty());
        let answer = self.ask(request).await?;
        let token = HeaderValue::from_bytes(answer.trim_ascii());
        let mut token = token
            .map_err(|_| CredentialError::Unavailable("the instance metadata service gave no token".to_owned()))?;
        token.set_sensitive(true);
        Ok(token)
    }

    async fn read(&self, path: &str, token: &HeaderValue) -> Result<bytes::Bytes, CredentialError> {
        let request = Request::get(format!("{}/{path}", self.base)).header("x-aws-ec2-metadata-token", token);
        self.ask(request.body(HttpRequestBody::empty())).await
    }

    async fn ask(&self, request: http::Result<Request<HttpRequestBody>>) -> Result<bytes::Bytes, CredentialError> {
        let request = request.map_err(|_| CredentialError::Unavailable(NO_ROLE.to_owned()))?;
        match self.endpoint.ask(Question { request, secrets: Vec::new() }).await {
            Ok(answer) => {
                self.has_answered.store(true, Ordering::Relaxed);
                Ok(answer.body)
            }
            // Where there is no such service, or none for us, there won't be one later.
            Err(NoAnswer::Unreachable(text) | NoAnswer::Broken(text)) if !self.has_answered.load(Ordering::Relaxed) => {
                Err(CredentialError::Misconfigured(format!(
                    "there are no credentials for S3: {LOOKED_FOR}, and {text}: {}",
                    self.cure
                )))
            }
            Err(NoAnswer::Status { status: StatusCode::NOT_FOUND, text, .. }) => {
                Err(CredentialError::Misconfigured(format!("{NO_ROLE}: {text}: {}", self.cure)))
            }
            Err(no_answer) => Err(no_answer.into_error(&self.cure)),
        }
    }
}

const NO_ROLE: &str = "the instance has no role";

#[async_trait]
impl Fetch for Instance {
    type Credential = AwsCredential;

    async fn fetch(&self) -> Result<Fetched<AwsCredential>, CredentialError> {
        let token = self.token().await?;
        let roles = self.read(ROLES, &token).await?;
        let roles = String::from_utf8_lossy(&roles);
        let role = roles.lines().next().unwrap_or_default().trim();

        if role.is_empty() {
            return Err(CredentialError::Misconfigured(format!("{NO_ROLE}: {}", self.cure)));
        }
        let found = self.read(&format!("{ROLES}{role}"), &token).await?;
        match serde_json::from_slice::<Temporary>(&found) {
            Ok(temporary) => temporary.fetched(),
            Err(_) => Err(without_credentials(role, &found)),
        }
    }
}

/// Why there are none for a role that the instance has. The answer is 200 with another code than Success, and without a
/// key.
fn without_credentials(role: &str, body: &[u8]) -> CredentialError {
    let Reason { code, text } = Reason::of(body, &[]);
    let text = format!("the instance metadata service has no credentials for the role {role}{text}");
    // https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_iam-ec2.html
    match code.as_deref() {
        Some("AssumeRoleUnauthorizedAccess") => {
            CredentialError::Refused(format!("{text}: let the role's trust policy name ec2.amazonaws.com"))
        }
        _ => CredentialError::Unavailable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_the_instance_may_not_take_is_said_with_the_reason() {
        let body = br#"{"Code":"AssumeRoleUnauthorizedAccess","Message":"EC2 cannot assume the role lifeboat."}"#;
        let CredentialError::Refused(text) = without_credentials("lifeboat", body) else { panic!("it may pass") };
        for part in ["role lifeboat (", "AssumeRoleUnauthorizedAccess: EC2 cannot assume", "trust policy"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        let passing = without_credentials("lifeboat", br#"{"Code":"Failed"}"#);
        assert!(
            matches!(&passing, CredentialError::Unavailable(text) if text.ends_with("lifeboat (Failed)")),
            "{passing}"
        );
    }
}
