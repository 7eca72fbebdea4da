//! What the program says of itself to machines: typed handles, one for each part, that are told what happens, and the
//! registry from which all of it is written. No part gives a metric's name; those are in `names`.

mod exposition;
mod keep;
pub mod names;
mod relay;
mod series;
mod step;
mod store;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::time::WallTime;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::registry::Registry;

pub use exposition::Form;
pub use keep::{Failing, Judged, KeepFacts, KeepMetrics, Lead, Newest, Trace, standing_name, strategy_name};
pub use relay::{NodePresence, RelayFacts, RelayMetrics};
pub use step::{Step, StepTimes, StepUnderWay};
pub use store::{Operation, RequestOutcome, RequestUnderWay, StoreMetrics};

use self::keep::KeepCounters;
use self::series::{Number, write_gauge};
use crate::clock::Clock;
use crate::tls::Leaf;

/// All metrics of a program. Clones are the same.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    parts: Arc<Parts>,
}

/// Whose certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certificate {
    /// The one that is shown to the control plane.
    Cluster,
    /// The one that nodes see.
    Relay,
}

#[derive(Debug)]
struct Parts {
    clock: Clock,
    started: WallTime,
    store: StoreMetrics,
    counters: KeepCounters,
    keeps: Mutex<Vec<KeepMetrics>>,
    relay: Option<RelayMetrics>,
    certificates: Mutex<Vec<(Certificate, WallTime)>>,
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

/// Whether a program has a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// It serves nodes.
    Nodes,
    /// It serves none.
    Nobody,
}

impl Metrics {
    /// The metrics of a program that has just been started.
    pub fn new(serving: Serving, clock: Clock) -> Self {
        let parts = Parts {
            clock,
            started: clock.wall(),
            store: StoreMetrics::default(),
            counters: KeepCounters::default(),
            keeps: Mutex::default(),
            relay: (serving == Serving::Nodes).then(RelayMetrics::default),
            certificates: Mutex::default(),
        };
        let mut registry = Registry::default();
        parts.store.register(&mut registry);
        parts.counters.register(&mut registry);
        if let Some(relay) = &parts.relay {
            relay.register(&mut registry);
        }
        let parts = Arc::new(parts);
        registry.register_collector(Box::new(Gauges(parts.clone())));
        Self { registry: Arc::new(registry), parts }
    }

    /// Where requests to the store are counted.
    pub fn store(&self) -> StoreMetrics {
        self.parts.store.clone()
    }

    /// Where the steps of publishing are measured.
    pub fn steps(&self) -> StepTimes {
        self.parts.counters.steps.clone()
    }

    /// Where who keeps a version of Kong tells what happens; the same for all who ask for this version.
    pub fn keep(&self, version: KongVersion) -> KeepMetrics {
        let mut keeps = self.keeps();
        if let Some(known) = keeps.iter().find(|known| known.facts().version == version) {
            return known.clone();
        }
        let keep = KeepMetrics::new(version, self.parts.counters.clone(), self.parts.clock);
        keeps.push(keep.clone());
        keep
    }

    /// Where the relay tells what happens, if there is one.
    pub fn relay(&self) -> Option<RelayMetrics> {
        self.parts.relay.clone()
    }

    /// A certificate is in use from now on.
    pub fn uses(&self, which: Certificate, certificate: &Leaf) {
        let mut certificates = self.certificates();
        certificates.retain(|(other, _)| *other != which);
        certificates.push((which, WallTime::from_system(certificate.not_after())));
        certificates.sort_unstable();
    }

    /// What is known of each version that is kept.
    pub fn keep_facts(&self) -> Vec<KeepFacts> {
        self.keeps().iter().map(KeepMetrics::facts).collect()
    }

    /// When each certificate ends.
    pub fn certificate_ends(&self) -> Vec<(Certificate, WallTime)> {
        self.certificates().clone()
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
        encode(&mut text, &self.registry).expect("a string takes all that is written, and all numbers can be");
        form.of_open_metrics(text)
    }

    fn keeps(&self) -> MutexGuard<'_, Vec<KeepMetrics>> {
        self.parts.keeps.lock().expect("nothing panics while it holds this lock")
    }

    fn certificates(&self) -> MutexGuard<'_, Vec<(Certificate, WallTime)>> {
        self.parts.certificates.lock().expect("nothing panics while it holds this lock")
    }
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let parts = &*self.0;
        let build = [(BuildLabels { version: env!("CARGO_PKG_VERSION") }, Number::Whole(1))];
        write_gauge(&mut encoder, &names::BUILD_INFO, build)?;
        let no_labels: [(&str, &str); 0] = [];
        write_gauge(&mut encoder, &names::START, [(no_labels, Number::Time(parts.started))])?;
        let certificates = parts.certificates.lock().expect("nothing panics while it holds this lock").clone();
        let certificates = certificates
            .into_iter()
            .map(|(which, ends)| (CertificateLabels { certificate: which.name() }, Number::Time(ends)));
        write_gauge(&mut encoder, &names::CERTIFICATE_EXPIRY, certificates)?;
        let keeps = parts.keeps.lock().expect("nothing panics while it holds this lock").clone();
        let keeps: Vec<KeepFacts> = keeps.iter().map(KeepMetrics::facts).collect();
        keep::write_all(&mut encoder, &keeps)?;
        match &parts.relay {
            Some(relay) => relay.write_gauges(&mut encoder, parts.clock.wall()),
            None => Ok(()),
        }
    }
}

impl Certificate {
    /// What metrics and status call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Relay => "relay",
        }
    }
}
