//! What is observed of the requests of an operation: facts that object_store's errors leave out.
//!
//! They come to the operation through a variable of its task, because object_store lets no argument through to the HTTP client
//! when it lists or deletes. That works as long as object_store starts no task between a call and its requests: a test at the
//! foot of `wire` asks that of every kind of operation and every cloud.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use lifeboat_runtime::http_time;
use lifeboat_runtime::lock::Locked;

use super::error_body::ErrorBody;
use super::failure::Failure;
use crate::cloud::Issuer;

tokio::task_local! {
    static RECEIVER: ObservationReceiver;
}

/// What a page of a listing, the longest answer that isn't an object, may have. S3's thousand keys of at most 1,024 bytes
/// have some 2 MiB.
pub(crate) const LISTING_LIMIT: u64 = 16 << 20;

/// Where an operation's observations go, and how long its answers may be.
#[derive(Clone, Debug)]
pub(super) struct ObservationReceiver {
    observed: Arc<Mutex<Observed>>,
    body_limit: u64,
}

/// What was observed of an operation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    /// Its newest request.
    pub(crate) newest: Option<Observation>,
    /// How many requests there were: more than one for a listing of several pages, none where there is no wire.
    pub(crate) requests: u64,
}

/// One request and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Observation {
    /// Scheme, host and port of the store.
    pub(crate) origin: String,
    /// Where the credentials in use come from, if they aren't in the settings.
    pub(crate) issuer: Option<Issuer>,
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

/// Runs an operation whose answers have at most `body_limit` bytes, and gives what was observed meanwhile.
pub(crate) async fn observing<T>(body_limit: u64, operation: impl Future<Output = T>) -> (T, Observed) {
    let receiver = ObservationReceiver { observed: Arc::default(), body_limit };
    let result = RECEIVER.scope(receiver.clone(), operation).await;
    let observed = std::mem::take(&mut *receiver.observed.locked());
    (result, observed)
}

impl ObservationReceiver {
    /// The receiver of the operation that runs in this task; outside of any, one that nobody reads.
    pub(super) fn current() -> Self {
        RECEIVER.try_with(Clone::clone).unwrap_or_else(|_| Self::unread())
    }

    pub(super) fn unread() -> Self {
        Self { observed: Arc::default(), body_limit: LISTING_LIMIT }
    }

    pub(super) fn body_limit(&self) -> u64 {
        self.body_limit
    }

    pub(super) fn note(&self, observation: Observation) {
        let mut observed = self.observed.locked();
        observed.requests += 1;
        observed.newest = Some(observation);
    }

    /// The body of the newest answer broke off.
    pub(super) fn note_failure(&self, failure: Failure) {
        if let Some(newest) = &mut self.observed.locked().newest {
            newest.outcome = Outcome::Failed(failure);
        }
    }
}
