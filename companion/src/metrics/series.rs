//! Series as the library wants them: labels whose values are ours, numbers that can always be written, and gauges whose
//! values are asked for when somebody looks.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::time::WallTime;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, EncodeLabelValue, EncodeMetric, GaugeValueEncoder,
    LabelValueEncoder,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric as Registered, Registry};

use super::names::Metric;

/// A version of Kong as a label's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Version(pub(crate) KongVersion);

/// The label of what is told for each version of Kong, and by nothing else.
#[derive(EncodeLabelSet)]
pub(super) struct VersionLabels {
    pub(super) kong_version: Version,
}

/// A gauge's number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Whole(u64),
    Time(WallTime),
    Seconds(Duration),
    /// Neither so nor not so.
    Half,
    Share(f64),
}

impl EncodeLabelValue for Version {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        write!(encoder, "{}", self.0)
    }
}

impl EncodeGaugeValue for Number {
    fn encode(&self, encoder: &mut GaugeValueEncoder<'_>) -> fmt::Result {
        match self {
            // The library writes no larger ones, and a manifest may claim any.
            Self::Whole(number) => EncodeGaugeValue::encode(&i64::try_from(*number).unwrap_or(i64::MAX), encoder),
            Self::Time(time) => EncodeGaugeValue::encode(&time.unix_seconds(), encoder),
            Self::Half => EncodeGaugeValue::encode(&0.5_f64, encoder),
            Self::Seconds(duration) => EncodeGaugeValue::encode(&duration.as_secs_f64(), encoder),
            Self::Share(share) => EncodeGaugeValue::encode(share, encoder),
        }
    }
}

impl From<bool> for Number {
    fn from(is_so: bool) -> Self {
        Self::Whole(is_so.into())
    }
}

/// Writes a gauge without labels.
pub(crate) fn write_number(encoder: &mut DescriptorEncoder<'_>, metric: &Metric, number: Number) -> fmt::Result {
    let help = format!("{}.", metric.help);
    ConstGauge::new(number).encode(encoder.encode_descriptor(metric.name, &help, None, MetricType::Gauge)?)
}

/// Writes a gauge that has one number for each version of Kong.
pub(super) fn write_by_version(
    encoder: &mut DescriptorEncoder<'_>,
    metric: &Metric,
    numbers: &BTreeMap<KongVersion, u64>,
) -> fmt::Result {
    let of_version = |(version, number): (&KongVersion, &u64)| {
        (VersionLabels { kong_version: Version(*version) }, Number::Whole(*number))
    };
    write_gauge(encoder, metric, numbers.iter().map(of_version))
}

/// Writes all series of a gauge with labels; nothing, if there are none.
pub(crate) fn write_gauge<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    metric: &Metric,
    series: impl IntoIterator<Item = (L, Number)>,
) -> fmt::Result {
    let mut series = series.into_iter().peekable();
    if series.peek().is_none() {
        return Ok(());
    }
    let help = format!("{}.", metric.help);
    let mut family = encoder.encode_descriptor(metric.name, &help, None, MetricType::Gauge)?;
    for (labels, number) in series {
        ConstGauge::new(number).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// Writes a counter without labels.
pub(crate) fn write_count(encoder: &mut DescriptorEncoder<'_>, metric: &Metric, count: u64) -> fmt::Result {
    let help = format!("{}.", metric.help);
    ConstCounter::new(count).encode(encoder.encode_descriptor(metric.family(), &help, None, MetricType::Counter)?)
}

/// Writes all series of a counter with labels.
pub(crate) fn write_counter<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    metric: &Metric,
    series: impl IntoIterator<Item = (L, u64)>,
) -> fmt::Result {
    let help = format!("{}.", metric.help);
    let mut family = encoder.encode_descriptor(metric.family(), &help, None, MetricType::Counter)?;
    for (labels, count) in series {
        ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

pub(crate) fn register(registry: &mut Registry, metric: &Metric, registered: impl Registered) {
    registry.register(metric.family(), metric.help, registered);
}

/// From a request to a store beside us to a large snapshot on a slow one: 1 ms to 1 minute.
pub(crate) fn durations() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0])
}
