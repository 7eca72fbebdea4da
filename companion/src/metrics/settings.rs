//! What became of settings that were read again.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::names;
use super::series::register;
use crate::settings::Reloaded;

/// Counts what came of each reading. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct SettingsMetrics {
    reloads: Family<Labels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    result: &'static str,
}

impl SettingsMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        // What has not happened yet has happened 0 times: otherwise its first time would look like none.
        for result in ["applied", "unchanged", "refused"] {
            let _ = self.reloads.get_or_create(&Labels { result });
        }
        register(registry, &names::SETTINGS_RELOADS, self.reloads.clone());
    }

    /// Settings were read again.
    pub fn reloaded(&self, reloaded: &Reloaded) {
        let result = match reloaded {
            Reloaded::Applied(_) => "applied",
            Reloaded::Unchanged => "unchanged",
            Reloaded::Refused => "refused",
        };
        self.reloads.get_or_create(&Labels { result }).inc();
    }
}
