//! What reports tell the exporters: each worker is a node that can say what it runs, for as long as it reports. Never
//! that it was given something, since nobody knows that of it: so it can confirm a configuration, and its silence or its
//! running another one can delay a publication as long as any node's, but can't be a refusal.

use std::collections::BTreeMap;
use std::time::Duration;

use lifeboat_core::keep::adoption::NodeNews;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::report::{Report, WorkerName};
use tokio::time::timeout;
use tracing::debug;

use crate::keep::{Witness, Witnesses};

/// An exporter takes news at once. One that doesn't is told with the next report.
const PATIENCE: Duration = Duration::from_secs(1);

/// The workers that testify.
#[derive(Debug)]
pub(super) struct Testimonies {
    witnesses: Witnesses,
    speaking: BTreeMap<WorkerName, (KongVersion, Witness)>,
}

impl Testimonies {
    pub(super) fn new(witnesses: Witnesses) -> Self {
        Self { witnesses, speaking: BTreeMap::new() }
    }

    /// A worker has reported. Only one that names its version of Kong and its configuration can testify: a hash alone
    /// names no content (KONG.md section 1).
    pub(super) async fn hear(&mut self, name: WorkerName, report: &Report) {
        let version = report.kong_version.as_deref().and_then(|version| version.parse::<KongVersion>().ok());
        let (Some(version), Some(hash)) = (version, report.config_hash) else { return };
        if self.speaking.get(&name).is_some_and(|(known, _)| *known != version) {
            self.forget(&name).await;
        }
        if !self.speaking.contains_key(&name) {
            let Some(witness) = self.witnesses.node(version) else { return };
            tell(&witness, NodeNews::Joined).await;
            self.speaking.insert(name.clone(), (version, witness));
        }
        if let Some((_, witness)) = self.speaking.get(&name) {
            tell(witness, NodeNews::Runs(hash)).await;
        }
    }

    /// A worker is gone.
    pub(super) async fn forget(&mut self, name: &WorkerName) {
        if let Some((_, witness)) = self.speaking.remove(name) {
            tell(&witness, NodeNews::Left).await;
        }
    }
}

async fn tell(witness: &Witness, news: NodeNews) {
    if timeout(PATIENCE, witness.tell(news)).await.is_err() {
        debug!("an exporter is busy and was not told of a report: {news:?}");
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_core::keep::adoption::{Adoption, Nodes};
    use lifeboat_core::time::Moment;

    use super::*;

    const VERSION: KongVersion = KongVersion::new(3, 9, 1);

    fn report(version: &str, hash: u8) -> Report {
        let json = format!(
            r#"{{"format":1,"worker":"00000000000000ff","sequence":1,"sent_at_ms":0,"interval_s":10,
                "filter_version":"0.1.0","kong_version":"{version}","config_hash":"{}"}}"#,
            hex(hash)
        );
        serde_json::from_str(&json).unwrap()
    }

    fn hex(digit: u8) -> String {
        format!("{digit:02x}").repeat(16)
    }

    fn name(worker: u8) -> WorkerName {
        WorkerName { node: "dp-1".to_owned(), worker: format!("{worker:016x}") }
    }

    #[tokio::test]
    async fn a_worker_joins_says_what_it_runs_and_leaves_and_is_never_said_to_be_given_anything() {
        let mut witnesses = Witnesses::default();
        let mut hearing = witnesses.hearing(VERSION);
        let mut testimonies = Testimonies::new(witnesses);
        testimonies.hear(name(1), &report("3.9.1", 6)).await;
        testimonies.hear(name(1), &report("3.9.1", 7)).await;
        testimonies.hear(name(2), &report("3.4.0", 7)).await;
        testimonies.hear(name(3), &report("of another kind", 7)).await;
        testimonies.forget(&name(1)).await;
        testimonies.forget(&name(1)).await;
        drop(testimonies);
        let mut told = Vec::new();
        while let Some((_, news)) = hearing.next().await {
            told.push(news);
        }
        let runs = |digit| NodeNews::Runs(hex(digit).parse().unwrap());
        assert_eq!(told, [NodeNews::Joined, runs(6), runs(7), NodeNews::Left]);
    }

    /// However long it runs another one: it was given nothing that it could have refused.
    #[tokio::test]
    async fn a_worker_that_runs_another_configuration_can_delay_and_not_refuse() {
        let mut witnesses = Witnesses::default();
        let mut hearing = witnesses.hearing(VERSION);
        let mut testimonies = Testimonies::new(witnesses);
        let mut nodes = Nodes::default();
        let at = |seconds| Moment::after_start(Duration::from_secs(seconds));
        for seconds in (0..3600).step_by(600) {
            testimonies.hear(name(1), &report("3.9.1", 6)).await;
            while let Ok(Some((link, news))) = timeout(Duration::from_millis(1), hearing.next()).await {
                nodes.note(link, news, at(seconds));
            }
            let adoption = nodes.adoption(hex(7).parse().unwrap(), 10_000, at(100));
            assert_eq!(adoption, Adoption::Open, "after {seconds} s");
        }
        assert_eq!(nodes.adoption(hex(6).parse().unwrap(), 10_000, at(100)), Adoption::Confirmed);
    }
}
