//! What the instances of the filter in one gateway say together. There are several: one in each worker, and after a chain
//! was deleted and made anew those of the old one, which go on with its settings until Kong is restarted (KONG.md section
//! 4, point 10). So nodes are counted, not instances. Not here: which reports are taken.

use super::{Reporting, WorkerName};
use crate::digest::ConfigHash;
use crate::report::{ControlPlane, Report};

/// A gateway, as those of its instances have it that report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportingNode {
    /// [`WorkerName::node`] of all of them.
    pub name: String,
    /// How many instances report.
    pub instances: usize,
    /// What it runs, by the newest report that says so.
    pub config_hash: Option<ConfigHash>,
    /// Which Kong it is, by that report.
    pub kong_version: Option<String>,
    /// How it sees the control plane, by the instance with the newest settings: others may look for an old address.
    pub control_plane: Option<ControlPlane>,
}

impl ReportingNode {
    /// What the instances of one node say together; none if there are none.
    pub(super) fn of<'a>(instances: impl IntoIterator<Item = (&'a WorkerName, &'a Reporting)>) -> Option<Self> {
        let instances: Vec<_> = instances.into_iter().collect();
        let (name, _) = instances.first()?;
        let reports = || instances.iter().map(|(_, newest)| *newest);

        let telling = reports().filter(|newest| newest.report.config_hash.is_some());
        let telling = telling.max_by_key(|newest| newest.received).map(|newest| &newest.report);
        let speaking = reports().max_by_key(|newest| (configured_at_ms(&newest.report), newest.received));
        Some(Self {
            name: name.node.clone(),
            instances: instances.len(),
            config_hash: telling.and_then(|report| report.config_hash),
            kong_version: telling.and_then(|report| report.kong_version.clone()),
            control_plane: speaking.and_then(|newest| newest.report.control_plane),
        })
    }
}

/// No instance speaks for its node for ever by saying that it was configured in the future.
fn configured_at_ms(report: &Report) -> u64 {
    report.configured_at_ms.unwrap_or_default().min(report.sent_at_ms)
}
