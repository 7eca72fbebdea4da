//! What it takes to keep a configuration that doesn't come from a control plane, and to look at one that is kept.

use lifeboat_core::export::election::ElectionSetting;
use lifeboat_core::export::publisher::Rules;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::room::NodeLimits;

use super::admin::{AdminAccess, AdminApi};
use super::export::{election, given_version, rules, version};
use super::limits::node_limits;
use super::{Problems, Reader, Source, StoreSettings, finish, names, refuse_to_write_what_is_not_accepted};

/// For a file.
#[derive(Debug)]
pub struct FileSettings {
    /// Where configurations are kept.
    pub store: StoreSettings,
    /// The version of Kong that the file is for.
    pub version: KongVersion,
    /// What decides whether it is published.
    pub rules: Rules,
    /// Plugins that nodes have besides Kong's own.
    pub plugins: Vec<String>,
}

/// For a node without a database.
#[derive(Debug)]
pub struct DblessSettings {
    /// Where configurations are kept.
    pub store: StoreSettings,
    /// The version of Kong that the node must have, if that is set.
    pub version: Option<KongVersion>,
    /// What decides which configuration is published.
    pub rules: Rules,
    /// How the exporter that leads is found, where there are several.
    pub election: ElectionSetting,
    /// Plugins that nodes have besides Kong's own.
    pub plugins: Vec<String>,
    /// How to get into the node's Admin API.
    pub admin: AdminAccess,
}

impl FileSettings {
    /// Reads them, or says everything that is wrong with them.
    pub fn read(source: &Source) -> Result<Self, Problems> {
        let mut reader = Reader::new(source);
        let (store, version) = (StoreSettings::read(&mut reader), version(&mut reader));
        refuse_to_write_what_is_not_accepted(&mut reader, store.as_ref());
        let (rules, plugins) = (rules(&mut reader), plugin_names(&mut reader));
        finish(reader, || Some(Self { store: store?, version: version?, rules, plugins }))
    }
}

impl DblessSettings {
    /// Reads them, or says everything that is wrong with them.
    pub fn read(source: &Source) -> Result<Self, Problems> {
        let mut reader = Reader::new(source);
        let (store, version) = (StoreSettings::read(&mut reader), given_version(&mut reader));
        refuse_to_write_what_is_not_accepted(&mut reader, store.as_ref());
        let (rules, election) = (rules(&mut reader), election(&mut reader));
        let (plugins, admin) = (plugin_names(&mut reader), AdminAccess::read(&mut reader));
        finish(reader, || {
            let (store, version, election, admin) = (store?, version?, election?, admin?);
            Some(Self { store, version, rules, election, plugins, admin })
        })
    }
}

/// The names in `LIFEBOAT_PLUGINS`, which may say versions as well.
fn plugin_names(reader: &mut Reader<'_>) -> Vec<String> {
    let name = |plugin: String| plugin.split([':', '=', '@']).next().unwrap_or_default().trim().to_owned();
    reader.list(names::LIFEBOAT_PLUGINS).into_iter().map(name).collect()
}

/// For `lifeboat release`, which writes.
#[derive(Debug)]
pub struct ReleaseSettings {
    /// Where configurations are kept.
    pub store: StoreSettings,
    /// The version of Kong whose snapshot is meant, if that is set.
    pub version: Option<KongVersion>,
}

impl ReleaseSettings {
    /// Reads them, or says everything that is wrong with them.
    pub fn read(source: &Source) -> Result<Self, Problems> {
        let mut reader = Reader::new(source);
        let (store, version) = (StoreSettings::read(&mut reader), given_version(&mut reader));
        refuse_to_write_what_is_not_accepted(&mut reader, store.as_ref());
        finish(reader, || Some(Self { store: store?, version: version? }))
    }
}

/// For `lifeboat show`, `lifeboat verify` and `lifeboat diff`.
#[derive(Debug)]
pub struct LookSettings {
    /// Where configurations are kept.
    pub store: StoreSettings,
    /// The version of Kong whose snapshots are meant, if that is set.
    pub version: Option<KongVersion>,
    /// What nodes take.
    pub limits: NodeLimits,
    /// The control plane's Admin API, which tells which versions of Kong data planes have.
    pub admin: Option<AdminApi>,
}

impl LookSettings {
    /// Reads them, or says everything that is wrong with them.
    pub fn read(source: &Source) -> Result<Self, Problems> {
        let mut reader = Reader::new(source);
        let (store, version) = (StoreSettings::read(&mut reader), given_version(&mut reader));
        let (limits, admin) = (node_limits(&mut reader), AdminApi::read(&mut reader));
        finish(reader, || Some(Self { store: store?, version: version?, limits, admin: admin? }))
    }
}
