//! The steps from a control plane's message to a published snapshot, and how long each took.

use std::time::Duration;

use lifeboat_core::kong::version::KongVersion;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use super::names;
use super::series::{Version, durations, register};

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The message is decompressed and checked.
    Decode,
    /// The payload is compressed, and sealed if there is a key for that.
    Compress,
    /// The payload is written.
    WritePayload,
    /// It is read back and compared.
    ReadBack,
    /// The manifests are written.
    Manifest,
    /// `config.json` is written and read back.
    ConfigJson,
}

/// How long the steps take, for all versions of Kong. Clones measure together.
#[derive(Clone, Debug)]
pub struct StepTimes(Family<StepLabels, Histogram, fn() -> Histogram>);

/// A step that has begun.
#[derive(Debug)]
pub struct StepUnderWay {
    times: StepTimes,
    version: KongVersion,
    step: Step,
    began: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepLabels {
    kong_version: Version,
    step: &'static str,
}

impl Default for StepTimes {
    fn default() -> Self {
        Self(Family::new_with_constructor(durations))
    }
}

impl StepTimes {
    pub(super) fn register(&self, registry: &mut Registry) {
        register(registry, &names::KEEP_STEP, self.0.clone());
    }

    /// A step took so long.
    pub fn took(&self, version: KongVersion, step: Step, duration: Duration) {
        let labels = StepLabels { kong_version: Version(version), step: step.label() };
        self.0.get_or_create(&labels).observe(duration.as_secs_f64());
    }

    /// A step begins. It is measured if it is done: how soon something fails says nothing of how long it takes.
    pub fn begin(&self, version: KongVersion, step: Step) -> StepUnderWay {
        StepUnderWay { times: self.clone(), version, step, began: Instant::now() }
    }
}

impl StepUnderWay {
    /// The step is done.
    pub fn done(self) {
        self.times.took(self.version, self.step, self.began.elapsed());
    }
}

impl Step {
    fn label(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Compress => "compress",
            Self::WritePayload => "write_payload",
            Self::ReadBack => "read_back",
            Self::Manifest => "manifest",
            Self::ConfigJson => "config_json",
        }
    }
}
