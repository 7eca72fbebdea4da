//! Which failures of a request for objects are worth another try, when, and when to give up. object_store's own retries
//! are off: they ignore `Retry-After` and repeat conditional writes blindly. Not here: how credentials are fetched
//! again (`credentials::refreshed`), and how often the test of conditional writes is tried (`probe`).

use std::time::Duration;

use lifeboat_core::backoff::Backoff;
use lifeboat_runtime::rng;
use tokio::time::Instant;

use super::StorageError;
use super::denial::Denial;
use super::diagnosis::Failed;
use super::wire::Answer;

/// How many tries there are.
const TRIES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// No try begins later than this after the first.
const LAST_BEGIN: Duration = Duration::from_secs(60);
/// If the store asks for a longer wait, the caller gets the error and decides whether to wait.
const LONGEST_ASKED: Duration = Duration::from_secs(20);

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// It would fail again.
    Never,
    /// Once more, with credentials that may be fresher by then.
    Once,
    /// After a backoff.
    Soon,
    /// Not before this has passed: the store says so.
    After(Duration),
}

impl Again {
    /// After a failure that no answer of the store's explains.
    pub(super) fn after_error(error: &StorageError) -> Self {
        if matches!(error, StorageError::Unavailable { .. }) { Self::Soon } else { Self::Never }
    }

    pub(super) fn after_denial(denial: &Denial) -> Self {
        match denial {
            Denial::Expired(_) | Denial::Clock(_) => Self::Once,
            Denial::Permission(_) | Denial::Credential(_) => Self::Never,
        }
    }
}

/// Whether the same request may be answered otherwise a little later.
pub(super) fn is_transient(answer: &Answer) -> bool {
    let code = answer.error.code.as_deref().unwrap_or_default();
    match answer.status.as_u16() {
        408 | 429 | 500 | 502 | 503 | 504 | 507 | 509 => true,
        // Somebody writes the same object right now (S3: "You should retry the request"), or a container is being
        // deleted.
        409 => matches!(code, "ConditionalRequestConflict" | "OperationAborted" | "ContainerBeingDeleted"),
        307 => code == "TemporaryRedirect",
        // S3 has these under 400: the upload was too slow, or arrived damaged.
        400 => matches!(
            code,
            "RequestTimeout" | "IncompleteBody" | "BadDigest" | "XAmzContentSHA256Mismatch" | "Throttling" | "SlowDown"
        ),
        _ => false,
    }
}

/// The tries of one operation.
#[derive(Debug)]
struct Tries {
    backoff: Backoff,
    has_renewed: bool,
}

impl Tries {
    fn new() -> Self {
        Self { backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT), has_renewed: false }
    }

    /// How long to wait before the next try, `elapsed` after the first began; `None` if there is to be none.
    fn next(&mut self, again: Again, elapsed: Duration, chance: f64) -> Option<Duration> {
        if self.backoff.failures() + 1 >= TRIES {
            return None;
        }
        let wait = match again {
            Again::Never => return None,
            Again::Once if std::mem::replace(&mut self.has_renewed, true) => return None,
            Again::After(asked) if asked > LONGEST_ASKED => return None,
            // Not all at the same moment, also when all were told the same.
            Again::After(asked) => asked + self.backoff.next_wait(chance),
            Again::Once | Again::Soon => self.backoff.next_wait(chance),
        };
        (elapsed + wait <= LAST_BEGIN).then_some(wait)
    }
}

/// Tries until it succeeds, or until there is no hope or no time left; then returns the newest failure.
pub(super) async fn retried<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, Failed>
where
    F: Future<Output = Result<T, Failed>>,
{
    let began = Instant::now();
    let mut tries = Tries::new();
    loop {
        let failed = match attempt().await {
            Ok(done) => return Ok(done),
            Err(failed) => failed,
        };
        let Some(wait) = tries.next(failed.again, began.elapsed(), rng::random()) else { return Err(failed) };
        let error: &StorageError = &failed.error;
        tracing::debug!(%error, ?wait, "the store failed, trying again");
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(again: Again) -> Vec<Duration> {
        let mut tries = Tries::new();
        std::iter::from_fn(|| tries.next(again, Duration::ZERO, 1.0)).collect()
    }

    #[test]
    fn tries_are_few_and_their_waits_double() {
        assert_eq!(waits(Again::Soon), [200, 400, 800, 1600].map(Duration::from_millis));
        assert!(waits(Again::Never).is_empty());
        assert_eq!(waits(Again::Once), [Duration::from_millis(200)]);
    }

    #[test]
    fn a_store_that_asks_for_time_is_given_it_up_to_a_bound() {
        let asked = waits(Again::After(Duration::from_secs(3)));
        assert!(asked.len() == 4 && asked.iter().all(|wait| *wait >= Duration::from_secs(3)), "{asked:?}");
        assert!(waits(Again::After(Duration::from_secs(3600))).is_empty());
    }

    #[test]
    fn no_try_begins_after_the_last_moment() {
        assert!(Tries::new().next(Again::Soon, LAST_BEGIN - FIRST_WAIT, 1.0).is_some());
        assert_eq!(Tries::new().next(Again::Soon, LAST_BEGIN, 0.0), None);
    }
}
