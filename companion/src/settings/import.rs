//! What it takes to give a configuration to one node: before it starts, or through its Admin API.

use std::time::Duration;

use super::admin::AdminAccess;
use super::cluster::ClusterSettings;
use super::export::{ExporterSettings, given_version, node_prefix, version};
use super::restore::on_refusal;
use super::{Problems, Reader, Source, StoreSettings, finish};
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::session::restore::OnRefusal;
use lifeboat_node_cache::NodePrefix;

/// For `lifeboat import` into a node's cache, and for `lifeboat exec`.
#[derive(Debug)]
pub struct ImportSettings {
    /// Where to restore from: the store, or a ticket.
    pub store: StoreSettings,
    /// The node's version.
    pub version: KongVersion,
    /// The node's prefix.
    pub prefix: NodePrefix,
    /// Whom to ask first; none if the cache is to be filled whatever the control plane says.
    pub control_plane: Option<ControlPlaneSettings>,
}

/// For `lifeboat import --dbless`.
#[derive(Debug)]
pub struct DblessImportSettings {
    /// Where to restore from: the store, or a ticket.
    pub store: StoreSettings,
    /// The version of Kong that the node must have, if that is set.
    pub version: Option<KongVersion>,
    /// How long to wait for the program that usually feeds the node.
    pub patience: Duration,
    /// How to get into the node's Admin API.
    pub admin: AdminAccess,
}

/// Which node it is, for commands that look at it before anything else.
#[derive(Debug)]
pub struct NodeSettings {
    /// The node's version.
    pub version: KongVersion,
    /// The node's prefix.
    pub prefix: NodePrefix,
}

/// The control plane, asked as the node itself would ask it.
#[derive(Debug)]
pub struct ControlPlaneSettings {
    /// The control plane and how to speak with it.
    pub cluster: ClusterSettings,
    /// What the session says of itself.
    pub session: ExporterSettings,
    /// What it means if it refuses the node.
    pub on_refusal: OnRefusal,
}

/// When a node's cache is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Only if the control plane gives no configuration.
    ControlPlaneUnreachable,
    /// Whatever the control plane says.
    Always,
}

impl ImportSettings {
    /// Reads them, or says everything that is wrong with them. A `ticket` that is given here wins over the setting.
    pub fn read(source: &Source, ticket: Option<&str>, when: When) -> Result<Self, Problems> {
        let mut reader = Reader::new(source);
        let store = to_restore(&mut reader, ticket);
        let version = version(&mut reader);
        let prefix = node_prefix(&mut reader);
        let control_plane = match when {
            When::Always => Some(None),
            When::ControlPlaneUnreachable => ControlPlaneSettings::read(&mut reader).map(Some),
        };
        finish(reader, || Some(Self { store: store?, version: version?, prefix, control_plane: control_plane? }))
    }
}

impl DblessImportSettings {
    /// Reads them, or says everything that is wrong with them. `ticket` is as for [`ImportSettings::read`].
    pub fn read(source: &Source, ticket: Option<&str>) -> Result<Self, Problems> {
        let mut reader = Reader::new(source);
        let (store, version) = (to_restore(&mut reader, ticket), given_version(&mut reader));
        let (patience, admin) = (reader.config_timeout(), AdminAccess::read(&mut reader));
        finish(reader, || Some(Self { store: store?, version: version?, patience, admin: admin? }))
    }
}

impl NodeSettings {
    /// The prefix alone, or Kong's default where it can't be read.
    pub fn prefix(source: &Source) -> NodePrefix {
        node_prefix(&mut Reader::new(source))
    }

    /// Reads these two and nothing else; none if they are wrong, which is reported where all settings are read.
    pub fn read(source: &Source) -> Option<Self> {
        let mut reader = Reader::new(source);
        Some(Self { version: version(&mut reader)?, prefix: node_prefix(&mut reader) })
    }
}

fn to_restore(reader: &mut Reader<'_>, ticket: Option<&str>) -> Option<StoreSettings> {
    match ticket {
        Some(text) => StoreSettings::of_ticket(reader, text),
        None => StoreSettings::read_to_restore(reader),
    }
}

impl ControlPlaneSettings {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (cluster, session) = (ClusterSettings::read(reader), ExporterSettings::read(reader));
        let on_refusal = on_refusal(reader);
        Some(Self { cluster: cluster?, session: session?, on_refusal })
    }
}
