//! The program at work: keep flow and relay, put together from settings, started and stopped as one.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::future::join_all;
use lifeboat_core::digest::ConfigHash;
use lifeboat_core::keys::Demand;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::lifetimes;
use lifeboat_core::outage::Outages;
use lifeboat_core::room::NodeLimits;
use lifeboat_runtime::clock::Clock;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info, warn};

use crate::admin::Admin;
use crate::archive::{Archive, ArchiveReader, Stores};
use crate::data_planes::DataPlaneWatch;
use crate::drill::{DrillMetrics, ScheduledDrill};
use crate::export::{BackupNode, Exporter, Headless, NodeObservations, ObservationReceiver, hostname};
use crate::http::{Http, Page, Program};
use crate::metrics::Metrics;
use crate::notification::{Known, Notifier};
use crate::observation::{ExportFacts, Observation};
use crate::relay::Relay;
use crate::reports::Reports;
use crate::role;
use crate::rotation::Rotation;
use crate::settings::{
    ClusterSettings, ExporterSettings, HealthListen, LiveRules, Reloaded, RuleChanger, Rulebook, RunSettings,
    StoreSettings,
};

/// How long what is waiting may take to be written when the program is told to stop.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(10);

/// A running companion.
#[derive(Debug)]
pub struct Companion {
    stop: CancellationToken,
    /// One for each version of Kong that is kept.
    headless: Vec<JoinHandle<()>>,
    exporters: Vec<JoinHandle<()>>,
    images: Vec<JoinHandle<()>>,
    /// Looks for data planes without a backup, where there is an Admin API.
    data_planes: Option<JoinHandle<()>>,
    relay: Option<(SocketAddr, JoinHandle<()>)>,
    rotation: JoinHandle<()>,
    http: Option<(SocketAddr, JoinHandle<()>)>,
    health: Option<(SocketAddr, JoinHandle<()>)>,
    reports: Reports,
    teller: JoinHandle<()>,
    drill: Option<JoinHandle<()>>,
    notifier: Option<JoinHandle<()>>,
    rules: RuleChanger,
    observation: Observation,
    metrics: Metrics,
}

/// What the control plane has sent and the store does not have, since the program ended before.
#[derive(Debug)]
pub struct Unwritten(Vec<(KongVersion, ConfigHash)>);

impl fmt::Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = self.0.iter().map(|(version, hash)| format!("configuration {hash} of Kong {version}"));
        let each = each.collect::<Vec<_>>().join(", ");
        write!(
            f,
            "stopped, and what the control plane sent last was not written: {each}. What was published before stays; once \
             lifeboat runs again, the control plane sends it again"
        )
    }
}

impl std::error::Error for Unwritten {}

/// What all versions are kept with.
struct Shared {
    cluster: Arc<ClusterSettings>,
    archive: Archive,
    store: StoreSettings,
    rulebook: Rulebook,
    limits: NodeLimits,
    clock: Clock,
    observation: Observation,
    metrics: Metrics,
}

impl Companion {
    /// Opens the store, binds the relay's address, and begins.
    pub async fn start(settings: RunSettings, clock: Clock) -> anyhow::Result<Self> {
        let rules = RuleChanger::new(LiveRules::of(&settings));
        let RunSettings {
            store,
            cluster,
            keep,
            limits,
            relay,
            certificates,
            http,
            health,
            page,
            report_keys,
            drill,
            notification,
        } = settings;

        let observation = Observation::new(clock);
        let metrics = Metrics::new(&observation);
        // Where nothing is exported, nothing is made either: that would hide a mistyped path.
        let archive = (!keep.is_empty()).then(|| Archive::open(&store)).transpose()?;
        let archive = archive.map(|archive| archive.measured_by(&metrics));

        warn_of_writers(&store);
        warn_of_expiry(&cluster);
        observation.shows(cluster.identity.leaf());

        let (cluster, stop) = (Arc::new(cluster), CancellationToken::new());
        let mut witnesses = NodeObservations::default();
        let heard = |keep: ExporterSettings| {
            let hearing = (relay.is_some() || report_keys.are_set()).then(|| witnesses.hearing(keep.version));
            (keep, hearing)
        };

        let relay_tls = relay.as_ref().map(|relay| relay.tls.clone());
        let rotation = Rotation::new(certificates, cluster.control_plane.tls.clone(), relay_tls, observation.clone());
        let keep: Vec<_> = keep.into_iter().map(heard).collect();
        let (reports, teller) = Reports::new(report_keys, witnesses.clone(), clock);
        metrics.register(reports.clone());
        let (place, control_plane) = (store.url.to_string(), cluster.control_plane.to_string());

        let http = Http::bind(http).await?;
        let health = match health {
            HealthListen(Some(address)) => Some(Http::bind_health(address).await?),
            HealthListen(None) => None,
        };
        let teller = tokio::spawn(teller.run(stop.clone()));

        let mut view = None;
        let relay = match relay {
            Some(mut relay) => {
                relay.rulebook = Some(rules.rulebook());
                let (cluster, stop) = (cluster.clone(), stop.clone());
                let sources = Stores::open_awaited(&store)?.measured_by(&metrics).ruled_by(rules.rulebook());
                let relay = Relay::bind(relay, cluster, sources, witnesses, clock, stop, observation.relay()).await?;
                view = Some(relay.view());
                Some((relay.address(), tokio::spawn(relay.run().instrument(role::relay()))))
            }
            None => None,
        };

        let data_planes = match keep.iter().find_map(|(keep, _)| keep.admin.clone()) {
            Some(api) => {
                let stores = Stores::open_awaited(&store)?.measured_by(&metrics).ruled_by(rules.rulebook());
                let watch = DataPlaneWatch::new(Admin::new(&api)?, stores, observation.clone(), clock);
                Some(tokio::spawn(watch.run().instrument(role::data_planes())))
            }
            None => None,
        };

        let drills = DrillMetrics::default();
        metrics.register(drills.clone());
        let drill = drill.map(|drill| {
            ScheduledDrill::new(drill, rules.rulebook(), observation.clone(), drills.clone(), clock).run(stop.clone())
        });

        let known = Known { observation: observation.clone(), relay: view.clone(), drills: drills.clone() };
        let notifier = match notification.tells_anybody() {
            true => Some(Notifier::new(notification, known, hostname(), clock)?.run(stop.clone())),
            false => None,
        };

        let program = Program {
            observation: observation.clone(),
            metrics: metrics.clone(),
            store: place,
            control_plane,
            reports: reports.clone(),
            relay: view,
            drills,
            page: Page::new(page, readers(archive.as_ref(), &store, &metrics), clock),
        };
        let shared = archive.map(|archive| Shared {
            cluster,
            archive,
            store,
            limits,
            rulebook: rules.rulebook(),
            clock,
            observation: observation.clone(),
            metrics: metrics.clone(),
        });

        let (headless, exporters, images) = (Vec::new(), Vec::new(), Vec::new());
        let rotation = tokio::spawn(rotation.run().instrument(role::certificates()));
        let drill = drill.map(|drill| tokio::spawn(drill.instrument(role::drill())));
        let notifier = notifier.map(|notifier| tokio::spawn(notifier.instrument(role::notification())));
        let mut companion = Self {
            stop,
            headless,
            exporters,
            images,
            data_planes,
            relay,
            rotation,
            http: None,
            health: None,
            reports,
            teller,
            drill,
            notifier,
            rules,
            observation,
            metrics,
        };

        for (keep, hearing) in keep {
            let shared = shared.as_ref().expect("where something is kept, there is an archive");
            companion.keep(keep, hearing, shared)?;
        }

        // Whoever asks from now on is told of all parts.
        let serve = |http: Http| {
            let address = http.address();
            let serving = http.run(program.clone(), companion.reports.router()).instrument(role::http());
            (address, tokio::spawn(serving))
        };
        let [http, health] = [http, health].map(|bound| bound.map(serve));
        (companion.http, companion.health) = (http, health);
        Ok(companion)
    }

    fn keep(
        &mut self,
        keep: ExporterSettings,
        hearing: Option<ObservationReceiver>,
        shared: &Shared,
    ) -> anyhow::Result<()> {
        let Shared { cluster, archive, store, limits, rulebook, clock, observation, metrics } = shared;
        let recorder = observation.export(keep.version);
        recorder.nodes_take(*limits);

        let node = BackupNode::new(keep.version);
        // Of the control plane and its Admin API.
        let outages = Outages::default();
        let span = role::export(keep.version);
        let _entered = span.clone().entered();

        info!(
            "keeping configurations of Kong {} from {} in {}, as backup node {}",
            keep.version,
            cluster.control_plane,
            archive.place(),
            node.id
        );

        let exporter = Exporter::new(archive.clone(), &node, keep.rules, *clock);
        let exporter = exporter.electing(keep.election).observed_by(recorder.clone()).ruled_by(rulebook.clone());
        let mut exporter = exporter.mirrored_in(store.others()).electing_in(Archive::open_election(store)?);

        if let Some(hearing) = hearing {
            exporter = exporter.hearing(hearing);
        }

        if let Some(prefix) = keep.beside.clone() {
            info!("keeping images of the cache of the node on {}", prefix.path().display());
            let images = exporter.images_of(prefix, std::env::temp_dir());
            self.images.push(tokio::spawn(images.run().instrument(span.clone())));
        }
        if let Some(admin) = keep.admin.as_ref().map(Admin::new).transpose()? {
            self.images.push(tokio::spawn(exporter.schemas_from(admin, &outages).run().instrument(span.clone())));
        }

        let headless = Headless::new(cluster.clone(), keep, node, store.max_config, *clock)?;
        let headless = headless.observed_by(recorder, metrics.steps()).beside(&outages);
        self.exporters.push(tokio::spawn(exporter.run(headless.newest(), self.stop.clone()).instrument(span.clone())));
        self.headless.push(tokio::spawn(headless.run().instrument(span.clone())));
        Ok(())
    }

    /// Where the relay listens, if there is one.
    pub fn relay_address(&self) -> Option<SocketAddr> {
        self.relay.as_ref().map(|(address, _)| *address)
    }

    /// Where metrics, health and status are read, if anywhere.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(|(address, _)| *address)
    }

    /// Where health alone is answered, if anywhere.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.health.as_ref().map(|(address, _)| *address)
    }

    /// What the filter in gateways reports.
    pub fn reports(&self) -> &Reports {
        &self.reports
    }

    /// Takes over what was read again.
    pub fn settings_were_read_again(&self, reloaded: Reloaded) {
        self.rules.follow(reloaded);
        self.metrics.settings().reloaded(&reloaded);
    }

    /// Ends when a part of the companion has, which none should: then the whole is better restarted.
    pub async fn failed(&mut self) {
        let relay = self.relay.as_mut().map(|(_, relay)| relay);
        let http = [&mut self.http, &mut self.health].into_iter().flatten().map(|(_, http)| http);
        let parts = [&mut self.headless, &mut self.exporters, &mut self.images];
        let teller = [&mut self.teller];
        let all = parts
            .into_iter()
            .flatten()
            .chain(relay)
            .chain(http)
            .chain(teller)
            .chain(&mut self.drill)
            .chain(&mut self.notifier)
            .chain(&mut self.data_planes);
        let (ended, ..) = futures::future::select_all(all).await;
        error!("a part of lifeboat has ended: {ended:?}");
    }

    /// Writes what is waiting, and ends. Gives what is not in the store all the same.
    pub async fn stop(self) -> Option<Unwritten> {
        self.stop.cancel();
        if timeout(SHUTDOWN_LIMIT, join_all(self.exporters)).await.is_err() {
            let seconds = SHUTDOWN_LIMIT.as_secs();
            error!(
                "the newest configuration could not be written within {seconds} s; the control plane will send it again"
            );
        }

        for task in self.headless.into_iter().chain(self.images).chain(self.data_planes).chain([self.rotation]) {
            task.abort();
        }

        if let Some((_, relay)) = self.relay {
            let _ = timeout(Duration::from_secs(1), relay).await;
        }
        // It may have started a data plane, which ends with it.
        if let Some(drill) = self.drill {
            let _ = timeout(SHUTDOWN_LIMIT, drill).await;
        }

        // Last: how the end goes can be watched.
        for (_, http) in [self.http, self.health].into_iter().flatten() {
            http.abort();
        }

        let unwritten = |facts: &ExportFacts| Some((facts.version, facts.unwritten()?));
        let all: Vec<_> = self.observation.export_facts().iter().filter_map(unwritten).collect();
        (!all.is_empty()).then_some(Unwritten(all))
    }
}

/// The stores in the order in which they are asked. Of one that can't be opened others speak.
fn readers(exported_to: Option<&Archive>, store: &StoreSettings, metrics: &Metrics) -> Vec<ArchiveReader> {
    let open = |store: &StoreSettings| Some(ArchiveReader::open_awaited(store).ok()?.measured_by(metrics));
    let first = exported_to.map(Archive::reader).or_else(|| open(store));
    first.into_iter().chain(store.others().iter().filter_map(open)).collect()
}

fn warn_of_writers(store: &StoreSettings) {
    if store.keys.current().demand() == Demand::Nothing {
        warn!(
            "neither LIFEBOAT_TRUSTED_KEYS nor LIFEBOAT_ENCRYPTION_KEYS is set: anyone who can write to {} controls \
             the nodes that are restored from it. Keep the right to write there to the exporter, or let it sign \
             (lifeboat keygen)",
            store.url
        );
    }
}

fn warn_of_expiry(cluster: &ClusterSettings) {
    let leaf = cluster.identity.leaf();
    match leaf.not_after().duration_since(SystemTime::now()) {
        Ok(left) if left > lifetimes::WARNING => {}
        Ok(left) => warn!("the cluster certificate expires in {} days", left.as_secs() / 86_400),
        Err(_) => error!("the cluster certificate has expired: nodes and control plane may refuse it"),
    }
}
