//! What a drill needs: the settings of `lifeboat run` without the control plane, which is not asked; and how often one is
//! made by itself.

use std::path::PathBuf;
use std::time::Duration;

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::room::NodeLimits;
use lifeboat_link::tls::{Accepts, Identity, ServerSide, ServerTls};

use super::export::given_versions;
use super::limits::node_limits;
use super::names::{self, LIFEBOAT_DRILL_EVERY as EVERY};
use super::relay::shown_to_nodes;
use super::{Problems, Reader, Role, Source, StoreSettings, Trust, finish};
use crate::settings::ClusterSettings;

const SHORTEST: Duration = Duration::from_secs(1);

/// For `lifeboat drill`, and for the drills of `lifeboat run`.
#[derive(Clone, Debug)]
pub struct DrillSettings {
    /// Where to restore from.
    pub store: StoreSettings,
    /// The cluster's certificate; its control plane is never asked.
    pub cluster: ClusterSettings,
    /// What a relay shows to nodes, where that isn't the cluster's certificate.
    pub relay: Option<ServerTls>,
    /// How long a connected control plane may be silent.
    pub config_timeout: Duration,
    /// Which versions; none: all that are in the store.
    pub versions: Vec<KongVersion>,
    /// What nodes take.
    pub limits: NodeLimits,
    /// The real data plane.
    pub kong: KongSettings,
}

/// How often `lifeboat run` drills.
#[derive(Clone, Debug)]
pub struct DrillEvery {
    /// From one to the next.
    pub every: Duration,
    /// With what.
    pub settings: DrillSettings,
}

/// The real data plane of a drill.
#[derive(Clone, Debug)]
pub struct KongSettings {
    /// Which program.
    pub program: KongProgram,
    /// The custom plugins that it is told of, as `LIFEBOAT_PLUGINS` has them.
    pub plugins: Option<String>,
    /// All settings, of which it is given the few that a configuration may depend on, and its certificate.
    pub source: Source,
}

/// Which program a drill starts as a data plane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KongProgram {
    /// `kong`, where it is on the `PATH`.
    #[default]
    OnPath,
    /// This one.
    At(PathBuf),
    /// None.
    Nowhere,
}

impl DrillSettings {
    /// Reads them, or says everything that is wrong with them.
    pub fn read(source: &Source, program: KongProgram) -> Result<Self, Problems> {
        // A drill has a control plane of its own, which is never there.
        let mut own = source.clone();
        for (name, value) in [(names::LIFEBOAT_CONTROL_PLANE, "127.0.0.1:1"), (names::KONG_CLUSTER_USE_PROXY, "off")] {
            own = own.with_fixed(name, value);
        }
        let mut reader = Reader::new(&own);
        let store = StoreSettings::read_to_restore(&mut reader);
        let cluster = ClusterSettings::read(&mut reader);
        let relay = cluster.as_ref().map_or(Some(None), |cluster| relay(&mut reader, cluster));
        let config_timeout = reader.config_timeout();
        let (versions, limits) = (given_versions(&mut reader), node_limits(&mut reader));
        let kong = KongSettings::new(source, program);

        finish(reader, || {
            let (store, cluster, relay, versions) = (store?, cluster?, relay?, versions?);
            Some(Self { store, cluster, relay, config_timeout, versions, limits, kong })
        })
    }

    /// What a relay shows to nodes now.
    pub fn relay_identity(&self) -> Identity {
        match &self.relay {
            Some(relay) => relay.side().identity,
            None => self.cluster.control_plane.tls.side().identity,
        }
    }
}

impl KongSettings {
    pub(super) fn new(source: &Source, program: KongProgram) -> Self {
        let plugins = Reader::new(source).text(names::LIFEBOAT_PLUGINS).map(|given| given.value);
        Self { program, plugins, source: source.clone() }
    }
}

impl DrillEvery {
    /// How often, if at all. The outer option: whether it could be read.
    pub(super) fn interval(reader: &mut Reader<'_>, role: Role) -> Option<Option<Duration>> {
        let Some(given) = reader.text(EVERY) else { return Some(None) };
        if given.value.trim() == "off" {
            return Some(None);
        }
        let every = reader.duration(EVERY, Duration::from_secs(24 * 60 * 60));
        if every < SHORTEST {
            reader.wrong(format!("{}: it must be a second or more (valid: 24h)", given.name));
            return None;
        }

        if !role.exports() {
            tracing::warn!(
                "{}: only the exporter that leads drills, and KONG_CLUSTER_FALLBACK_CONFIG_EXPORT is off: set it for \
                 the exporter instead",
                given.name
            );
            return Some(None);
        }
        Some(Some(every))
    }
}

// The outer option: whether it could be read. In `shared` mode all have the one certificate.
fn relay(reader: &mut Reader<'_>, cluster: &ClusterSettings) -> Option<Option<ServerTls>> {
    let Trust::Pki(_) = cluster.trust else { return Some(None) };
    let Some(identity) = shown_to_nodes(reader)? else { return Some(None) };
    let accepts = Accepts::Certificates(vec![cluster.identity.leaf().der().clone()]);
    let tls = ServerTls::new(ServerSide { identity, accepts });
    tls.map_err(|error| reader.wrong(format!("LIFEBOAT_RELAY_CERT: {error}"))).ok().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(value: &str, role: Role) -> Result<Option<Duration>, String> {
        let source = Source::from_environment([(EVERY.to_string(), value.to_owned())]);
        let mut reader = Reader::new(&source);
        let read = DrillEvery::interval(&mut reader, role);
        if reader.problems().list().is_empty() { Ok(read.unwrap()) } else { Err(reader.into_problems().to_string()) }
    }

    #[test]
    fn drills_are_made_by_exporters_as_often_as_they_are_told_and_by_default_never() {
        assert_eq!(interval("24h", Role::Exporter), Ok(Some(Duration::from_secs(86_400))));
        assert_eq!(interval("24h", Role::Both), Ok(Some(Duration::from_secs(86_400))));
        assert_eq!(interval("24h", Role::Importer), Ok(None));
        for never in ["", "off"] {
            assert_eq!(interval(never, Role::Exporter), Ok(None), "{never:?}");
        }
    }

    #[test]
    fn an_interval_that_is_none_is_refused_with_one_that_is() {
        for wrong in ["daily", "0", "10ms"] {
            let error = interval(wrong, Role::Exporter).unwrap_err();
            assert!(
                error.contains(EVERY.variable()) && (error.contains("24h") || error.contains("1day")),
                "{wrong}: {error}"
            );
        }
    }
}
