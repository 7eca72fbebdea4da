//! What is asked of the store: each request is counted, whatever comes of it, also one for whose answer nobody waits any
//! more. This is what stores charge for.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use super::names;
use super::series::{durations, register};
use crate::storage::Access;

/// The requests to a store. Clones count together.
#[derive(Clone, Debug)]
pub struct StoreMetrics {
    requests: Family<RequestLabels, Counter>,
    durations: Family<OperationLabels, Histogram, fn() -> Histogram>,
}

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
    /// An error of this class.
    Failed(&'static str),
    /// Nobody waited for it any more.
    Abandoned,
}

/// A request that is under way.
#[derive(Debug)]
pub struct RequestUnderWay {
    metrics: StoreMetrics,
    operation: Operation,
    began: Instant,
    is_counted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    operation: &'static str,
}

impl Default for StoreMetrics {
    fn default() -> Self {
        Self { requests: Family::default(), durations: Family::new_with_constructor(durations) }
    }
}

impl StoreMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        register(registry, &names::STORE_REQUESTS, self.requests.clone());
        register(registry, &names::STORE_DURATION, self.durations.clone());
    }

    /// A request begins.
    pub fn begin(&self, operation: Operation) -> RequestUnderWay {
        RequestUnderWay { metrics: self.clone(), operation, began: Instant::now(), is_counted: false }
    }

    fn count(&self, operation: Operation, outcome: RequestOutcome, requests: u64) {
        let labels = RequestLabels { operation: operation.label(), outcome: outcome.label() };
        self.requests.get_or_create(&labels).inc_by(requests);
    }
}

impl RequestUnderWay {
    /// It is over. It took so many requests over the wire, all of which but the last went well: a listing has pages.
    pub fn ended(mut self, outcome: RequestOutcome, requests: u64) {
        self.is_counted = true;
        let pages = requests.saturating_sub(1);
        if pages > 0 {
            self.metrics.count(self.operation, RequestOutcome::Ok, pages);
        }
        self.metrics.count(self.operation, outcome, 1);
        let labels = OperationLabels { operation: self.operation.label() };
        self.metrics.durations.get_or_create(&labels).observe(self.began.elapsed().as_secs_f64());
    }
}

impl Drop for RequestUnderWay {
    fn drop(&mut self) {
        if !self.is_counted {
            self.metrics.count(self.operation, RequestOutcome::Abandoned, 1);
        }
    }
}

impl Operation {
    /// What this kind of access asks for, unless more is known.
    pub(crate) fn of(what: Access) -> Self {
        match what {
            Access::Reading => Self::Get,
            Access::Writing => Self::Put,
            Access::Listing => Self::List,
            Access::Deleting => Self::Delete,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Head => "head",
            Self::Put => "put",
            Self::List => "list",
            Self::Delete => "delete",
        }
    }
}

impl RequestOutcome {
    fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed(class) => class,
            Self::Abandoned => "abandoned",
        }
    }
}
