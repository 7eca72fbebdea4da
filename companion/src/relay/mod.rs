//! The relay: listens as a control plane would, authenticates nodes exactly as Kong does, and runs one session for each.
//! The session decides (in `core`); here are sockets and the one shared copy of what is fed.

mod admission;
mod backups;
mod control_plane_health;
mod empty_configuration;
mod feed_queue;
mod follower;
mod incremental;
mod large_messages;
mod log_lines;
mod node;
mod nodes;
mod recheck;
mod refusals;
mod restore_log;
mod revocation;
mod snapshot_cache;
mod tls_accept;
mod tunnel;
mod upgrade;
mod view;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, info, warn};

pub use incremental::OnlyIncremental;
pub use nodes::{ConfigurationFrom, ControlPlaneLink, NodeStatus};
pub use upgrade::NodeIdentity;
pub use view::{LimitsUsed, RelayView, WithoutBackup};

use self::admission::Admission;
use self::backups::{BackupWatch, Backups};
use self::control_plane_health::ControlPlaneHealth;
use self::empty_configuration::EmptyConfigurationAlarm;
use self::feed_queue::FeedQueue;
use self::follower::Follower;
use self::incremental::Incremental;
use self::large_messages::LargeMessages;
use self::nodes::Nodes;
use self::recheck::Recheck;
use self::refusals::Refusals;
use self::revocation::Revocations;
use self::snapshot_cache::SnapshotCache;
use crate::archive::Stores;
use crate::bind::{BindError, listen};
use crate::export::NodeObservations;
use crate::observation::RelayRecorder;
use crate::settings::{ClusterSettings, RelaySettings, Rulebook};
use lifeboat_core::outage::{OutageLog, Outages};
use lifeboat_link::dial;
use lifeboat_link::tls::HandshakeQueue;
use lifeboat_runtime::clock::Clock;

/// A relay that is bound to its address.
#[derive(Debug)]
pub struct Relay {
    listener: TcpListener,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: RelaySettings,
    rulebook: Rulebook,
    cluster: Arc<ClusterSettings>,
    listen: SocketAddr,
    /// A name that no other relay has.
    instance: Arc<str>,
    turns: HandshakeQueue,
    admission: Admission,
    backups: Backups,
    emptiness: EmptyConfigurationAlarm,
    follower: Follower,
    feeds: FeedQueue,
    incremental: Incremental,
    large: Arc<LargeMessages>,
    refusals: Refusals,
    revocations: Revocations,
    offers: SnapshotCache,
    outlook: ControlPlaneHealth,
    recheck: Recheck,
    /// Nodes that the control plane, which is there, gives nothing.
    unserved: Outages,
    seats: Nodes,
    witnesses: NodeObservations,
    clock: Clock,
    recorder: RelayRecorder,
    nodes: TaskTracker,
    stop: CancellationToken,
}

impl Relay {
    /// Binds the relay's address. It serves until `stop`, tells `witnesses` what nodes run, and `recorder` what happens.
    pub async fn bind(
        settings: RelaySettings,
        cluster: Arc<ClusterSettings>,
        sources: Stores,
        witnesses: NodeObservations,
        clock: Clock,
        stop: CancellationToken,
        recorder: RelayRecorder,
    ) -> Result<Self, BindError> {
        let (listener, listen) = listen("LIFEBOAT_RELAY_LISTEN", settings.listen).await?;
        recorder.presents(&settings.tls.certificate());
        recorder.listens(listen);
        let (limits, stores) = (settings.limits, Outages::default());
        let (backups, seats) = (Backups::default(), Nodes::default());
        let watch = BackupWatch {
            backups: backups.clone(),
            nodes: seats.clone(),
            sources: sources.clone(),
            clock,
            recorder: recorder.clone(),
        };
        let shared = Shared {
            listen,
            instance: uuid::Uuid::new_v4().to_string().into(),
            turns: HandshakeQueue::for_this_machine(),
            admission: Admission::new(&limits),
            backups,
            emptiness: EmptyConfigurationAlarm::default(),
            follower: Follower::new(sources.clone(), settings.rulebook(), clock).beside(&stores),
            feeds: FeedQueue::new(&limits),
            incremental: Incremental::new(limits.only_v2, clock),
            large: Arc::new(LargeMessages::new(&limits)),
            refusals: Refusals::new(recorder.clone()),
            revocations: Revocations::new(cluster.revocation, clock),
            offers: SnapshotCache::new(sources, clock, &stores),
            outlook: ControlPlaneHealth::new(cluster.clone(), recorder.clone()),
            recheck: Recheck::default(),
            unserved: Outages::default(),
            seats,
            nodes: TaskTracker::new(),
            rulebook: settings.rulebook(),
            settings,
            cluster,
            witnesses,
            clock,
            recorder,
            stop,
        };
        let relay = Self { listener, shared: Arc::new(shared) };
        relay.shared.spawn(watch.run());
        Ok(relay)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.listen
    }

    /// What can be seen of it, for as long as it is wanted.
    pub fn view(&self) -> RelayView {
        RelayView::new(self.shared.seats.clone(), self.shared.backups.clone(), self.shared.incremental.clone())
    }

    /// Serves nodes until it is told to stop.
    pub async fn run(self) {
        info!("the relay listens on {}: point cluster_control_plane of data planes there", self.address());
        let (clock, outage) = (self.shared.clock, OutageLog::default());
        loop {
            let accepted = tokio::select! {
                () = self.shared.stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    if let Some(lasted) = outage.works(clock.now()) {
                        info!("connections are accepted again, after {lasted}");
                    }
                    self.take(stream, peer);
                }
                Err(error) => {
                    // Out of file descriptors, most likely; those that are served go on.
                    if let Some(lasted) = outage.failed("accept", clock.now()) {
                        warn!(
                            "a connection could not be accepted{lasted}: {error} (is the limit of open files too low?)"
                        );
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        self.shared.recorder.listens_no_longer();
        self.shared.nodes.close();
        self.shared.nodes.wait().await;
    }

    fn take(&self, stream: TcpStream, peer: SocketAddr) {
        let shared = self.shared.clone();
        let Some(place) = shared.admission.enter() else {
            debug!(%peer, "a connection was closed at once: there are as many as there may be");
            return;
        };
        self.shared.spawn(async move {
            if let Some(stream) = tls_accept::accept(&shared, stream, peer, &place).await {
                upgrade::serve(&shared, stream, peer, place).await;
            }
        });
    }
}

impl Shared {
    /// This relay as the last of those that a link passes through.
    fn dialer(&self, via: Option<&str>) -> dial::Relay {
        let via = via.map_or_else(|| self.instance.clone(), |via| format!("{via},{}", self.instance).into());
        dial::Relay { listen: self.listen, via, turns: self.turns.clone() }
    }

    /// Runs until it is done or the relay stops.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let unless_stopped = async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        };
        self.nodes.spawn(unless_stopped.in_current_span());
    }
}
