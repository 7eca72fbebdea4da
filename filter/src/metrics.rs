//! The metrics that the gateway has been told of. Each is defined when there is something to say of it, in a tick, and so
//! not before the filter may act: Kong before 3.8 traps. Not here: what they say (`lifeboat_core::report::Metric`).

use std::collections::HashMap;

use lifeboat_core::report::{Metric, MetricKind};
use lifeboat_filter_abi as abi;

/// The gateway's number for each metric, or none where it refused.
#[derive(Default)]
pub(crate) struct Metrics(HashMap<Metric, Option<u32>>);

impl Metrics {
    /// Sets a gauge or adds to a counter.
    pub(crate) fn record(&mut self, metric: Metric, value: u64) {
        let defined = *self.0.entry(metric).or_insert_with(|| define(metric));
        match (defined, metric.kind()) {
            (Some(number), MetricKind::Gauge) => abi::record_metric(number, value),
            (Some(number), MetricKind::Counter) => abi::add_to_metric(number, value),
            (None, _) => {}
        }
    }
}

fn define(metric: Metric) -> Option<u32> {
    let kind = match metric.kind() {
        MetricKind::Counter => abi::MetricKind::Counter,
        MetricKind::Gauge => abi::MetricKind::Gauge,
    };
    abi::define_metric(kind, &metric.name())
}
