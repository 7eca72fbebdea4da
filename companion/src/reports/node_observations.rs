//! What reports tell the exporters: each node is one that can say what it runs, for as long as one of its instances
//! reports. Never that it was given something, since nobody knows that of it: so it can confirm a configuration, and its
//! silence or its running another one can delay a publication as long as any node's, but can't be a refusal.

use std::collections::BTreeMap;

use lifeboat_core::export::adoption::NodeNews;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::report::ReportingNode;

use crate::export::{NodeObservations, ObservationSender};

/// The nodes that report what they run, by their names.
#[derive(Debug)]
pub(super) struct ReportObservations {
    observations: NodeObservations,
    reporting: BTreeMap<String, (KongVersion, ObservationSender)>,
}

impl ReportObservations {
    pub(super) fn new(observations: NodeObservations) -> Self {
        Self { observations, reporting: BTreeMap::new() }
    }

    /// An instance in this node has reported. Only a node that names its version of Kong and its configuration
    /// counts: a hash alone names no content (KONG.md section 1).
    pub(super) async fn record(&mut self, node: &ReportingNode) {
        let version = node.kong_version.as_deref().and_then(|version| version.parse::<KongVersion>().ok());
        let (Some(version), Some(hash)) = (version, node.config_hash) else { return };
        if self.reporting.get(&node.name).is_some_and(|(known, _)| *known != version) {
            self.forget(&node.name).await;
        }
        if !self.reporting.contains_key(&node.name) {
            let Some(observer) = self.observations.node(version) else { return };
            observer.tell(NodeNews::Joined).await;
            self.reporting.insert(node.name.clone(), (version, observer));
        }
        if let Some((_, observer)) = self.reporting.get(&node.name) {
            observer.tell(NodeNews::Runs(hash)).await;
        }
    }

    /// A node is gone.
    pub(super) async fn forget(&mut self, name: &str) {
        if let Some((_, observer)) = self.reporting.remove(name) {
            observer.tell(NodeNews::Left).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lifeboat_core::export::adoption::{Adoption, Nodes};
    use lifeboat_core::time::Moment;
    use tokio::time::timeout;

    use super::*;

    const VERSION: KongVersion = KongVersion::new(3, 9, 1);

    fn node(name: &str, version: &str, hash: u8) -> ReportingNode {
        ReportingNode {
            name: name.to_owned(),
            instances: 3,
            config_hash: Some(hex(hash).parse().unwrap()),
            kong_version: Some(version.to_owned()),
            control_plane: None,
        }
    }

    fn hex(digit: u8) -> String {
        format!("{digit:02x}").repeat(16)
    }

    #[tokio::test]
    async fn a_node_joins_says_what_it_runs_and_leaves_and_is_never_said_to_be_given_anything() {
        let mut observations = NodeObservations::default();
        let mut hearing = observations.hearing(VERSION);
        let mut report_observations = ReportObservations::new(observations);
        report_observations.record(&node("dp-1", "3.9.1", 6)).await;
        report_observations.record(&node("dp-1", "3.9.1", 7)).await;
        report_observations.record(&node("dp-2", "3.4.0", 7)).await;
        report_observations.record(&node("dp-3", "of another kind", 7)).await;
        report_observations.forget("dp-1").await;
        report_observations.forget("dp-1").await;
        drop(report_observations);
        let mut told = Vec::new();
        while let Some((_, news)) = hearing.next().await {
            told.push(news);
        }
        let runs = |digit| NodeNews::Runs(hex(digit).parse().unwrap());
        assert_eq!(told, [NodeNews::Joined, runs(6), runs(7), NodeNews::Left]);
    }

    /// However long it runs another one: it was given nothing that it could have refused.
    #[tokio::test]
    async fn a_node_that_runs_another_configuration_can_delay_and_not_refuse() {
        let mut observations = NodeObservations::default();
        let mut hearing = observations.hearing(VERSION);
        let mut report_observations = ReportObservations::new(observations);
        let mut nodes = Nodes::default();
        let at = |seconds| Moment::after_start(Duration::from_secs(seconds));
        for seconds in (0..3600).step_by(600) {
            report_observations.record(&node("dp-1", "3.9.1", 6)).await;
            while let Ok(Some((link, news))) = timeout(Duration::from_millis(1), hearing.next()).await {
                nodes.note(link, news, at(seconds));
            }
            let adoption = nodes.adoption(hex(7).parse().unwrap(), 10_000, at(100));
            assert_eq!(adoption, Adoption::Open, "after {seconds} s");
        }
        assert_eq!(nodes.adoption(hex(6).parse().unwrap(), 10_000, at(100)), Adoption::Confirmed);
    }
}
