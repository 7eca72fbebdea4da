//! The HTTP client below every cloud's store: one place where each request and each answer passes, those for credentials
//! too. Time is bounded here, and the facts are noted that object_store's errors leave out. What they mean is in
//! `diagnosis`.

mod body;
mod endpoint;
mod error_body;
mod failure;
mod heard;
mod patience;

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use async_trait::async_trait;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use lifeboat_runtime::http_time;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use tokio::time::Instant;

pub(super) use self::endpoint::Endpoint;
pub(super) use self::error_body::ErrorBody;
pub(super) use self::failure::Failure;
pub(super) use self::heard::{Answer, Heard, LISTING_LIMIT, Outcome, hearing};

use self::body::Watched;
use self::heard::ObservationReceiver;
use super::cloud::Cloud;
use super::tag::stand_in;

/// What is read of an error's body.
const ERROR_BODY_LIMIT: usize = 64 << 10;
/// Credentials are some kilobytes.
const CREDENTIALS_LIMIT: u64 = 1 << 20;

/// Makes the HTTP clients of a store, for objects and for credentials alike.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    connector: Arc<dyn HttpConnector>,
    cloud: Cloud,
    told: Arc<Told>,
}

/// What answers have told that outlives a request.
#[derive(Debug, Default)]
pub(super) struct Told {
    time: Mutex<Option<(SystemTime, Instant)>>,
    issuer: Mutex<Option<Endpoint>>,
    failure: Mutex<Option<String>>,
}

impl Told {
    /// The store's time in its newest answer, and when that came.
    pub(super) fn time(&self) -> Option<(SystemTime, Instant)> {
        *self.time.lock().expect("nothing panics while it is locked")
    }

    /// Why the newest failed request failed, for a caller that has given up waiting for the next ones.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().expect("nothing panics while it is locked").clone()
    }

    pub(super) fn note_failure(&self, failure: String) {
        *self.failure.lock().expect("nothing panics while it is locked") = Some(failure);
    }

    fn issuer(&self) -> Option<Endpoint> {
        *self.issuer.lock().expect("nothing panics while it is locked")
    }

    fn hear(&self, endpoint: Endpoint, answer: &Answer) {
        if endpoint != Endpoint::Store {
            if !answer.status.is_success() {
                return;
            }
            *self.issuer.lock().expect("nothing panics while it is locked") = Some(endpoint);
        } else if let Some(date) = answer.date {
            *self.time.lock().expect("nothing panics while it is locked") = Some((date, Instant::now()));
        }
    }
}

impl Wire {
    /// The connections of a store, made by `connector`.
    pub(super) fn new(cloud: Cloud, connector: Arc<dyn HttpConnector>) -> Self {
        Self { connector, cloud, told: Arc::default() }
    }

    pub(super) fn told(&self) -> Arc<Told> {
        self.told.clone()
    }
}

impl HttpConnector for Wire {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        // Its limits would be for the whole, however large; ours are below. Its limit for connecting stays.
        let options = options.clone().with_timeout_disabled().with_read_timeout_disabled();
        let client = self.connector.connect(&options)?;
        Ok(HttpClient::new(Client { client, cloud: self.cloud, told: self.told.clone() }))
    }
}

/// One HTTP client under watch.
#[derive(Debug)]
struct Client {
    client: HttpClient,
    cloud: Cloud,
    told: Arc<Told>,
}

#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let hearing = ObservationReceiver::current();
        let endpoint = Endpoint::of(self.cloud, &request);
        let limit = if endpoint == Endpoint::Store { hearing.body_limit() } else { CREDENTIALS_LIMIT };
        let (is_head, is_get) = (request.method() == Method::HEAD, request.method() == Method::GET);
        let (issuer, request_time) = (self.told.issuer(), http_time::of_request(request.headers()));
        let origin = origin(request.uri());
        let note = |outcome| hearing.note(Heard { endpoint, origin: origin.clone(), issuer, request_time, outcome });

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
        // Some stores call all that they answer text/html, so the body decides; they announce how long it is, too.
        if endpoint == Endpoint::Store && parts.status.is_success() && !is_head && is_html(&parts.headers) {
            let is_web_page = match content_length(&parts.headers) {
                None => is_get,
                Some(length) if length <= ERROR_BODY_LIMIT as u64 => {
                    let whole = body::beginning(body, ERROR_BODY_LIMIT).await;
                    let is_web_page = is_page(&parts.headers, &whole);
                    body = HttpResponseBody::from(bytes::Bytes::from(whole));
                    is_web_page
                }
                Some(_) => false,
            };
            if is_web_page {
                note(Outcome::Failed(Failure::WebPage));
                return Err(HttpError::new(HttpErrorKind::Decode, Failure::WebPage));
            }
        }

        if !(parts.status.is_success() || parts.status == StatusCode::NOT_MODIFIED) {
            let body = body::beginning(body, ERROR_BODY_LIMIT).await;
            // Servers and proxies that are in trouble answer 5xx with pages of their own, in front of a store, too.
            if endpoint == Endpoint::Store && parts.status.is_client_error() && is_page(&parts.headers, &body) {
                note(Outcome::Failed(Failure::WebPage));
                return Err(HttpError::new(HttpErrorKind::Decode, Failure::WebPage));
            }
            let answer = Answer::new(parts.status, &parts.headers, ErrorBody::parse(&body));
            self.told.hear(endpoint, &answer);
            note(Outcome::Answered(answer));
            // object_store wants text.
            let body = String::from_utf8_lossy(&body).into_owned();
            return Ok(HttpResponse::from_parts(parts, body.into()));
        }
        let answer = Answer::new(parts.status, &parts.headers, ErrorBody::default());
        self.told.hear(endpoint, &answer);
        note(Outcome::Answered(answer));
        if endpoint == Endpoint::Store {
            stand_in(&mut parts.headers);
        }
        let has_body = !is_head && !matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let announced = if has_body { content_length(&parts.headers) } else { None };
        let body = HttpResponseBody::new(Watched::new(body, announced, limit, hearing));
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
