//! What is exported: for which version of Kong, and as which backup node.

use std::collections::BTreeMap;
use std::time::Duration;

use lifeboat_core::export::election::ElectionSetting;
use lifeboat_core::export::guard::ShrinkGuard;
use lifeboat_core::export::publisher::{Doubt, Rules};
use lifeboat_core::kong::basic_info::BasicInfo;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_node_cache::{CacheForm, NodePrefix};

use super::Reader;
use super::admin::AdminApi;
use super::names::{self, LIFEBOAT_KONG_VERSIONS as VERSIONS};
use super::source::Given;

/// What the headless session says of itself, and by which rules its configurations are published.
#[derive(Clone, Debug)]
pub struct ExporterSettings {
    /// The version of Kong whose configurations are kept.
    pub version: KongVersion,
    /// Custom plugins.
    pub plugins: Vec<String>,
    /// Wasm filters.
    pub filters: Vec<String>,
    /// The backup node's labels.
    pub labels: BTreeMap<String, String>,
    /// The control plane's Admin API.
    pub admin: Option<AdminApi>,
    /// How long a connected control plane may be silent before that is reported.
    pub config_timeout: Duration,
    /// What decides which configuration is published.
    pub rules: Rules,
    /// How the exporter that leads is found, where there are several.
    pub election: ElectionSetting,
    /// The prefix of a node on this host, if images of its cache are to be stored.
    pub beside: Option<NodePrefix>,
}

impl ExporterSettings {
    /// For one version; several are read by [`read_each`](Self::read_each).
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let version = version(reader);
        Self::read_for(reader, version.map(|version| vec![version]))?.pop()
    }

    /// For each version that is to be kept, at least one.
    pub(super) fn read_each(reader: &mut Reader<'_>) -> Option<Vec<Self>> {
        let versions = versions(reader);
        Self::read_for(reader, versions)
    }

    fn read_for(reader: &mut Reader<'_>, versions: Option<Vec<KongVersion>>) -> Option<Vec<Self>> {
        let plugins = reader.list(names::LIFEBOAT_PLUGINS);
        let filters = reader.list(names::LIFEBOAT_FILTERS);
        let labels = labels(reader);
        let admin = AdminApi::read(reader);
        let config_timeout = reader.config_timeout();
        let rules = rules(reader);
        let election = election(reader);
        let beside = beside(reader, versions.as_deref());
        let (labels, admin, election, beside) = (labels?, admin?, election?, beside?);
        let each = versions?.into_iter().map(|version| Self {
            version,
            plugins: plugins.clone(),
            filters: filters.clone(),
            labels: labels.clone(),
            admin: admin.clone(),
            config_timeout,
            rules,
            election,
            beside: beside.clone(),
        });

        Some(each.collect())
    }

    /// The session's first message, if nothing is known from the Admin API.
    pub fn basic_info(&self) -> BasicInfo {
        BasicInfo::backup_node(&self.plugins, &self.filters, self.labels.clone())
    }
}

/// What decides which configuration is published.
pub(super) fn rules(reader: &mut Reader<'_>) -> Rules {
    let usual = ShrinkGuard::DEFAULT_PERCENT.into();
    let max_shrink = reader.number(names::LIFEBOAT_MAX_SHRINK, usual, ShrinkGuard::PERCENT) as u8;

    Rules { export_delay: reader.export_delay(), guard: ShrinkGuard::new(max_shrink), doubt: Doubt::AskAgain }
}

/// The version of Kong that is meant, for commands that are about one.
pub(super) fn version(reader: &mut Reader<'_>) -> Option<KongVersion> {
    let version = given_version(reader)?;
    if version.is_none() && reader.is_given(VERSIONS) {
        reader.wrong(format!("KONG_VERSION: {VERSIONS} names several: say which one is meant (--kong-version 3.9.1)"));
    } else if version.is_none() {
        let _ = reader.required(names::KONG_VERSION, "backups are kept for one version of Kong", "3.9.1");
    }
    version
}

/// The same where it need not be given. The outer option: whether it could be read.
pub(super) fn given_version(reader: &mut Reader<'_>) -> Option<Option<KongVersion>> {
    let one_of_ours = reader.text(VERSIONS).filter(|given| !given.value.contains(','));
    match one_of_ours.or_else(|| reader.text(names::KONG_VERSION)) {
        Some(given) => served(reader, &given).map(Some),
        None => Some(None),
    }
}

/// The same for several; an empty list where none is given.
pub(super) fn given_versions(reader: &mut Reader<'_>) -> Option<Vec<KongVersion>> {
    let given = reader.text(names::KONG_VERSION).or_else(|| reader.text(VERSIONS));
    if given.is_none() { Some(Vec::new()) } else { versions(reader) }
}

/// The versions of Kong whose configurations are kept, each once.
fn versions(reader: &mut Reader<'_>) -> Option<Vec<KongVersion>> {
    let Some(given) = reader.text(VERSIONS).filter(|given| given.value.contains(',')) else {
        return version(reader).map(|version| vec![version]);
    };
    let mut versions = Vec::new();

    for item in given.value.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let version = served(reader, &Given { value: item.to_owned(), ..given.clone() })?;
        if versions.contains(&version) {
            reader.wrong(format!("{}: {version} is named twice (valid: 3.9.1,3.8.1)", given.name));
            return None;
        }
        versions.push(version);
    }

    if versions.is_empty() {
        reader.wrong(format!("{}: it names no version (valid: 3.9.1,3.8.1)", given.name));
        return None;
    }
    Some(versions)
}

fn served(reader: &mut Reader<'_>, given: &Given) -> Option<KongVersion> {
    let version: KongVersion = reader.parse(given)?;
    version.check_served().map_err(|error| reader.wrong(format!("{}: {error}", given.name))).ok()?;
    Some(version)
}

// The outer option: whether it could be read.
fn beside(reader: &mut Reader<'_>, versions: Option<&[KongVersion]>) -> Option<Option<NodePrefix>> {
    let is_on = reader.switch(names::LIFEBOAT_CACHE_IMAGE);
    let prefix = node_prefix(reader);

    if !is_on {
        return Some(None);
    }
    let version = match versions {
        None => None,
        Some([version]) => Some(*version),
        Some(_) => {
            reader.wrong(format!(
                "LIFEBOAT_CACHE_IMAGE: the node beside has one version of Kong, and {VERSIONS} names several: set it to off, \
                 or keep the others elsewhere"
            ));
            return None;
        }
    };
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
    let given = reader.text(names::KONG_PREFIX);
    NodePrefix::new(given.as_ref().map_or("/usr/local/kong", |given| given.value.trim()))
}

/// How the exporter that leads is found.
pub(super) fn election(reader: &mut Reader<'_>) -> Option<ElectionSetting> {
    match reader.text(names::LIFEBOAT_ELECTION) {
        Some(given) => reader.parse(&given),
        None => Some(ElectionSetting::Auto),
    }
}

fn labels(reader: &mut Reader<'_>) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    for item in reader.list(names::KONG_CLUSTER_DP_LABELS) {
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
