//! What the program says of itself to machines, as Prometheus has it: the registry, the metrics' names, and how the facts of
//! `observation` become series. No other part gives a metric's name; those are in `names`.

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
use std::sync::{Arc, Mutex};

use lifeboat_runtime::lock::Locked;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::registry::Registry;

pub use export::strategy_name;
pub use exposition::Form;
pub use http::{HttpMetrics, LeftUnanswered};
pub use settings::SettingsMetrics;
pub use step::{Step, StepTimes, StepUnderWay};
pub use store::StoreMetrics;

use self::series::{Number, write_by_version, write_gauge, write_number};
use crate::observation::Observation;

/// All metrics of a program. Clones are the same.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    store: StoreMetrics,
    http: HttpMetrics,
    settings: SettingsMetrics,
    steps: StepTimes,
}

/// What is observed, read when somebody looks.
#[derive(Debug)]
struct Observed(Observation);

#[derive(EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

#[derive(EncodeLabelSet)]
struct CertificateLabels {
    certificate: &'static str,
}

impl Metrics {
    /// The metrics of a program of which this is observed.
    pub fn new(observation: &Observation) -> Self {
        let (store, http) = (StoreMetrics::default(), HttpMetrics::default());
        let (settings, steps) = (SettingsMetrics::default(), StepTimes::default());

        let mut registry = Registry::default();
        store.register(&mut registry);
        http.register(&mut registry);
        settings.register(&mut registry);
        steps.register(&mut registry);
        registry.register_collector(Box::new(Observed(observation.clone())));

        Self { registry: Arc::new(Mutex::new(registry)), store, http, settings, steps }
    }

    /// Where requests to the store are counted.
    pub fn store(&self) -> StoreMetrics {
        self.store.clone()
    }

    /// Where connections without an answer are counted.
    pub fn http(&self) -> HttpMetrics {
        self.http.clone()
    }

    /// Where readings of the settings are counted.
    pub fn settings(&self) -> SettingsMetrics {
        self.settings.clone()
    }

    /// Where the steps of publishing are measured.
    pub fn steps(&self) -> StepTimes {
        self.steps.clone()
    }

    /// Adds what another part of the program counts.
    pub fn register(&self, collector: impl Collector) {
        self.registry.locked().register_collector(Box::new(collector));
    }

    /// All metrics, as text.
    pub fn text(&self, form: Form) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry.locked()).expect("a string takes all that is written, and all numbers can be");
        form.of_open_metrics(text)
    }
}

impl Collector for Observed {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(observation) = self;
        let build = [(BuildLabels { version: env!("CARGO_PKG_VERSION") }, Number::Whole(1))];
        write_gauge(&mut encoder, &names::BUILD_INFO, build)?;
        write_number(&mut encoder, &names::START, Number::Time(observation.started()))?;
        let ends = observation.certificate_ends().into_iter();
        let ends = ends.map(|(certificate, ends)| (CertificateLabels { certificate }, Number::Time(ends)));
        write_gauge(&mut encoder, &names::CERTIFICATE_EXPIRY, ends)?;

        export::write_all(&mut encoder, &observation.export_facts())?;
        let listed = observation.listed_without_backup().unwrap_or_default();
        write_by_version(&mut encoder, &names::KEEP_WITHOUT_BACKUP, &listed)?;
        match observation.relay_facts() {
            Some(facts) => relay::write_all(&mut encoder, &facts, observation.now()),
            None => Ok(()),
        }
    }
}
