//! What the filter reports from inside gateways: how many reports came, and what their nodes and workers see. Asked of the ledger
//! when somebody looks.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};

use super::{Reports, ReportsView};
use crate::metrics::names;
use crate::metrics::series::{Number, write_counter, write_gauge, write_number};

#[derive(EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(EncodeLabelSet)]
struct State {
    state: &'static str,
}

impl Collector for Reports {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        write_all(&mut encoder, &self.view())
    }
}

fn write_all(encoder: &mut DescriptorEncoder<'_>, view: &ReportsView) -> fmt::Result {
    let refused = view.refused.iter().map(|(reason, count)| (*reason, *count));
    let outcomes = [("accepted", view.accepted), ("counted_only", view.counted_only)].into_iter().chain(refused);
    write_counter(encoder, &names::REPORTS, outcomes.map(|(outcome, count)| (Outcome { outcome }, count)))?;

    for (metric, count) in [
        (&names::REPORTING_NODES, view.nodes.reporting),
        (&names::REPORTING_NODES_WITHOUT_CONFIGURATION, view.nodes.without_configuration),
        (&names::REPORTING_WORKERS, view.workers_reporting),
        (&names::REPORTING_WITHOUT_CONFIGURATION, view.without_configuration),
    ] {
        write_number(encoder, metric, Number::Whole(count as u64))?;
    }

    for (metric, states) in [
        (&names::REPORTED_CONTROL_PLANE_BY_NODES, &view.nodes.control_plane),
        (&names::REPORTED_CONTROL_PLANE, &view.control_plane),
    ] {
        let states = states.iter();
        let states = states.map(|(state, count)| (State { state: state.as_str() }, Number::Whole(*count as u64)));
        write_gauge(encoder, metric, states)?;
    }
    Ok(())
}
