//! Access tokens from the metadata server of a machine, a pod with workload identity, a function.
//! <https://cloud.google.com/compute/docs/access/authenticate-workloads#applications>

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use http::{Request, StatusCode};
use object_store::client::HttpRequestBody;
use object_store::gcp::GcpCredential;

use super::Token;
use crate::credentials::CredentialError;
use crate::credentials::endpoint::{Endpoint, NoAnswer, Question};
use crate::credentials::refreshed::{Fetch, Fetched};

#[derive(Debug)]
pub(super) struct Metadata {
    endpoint: Endpoint,
    url: String,
    has_answered: AtomicBool,
}

const LOOKED_FOR: &str = "neither GCP_SERVICE_ACCOUNT nor GOOGLE_APPLICATION_CREDENTIALS is set";
const CURE: &str = "set GCP_SERVICE_ACCOUNT, or run with a service account attached (on GKE with workload identity)";

impl Metadata {
    pub(super) fn new(endpoint: Endpoint, url: String) -> Self {
        Self { endpoint, url, has_answered: AtomicBool::new(false) }
    }
}

#[async_trait]
impl Fetch for Metadata {
    type Credential = GcpCredential;

    async fn fetch(&self) -> Result<Fetched<GcpCredential>, CredentialError> {
        let request = Request::get(&self.url).header("metadata-flavor", "Google").body(HttpRequestBody::empty());
        let question = Question { request: request.expect("it was a URL before"), secrets: Vec::new() };
        let nobody = |text: String| {
            CredentialError::Misconfigured(format!(
                "there are no credentials for Google: {LOOKED_FOR}, and {text}: {CURE}"
            ))
        };
        let answer = match self.endpoint.ask(question).await {
            Ok(answer) => answer,
            Err(NoAnswer::Unreachable(text) | NoAnswer::Broken(text)) if !self.has_answered.load(Ordering::Relaxed) => {
                return Err(nobody(text));
            }
            Err(NoAnswer::Status { status: StatusCode::NOT_FOUND, text, .. }) => return Err(nobody(text)),
            Err(no_answer) => return Err(no_answer.into_error(CURE)),
        };

        // The real one says so; what stands at its address elsewhere doesn't.
        if answer.headers.get("metadata-flavor").is_none_or(|flavor| flavor != "Google") {
            return Err(nobody(format!("what answers at {} is not the metadata server", self.url)));
        }
        self.has_answered.store(true, Ordering::Relaxed);
        let token: Result<Token, _> = serde_json::from_slice(&answer.body);
        let token = token.map_err(|_| CredentialError::Unavailable("the metadata server gave no token".to_owned()));
        token?.fetched()
    }
}
