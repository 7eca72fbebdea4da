//! The HTTP client below every cloud's store: the one place where each request and each answer passes. Time is bounded here,
//! and the facts are noted that object_store's errors leave out. What they mean is in `diagnosis`.

mod body;
mod error_body;
mod failure;
mod observation;
mod patience;

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use async_trait::async_trait;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use lifeboat_runtime::http_time;
use lifeboat_runtime::lock::Locked;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use tokio::time::Instant;

pub(super) use self::error_body::ErrorBody;
pub(super) use self::failure::Failure;
pub(super) use self::observation::{Answer, LISTING_LIMIT, Observation, Outcome, observing};
pub(super) use self::patience::{CONNECT_LIMIT, LISTING_WITHIN};

use self::body::Watched;
use self::observation::ObservationReceiver;
use super::cloud::Issuer;
use super::tag::stand_in;

/// What is read of an error's body.
const ERROR_BODY_LIMIT: usize = 64 << 10;

/// Makes the HTTP clients of a store, for objects and for credentials.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    connector: Arc<dyn HttpConnector>,
    observations: Arc<StoreObservations>,
}

/// What was observed of a store that outlives an operation.
#[derive(Debug, Default)]
pub(super) struct StoreObservations {
    time: Mutex<Option<(SystemTime, Instant)>>,
    issuer: Mutex<Option<Issuer>>,
    failure: Mutex<Option<String>>,
}

impl StoreObservations {
    /// The store's time in its newest answer, and when that came.
    pub(super) fn time(&self) -> Option<(SystemTime, Instant)> {
        *self.time.locked()
    }

    /// Why the newest failed request failed, for a caller that has given up waiting for the next ones.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.locked().clone()
    }

    pub(super) fn note_failure(&self, failure: String) {
        *self.failure.locked() = Some(failure);
    }

    /// Credentials came from here.
    pub(super) fn note_issuer(&self, issuer: Issuer) {
        *self.issuer.locked() = Some(issuer);
    }

    fn note_time(&self, answer: &Answer) {
        if let Some(date) = answer.date {
            *self.time.locked() = Some((date, Instant::now()));
        }
    }
}

impl Wire {
    /// The connections of a store, made by `connector`.
    pub(super) fn new(connector: Arc<dyn HttpConnector>) -> Self {
        Self { connector, observations: Arc::default() }
    }

    pub(super) fn observations(&self) -> Arc<StoreObservations> {
        self.observations.clone()
    }

    /// A client for credentials, whose requests are no part of any operation. The caller bounds the time.
    pub(super) fn credentials_client(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        self.connect_unbounded(options)
    }

    // The library's limits would apply to the whole answer, however large it is. Its limit for connecting stays.
    fn connect_unbounded(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        self.connector.connect(&options.clone().with_timeout_disabled().with_read_timeout_disabled())
    }
}

impl HttpConnector for Wire {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = self.connect_unbounded(options)?;
        Ok(HttpClient::new(Client { client, observations: self.observations.clone() }))
    }
}

/// The HTTP client of a store.
#[derive(Debug)]
struct Client {
    client: HttpClient,
    observations: Arc<StoreObservations>,
}

#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let receiver = ObservationReceiver::current();
        let method = request.method().clone();
        let (origin, issuer) = (origin(request.uri()), *self.observations.issuer.locked());
        let request_time = http_time::of_request(request.headers());
        let note = |outcome| receiver.note(Observation { origin: origin.clone(), issuer, request_time, outcome });
        let web_page = || {
            note(Outcome::Failed(Failure::WebPage));
            Err(HttpError::new(HttpErrorKind::Decode, Failure::WebPage))
        };

        let patience = patience::answer_within(request.body().content_length() as u64);
        let answer = tokio::time::timeout(patience, self.client.execute(request))
            .await
            .unwrap_or_else(|_| Err(HttpError::new(HttpErrorKind::Timeout, Failure::NoAnswer(patience))));
        let (mut parts, mut body) = match answer {
            Ok(answer) => answer.into_parts(),
            Err(error) => {
                note(Outcome::Failed(Failure::of(&error)));
                return Err(error);
            }
        };

        // Some stores call all their answers text/html, so the body decides; such stores also announce its length.
        if parts.status.is_success() && method != Method::HEAD && is_html(&parts.headers) {
            let is_web_page = match content_length(&parts.headers) {
                None => method == Method::GET,
                Some(length) if length <= ERROR_BODY_LIMIT as u64 => {
                    let whole = body::beginning(body, ERROR_BODY_LIMIT).await;
                    let is_web_page = is_page(&parts.headers, &whole);
                    body = HttpResponseBody::from(bytes::Bytes::from(whole));
                    is_web_page
                }
                Some(_) => false,
            };
            if is_web_page {
                return web_page();
            }
        }

        if !(parts.status.is_success() || parts.status == StatusCode::NOT_MODIFIED) {
            let body = body::beginning(body, ERROR_BODY_LIMIT).await;
            // Servers and proxies that are in trouble answer 5xx with pages of their own, in front of a store, too.
            if parts.status.is_client_error() && is_page(&parts.headers, &body) {
                return web_page();
            }
            let answer = Answer::new(parts.status, &parts.headers, ErrorBody::parse(&body));
            self.observations.note_time(&answer);
            note(Outcome::Answered(answer));
            // object_store wants text.
            let body = String::from_utf8_lossy(&body).into_owned();
            return Ok(HttpResponse::from_parts(parts, body.into()));
        }

        let answer = Answer::new(parts.status, &parts.headers, ErrorBody::default());
        self.observations.note_time(&answer);
        note(Outcome::Answered(answer));
        stand_in(&mut parts.headers);
        let has_body =
            method != Method::HEAD && !matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let announced = if has_body { content_length(&parts.headers) } else { None };
        let limit = receiver.body_limit();
        let body = HttpResponseBody::new(Watched::new(body, announced, limit, receiver));
        Ok(HttpResponse::from_parts(parts, body))
    }
}

fn is_html(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    media_type.trim_start().to_ascii_lowercase().starts_with("text/html")
}

// Some stores call their XML text/html.
fn is_page(headers: &HeaderMap, body: &[u8]) -> bool {
    let begin = String::from_utf8_lossy(&body[..body.len().min(256)]).trim_start().to_ascii_lowercase();
    is_html(headers) && (begin.starts_with("<!doctype html") || begin.starts_with("<html"))
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

// Scheme, host and port: paths hold keys, queries hold secrets.
fn origin(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("http");
    match (uri.host(), uri.port_u16()) {
        (Some(host), Some(port)) => format!("{scheme}://{host}:{port}"),
        (Some(host), None) => format!("{scheme}://{host}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
