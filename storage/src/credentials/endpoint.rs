//! An HTTP endpoint that hands out credentials: asked with time-outs and a bound, and its refusals put into words in which
//! no secret stands.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::{HeaderMap, Request, StatusCode, Uri};
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpError, HttpErrorKind, HttpRequestBody};
use reqwest::Url;
use serde::de::DeserializeOwned;

use super::CredentialError;
use crate::cloud::Issuer;
use crate::wire::{StoreObservations, Wire};

/// How far away an endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// A service somewhere.
    Network,
    /// On this machine or beside it: it answers at once or isn't there.
    Machine,
}

/// An endpoint.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    issuer: Issuer,
    client: HttpClient,
    observations: Arc<StoreObservations>,
    limit: Duration,
}

/// A question, and the secrets in it, which no message may show if the answer repeats them.
pub(super) struct Question {
    pub(super) request: Request<HttpRequestBody>,
    pub(super) secrets: Vec<String>,
}

/// Why there is no answer.
pub(super) enum NoAnswer {
    /// Nobody can be reached there.
    Unreachable(String),
    /// It was reached and did not answer in time or well.
    Broken(String),
    /// It answered with another status than 200, and perhaps with a code of its own.
    Status { status: StatusCode, code: Option<String>, text: String },
}

/// An answer with status 200.
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Tokens are some kilobytes.
const LONGEST_ANSWER: usize = 256 * 1024;

impl Endpoint {
    /// An endpoint at `url`: plain http is spoken only where the URL says so.
    pub(super) fn new(
        issuer: Issuer,
        url: &str,
        reach: Reach,
        options: &ClientOptions,
        wire: &Wire,
    ) -> object_store::Result<Self> {
        let (connect, limit) = match reach {
            Reach::Network => (Duration::from_secs(5), Duration::from_secs(15)),
            Reach::Machine => (Duration::from_secs(1), Duration::from_secs(3)),
        };
        let options = options.clone().with_allow_http(url.starts_with("http://"));
        let client = wire.credentials_client(&options.with_connect_timeout(connect))?;
        Ok(Self { issuer, client, observations: wire.observations(), limit })
    }

    /// Asks once.
    pub(super) async fn ask(&self, question: Question) -> Result<Answer, NoAnswer> {
        let place = without_query(question.request.uri());
        match tokio::time::timeout(self.limit, self.asked(question, &place)).await {
            Ok(answer) => answer,
            Err(_) => {
                let limit = self.limit.as_secs();
                Err(NoAnswer::Broken(format!("{} at {place} did not answer within {limit} s", self.issuer.name())))
            }
        }
    }

    /// Asks once for JSON; `cure` says what helps against a refusal.
    pub(super) async fn ask_json<T: DeserializeOwned>(
        &self,
        question: Question,
        cure: &str,
    ) -> Result<T, CredentialError> {
        let place = without_query(question.request.uri());
        let answer = self.ask(question).await.map_err(|no_answer| no_answer.into_error(cure))?;
        serde_json::from_slice(&answer.body).map_err(|_| {
            CredentialError::Unavailable(format!(
                "{} at {place} answered with something that is no token",
                self.issuer.name()
            ))
        })
    }

    async fn asked(&self, question: Question, place: &str) -> Result<Answer, NoAnswer> {
        let name = self.issuer.name();
        let failed = |error: HttpError| {
            let text = format!("{name} at {place} can't be asked: {}", innermost(&error));
            if error.kind() == HttpErrorKind::Connect { NoAnswer::Unreachable(text) } else { NoAnswer::Broken(text) }
        };
        let answer = self.client.execute(question.request).await.map_err(failed)?;
        let (parts, body) = answer.into_parts();
        let (mut stream, mut body) = (body.bytes_stream(), BytesMut::new());

        while let Some(piece) = stream.next().await {
            body.extend_from_slice(&piece.map_err(failed)?);
            if body.len() > LONGEST_ANSWER {
                return Err(NoAnswer::Broken(format!("{name} at {place} answers without an end")));
            }
        }
        if parts.status == StatusCode::OK {
            self.observations.note_issuer(self.issuer);
            return Ok(Answer { headers: parts.headers, body: body.freeze() });
        }

        let Reason { code, text } = Reason::of(&body, &question.secrets);
        let text = format!("{name} at {place} answered {}{text}", parts.status);
        Err(NoAnswer::Status { status: parts.status, code, text })
    }
}

impl NoAnswer {
    /// The error for the caller. A refusal stays however often one asks; anything else may pass.
    pub(super) fn into_error(self, cure: &str) -> CredentialError {
        match self {
            Self::Unreachable(text) | Self::Broken(text) => CredentialError::Unavailable(text),
            Self::Status { status, text, .. } if is_passing(status) => CredentialError::Unavailable(text),
            Self::Status { text, .. } => CredentialError::Refused(format!("{text}: {cure}")),
        }
    }
}

/// A form as `application/x-www-form-urlencoded`.
pub(super) fn urlencoded(form: &[(&str, String)]) -> String {
    let mut url: Url = "http://form".parse().expect("it is a URL");
    url.query_pairs_mut().extend_pairs(form);
    url.query().unwrap_or_default().to_owned()
}

/// From now to a moment that a server names; nothing if it is past.
pub(super) fn from_now_to(moment: SystemTime) -> Duration {
    moment.duration_since(SystemTime::now()).unwrap_or_default()
}

fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

// A query may hold what nobody else is to see.
fn without_query(uri: &Uri) -> String {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    format!("{}://{authority}{}", uri.scheme_str().unwrap_or("http"), uri.path())
}

fn innermost(error: &HttpError) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// Why an issuer refuses, in its own words.
pub(super) struct Reason {
    /// Its code.
    pub(super) code: Option<String>,
    /// Code and message in parentheses, after a blank; empty if there is neither.
    pub(super) text: String,
}

impl Reason {
    // What OAuth (RFC 6749 section 5.2), AWS's query protocol and its container endpoints call code and message.
    pub(super) fn of(body: &[u8], secrets: &[String]) -> Self {
        let text = String::from_utf8_lossy(body);
        let (code, message) = match serde_json::from_slice::<serde_json::Value>(body) {
            Ok(json) => {
                let of = |names: &[&str]| names.iter().find_map(|name| json[name].as_str().map(str::to_owned));
                (of(&["error", "code", "Code"]), of(&["error_description", "message", "Message"]))
            }
            Err(_) => (element(&text, "Code"), element(&text, "Message")),
        };
        let mut reason: String = [code.clone(), message].into_iter().flatten().collect::<Vec<_>>().join(": ");
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            reason = reason.replace(secret.as_str(), "..");
        }
        let reason: String = reason.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect();
        let text = if reason.is_empty() { reason } else { format!(" ({reason})") };
        Self { code, text }
    }
}

fn element(text: &str, name: &str) -> Option<String> {
    let (_, after) = text.split_once(&format!("<{name}>"))?;
    Some(after.split_once("</")?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_issuer() {
        let google = br#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#;
        assert_eq!(Reason::of(google, &[]).text, " (invalid_grant: Invalid JWT Signature.)");
        let sts =
            b"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>Not authorized\n</Message>";
        assert_eq!(Reason::of(sts, &[]).text, " (AccessDenied: Not authorized)");
        assert_eq!(Reason::of(b"<html>proxy</html>", &[]).text, "");
    }

    #[test]
    fn a_secret_that_is_sent_back_is_not_repeated() {
        let echo = br#"{"error":"bad","error_description":"no wonderful-secret here"}"#;
        assert_eq!(Reason::of(echo, &["wonderful-secret".into()]).text, " (bad: no .. here)");
        let uri: Uri = "https://sts.example.com/path?WebIdentityToken=wonderful".parse().unwrap();
        assert_eq!(without_query(&uri), "https://sts.example.com/path");
    }
}
