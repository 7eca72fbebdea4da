//! What was heard of the newest request of an operation: facts that object_store's errors leave out. They come to the
//! operation through a place that belongs to its task.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use lifeboat_runtime::http_time;

use super::endpoint::Endpoint;
use super::error_body::ErrorBody;
use super::failure::Failure;

tokio::task_local! {
    static HEARING: ObservationReceiver;
}

/// What a page of a listing, the longest answer that isn't an object, may have. S3's thousand keys of at most 1,024 bytes
/// have some 2 MiB.
pub(crate) const LISTING_LIMIT: u64 = 16 << 20;

/// An operation's place for what is heard, and what its answers may be.
#[derive(Clone, Debug)]
pub(super) struct ObservationReceiver {
    report: Arc<Mutex<Report>>,
    body_limit: u64,
}

/// What was heard of an operation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// Its newest request, whoever was asked.
    pub(crate) newest: Option<Heard>,
    /// How many requests went to the store: more than one for a listing of several pages, none where there is no wire.
    pub(crate) requests: u64,
}

/// One request and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// Who was asked.
    pub(crate) endpoint: Endpoint,
    /// Scheme, host and port of it.
    pub(crate) origin: String,
    /// Who gave the credentials that are in use, if they weren't given in the settings.
    pub(crate) issuer: Option<Endpoint>,
    /// The time that the request was signed with, if it was.
    pub(crate) request_time: Option<SystemTime>,
    /// What came of it.
    pub(crate) outcome: Outcome,
}

/// What came of a request.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// An answer.
    Answered(Answer),
    /// None, or only a part of one.
    Failed(Failure),
}

/// An answer's head, and an error's body.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The server's `Date`.
    pub(crate) date: Option<SystemTime>,
    /// How long it asks to wait.
    pub(crate) retry_after: Option<Duration>,
    /// `x-amz-bucket-region`.
    pub(crate) bucket_region: Option<String>,
    /// Empty for a success: there a body is an object, or a secret.
    pub(crate) error: ErrorBody,
}

impl Answer {
    pub(crate) fn new(status: StatusCode, headers: &HeaderMap, mut error: ErrorBody) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        // Azure says it here too, also where there can be no body.
        error.code = error.code.or_else(|| text("x-ms-error-code"));
        Self {
            status,
            date: http_time::of_answer(headers),
            retry_after: http_time::retry_after(headers),
            bucket_region: text("x-amz-bucket-region"),
            error,
        }
    }
}

/// Runs an operation whose answers have at most `body_limit` bytes, and tells what was heard.
pub(crate) async fn hearing<T>(body_limit: u64, operation: impl Future<Output = T>) -> (T, Report) {
    let hearing = ObservationReceiver { report: Arc::default(), body_limit };
    let result = HEARING.scope(hearing.clone(), operation).await;
    let report = std::mem::take(&mut *hearing.locked());
    (result, report)
}

impl ObservationReceiver {
    /// The place of the operation that runs in this task.
    pub(super) fn current() -> Self {
        HEARING.try_with(Clone::clone).unwrap_or_else(|_| Self::nobodys())
    }

    /// A place where nobody looks: for requests outside of any operation.
    pub(super) fn nobodys() -> Self {
        Self { report: Arc::default(), body_limit: LISTING_LIMIT }
    }

    pub(super) fn body_limit(&self) -> u64 {
        self.body_limit
    }

    pub(super) fn note(&self, heard: Heard) {
        let mut report = self.locked();
        report.requests += u64::from(heard.endpoint == Endpoint::Store);
        report.newest = Some(heard);
    }

    /// The body of the newest answer broke off.
    pub(super) fn note_failure(&self, failure: Failure) {
        if let Some(heard) = &mut self.locked().newest {
            heard.outcome = Outcome::Failed(failure);
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Report> {
        self.report.lock().expect("nothing panics while it is locked")
    }
}
