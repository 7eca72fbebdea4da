//! The two forms in which metrics are read: OpenMetrics, which the library writes, and Prometheus' own older text, which
//! everything else reads. They differ in how counters are described and in how they end.

use super::names::{Kind, METRICS};

/// A form of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>
    Prometheus,
    /// <https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md>
    OpenMetrics,
}

impl Form {
    /// The form that a reader wants who sends this `Accept`.
    pub fn wanted(accept: Option<&str>) -> Self {
        match accept {
            Some(accept) if accept.contains("application/openmetrics-text") => Self::OpenMetrics,
            _ => Self::Prometheus,
        }
    }

    /// Its media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// What the library has written, in this form.
    pub(crate) fn of_open_metrics(self, text: String) -> String {
        match self {
            Self::Prometheus => text.lines().filter_map(line).fold(String::new(), |text, line| text + &line + "\n"),
            Self::OpenMetrics => text,
        }
    }
}

// OpenMetrics names a counter's family without the `_total` of its samples; Prometheus' text would take the two for
// different metrics. `# EOF` is a comment there.
fn line(line: &str) -> Option<String> {
    if line == "# EOF" {
        return None;
    }
    let described = ["# HELP ", "# TYPE "].iter().find_map(|begin| Some((begin, line.strip_prefix(begin)?)));
    let Some((begin, (name, rest))) = described.and_then(|(begin, rest)| Some((begin, rest.split_once(' ')?))) else {
        return Some(line.to_owned());
    };
    let is_counter = METRICS.iter().any(|metric| metric.kind == Kind::Counter && metric.family() == name);
    let suffix = if is_counter { "_total" } else { "" };
    Some(format!("{begin}{name}{suffix} {rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = "# HELP lifeboat_store_requests requests.\n# TYPE lifeboat_store_requests counter\n\
                           lifeboat_store_requests_total{operation=\"get\"} 1\n# HELP lifeboat_start_timestamp_seconds when.\n\
                           # TYPE lifeboat_start_timestamp_seconds gauge\nlifeboat_start_timestamp_seconds 2.5\n# EOF\n";

    #[test]
    fn a_counter_is_described_under_the_name_of_its_samples_where_prometheus_expects_that() {
        assert_eq!(
            Form::Prometheus.of_open_metrics(WRITTEN.to_owned()),
            "# HELP lifeboat_store_requests_total requests.\n# TYPE lifeboat_store_requests_total counter\n\
             lifeboat_store_requests_total{operation=\"get\"} 1\n# HELP lifeboat_start_timestamp_seconds when.\n\
             # TYPE lifeboat_start_timestamp_seconds gauge\nlifeboat_start_timestamp_seconds 2.5\n"
        );
        assert_eq!(Form::OpenMetrics.of_open_metrics(WRITTEN.to_owned()), WRITTEN);
    }

    #[test]
    fn who_asks_for_nothing_particular_gets_what_everything_reads() {
        assert_eq!(Form::wanted(None), Form::Prometheus);
        assert_eq!(Form::wanted(Some("*/*")), Form::Prometheus);
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        assert_eq!(Form::wanted(Some(prometheus)), Form::OpenMetrics);
    }
}
