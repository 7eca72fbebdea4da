//! What the gateway's own `/metrics` shows of the filter. Kong calls a metric `pw_lifeboat_<name>` (KONG.md section 4,
//! point 8) and takes labels out of names by the patterns in `filter/lifeboat.meta.json`. Not here: defining them.

use super::CallFailure;

/// One metric of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// 1 if the control plane's address answers in HTTP, 0 if it doesn't.
    ControlPlaneReachable,
    /// 1 if the node has no configuration, 0 if it has one.
    ConfigEmpty,
    /// For how many seconds the node has run its configuration, as far as this worker has seen.
    ConfigAge,
    /// How many of the filter's settings are wrong.
    SettingsProblems,
    /// Reports that were sent.
    ReportsSent,
    /// Reports that the companion answered with something else than yes.
    ReportsRefused,
    /// Reports without an answer, for this reason.
    ReportsFailed(CallFailure),
}

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows.
    Counter,
    /// It is what was said last.
    Gauge,
}

impl Metric {
    /// Its name, with its label in the form that the pattern in `lifeboat.meta.json` takes out.
    pub fn name(self) -> String {
        match self {
            Self::ControlPlaneReachable => "cp_reachable".to_owned(),
            Self::ConfigEmpty => "config_empty".to_owned(),
            Self::ConfigAge => "config_age_seconds".to_owned(),
            Self::SettingsProblems => "settings_problems".to_owned(),
            Self::ReportsSent => "reports_sent".to_owned(),
            Self::ReportsRefused => "reports_refused".to_owned(),
            Self::ReportsFailed(reason) => format!("reports_failed_reason={}", reason.as_str()),
        }
    }

    /// Whether it counts or measures.
    pub fn kind(self) -> MetricKind {
        match self {
            Self::ReportsSent | Self::ReportsRefused | Self::ReportsFailed(_) => MetricKind::Counter,
            _ => MetricKind::Gauge,
        }
    }
}

/// What the counters have gained since they were last told.
#[derive(Debug, Default)]
pub(super) struct Gains(Vec<(Metric, u64)>);

impl Gains {
    /// One more. There are as many different counters as there are reasons to fail, so this stays short.
    pub(super) fn one_more(&mut self, metric: Metric) {
        match self.0.iter_mut().find(|(counted, _)| *counted == metric) {
            Some((_, gain)) => *gain = gain.saturating_add(1),
            None => self.0.push((metric, 1)),
        }
    }

    /// All of them; from here on they are told.
    pub(super) fn take(&mut self) -> Vec<(Metric, u64)> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_not_told_again() {
        let mut gains = Gains::default();
        gains.one_more(Metric::ReportsSent);
        gains.one_more(Metric::ReportsFailed(CallFailure::Timeout));
        gains.one_more(Metric::ReportsSent);
        assert_eq!(gains.take(), [(Metric::ReportsSent, 2), (Metric::ReportsFailed(CallFailure::Timeout), 1)]);
        assert_eq!(gains.take(), []);
    }

    #[test]
    fn a_counter_counts_and_a_gauge_measures() {
        assert_eq!(Metric::ReportsFailed(CallFailure::NotSent).kind(), MetricKind::Counter);
        assert_eq!(Metric::ReportsFailed(CallFailure::NotSent).name(), "reports_failed_reason=not_sent");
        assert_eq!(Metric::ControlPlaneReachable.kind(), MetricKind::Gauge);
    }
}
