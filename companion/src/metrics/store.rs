//! The requests to a store as metrics.

use std::time::Duration;

use lifeboat_storage::{Operation, RequestObserver, RequestOutcome};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::names;
use super::series::{durations, register};

/// The requests to a store. Clones count together.
#[derive(Clone, Debug)]
pub struct StoreMetrics {
    requests: Family<RequestLabels, Counter>,
    durations: Family<OperationLabels, Histogram, fn() -> Histogram>,
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
}

impl RequestObserver for StoreMetrics {
    fn ended(&self, operation: Operation, outcome: RequestOutcome, requests: u64) {
        let labels = RequestLabels { operation: operation_label(operation), outcome: outcome_label(outcome) };
        self.requests.get_or_create(&labels).inc_by(requests);
    }

    fn took(&self, operation: Operation, duration: Duration) {
        let labels = OperationLabels { operation: operation_label(operation) };
        self.durations.get_or_create(&labels).observe(duration.as_secs_f64());
    }
}

fn operation_label(operation: Operation) -> &'static str {
    match operation {
        Operation::Get => "get",
        Operation::Head => "head",
        Operation::Put => "put",
        Operation::List => "list",
        Operation::Delete => "delete",
    }
}

fn outcome_label(outcome: RequestOutcome) -> &'static str {
    match outcome {
        RequestOutcome::Ok => "ok",
        RequestOutcome::Failed(class) => class,
        RequestOutcome::Abandoned => "abandoned",
    }
}
