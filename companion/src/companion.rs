//! The program at work: keep flow and relay, put together from settings, started and stopped as one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lifeboat_core::keys::Demand;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::archive::Archive;
use crate::clock::Clock;
use crate::keep::{BackupNode, Exporter, Headless, Hearing, Witnesses};
use crate::relay::{Relay, RelayView};
use crate::rotation::Rotation;
use crate::settings::{ClusterSettings, KeepSettings, RunSettings, StoreSettings};

/// How long what is waiting may take to be written when the program is told to stop.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(10);
/// A certificate that ends sooner than this is worth a warning.
const EXPIRY_WARNING: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A running companion.
#[derive(Debug)]
pub struct Companion {
    stop: CancellationToken,
    headless: Option<JoinHandle<()>>,
    exporter: Option<JoinHandle<()>>,
    images: Option<JoinHandle<()>>,
    relay: Option<(SocketAddr, JoinHandle<()>)>,
    rotation: JoinHandle<()>,
    view: Option<RelayView>,
}

impl Companion {
    /// Opens the store, binds the relay's address, and begins.
    pub async fn start(settings: RunSettings, clock: Clock) -> anyhow::Result<Self> {
        let RunSettings { store, cluster, keep, relay, certificates } = settings;
        let archive = Archive::open(&store)?;
        warn_of_writers(&store);
        warn_of_expiry(&cluster);
        let (cluster, stop) = (Arc::new(cluster), CancellationToken::new());
        let mut witnesses = Witnesses::default();
        let hearing = match (&keep, &relay) {
            (Some(keep), Some(_)) => Some(witnesses.hearing(keep.version)),
            _ => None,
        };
        let relay_tls = relay.as_ref().map(|relay| relay.tls.clone());
        let rotation = Rotation::new(certificates, cluster.tls.clone(), relay_tls);
        let mut view = None;
        let relay = match relay {
            Some(relay) => {
                let relay = Relay::bind(relay, cluster.clone(), archive.clone(), witnesses, clock, stop.clone());
                let relay = relay.await?;
                view = Some(relay.view());
                Some((relay.address(), tokio::spawn(relay.run())))
            }
            None => None,
        };
        let mut companion = Self {
            stop,
            headless: None,
            exporter: None,
            images: None,
            relay,
            rotation: tokio::spawn(rotation.run()),
            view,
        };
        if let Some(keep) = keep {
            companion.keep(keep, hearing, cluster, archive, store.max_config, clock)?;
        }
        Ok(companion)
    }

    fn keep(
        &mut self,
        keep: KeepSettings,
        hearing: Option<Hearing>,
        cluster: Arc<ClusterSettings>,
        archive: Archive,
        max_config: usize,
        clock: Clock,
    ) -> anyhow::Result<()> {
        let node = BackupNode::new(keep.version);
        info!(
            "keeping configurations of Kong {} from {} in {}, as backup node {}",
            keep.version,
            cluster.control_plane,
            archive.place(),
            node.id
        );
        let mut exporter = Exporter::new(archive, &node, keep.rules, clock);
        if let Some(hearing) = hearing {
            exporter = exporter.hearing(hearing);
        }
        if let Some(prefix) = keep.beside.clone() {
            info!("keeping images of the cache of the node on {}", prefix.path().display());
            let images = exporter.images_of(prefix, std::env::temp_dir());
            self.images = Some(tokio::spawn(images.run()));
        }
        let headless = Headless::new(cluster, keep, node, max_config, clock)?;
        self.exporter = Some(tokio::spawn(exporter.run(headless.newest(), self.stop.clone())));
        self.headless = Some(tokio::spawn(headless.run()));
        Ok(())
    }

    /// Where the relay listens, if there is one.
    pub fn relay_address(&self) -> Option<SocketAddr> {
        self.relay.as_ref().map(|(address, _)| *address)
    }

    /// What can be seen of the relay, if there is one.
    pub fn relay_view(&self) -> Option<RelayView> {
        self.view.clone()
    }

    /// Ends when a part of the companion has, which none should: then the whole is better restarted.
    pub async fn failed(&mut self) {
        let relay = self.relay.as_mut().map(|(_, relay)| relay);
        let parts = [self.headless.as_mut(), self.exporter.as_mut(), self.images.as_mut(), relay];
        let (ended, ..) = futures::future::select_all(parts.into_iter().flatten()).await;
        error!("a part of lifeboat has ended: {ended:?}");
    }

    /// Writes what is waiting, and ends.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Some(exporter) = self.exporter
            && timeout(SHUTDOWN_LIMIT, exporter).await.is_err()
        {
            let seconds = SHUTDOWN_LIMIT.as_secs();
            error!(
                "the newest configuration could not be written within {seconds} s; the control plane will send it again"
            );
        }
        for task in [self.headless, self.images, Some(self.rotation)].into_iter().flatten() {
            task.abort();
        }
        if let Some((_, relay)) = self.relay {
            let _ = timeout(Duration::from_secs(1), relay).await;
        }
    }
}

fn warn_of_writers(store: &StoreSettings) {
    if store.keys.current().demand() == Demand::Nothing {
        warn!(
            "neither LIFEBOAT_TRUSTED_KEYS nor LIFEBOAT_ENCRYPTION_KEYS is set: whoever can write to {} owns the nodes that \
             are restored from it. Keep the right to write there to the exporter, or let it sign (lifeboat keygen)",
            store.url
        );
    }
}

fn warn_of_expiry(cluster: &ClusterSettings) {
    let leaf = cluster.identity.leaf();
    match leaf.not_after().duration_since(SystemTime::now()) {
        Ok(left) if left > EXPIRY_WARNING => {}
        Ok(left) => warn!("the cluster certificate expires in {} days", left.as_secs() / 86_400),
        Err(_) => error!("the cluster certificate has expired: nodes and control plane may refuse it"),
    }
}
