//! An outage, rehearsed on the live setup without touching it: a relay of its own, whose control plane is certainly gone,
//! with the live stores, keys and certificate; and an empty node of each version, which is to come to run the newest
//! snapshot. Nothing is written to a store, and no other process notices. What is printed is in `command/drill`.

mod expected;
mod kong;
mod metrics;
mod outcome;
mod private_relay;
mod scheduled;
mod scratch_node;
pub mod textfile;

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::time::WallTime;
use lifeboat_link::tls::Leaf;
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::progress::step;

pub use metrics::{DrillFacts, DrillMetrics};
pub use outcome::{DrillFailure, Drilled, DrilledSnapshot, Finding, KongPart, KongRun, Rehearsed, Step, VersionDrill};
pub use scheduled::ScheduledDrill;

use self::expected::Expected;
use self::private_relay::PrivateRelay;
use self::scratch_node::Runs;
use crate::archive::Stores;
use crate::settings::{DrillSettings, KongProgram, Rulebook};

/// Up to how many bytes of JSON a node with incremental sync is rehearsed: the one in this process keeps each entity as a
/// value, which takes some twenty times as much memory.
const SYNCED_UP_TO: u64 = 4_000_000;
/// How often something may be published in the middle of a drill.
const TRIES: u32 = 3;

/// A drill that can be made as often as one likes.
#[derive(Clone, Debug)]
pub struct Drill {
    settings: DrillSettings,
    /// Where the rules of restoring change, if they can.
    rulebook: Option<Rulebook>,
    clock: Clock,
}

impl Drill {
    /// With these settings.
    pub fn new(settings: DrillSettings, clock: Clock) -> Self {
        Self { settings, rulebook: None, clock }
    }

    /// The same, whose rules of restoring change there.
    pub fn ruled_by(self, rulebook: Rulebook) -> Self {
        Self { rulebook: Some(rulebook), ..self }
    }

    /// The versions that the settings name; where they name none, all of which the first store has something.
    ///
    /// # Errors
    /// When that can't be told.
    pub async fn versions(&self) -> Result<Vec<KongVersion>, DrillFailure> {
        if !self.settings.versions.is_empty() {
            return Ok(self.settings.versions.clone());
        }
        let sources = self.sources();
        let listed = sources.versions().await.map_err(|error| DrillFailure::unlisted(&error))?;
        if listed.is_empty() { Err(DrillFailure::nothing_there(&sources.places())) } else { Ok(listed) }
    }

    /// Rehearses these versions, one after the other. Dropping it ends all that it has started.
    pub async fn run(&self, versions: &[KongVersion]) -> Drilled {
        let (started, begun) = (self.clock.wall(), self.clock.now());
        let certificate = self.certificate_failure();
        let sources = self.sources();
        let mut drilled = Vec::new();
        for version in versions {
            drilled.push(self.rehearse(*version, &sources, certificate.as_ref()).await);
        }
        Drilled { started, took: self.clock.now() - begun, store: sources.places(), versions: drilled }
    }

    async fn rehearse(
        &self,
        version: KongVersion,
        sources: &Stores,
        certificate: Option<&DrillFailure>,
    ) -> VersionDrill {
        let (started, begun) = (self.clock.wall(), self.clock.now());
        let restoring = step(format_args!("restoring a scratch node of Kong {version}"));
        let restored = match certificate {
            Some(failure) => Err(failure.clone()),
            None => self.restore(version, sources).await,
        };
        drop(restoring);

        let kong = match &restored {
            Ok(restored) => {
                let _progress = step(format_args!("looking for a real Kong {version}, and starting it"));
                kong::run(&self.settings, sources, version, restored, self.clock).await
            }
            Err(_) => KongPart::Absent,
        };
        VersionDrill { version, started, took: self.clock.now() - begun, restored, kong }
    }

    async fn restore(&self, version: KongVersion, sources: &Stores) -> Result<Rehearsed, DrillFailure> {
        let mut tries = 1;
        loop {
            let expected = Expected::find(sources, version, self.settings.limits, self.clock).await?;
            let relay = PrivateRelay::start(&self.settings, sources.clone(), self.clock).await?;
            let runs = scratch_node::restored(&self.settings, &relay, version, &expected, self.clock).await?;
            match runs {
                Runs::Expected(proof) => {
                    let by_sync = match expected.config_bytes() <= SYNCED_UP_TO {
                        true => scratch_node::restored_by_sync(&self.settings, &relay, version, self.clock).await,
                        false => None,
                    };
                    return Ok(Rehearsed { by_sync, ..expected.rehearsed(proof) });
                }
                // Something else was published since we looked.
                Runs::Another(_) if tries < TRIES => tries += 1,
                Runs::Another(hash) => return Err(DrillFailure::another(&expected, &hash)),
            }
        }
    }

    fn sources(&self) -> Stores {
        let sources = Stores::open_existing(&self.settings.store);
        match &self.rulebook {
            Some(rulebook) => sources.ruled_by(rulebook.clone()),
            None => sources,
        }
    }

    // The scratch node would take it all the same: real ones look at its dates.
    fn certificate_failure(&self) -> Option<DrillFailure> {
        let (own, relays) = (self.settings.cluster.control_plane.tls.side().identity, self.settings.relay_identity());
        let wrong = |name: &str, leaf: &Leaf| {
            let (begins, ends) = (WallTime::from_system(leaf.not_before()), WallTime::from_system(leaf.not_after()));
            let why = match self.clock.wall() {
                now if now > ends => format!("{name} ended at {ends}"),
                now if now < begins => format!("{name} is valid from {begins} on only"),
                _ => return None,
            };
            let cure = "replace it on the control plane, the relays and the data planes (kong hybrid gen_cert makes one for \
                        cluster_mtls=shared): data planes refuse a relay with it";
            Some(DrillFailure::new(Step::Relay, why, cure))
        };
        let cluster = wrong("the cluster certificate (KONG_CLUSTER_CERT)", own.leaf());
        cluster.or_else(|| wrong("the relay's certificate (LIFEBOAT_RELAY_CERT)", relays.leaf()))
    }

    /// Looks whether the program that is named is Kong.
    ///
    /// # Errors
    /// That it isn't.
    pub async fn check_program(&self) -> Result<(), DrillFailure> {
        match self.settings.kong.program {
            KongProgram::At(_) => kong::check(&self.settings.kong).await,
            KongProgram::OnPath | KongProgram::Nowhere => Ok(()),
        }
    }
}
