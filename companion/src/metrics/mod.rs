//! What the program says of itself to machines: typed handles, one for each part, that are told what happens, and the
//! registry from which all of it is written. No part gives a metric's name; those are in `names`.

mod export;
mod exposition;
mod http;
pub mod names;
mod relay;
pub(crate) mod series;
mod settings;
mod step;
mod store;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::time::WallTime;
use lifeboat_link::tls::Leaf;
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::lock::Locked;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::registry::Registry;

pub use export::{
    ControlPlaneSays, ExportFacts, ExportMetrics, Failing, Judged, Lead, Newest, Trace, standing_name, strategy_name,
};
pub use exposition::Form;
pub use http::{HttpMetrics, LeftUnanswered};
pub use relay::{NodePresence, RelayFacts, RelayMetrics};
pub use settings::SettingsMetrics;
pub use step::{Step, StepTimes, StepUnderWay};
pub use store::StoreMetrics;

use self::export::ExportCounters;
use self::series::{Number, write_gauge, write_number};

/// All metrics of a program. Clones are the same.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    parts: Arc<Parts>,
}

#[derive(Debug)]
struct Parts {
    clock: Clock,
    started: WallTime,
    store: StoreMetrics,
    http: HttpMetrics,
    settings: SettingsMetrics,
    counters: ExportCounters,
    keeps: Mutex<Vec<ExportMetrics>>,
    relay: OnceLock<RelayMetrics>,
    cluster_certificate_ends: Mutex<Option<WallTime>>,
}

/// The gauges, whose values are asked for when somebody looks.
#[derive(Debug)]
struct Gauges(Arc<Parts>);

#[derive(EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

#[derive(EncodeLabelSet)]
struct CertificateLabels {
    certificate: &'static str,
}

impl Metrics {
    /// The metrics of a program that has just been started.
    pub fn new(clock: Clock) -> Self {
        let parts = Parts {
            clock,
            started: clock.wall(),
            store: StoreMetrics::default(),
            http: HttpMetrics::default(),
            settings: SettingsMetrics::default(),
            counters: ExportCounters::default(),
            keeps: Mutex::default(),
            relay: OnceLock::new(),
            cluster_certificate_ends: Mutex::default(),
        };
        let mut registry = Registry::default();
        parts.store.register(&mut registry);
        parts.http.register(&mut registry);
        parts.settings.register(&mut registry);
        parts.counters.register(&mut registry);
        let parts = Arc::new(parts);
        registry.register_collector(Box::new(Gauges(parts.clone())));
        Self { registry: Arc::new(Mutex::new(registry)), parts }
    }

    /// Where requests to the store are counted.
    pub fn store(&self) -> StoreMetrics {
        self.parts.store.clone()
    }

    /// Where connections without an answer are counted.
    pub fn http(&self) -> HttpMetrics {
        self.parts.http.clone()
    }

    /// Where readings of the settings are counted.
    pub fn settings(&self) -> SettingsMetrics {
        self.parts.settings.clone()
    }

    /// Where the steps of publishing are measured.
    pub fn steps(&self) -> StepTimes {
        self.parts.counters.steps.clone()
    }

    /// Where who keeps a version of Kong tells what happens; the same for all who ask for this version.
    pub fn export(&self, version: KongVersion) -> ExportMetrics {
        let mut keeps = self.parts.keeps();
        if let Some(known) = keeps.iter().find(|known| known.facts().version == version) {
            return known.clone();
        }
        let keep = ExportMetrics::new(version, self.parts.counters.clone(), self.parts.clock);
        keeps.push(keep.clone());
        keep
    }

    /// Where the relay tells what happens: there is one from now on.
    pub fn relay(&self) -> RelayMetrics {
        let relay = self.parts.relay.get_or_init(|| {
            let relay = RelayMetrics::default();
            relay.register(&mut self.registry());
            relay
        });
        relay.clone()
    }

    /// The control plane is shown this certificate from now on. Which one nodes see, the relay tells.
    pub fn shows(&self, certificate: &Leaf) {
        *self.parts.cluster_certificate() = Some(WallTime::from_system(certificate.not_after()));
    }

    /// Adds what another part of the program counts.
    pub fn register(&self, collector: impl Collector) {
        self.registry().register_collector(Box::new(collector));
    }

    /// What is known of each version that is kept.
    pub fn export_facts(&self) -> Vec<ExportFacts> {
        self.parts.export_facts()
    }

    /// What is known of the relay, if there is one.
    pub fn relay_facts(&self) -> Option<RelayFacts> {
        self.parts.relay.get().map(RelayMetrics::facts)
    }

    /// When each certificate ends: the cluster's, which is shown to the control plane, and the relay's, which nodes see.
    pub fn certificate_ends(&self) -> Vec<(&'static str, WallTime)> {
        self.parts.certificate_ends()
    }

    /// When the program was started.
    pub fn started(&self) -> WallTime {
        self.parts.started
    }

    /// What the wall clock shows.
    pub fn now(&self) -> WallTime {
        self.parts.clock.wall()
    }

    /// All metrics, as text.
    pub fn text(&self, form: Form) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry()).expect("a string takes all that is written, and all numbers can be");
        form.of_open_metrics(text)
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.locked()
    }
}

impl Parts {
    fn export_facts(&self) -> Vec<ExportFacts> {
        self.keeps().iter().map(ExportMetrics::facts).collect()
    }

    fn certificate_ends(&self) -> Vec<(&'static str, WallTime)> {
        let cluster = self.cluster_certificate().map(|ends| ("cluster", ends));
        let relay = self.relay.get().and_then(|relay| relay.facts().certificate);
        cluster.into_iter().chain(relay.map(|(_, ends)| ("relay", ends))).collect()
    }

    fn keeps(&self) -> MutexGuard<'_, Vec<ExportMetrics>> {
        self.keeps.locked()
    }

    fn cluster_certificate(&self) -> MutexGuard<'_, Option<WallTime>> {
        self.cluster_certificate_ends.locked()
    }
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let parts = &*self.0;
        let build = [(BuildLabels { version: env!("CARGO_PKG_VERSION") }, Number::Whole(1))];
        write_gauge(&mut encoder, &names::BUILD_INFO, build)?;
        write_number(&mut encoder, &names::START, Number::Time(parts.started))?;
        let ends = parts.certificate_ends().into_iter();
        let ends = ends.map(|(certificate, ends)| (CertificateLabels { certificate }, Number::Time(ends)));
        write_gauge(&mut encoder, &names::CERTIFICATE_EXPIRY, ends)?;
        export::write_all(&mut encoder, &parts.export_facts())?;
        match parts.relay.get() {
            Some(relay) => relay.write_gauges(&mut encoder, parts.clock.wall()),
            None => Ok(()),
        }
    }
}
