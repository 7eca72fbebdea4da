//! The settings: Kong's own, the clouds' and ours, checked. Each part is read once and is valid from then on. All
//! mistakes are reported together at the start.

mod admin;
mod certificates;
mod changed;
mod cluster;
mod drill;
mod export;
mod file;
mod flag_names;
mod follow;
mod history;
pub(crate) mod http;
mod import;
mod keys;
mod limits;
mod live;
mod log;
mod misspelt;
pub mod names;
pub(crate) mod notification;
mod origin;
mod page;
mod proxy;
mod read_by;
mod readable;
mod reader;
mod relay;
mod relay_limits;
mod reports;
mod restore;
mod restoring;
mod role;
pub mod source;
mod store;
pub(crate) mod units;
pub mod unprintable;
mod vault;

use lifeboat_core::room::NodeLimits;

use self::limits::node_limits;

pub use admin::{AdminAccess, AdminApi};
pub use certificates::{CertificateFiles, Reread};
pub use changed::Changed;
pub use cluster::{ClusterSettings, Revocation, Trust};
pub use drill::{DrillEvery, DrillSettings, KongProgram, KongSettings};
pub use export::ExporterSettings;
pub use follow::Follow;
pub use history::HistoryLimit;
pub use http::{Chosen, HealthListen, HttpSettings};
pub use import::{ControlPlaneSettings, DblessImportSettings, ImportSettings, NodeSettings, When};
pub use keys::KeySource;
pub use live::{LiveRules, Reloaded, RuleChanger, Rulebook};
pub use log::{LogFormat, LogSettings};
pub use notification::{NotificationSettings, Receiver, Unusable, Webhook};
pub use origin::{DblessSettings, FileSettings, LookSettings, ReleaseSettings};
pub use page::{Compares, PageSettings};
pub use read_by::read_by;
pub use readable::ReadableSettings;
pub use reader::{Problems, Reader};
pub use relay::RelaySettings;
pub use relay_limits::RelayLimits;
pub use reports::ReportKeys;
pub use restore::{Prefer, RestoreRules, VersionMatch};
pub use restoring::Restoring;
pub use role::Role;
pub use source::Source;
pub use store::StoreSettings;

/// What `lifeboat run` does.
#[derive(Debug)]
pub struct RunSettings {
    /// Where configurations are kept.
    pub store: StoreSettings,
    /// The control plane and how to speak with it.
    pub cluster: ClusterSettings,
    /// What to keep, for each version of Kong; nothing, if export is off.
    pub keep: Vec<ExporterSettings>,
    /// What nodes take, where they don't say it themselves.
    pub limits: NodeLimits,
    /// How to serve nodes, if import is on.
    pub relay: Option<RelaySettings>,
    /// The files of certificates and keys among all that.
    pub certificates: CertificateFiles,
    /// Where metrics, health and status are read.
    pub http: HttpSettings,
    /// Where health alone is answered, besides.
    pub health: HealthListen,
    /// The names under which the page is answered, and whether it compares snapshots.
    pub page: PageSettings,
    /// What authenticates the filter's reports.
    pub report_keys: ReportKeys,
    /// How often an outage is rehearsed, if at all.
    pub drill: Option<DrillEvery>,
    /// Who is told without monitoring.
    pub notification: NotificationSettings,
}

/// What `lifeboat export --from cp` needs.
#[derive(Debug)]
pub struct ExportSettings {
    /// Where configurations are kept.
    pub store: StoreSettings,
    /// The control plane and how to speak with it.
    pub cluster: ClusterSettings,
    /// What to keep, for each version of Kong.
    pub keep: Vec<ExporterSettings>,
}

impl RunSettings {
    /// Reads them, or says everything that is wrong with them.
    pub fn read(source: &Source) -> Result<Self, Problems> {
        let mut reader = Reader::new(source);
        let role = Role::read(&mut reader);

        if role == Role::Nothing {
            reader.wrong(
                "nothing to do: neither KONG_CLUSTER_FALLBACK_CONFIG_EXPORT nor KONG_CLUSTER_FALLBACK_CONFIG_IMPORT is on \
                 (--export on keeps what the control plane sends, --import on is the relay for new nodes)",
            );
        }
        let store = store_of(&mut reader, role);
        let cluster = ClusterSettings::read(&mut reader);
        let keep = if role.exports() { ExporterSettings::read_each(&mut reader) } else { Some(Vec::new()) };
        let relay =
            if role.imports() { RelaySettings::read(&mut reader, cluster.as_ref()).map(Some) } else { Some(None) };
        let http = HttpSettings::read(&mut reader);
        let health = HealthListen::read(&mut reader);
        let page = PageSettings::read(&mut reader);
        let report_keys = ReportKeys::read(&mut reader);
        let every = DrillEvery::interval(&mut reader, role);
        let drills = every.is_none_or(|every| every.is_some());
        let notification = NotificationSettings::read(&mut reader, role, drills);
        let (config_timeout, limits) = (reader.config_timeout(), node_limits(&mut reader));
        finish(reader, || {
            let (http, health, page, report_keys) = (http?, health?, page?, report_keys?);
            let (cluster, relay) = (cluster?, relay?);
            let (store, keep) = (store?, keep?);
            let certificates = CertificateFiles::of(source, relay.is_some());
            let settings = |every| DrillEvery {
                every,
                settings: DrillSettings {
                    store: store.clone(),
                    cluster: cluster.clone(),
                    relay: relay.as_ref().map(|relay| relay.tls.clone()),
                    config_timeout,
                    versions: keep.iter().map(|keep| keep.version).collect(),
                    limits,
                    kong: KongSettings::new(source, KongProgram::OnPath),
                },
            };
            let (drill, notification) = (every?.map(settings), notification?);
            Some(Self {
                store,
                cluster,
                keep,
                limits,
                relay,
                certificates,
                http,
                health,
                page,
                report_keys,
                drill,
                notification,
            })
        })
    }
}

impl ExportSettings {
    /// Reads them, or says everything that is wrong with them.
    pub fn read(source: &Source) -> Result<Self, Problems> {
        let mut reader = Reader::new(source);
        let (store, cluster) = (StoreSettings::read(&mut reader), ClusterSettings::read(&mut reader));
        refuse_to_write_what_is_not_accepted(&mut reader, store.as_ref());
        let keep = ExporterSettings::read_each(&mut reader);
        finish(reader, || Some(Self { store: store?, cluster: cluster?, keep: keep? }))
    }
}

impl StoreSettings {
    /// Reads them alone, for commands that only look into the store.
    pub fn read_alone(source: &Source) -> Result<Self, Problems> {
        let mut reader = Reader::new(source);
        let store = Self::read(&mut reader);
        finish(reader, || store)
    }
}

/// Refuses variables that only look like settings, and what is wrong for every command, where few settings are taken from
/// `source`.
pub fn check_names(source: &Source) -> Result<(), Problems> {
    let mut reader = Reader::new(source);
    reader.check_what_concerns_all();
    if reader.problems().list().is_empty() { Ok(()) } else { Err(reader.into_problems()) }
}

// With neither export nor import on, it is read as for an exporter. That nothing is on is reported elsewhere.
fn store_of(reader: &mut Reader<'_>, role: Role) -> Option<StoreSettings> {
    if role == Role::Importer {
        return StoreSettings::read_to_restore(reader);
    }
    let store = StoreSettings::read(reader);
    refuse_to_write_what_is_not_accepted(reader, store.as_ref());
    refuse_a_ticket(reader);
    store
}

// Otherwise importers would refuse its backups, and that would be found only in an outage.
fn refuse_to_write_what_is_not_accepted(reader: &mut Reader<'_>, store: Option<&StoreSettings>) {
    if store.is_some_and(|store| !store.keys.current().accepts_its_own()) {
        reader.wrong(
            "LIFEBOAT_SIGNING_KEY is not set, but LIFEBOAT_TRUSTED_KEYS is: nodes that trust those keys would refuse \
             what this exporter writes. Set LIFEBOAT_SIGNING_KEY or LIFEBOAT_SIGNING_KEY_FILE (lifeboat keygen \
             signing makes a pair)",
        );
    }
}

// An operator who sets one expects that it is used.
fn refuse_a_ticket(reader: &mut Reader<'_>) {
    if reader.is_given(names::LIFEBOAT_TICKET) {
        reader.wrong(
            "LIFEBOAT_TICKET: a ticket can only be restored from: unset it, or switch KONG_CLUSTER_FALLBACK_CONFIG_EXPORT \
             off",
        );
    }
}

fn finish<T>(mut reader: Reader<'_>, build: impl FnOnce() -> Option<T>) -> Result<T, Problems> {
    reader.check_what_concerns_all();
    match build() {
        Some(settings) if reader.problems().list().is_empty() => Ok(settings),
        _ => Err(reader.into_problems()),
    }
}

#[cfg(test)]
mod tests;
