//! What is kept: for which Kong, as which backup node.

use std::collections::BTreeMap;
use std::time::Duration;

use lifeboat_core::keep::guard::ShrinkGuard;
use lifeboat_core::keep::keeper::{Doubt, Rules};
use lifeboat_core::kong::basic_info::BasicInfo;
use lifeboat_core::kong::version::KongVersion;
use reqwest::Url;

use super::Reader;

/// What the headless session says of itself and how eagerly its configurations are published.
#[derive(Clone, Debug)]
pub struct KeepSettings {
    /// The version of Kong whose configurations are kept.
    pub version: KongVersion,
    /// Custom plugins.
    pub plugins: Vec<String>,
    /// Wasm filters.
    pub filters: Vec<String>,
    /// The backup node's labels.
    pub labels: BTreeMap<String, String>,
    /// The control plane's Admin API.
    pub admin_url: Option<Url>,
    /// How long a connected control plane may be silent before that is reported.
    pub config_timeout: Duration,
    /// The least time between two exports.
    pub export_delay: Duration,
    /// How many percent of the services or routes a configuration may lose without being held.
    pub max_shrink: u8,
}

impl KeepSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let version = version(reader);
        let plugins = reader.list("LIFEBOAT_PLUGINS");
        let filters = reader.list("LIFEBOAT_FILTERS");
        let labels = labels(reader);
        let admin_url = admin_url(reader);
        let config_timeout = reader.config_timeout();
        let delay = reader.number("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT_DELAY", 60, 0..=86_400);
        let export_delay = Duration::from_secs(delay);
        let max_shrink = reader.number("LIFEBOAT_MAX_SHRINK", 50, 0..=100) as u8;
        Some(Self {
            version: version?,
            plugins,
            filters,
            labels: labels?,
            admin_url: admin_url?,
            config_timeout,
            export_delay,
            max_shrink,
        })
    }

    /// What decides which configuration is published.
    pub fn rules(&self) -> Rules {
        let guard = ShrinkGuard::new(self.max_shrink);
        Rules { export_delay: self.export_delay, guard, doubt: Doubt::AskAgain }
    }

    /// The session's first message, if nothing is known from the Admin API.
    pub fn basic_info(&self) -> BasicInfo {
        BasicInfo::backup_node(&self.plugins, &self.filters, self.labels.clone())
    }
}

pub(super) fn version(reader: &mut Reader<'_>) -> Option<KongVersion> {
    let given = match reader.text("LIFEBOAT_KONG_VERSIONS") {
        Some(given) if given.value.contains(',') => {
            reader.wrong(format!("{}: this version of lifeboat keeps one version of Kong (valid: 3.9.1)", given.name));
            return None;
        }
        Some(given) => given,
        None => reader.required("KONG_VERSION", "backups are kept for one version of Kong", "3.9.1")?,
    };
    let version: KongVersion = reader.parse(&given)?;
    match version.check_served() {
        Ok(()) => Some(version),
        Err(error) => {
            reader.wrong(format!("{}: {error}", given.name));
            None
        }
    }
}

fn labels(reader: &mut Reader<'_>) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    for item in reader.list("KONG_CLUSTER_DP_LABELS") {
        match item.split_once(':') {
            Some((name, value)) if !name.is_empty() && !value.is_empty() => {
                labels.insert(name.trim().to_owned(), value.trim().to_owned());
            }
            _ => {
                reader.wrong(format!(
                    "KONG_CLUSTER_DP_LABELS: {item:?} is not name:value (valid: region:eu,tier:backup)"
                ));
                return None;
            }
        }
    }
    Some(labels)
}

// The outer option: whether it could be read.
fn admin_url(reader: &mut Reader<'_>) -> Option<Option<Url>> {
    let Some(given) = reader.text("LIFEBOAT_ADMIN_URL") else { return Some(None) };
    match given.value.trim().parse::<Url>() {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(Some(url)),
        _ => {
            reader.wrong(format!("{}: it must be a URL of http or https (valid: http://127.0.0.1:8001)", given.name));
            None
        }
    }
}
