//! What other parts can see of a relay's nodes. Whether the relay is ready is in `observation`: that depends neither on
//! the store nor on the control plane, because otherwise a load balancer would cut the nodes off in the very outage for
//! which the relay is there.

use std::sync::Arc;

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::room::NodeLimit;
use serde::Serialize;

use super::backups::Backups;
use super::incremental::Incremental;
use super::nodes::Nodes;
use super::published_now::PublishedLookup;
use super::{ControlPlaneSync, NodeStatus, OnlyIncremental, node_readiness, rpc};
use crate::archive::Backing;

/// A view of a running relay. Clones see the same one.
#[derive(Clone, Debug)]
pub struct RelayView {
    nodes: Nodes,
    backups: Backups,
    incremental: Incremental,
    sync: Arc<rpc::Outage>,
    published: PublishedLookup,
}

/// Nodes that could not be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WithoutBackup {
    /// Of which version they are.
    pub kong_version: KongVersion,
    /// How many are connected; 0 where there is a backup.
    pub nodes: u64,
}

/// A node that has nearly reached one of its limits.
#[derive(Clone, Debug, PartialEq)]
pub struct NearLimit {
    /// Its host's name.
    pub hostname: String,
    /// Which limit.
    pub limit: NodeLimit,
    /// Which share of it its backup needs.
    pub share: f64,
}

/// Which share of each limit of a node a snapshot needs.
pub type LimitsUsed = Vec<(NodeLimit, f64)>;

impl RelayView {
    pub(super) fn new(
        nodes: Nodes,
        backups: Backups,
        incremental: Incremental,
        sync: Arc<rpc::Outage>,
        published: PublishedLookup,
    ) -> Self {
        Self { nodes, backups, incremental, sync, published }
    }

    /// Says that each node runs what its control plane sent it, or what is published.
    ///
    /// # Errors
    /// Why not, in words for an operator: a line for each node, of the first few.
    pub async fn check_current(&self) -> Result<String, Vec<String>> {
        node_readiness::check(&self.nodes(), &self.published).await
    }

    /// For each version of Kong among the connected nodes: how many have no backup, as far as that is known.
    pub fn without_backup(&self) -> Vec<WithoutBackup> {
        let each = self.backups.without(&self.nodes).into_iter();
        each.map(|(kong_version, nodes)| WithoutBackup { kong_version, nodes }).collect()
    }

    /// Which share of a node's own limits its backup needs; none if the limits or the backup are not known.
    pub fn limits_used(&self, node: &NodeStatus) -> Option<LimitsUsed> {
        match self.backups.of(node.version?)? {
            Backing::Found { sizes: Some(sizes), .. } => Some(node.limits?.used_by(sizes)),
            Backing::Found { sizes: None, .. } | Backing::Absent => None,
        }
    }

    /// The first of those nodes whose backup needs nearly all that one of their limits allows, so many at most.
    pub fn near_limits(&self, most: usize) -> Vec<NearLimit> {
        let sizes = |version| match self.backups.of(version)? {
            Backing::Found { sizes, .. } => sizes.map(|sizes| (version, sizes)),
            Backing::Absent => None,
        };
        let sizes = self.nodes.versions().into_keys().filter_map(sizes).collect();
        self.nodes.near_limits(&sizes, most)
    }

    /// Nodes that are connected now, oldest first: those after the one with this number, so many at most. Then the number of
    /// the last of them, if there are more behind it.
    pub fn nodes_after(&self, after: Option<u64>, most: usize) -> (Vec<NodeStatus>, Option<u64>) {
        self.nodes.after(after, most)
    }

    /// The nodes that are connected now, oldest first.
    pub fn nodes(&self) -> Vec<NodeStatus> {
        self.nodes.all()
    }

    /// What the control plane does for nodes with incremental sync.
    pub fn control_plane_sync(&self) -> ControlPlaneSync {
        self.sync.sync()
    }

    /// The nodes that can't be restored by the relay, since they ask for `/v2/outlet` only.
    pub fn only_incremental(&self) -> Vec<OnlyIncremental> {
        self.incremental.known()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use axum::Router;
    use lifeboat_core::kong::version::KongVersion;
    use rustix::time::{ClockId, clock_gettime};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::super::NodeIdentity;
    use super::*;
    use crate::archive::Stores;
    use crate::archive::tests::in_memory;
    use crate::drill::DrillMetrics;
    use crate::export::NodeObservations;
    use crate::http::{Http, Page, Program};
    use crate::metrics::Metrics;
    use crate::observation::{NodePresence, Observation};
    use crate::relay::nodes::NodeRow;
    use crate::reports::Reports;
    use crate::settings::{Chosen, HttpSettings, PageSettings, ReportKeys, RestoreRules};
    use lifeboat_runtime::clock::Clock;

    /// A relay as it is looked at, with nodes that only sit there.
    struct Relay {
        address: SocketAddr,
        _rows: Vec<(NodeRow, NodePresence)>,
    }

    impl Relay {
        async fn with(count: u32) -> Self {
            let (clock, nodes) = (Clock::start(), Nodes::default());
            let (store, control_plane) = ("s3://kong/backups".to_owned(), "cp:8005".to_owned());
            let (reports, _) = Reports::new(ReportKeys::default(), NodeObservations::default(), clock);
            let observation = Observation::new(clock);
            let metrics = Metrics::new(&observation);
            let relay = Some(RelayView::new(
                nodes.clone(),
                Backups::default(),
                Incremental::new(Duration::ZERO, clock),
                Arc::default(),
                PublishedLookup::new(Stores::of(in_memory().reader(), RestoreRules::default()), clock),
            ));
            let row = |number| (nodes.join(&identity(number), clock.wall()), observation.relay().node());
            let seats = (0..count).map(row).collect();
            let drills = DrillMetrics::default();
            let page = Page::new(PageSettings::default(), Vec::new(), clock);
            let program = Program { observation, metrics, store, control_plane, reports, relay, drills, page };
            let settings = HttpSettings::Listen { address: ([127, 0, 0, 1], 0).into(), chosen: Chosen::OnPurpose };
            let http = Http::bind(settings).await.unwrap().unwrap();
            let address = http.address();
            tokio::spawn(http.run(program, Router::new()));
            Self { address, _rows: seats }
        }

        async fn page(&self, path: &str) -> String {
            let (mut stream, mut answer) = (TcpStream::connect(self.address).await.unwrap(), String::new());
            stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").as_bytes()).await.unwrap();
            stream.read_to_string(&mut answer).await.unwrap();
            answer.split_once("\r\n\r\n").unwrap().1.to_owned()
        }

        /// How long the processor computes for a page. All of it is done in this thread, and what others do doesn't count.
        async fn cost(&self, path: &str) -> Duration {
            let mut least = Duration::MAX;
            for _ in 0..7 {
                let begun = computed();
                self.page(path).await;
                least = least.min(computed() - begun);
            }
            least
        }
    }

    fn computed() -> Duration {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
    }

    fn identity(number: u32) -> NodeIdentity {
        NodeIdentity {
            id: uuid::Uuid::from_u128(number.into()).to_string(),
            hostname: format!("kong-dp-7c9d5b8f6-{number:05}"),
            version: Some(KongVersion::new(3, 9, 1)),
            target: String::new(),
            address: ([10, 0, 0, 1], 40_000).into(),
            via: None,
        }
    }

    /// The names and labels of all series, which come in any order.
    fn series(metrics: &str) -> Vec<&str> {
        let lines = metrics.lines().filter(|line| !line.starts_with('#'));
        let mut series: Vec<&str> = lines.filter_map(|line| line.rsplit_once(' ')).map(|(series, _)| series).collect();
        series.sort_unstable();
        series
    }

    #[tokio::test]
    async fn thousands_of_nodes_are_one_number_among_the_metrics() {
        let (one, thousands) =
            (Relay::with(1).await.page("/metrics").await, Relay::with(5_000).await.page("/metrics").await);
        assert!(thousands.contains("lifeboat_relay_nodes_connected 5000"), "{thousands}");
        assert_eq!(series(&one), series(&thousands));
    }

    #[tokio::test]
    async fn the_status_of_a_relay_with_5000_nodes_is_a_screen() {
        let relay = Relay::with(5_000).await;
        let shown = crate::command::status::tests::shown_at(relay.address).await;
        assert!(shown.lines().count() <= 24, "{shown}");
        assert!(shown.lines().any(|line| line.trim().starts_with("5000  3.9.1  not known yet")), "{shown}");
    }

    #[tokio::test]
    async fn the_page_shows_thousands_of_nodes_at_the_cost_of_status() {
        let thousands = Relay::with(5_000).await;
        let page = thousands.page("/").await;
        assert!(page.contains("1 to 100 of 5000") && page.contains("<td class=\"number\">5000</td>"), "{page}");
        assert!(page.len() < 100_000, "{} bytes", page.len());
        let found = thousands.page("/?node=kong-dp-7c9d5b8f6-04999").await;
        assert!(found.contains("1 to 1 of 1<"), "{found}");
        let (page, status) = (thousands.cost("/").await, thousands.cost("/status").await);
        // It is made of the same rows, and shows a hundred of them.
        assert!(page < 4 * status, "{page:?} for the page, {status:?} for /status");
    }

    #[tokio::test]
    async fn the_nodes_can_be_listed_in_parts_and_all_else_is_the_same() {
        let relay = Relay::with(2_345).await;
        let all: serde_json::Value = serde_json::from_str(&relay.page("/status").await).unwrap();
        assert_eq!(all["relay"]["nodes_after"], serde_json::Value::Null);
        let (mut listed, mut query, mut parts) = (Vec::new(), "nodes=1000".to_owned(), 0);
        loop {
            let mut part: serde_json::Value =
                serde_json::from_str(&relay.page(&format!("/status?{query}")).await).unwrap();
            let nodes = part["relay"]["nodes"].take();
            listed.extend(nodes.as_array().unwrap().clone());
            parts += 1;
            let after = part["relay"]["nodes_after"].take();
            assert_eq!(part["relay"]["nodes_connected"], 2_345);
            let Some(after) = after.as_str() else { break };
            query = format!("nodes=1000&after={after}");
        }
        assert_eq!((parts, listed.len()), (3, 2_345));
        assert!(all["relay"]["nodes"].as_array() == Some(&listed));

        let none: serde_json::Value = serde_json::from_str(&relay.page("/status?nodes=0").await).unwrap();
        assert_eq!((&none["relay"]["nodes"], &none["relay"]["nodes_after"]), (&serde_json::json!([]), &"0".into()));
        assert!(relay.page("/status?nodes=few").await.contains("nodes=\"few\""));
    }

    #[tokio::test]
    async fn a_status_page_costs_as_much_as_there_are_nodes_and_no_more() {
        let (hundreds, thousands) = (Relay::with(500).await, Relay::with(5_000).await);
        let status: serde_json::Value = serde_json::from_str(&thousands.page("/status").await).unwrap();
        assert_eq!(status["relay"]["nodes"].as_array().map(Vec::len), Some(5_000));
        let (few, many) = (hundreds.cost("/status").await, thousands.cost("/status").await);
        // Ten times as many. If each were looked for among all others, it would be a hundred times.
        assert!(many < 30 * few, "{few:?} with 500 nodes, {many:?} with 5,000");
    }
}
