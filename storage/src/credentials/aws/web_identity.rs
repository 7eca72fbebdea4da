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
use crate::credentials::endpoint::{Endpoint, NoAnswer, Question, urlencoded};
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

/// What helps against a refusal, by its code; nothing where it passes by itself, though its status is 400. What a code
/// means is told by the page above under "Errors", and by AWS's "Common Error Types".
fn cure(code: &str) -> Option<&'static str> {
    Some(match code {
        "Throttling" | "ThrottlingException" | "IDPCommunicationError" => return None,
        "ExpiredTokenException" => {
            "the token in AWS_WEB_IDENTITY_TOKEN_FILE is too old: look at what should have replaced it"
        }
        "InvalidIdentityToken" => {
            "let IAM, in the account of AWS_ROLE_ARN, have an identity provider for the issuer and the audience of the \
             token in AWS_WEB_IDENTITY_TOKEN_FILE"
        }
        "ValidationError" => "check AWS_ROLE_ARN and AWS_ROLE_SESSION_NAME",
        "RegionDisabledException" => "activate STS for AWS_REGION in the account of AWS_ROLE_ARN",
        _ => "let the trust policy of AWS_ROLE_ARN name the provider and the subject of AWS_WEB_IDENTITY_TOKEN_FILE",
    })
}

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
        let answer = answer.map_err(explained)?;
        let response: Response = quick_xml::de::from_reader(&answer.body[..]).map_err(|_| {
            CredentialError::Unavailable("STS answered with something that is no credentials".to_owned())
        })?;

        response.assume_role_with_web_identity_result.credentials.fetched()
    }
}

fn explained(no_answer: NoAnswer) -> CredentialError {
    match no_answer {
        NoAnswer::Status { status, code, text } => match cure(code.as_deref().unwrap_or_default()) {
            Some(cure) => NoAnswer::Status { status, code, text }.into_error(cure),
            None => CredentialError::Unavailable(text),
        },
        other => other.into_error(""),
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn refused(status: StatusCode, code: &str) -> CredentialError {
        explained(NoAnswer::Status { status, code: Some(code.to_owned()), text: "STS says no".to_owned() })
    }

    #[test]
    fn a_refusal_is_cured_where_it_comes_from() {
        for (status, code, cure) in [
            (StatusCode::FORBIDDEN, "AccessDenied", "trust policy"),
            (StatusCode::FORBIDDEN, "IDPRejectedClaim", "trust policy"),
            (StatusCode::FORBIDDEN, "RegionDisabledException", "AWS_REGION"),
            (StatusCode::BAD_REQUEST, "ValidationError", "check AWS_ROLE_ARN"),
            (StatusCode::BAD_REQUEST, "InvalidIdentityToken", "identity provider"),
            (StatusCode::BAD_REQUEST, "ExpiredTokenException", "too old"),
        ] {
            let CredentialError::Refused(text) = refused(status, code) else { panic!("{code} passes by itself") };
            assert!(text.starts_with("STS says no: ") && text.contains(cure), "{code}: {text}");
        }
    }

    #[test]
    fn what_passes_by_itself_is_not_blamed_on_the_role() {
        for (status, code) in [
            (StatusCode::BAD_REQUEST, "Throttling"),
            (StatusCode::BAD_REQUEST, "ThrottlingException"),
            (StatusCode::BAD_REQUEST, "IDPCommunicationError"),
            (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        ] {
            assert_eq!(refused(status, code), CredentialError::Unavailable("STS says no".to_owned()), "{code}");
        }
    }
}
