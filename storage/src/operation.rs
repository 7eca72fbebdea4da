//! The operations of a store, their outcomes, and how they are counted. Each request counts, even if nobody waits for
//! its answer any more, because stores charge for requests.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// An object.
    Get,
    /// What is known of an object, without its bytes.
    Head,
    /// To write an object.
    Put,
    /// A page of a listing.
    List,
    /// To delete an object.
    Delete,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestOutcome {
    /// What was asked for.
    Ok,
    /// An error of this class ([`StorageError::class`](crate::StorageError::class)).
    Failed(&'static str),
    /// Nobody waited for it any more.
    Abandoned,
}

/// Counts requests and measures operations.
pub trait RequestObserver: fmt::Debug + Send + Sync {
    /// So many requests over the wire came to this.
    fn ended(&self, operation: Operation, outcome: RequestOutcome, requests: u64);

    /// An operation took so long, whatever came of it. One that was abandoned has no duration.
    fn took(&self, operation: Operation, duration: Duration);
}

/// An operation that is under way.
#[derive(Debug)]
pub(crate) struct UnderWay {
    observer: Option<Arc<dyn RequestObserver>>,
    operation: Operation,
    began: Instant,
}

impl Operation {
    /// Whether an object, or what is known of it, is read.
    pub(crate) fn is_reading(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get | Self::Head => "reading",
            Self::Put => "writing",
            Self::List => "listing",
            Self::Delete => "deleting",
        })
    }
}

impl UnderWay {
    pub(crate) fn begin(observer: Option<Arc<dyn RequestObserver>>, operation: Operation) -> Self {
        Self { observer, operation, began: Instant::now() }
    }

    /// It is over. It took so many requests over the wire, all of which but the last went well: a listing has pages.
    pub(crate) fn end(mut self, outcome: RequestOutcome, requests: u64) {
        // Taken, so that `drop` doesn't count it again.
        let Some(observer) = self.observer.take() else { return };

        let pages = requests.saturating_sub(1);
        if pages > 0 {
            observer.ended(self.operation, RequestOutcome::Ok, pages);
        }
        observer.ended(self.operation, outcome, 1);
        observer.took(self.operation, self.began.elapsed());
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(observer) = &self.observer {
            observer.ended(self.operation, RequestOutcome::Abandoned, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Debug, Default)]
    struct Counted(Mutex<Vec<(RequestOutcome, u64)>>);

    impl RequestObserver for Counted {
        fn ended(&self, _: Operation, outcome: RequestOutcome, requests: u64) {
            self.0.lock().unwrap().push((outcome, requests));
        }

        fn took(&self, _: Operation, _: Duration) {}
    }

    #[test]
    fn each_page_of_a_listing_is_a_request_and_the_last_one_tells_how_it_went() {
        let counted = Arc::new(Counted::default());
        UnderWay::begin(Some(counted.clone()), Operation::List).end(RequestOutcome::Failed("unavailable"), 3);
        assert_eq!(*counted.0.lock().unwrap(), [(RequestOutcome::Ok, 2), (RequestOutcome::Failed("unavailable"), 1)]);
    }

    #[test]
    fn an_operation_without_a_wire_counts_as_one_request() {
        let counted = Arc::new(Counted::default());
        UnderWay::begin(Some(counted.clone()), Operation::Get).end(RequestOutcome::Ok, 0);
        assert_eq!(*counted.0.lock().unwrap(), [(RequestOutcome::Ok, 1)]);
    }

    #[test]
    fn an_abandoned_request_counts() {
        let counted = Arc::new(Counted::default());
        drop(UnderWay::begin(Some(counted.clone()), Operation::Put));
        assert_eq!(*counted.0.lock().unwrap(), [(RequestOutcome::Abandoned, 1)]);
    }
}
