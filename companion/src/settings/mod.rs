//! What the operator wants: Kong's own settings, the clouds' and ours, checked. Each part is read once and is valid from
//! then on; all mistakes of a start are reported together.

mod address;
mod cluster;
mod keep;
pub mod names;
mod reader;
mod relay;
mod secret;
pub mod source;
mod store;

pub use address::Address;
pub use cluster::{ClusterSettings, Trust};
pub use keep::KeepSettings;
pub use reader::{Problems, Reader};
pub use relay::RelaySettings;
pub use secret::Secret;
pub use source::Source;
pub use store::{
    Access, AwsCredentials, AzureAccess, AzureCredentials, Checksum, ExtraAuthorities, GcsAccess, GoogleCredentials,
    GoogleKey, ManagedIdentity, PutObject, S3Access, ServiceAccount, StoreSettings, Tenant,
};

/// What `lifeboat run` does.
#[derive(Debug)]
pub struct RunSettings {
    /// Where configurations are kept.
    pub store: StoreSettings,
    /// The control plane and how to speak with it.
    pub cluster: ClusterSettings,
    /// What to keep, if export is on.
    pub keep: Option<KeepSettings>,
    /// How to serve nodes, if import is on.
    pub relay: Option<RelaySettings>,
}

/// What `lifeboat export --from cp` needs.
#[derive(Debug)]
pub struct ExportSettings {
    /// Where configurations are kept.
    pub store: StoreSettings,
    /// The control plane and how to speak with it.
    pub cluster: ClusterSettings,
    /// What to keep.
    pub keep: KeepSettings,
}

/// As much of the settings of `lifeboat run` as can be read, and everything that is wrong with them: for who looks for
/// mistakes, and goes on.
#[derive(Debug)]
pub struct ReadableSettings {
    /// What is switched on.
    pub role: Role,
    /// Where configurations are kept.
    pub store: Option<StoreSettings>,
    /// The control plane and how to speak with it.
    pub cluster: Option<ClusterSettings>,
    /// What to keep: where export is on, or a version is set.
    pub keep: Option<KeepSettings>,
    /// How to serve nodes, if import is on.
    pub relay: Option<RelaySettings>,
    /// Everything that is wrong.
    pub problems: Problems,
}

/// What a companion is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Neither export nor import is on.
    Nothing,
    /// Export is on.
    Exporter,
    /// Import is on.
    Importer,
    /// Both are on.
    Both,
}

impl Role {
    fn read(reader: &mut Reader<'_>) -> Self {
        let export = reader.switch("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT");
        match (export, reader.switch("KONG_CLUSTER_FALLBACK_CONFIG_IMPORT")) {
            (false, false) => Self::Nothing,
            (true, false) => Self::Exporter,
            (false, true) => Self::Importer,
            (true, true) => Self::Both,
        }
    }

    /// Whether it keeps what a control plane sends.
    pub fn exports(self) -> bool {
        matches!(self, Self::Exporter | Self::Both)
    }

    /// Whether it serves nodes.
    pub fn imports(self) -> bool {
        matches!(self, Self::Importer | Self::Both)
    }
}

impl ReadableSettings {
    /// Reads what can be read. With neither export nor import on, what export needs is read.
    pub fn read(source: &Source) -> Self {
        let mut reader = Reader::new(source);
        let role = Role::read(&mut reader);
        let store = StoreSettings::read(&mut reader);
        let cluster = ClusterSettings::read(&mut reader);
        let has_version = ["LIFEBOAT_KONG_VERSIONS", "KONG_VERSION"].iter().any(|name| reader.text(name).is_some());
        let keep = if role != Role::Importer || has_version { KeepSettings::read(&mut reader) } else { None };
        let relay = if role.imports() { RelaySettings::read(&mut reader, cluster.as_ref()) } else { None };
        check_all_names(&mut reader);
        Self { role, store, cluster, keep, relay, problems: reader.into_problems() }
    }
}

impl RunSettings {
    /// Reads them, or says everything that is wrong with them.
    pub fn read(source: &Source) -> Result<Self, Problems> {
        let mut reader = Reader::new(source);
        let role = Role::read(&mut reader);
        let (export, import) = (role.exports(), role.imports());
        if role == Role::Nothing {
            reader.wrong(
                "nothing to do: neither KONG_CLUSTER_FALLBACK_CONFIG_EXPORT nor KONG_CLUSTER_FALLBACK_CONFIG_IMPORT is on \
                 (--export on keeps what the control plane sends, --import on is the relay for new nodes)",
            );
        }
        let store = StoreSettings::read(&mut reader);
        let cluster = ClusterSettings::read(&mut reader);
        let keep = if export { KeepSettings::read(&mut reader).map(Some) } else { Some(None) };
        let relay = if import { RelaySettings::read(&mut reader, cluster.as_ref()).map(Some) } else { Some(None) };
        finish(reader, || Some(Self { store: store?, cluster: cluster?, keep: keep?, relay: relay? }))
    }
}

impl ExportSettings {
    /// Reads them, or says everything that is wrong with them.
    pub fn read(source: &Source) -> Result<Self, Problems> {
        let mut reader = Reader::new(source);
        let (store, cluster) = (StoreSettings::read(&mut reader), ClusterSettings::read(&mut reader));
        let keep = KeepSettings::read(&mut reader);
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

/// Refuses variables that only look like settings, for who takes few settings from `source`.
pub fn check_names(source: &Source) -> Result<(), Problems> {
    let mut reader = Reader::new(source);
    reader.refuse_misspelt_names();
    if reader.problems().list().is_empty() { Ok(()) } else { Err(reader.into_problems()) }
}

fn finish<T>(mut reader: Reader<'_>, build: impl FnOnce() -> Option<T>) -> Result<T, Problems> {
    check_all_names(&mut reader);
    match build() {
        Some(settings) if reader.problems().list().is_empty() => Ok(settings),
        _ => Err(reader.into_problems()),
    }
}

fn check_all_names(reader: &mut Reader<'_>) {
    reader.refuse_misspelt_names();
    refuse_what_is_not_built_yet(reader);
}

// To ignore such a setting could mean to leave out a protection that somebody counts on.
fn refuse_what_is_not_built_yet(reader: &mut Reader<'_>) {
    for name in names::NOT_YET {
        if let Some(given) = reader.text(name) {
            reader.wrong(format!("{}: this version of lifeboat does not have this setting yet: unset it", given.name));
        }
    }
    for name in names::NOT_YET_HARMLESS {
        if let Some(given) = reader.text(name) {
            tracing::warn!("{}: this version of lifeboat does not have this setting yet, and ignores it", given.name);
        }
    }
    for (name, only) in [("KONG_CLUSTER_OCSP", "off"), ("KONG_CLUSTER_USE_PROXY", "off")] {
        if let Some(given) = reader.text(name).filter(|given| given.value.trim() != only) {
            reader.wrong(format!("{}: this version of lifeboat knows only {only:?}", given.name));
        }
    }
}

#[cfg(test)]
mod tests;
