//! `POST /v1/reports`: what is answered to a report. 202 if it was taken or counted; otherwise a sentence that says why
//! not, which the filter's log doesn't show but a person's `curl` does.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use lifeboat_core::report::{MAX_REPORT, REPORT_PATH, Refusal, SIGNATURE_HEADER, Taken};
use lifeboat_runtime::lock::Locked;
use tracing::{info, warn};

use super::Reports;

/// The reports, and what was said of them in the log: each thing once.
#[derive(Clone)]
struct Endpoint {
    reports: Reports,
    said: Arc<Mutex<BTreeSet<&'static str>>>,
}

pub(super) fn router(reports: Reports) -> Router {
    let endpoint = Endpoint { reports, said: Arc::default() };
    Router::new().route(REPORT_PATH, post(take)).layer(DefaultBodyLimit::max(MAX_REPORT)).with_state(endpoint)
}

async fn take(State(endpoint): State<Endpoint>, headers: HeaderMap, body: Result<Bytes, BytesRejection>) -> Response {
    let signature = headers.get(SIGNATURE_HEADER).map(|value| value.as_bytes());
    let taken = match body {
        Ok(body) => endpoint.reports.take(&body, signature),
        // The rest of a body that is too long was not read; the ledger refuses and counts it by its length.
        Err(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            endpoint.reports.take(&[b' '; MAX_REPORT + 1], signature)
        }
        // It broke off: there is nobody to answer, and nothing to count.
        Err(error) => return error.into_response(),
    };

    match taken {
        Ok(Taken::Kept(_)) => StatusCode::ACCEPTED.into_response(),
        Ok(Taken::Counted) => {
            endpoint.say_once("counted", || {
                info!(
                    "reports of the filter arrive, and are only counted: LIFEBOAT_REPORT_KEYS is not set, so their \
                     sender is not known"
                );
            });
            (StatusCode::ACCEPTED, "counted only: this lifeboat has no LIFEBOAT_REPORT_KEYS\n").into_response()
        }
        Err(refusal) => {
            endpoint.say_once(refusal.reason(), || {
                warn!("a report of the filter was refused (said once; the metrics count them): {refusal}");
            });
            (status(&refusal), format!("{refusal}\n")).into_response()
        }
    }
}

fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::Unsigned | Refusal::BadSignature => StatusCode::UNAUTHORIZED,
        Refusal::Malformed(_) | Refusal::UnknownFormat(_) | Refusal::WrongTime(_) => StatusCode::BAD_REQUEST,
        Refusal::Replayed => StatusCode::CONFLICT,
        Refusal::Full => StatusCode::TOO_MANY_REQUESTS,
    }
}

impl Endpoint {
    fn say_once(&self, what: &'static str, say: impl FnOnce()) {
        if self.said.locked().insert(what) {
            say();
        }
    }
}
