//! What is kept: for which Kong, as which backup node.

use std::collections::BTreeMap;
use std::time::Duration;

use lifeboat_core::keep::guard::ShrinkGuard;
use lifeboat_core::keep::keeper::{Doubt, Rules};
use lifeboat_core::kong::basic_info::BasicInfo;
use lifeboat_core::kong::version::KongVersion;
use reqwest::Url;

use super::Reader;
use crate::node_cache::{CacheForm, NodePrefix};

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
    /// What decides which configuration is published.
    pub rules: Rules,
    /// The prefix of a node beside us, of whose cache images are kept.
    pub beside: Option<NodePrefix>,
}

impl KeepSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let version = version(reader);
        let plugins = reader.list("LIFEBOAT_PLUGINS");
        let filters = reader.list("LIFEBOAT_FILTERS");
        let labels = labels(reader);
        let admin_url = admin_url(reader);
        let config_timeout = reader.config_timeout();
        let rules = rules(reader);
        let beside = beside(reader, version);
        Some(Self {
            version: version?,
            plugins,
            filters,
            labels: labels?,
            admin_url: admin_url?,
            config_timeout,
            rules,
            beside: beside?,
        })
    }

    /// The session's first message, if nothing is known from the Admin API.
    pub fn basic_info(&self) -> BasicInfo {
        BasicInfo::backup_node(&self.plugins, &self.filters, self.labels.clone())
    }
}

/// What decides which configuration is published.
pub(super) fn rules(reader: &mut Reader<'_>) -> Rules {
    let max_shrink = reader.number("LIFEBOAT_MAX_SHRINK", 50, 0..=100) as u8;
    Rules { export_delay: reader.export_delay(), guard: ShrinkGuard::new(max_shrink), doubt: Doubt::AskAgain }
}

/// The version of Kong whose configurations are kept.
pub(super) fn version(reader: &mut Reader<'_>) -> Option<KongVersion> {
    let version = given_version(reader)?;
    if version.is_none() {
        let _ = reader.required("KONG_VERSION", "backups are kept for one version of Kong", "3.9.1");
    }
    version
}

/// The same where it need not be given. The outer option: whether it could be read.
pub(super) fn given_version(reader: &mut Reader<'_>) -> Option<Option<KongVersion>> {
    let given = match reader.text("LIFEBOAT_KONG_VERSIONS") {
        Some(given) if given.value.contains(',') => {
            reader.wrong(format!("{}: this version of lifeboat keeps one version of Kong (valid: 3.9.1)", given.name));
            return None;
        }
        given => given.or_else(|| reader.text("KONG_VERSION")),
    };
    let Some(given) = given else { return Some(None) };
    let version: KongVersion = reader.parse(&given)?;
    match version.check_served() {
        Ok(()) => Some(Some(version)),
        Err(error) => {
            reader.wrong(format!("{}: {error}", given.name));
            None
        }
    }
}

// The outer option: whether it could be read.
fn beside(reader: &mut Reader<'_>, version: Option<KongVersion>) -> Option<Option<NodePrefix>> {
    let is_on = reader.switch("LIFEBOAT_CACHE_IMAGE");
    let prefix = node_prefix(reader);
    if !is_on {
        return Some(None);
    }
    match version.map(CacheForm::of) {
        None | Some(Ok(CacheForm::Lmdb { .. })) => Some(Some(prefix)),
        Some(Ok(CacheForm::ConfigCache) | Err(_)) => {
            let since = "only Kong 3.4 and later caches in a form of which images are kept";
            reader.wrong(format!("LIFEBOAT_CACHE_IMAGE: {since}: set it to off"));
            None
        }
    }
}

/// Where a node of this host keeps its files, by Kong's own setting and default.
pub(super) fn node_prefix(reader: &mut Reader<'_>) -> NodePrefix {
    let given = reader.text("KONG_PREFIX");
    NodePrefix::new(given.as_ref().map_or("/usr/local/kong", |given| given.value.trim()))
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
