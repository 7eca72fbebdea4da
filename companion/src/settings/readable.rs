//! Settings as far as they can be read, mistakes and all.

use lifeboat_core::room::NodeLimits;
use lifeboat_node_cache::NodePrefix;

use super::admin::AdminApi;
use super::export::node_prefix;
use super::limits::node_limits;
use super::{
    ClusterSettings, ExporterSettings, Problems, Reader, RelaySettings, Role, Source, StoreSettings, names, store_of,
};

/// As much of the settings of `lifeboat run` as can be read, and everything that is wrong with them: for the
/// doctor, which reports mistakes and goes on.
#[derive(Debug)]
pub struct ReadableSettings {
    /// What is switched on.
    pub role: Role,
    /// Where configurations are kept.
    pub store: Option<StoreSettings>,
    /// The control plane and how to speak with it.
    pub cluster: Option<ClusterSettings>,
    /// What to keep: where export is on, or a version is set.
    pub keep: Option<Vec<ExporterSettings>>,
    /// The control plane's Admin API.
    pub admin: Option<AdminApi>,
    /// What nodes take.
    pub limits: NodeLimits,
    /// How to serve nodes, if import is on.
    pub relay: Option<RelaySettings>,
    /// Where a node of this host keeps its files.
    pub prefix: NodePrefix,
    /// Everything that is wrong.
    pub problems: Problems,
}

impl ReadableSettings {
    /// Reads what can be read. With neither export nor import on, what export needs is read.
    pub fn read(source: &Source) -> Self {
        let mut reader = Reader::new(source);
        let role = Role::read(&mut reader);
        let store = store_of(&mut reader, role);
        let cluster = ClusterSettings::read(&mut reader);
        let has_version = reader.is_given(names::LIFEBOAT_KONG_VERSIONS) || reader.is_given(names::KONG_VERSION);
        let keep = if role != Role::Importer || has_version { ExporterSettings::read_each(&mut reader) } else { None };
        let relay = if role.imports() { RelaySettings::read(&mut reader, cluster.as_ref()) } else { None };
        let admin = AdminApi::read(&mut reader).flatten();
        let (prefix, limits) = (node_prefix(&mut reader), node_limits(&mut reader));
        reader.check_what_concerns_all();
        Self { role, store, cluster, keep, admin, limits, relay, prefix, problems: reader.into_problems() }
    }
}
