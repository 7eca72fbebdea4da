//! An outage, rehearsed on the live setup without touching it: a relay of its own, whose control plane is certainly gone,
//! with the live stores, keys and certificate; and an empty node of each version, which is to come to run the newest
//! snapshot. Nothing is written to a store, and no other process notices. What is printed is in `command/drill`.

mod chosen;
mod kong;
mod outcome;
mod scheduled;
mod scratch_node;
mod stage;
pub mod textfile;

use std::time::Duration;

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::time::WallTime;

pub use outcome::{Drilled, KongPart, KongRun, Mishap, Rehearsed, Step, VersionDrill};
pub use scheduled::ScheduledDrill;

use self::chosen::Expected;
use self::scratch_node::Given;
use self::stage::Stage;
use crate::archive::Sources;
use crate::clock::Clock;
use crate::progress::step;
use crate::settings::DrillSettings;

/// How often something may be published in the middle of a drill.
const TRIES: u32 = 3;

/// A drill that can be made as often as one likes.
#[derive(Clone, Debug)]
pub struct Drill {
    settings: DrillSettings,
    clock: Clock,
}

impl Drill {
    /// With these settings.
    pub fn new(settings: DrillSettings, clock: Clock) -> Self {
        Self { settings, clock }
    }

    /// The versions that the settings name; where they name none, all of which the first store has something.
    ///
    /// # Errors
    /// When that can't be told.
    pub async fn versions(&self) -> Result<Vec<KongVersion>, Mishap> {
        if !self.settings.versions.is_empty() {
            return Ok(self.settings.versions.clone());
        }
        let sources = self.sources();
        let listed = sources.versions().await.map_err(|error| Mishap::unlisted(&error))?;
        if listed.is_empty() { Err(Mishap::nothing_there(&sources.places())) } else { Ok(listed) }
    }

    /// Rehearses these versions, one after the other. Who drops it ends all that it has started.
    pub async fn run(&self, versions: &[KongVersion]) -> Drilled {
        let (started, begun) = (self.clock.wall(), self.clock.now());
        let certificate = self.certificate_remark();
        let sources = self.sources();
        let mut drilled = Vec::new();
        for version in versions {
            drilled.push(self.rehearse(*version, &sources, certificate.as_deref()).await);
        }
        Drilled { started, took: self.clock.now() - begun, store: sources.places(), versions: drilled }
    }

    async fn rehearse(&self, version: KongVersion, sources: &Sources, remark: Option<&str>) -> VersionDrill {
        let (started, begun) = (self.clock.wall(), self.clock.now());
        let restoring = step(format_args!("restoring a scratch node of Kong {version}"));
        let mut restored = self.restore(version, sources).await;
        drop(restoring);
        if let (Ok(restored), Some(remark)) = (&mut restored, remark) {
            restored.remarks.push(remark.to_owned());
        }
        let kong = match &restored {
            Ok(restored) => {
                let _progress = step(format_args!("looking for a real Kong {version}, and starting it"));
                kong::run(&self.settings, sources, version, restored, self.clock).await
            }
            Err(_) => KongPart::Absent,
        };
        VersionDrill { version, started, took: self.clock.now() - begun, restored, kong }
    }

    async fn restore(&self, version: KongVersion, sources: &Sources) -> Result<Rehearsed, Mishap> {
        let mut tries = 1;
        loop {
            let expected = Expected::find(sources, version, self.clock).await?;
            let stage = Stage::set(&self.settings, sources.clone(), self.clock).await?;
            let given = scratch_node::restored(&self.settings, &stage, version, &expected, self.clock).await?;
            match given {
                Given::AsExpected(proof) => return Ok(expected.rehearsed(proof)),
                // Something else was published since we looked.
                Given::Another(_) if tries < TRIES => tries += 1,
                Given::Another(hash) => return Err(Mishap::another(&expected, &hash)),
            }
        }
    }

    fn sources(&self) -> Sources {
        Sources::open_existing(&self.settings.store)
    }

    // The scratch node takes it all the same, as Kong's control plane would; a real data plane may look at its dates.
    fn certificate_remark(&self) -> Option<String> {
        let leaf = self.settings.cluster.tls.side().identity.leaf().clone();
        let (begins, ends) = (WallTime::from_system(leaf.not_before()), WallTime::from_system(leaf.not_after()));
        let now = self.clock.wall();
        if now > ends {
            return Some(format!("the cluster certificate ended at {ends}: data planes may refuse the relay"));
        }
        (now < begins).then(|| format!("the cluster certificate is valid from {begins} on only"))
    }
}

/// Seconds, for people and for programs.
pub(crate) fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
