//! The relay: listens as a control plane would, authenticates nodes exactly as Kong does, and runs one session for
//! each. The session decides (in `core`); here are the sockets, and the one copy of the snapshot that all nodes share.

mod admission;
mod backups;
mod control_plane_health;
mod empty_configuration;
mod feed_queue;
mod first_messages;
mod incremental;
mod large_messages;
mod log_lines;
mod node;
mod node_readiness;
mod nodes;
mod published_now;
mod published_watch;
mod recheck;
mod refused_connections;
mod restore_log;
mod revocation;
mod rpc;
mod sent_hashes;
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

pub(crate) use admission::OTHER_FILES;
pub use incremental::OnlyIncremental;
pub use nodes::{ConfigurationFrom, ControlPlaneLink, NodeStatus};
pub use rpc::ControlPlaneSync;
pub use upgrade::NodeIdentity;
pub use view::{LimitsUsed, NearLimit, RelayView, WithoutBackup};

use self::admission::{Admission, NoFile, Place};
use self::backups::{BackupWatch, Backups};
use self::control_plane_health::ControlPlaneHealth;
use self::empty_configuration::EmptyConfigurationAlarm;
use self::feed_queue::FeedQueue;
use self::first_messages::FirstMessages;
use self::incremental::Incremental;
use self::large_messages::LargeMessages;
use self::nodes::Nodes;
use self::published_now::PublishedLookup;
use self::published_watch::PublishedWatch;
use self::recheck::Recheck;
use self::refused_connections::Refusals;
use self::revocation::Revocations;
use self::rpc::SyncNodes;
use self::sent_hashes::SentHashes;
use self::snapshot_cache::SnapshotCache;
use crate::archive::Stores;
use crate::bind::{BindError, listen};
use crate::export::NodeObservations;
use crate::observation::RelayRecorder;
use crate::settings::{ClusterSettings, RelaySettings, Rulebook};
use lifeboat_core::outage::{OutageLog, Outages};
use lifeboat_link::dial::{self, DialError};
use lifeboat_link::tls::{HandshakeQueue, seed_random_numbers};
use lifeboat_runtime::clock::Clock;

/// For how many versions of Kong the relay remembers something at once. A node may claim any version, and each version
/// costs requests to the stores.
const MOST_VERSIONS: usize = 20;

/// A relay that is bound to its address.
#[derive(Debug)]
pub struct Relay {
    listener: TcpListener,
    shared: Arc<Shared>,
}

/// Why a node has no link to the control plane.
#[derive(Debug)]
enum NotLinked {
    Failed(DialError),
    /// The control plane is there, and there is no open file for a link to it.
    NoFile,
}

#[derive(Debug)]
struct Shared {
    settings: RelaySettings,
    rulebook: Rulebook,
    cluster: Arc<ClusterSettings>,
    listen: SocketAddr,
    /// A name that no other relay has.
    instance: Arc<str>,
    handshakes: HandshakeQueue,
    admission: Admission,
    backups: Backups,
    empty_configurations: EmptyConfigurationAlarm,
    published_now: PublishedLookup,
    published_watch: PublishedWatch,
    sent_hashes: SentHashes,
    feed_queue: FeedQueue,
    first_messages: FirstMessages,
    incremental: Incremental,
    large_messages: Arc<LargeMessages>,
    refusals: Refusals,
    revocations: Revocations,
    snapshots: SnapshotCache,
    control_plane_health: ControlPlaneHealth,
    recheck: Recheck,
    /// Nodes that the control plane, which is there, gives nothing.
    unserved: Outages,
    nodes: Nodes,
    sync_nodes: SyncNodes,
    sync_outage: Arc<rpc::Outage>,
    observations: NodeObservations,
    clock: Clock,
    recorder: RelayRecorder,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Relay {
    /// Binds the relay's address. It serves until `stop`, tells `observations` what nodes run, and `recorder` what happens.
    pub async fn bind(
        settings: RelaySettings,
        cluster: Arc<ClusterSettings>,
        sources: Stores,
        observations: NodeObservations,
        clock: Clock,
        stop: CancellationToken,
        recorder: RelayRecorder,
    ) -> Result<Self, BindError> {
        let (listener, listen) = listen("LIFEBOAT_RELAY_LISTEN", settings.listen).await?;
        recorder.presents(&settings.tls.certificate());
        recorder.listens(listen);
        let (limits, stores) = (settings.limits, Outages::default());
        let (backups, nodes) = (Backups::default(), Nodes::default());
        let watch = BackupWatch {
            backups: backups.clone(),
            nodes: nodes.clone(),
            sources: sources.clone(),
            clock,
            recorder: recorder.clone(),
        };

        let shared = Shared {
            listen,
            instance: uuid::Uuid::new_v4().to_string().into(),
            handshakes: HandshakeQueue::new(limits.handshakes),
            admission: Admission::new(&limits),
            backups,
            empty_configurations: EmptyConfigurationAlarm::default(),
            published_now: PublishedLookup::new(sources.clone(), clock),
            sent_hashes: SentHashes::default(),
            published_watch: PublishedWatch::new(sources.clone(), settings.rulebook(), clock).beside(&stores),
            feed_queue: FeedQueue::new(&limits),
            first_messages: FirstMessages::default(),
            incremental: Incremental::new(limits.only_v2, clock),
            large_messages: Arc::new(LargeMessages::new(&limits)),
            refusals: Refusals::new(recorder.clone()),
            revocations: Revocations::new(cluster.revocation, clock),
            snapshots: SnapshotCache::new(sources, clock, &stores),
            control_plane_health: ControlPlaneHealth::new(cluster.clone(), recorder.clone()),
            recheck: Recheck::default(),
            unserved: Outages::default(),
            nodes,
            sync_nodes: SyncNodes::default(),
            sync_outage: Arc::default(),
            tasks: TaskTracker::new(),
            rulebook: settings.rulebook(),
            settings,
            cluster,
            observations,
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
        let Shared { nodes, backups, incremental, sync_outage, published_now, .. } = &*self.shared;
        let sync = sync_outage.clone();
        RelayView::new(nodes.clone(), backups.clone(), incremental.clone(), sync, published_now.clone())
    }

    /// Serves nodes until it is told to stop.
    pub async fn run(self) {
        // A thread of its own: nobody waits for it, neither readiness nor the first node.
        tokio::task::spawn_blocking(seed_random_numbers);
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
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    fn take(&self, stream: TcpStream, peer: SocketAddr) {
        let shared = self.shared.clone();
        let Some(place) = shared.admission.enter(shared.control_plane_health.is_there()) else {
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
        dial::Relay { listen: self.listen, via, handshakes: self.handshakes.clone() }
    }

    /// Dials the control plane on behalf of the node at this place, as soon as there is a file for that.
    async fn linked<T>(
        &self,
        place: &Place,
        dialing: impl Future<Output = Result<T, DialError>>,
    ) -> Result<T, NotLinked> {
        let file = match self.admission.file_for_link(place, self.control_plane_health.watch()).await {
            Ok(file) => file,
            Err(NoFile::ControlPlaneIsThere) => return Err(NotLinked::NoFile),
            // The control plane answers none of the other nodes, so it would not answer this one either.
            Err(NoFile::InTime) => {
                let reason = "no open file was left to ask it, and those who ask it wait";
                return Err(NotLinked::Failed(DialError::unreachable(reason)));
            }
        };

        match dialing.await {
            Ok(link) => {
                self.control_plane_health.reached(self.clock.now());
                self.admission.linked(place, file).map_err(|_| NotLinked::NoFile)?;
                Ok(link)
            }
            Err(error) => {
                place.not_linked();
                Err(NotLinked::Failed(error))
            }
        }
    }

    /// Runs until it is done or the relay stops.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        // Boxed: moved into the other future as it is, it would take its room twice, which is memory for each node.
        let (stop, work) = (self.stop.clone(), Box::pin(work));
        let unless_stopped = async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        };
        self.tasks.spawn(unless_stopped.in_current_span());
    }
}
