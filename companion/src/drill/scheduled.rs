//! The drills of `lifeboat run`: on the exporter that leads, one at a time, on a thread of their own. When one is due is
//! decided in `core`.

use std::time::Duration;

use anyhow::Context;
use lifeboat_core::export::drill::{DrillOutcome, DrillSchedule};
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::outage::OutageLog;
use lifeboat_runtime::clock::Clock;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::subscriber::{NoSubscriber, set_default};
use tracing::{error, info, warn};

use super::{Drill, DrillMetrics, Drilled, Finding, VersionDrill};
use crate::observation::{ExportFacts, Observation};
use crate::settings::{DrillEvery, Rulebook};

/// How often it is looked at who leads.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Drills for as long as the program runs.
#[derive(Debug)]
pub struct ScheduledDrill {
    drill: Drill,
    every: Duration,
    observation: Observation,
    results: DrillMetrics,
    clock: Clock,
}

impl ScheduledDrill {
    /// What may be restored is what `rulebook` says then; `observation` knows who leads; what comes of the drills goes into
    /// `results`.
    pub fn new(
        settings: DrillEvery,
        rulebook: Rulebook,
        observation: Observation,
        results: DrillMetrics,
        clock: Clock,
    ) -> Self {
        let DrillEvery { every, settings } = settings;
        Self { drill: Drill::new(settings, clock).ruled_by(rulebook), every, observation, results, clock }
    }

    /// Drills until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let outage = OutageLog::default();
        let mut schedule = DrillSchedule::new(self.every, self.clock.now(), rand::random());
        let look = LOOK_EVERY.min(self.every);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(look) => {}
            }

            let led: Vec<KongVersion> = self
                .observation
                .export_facts()
                .iter()
                .filter(|facts| facts.leads())
                .map(|facts: &ExportFacts| facts.version)
                .collect();

            // Of the others, the exporters that lead them tell.
            self.results.keep_only(&led);
            if led.is_empty() || !schedule.is_due(self.clock.now()) {
                continue;
            }

            let outcome = match apart(self.drill.clone(), led, stop.clone()).await {
                Ok(Some(drilled)) => self.tell(&drilled, &outage),
                Ok(None) => return,
                Err(error) => {
                    if let Some(lasted) = outage.failed("", self.clock.now()) {
                        error!("the drill could not run{lasted}: {error:#}");
                    }
                    DrillOutcome::Inconclusive
                }
            };
            schedule.ended(outcome, self.clock.now(), rand::random());
        }
    }

    // With a short interval they follow one another closely.
    fn tell(&self, drilled: &Drilled, outage: &OutageLog) -> DrillOutcome {
        let outcome = drilled.outcome();
        let now = self.clock.now();
        let lasted = match outcome {
            DrillOutcome::Passed => {
                if let Some(lasted) = outage.works(now) {
                    info!("the drill passes again, after {lasted}");
                }
                Some(String::new())
            }
            outcome => outage.failed(&format!("{outcome:?}"), now).map(|mention| mention.to_string()),
        };

        for version in &drilled.versions {
            self.results.ended(version);
            if let Some(lasted) = &lasted {
                self.log(version, lasted);
            }
        }
        outcome
    }

    fn log(&self, drill: &VersionDrill, lasted: &str) {
        let version = drill.version;
        if let Some(failure) = drill.failure().filter(|failure| failure.finding == Finding::Nothing) {
            warn!(
                %version,
                "the drill had no result for Kong {version}{lasted}: {}. What to do: {}",
                failure.reason, failure.cure
            );
            return;
        }

        if let Some(failure) = drill.failure() {
            error!(%version, "the drill failed for Kong {version}{lasted}: {}. What to do: {}", failure.reason, failure.cure);
            return;
        }

        for remark in drill.remarks() {
            warn!(%version, "the drill passed for Kong {version}, but: {remark}");
        }
        if let Ok(restored) = &drill.restored {
            let seen = restored.snapshot.last_seen.map_or_else(
                || "of unknown age".to_owned(),
                |seen| format!("which the control plane last had {} s ago", self.clock.wall().since(seen).as_secs()),
            );
            info!(
                %version,
                hash = %restored.snapshot.config_hash,
                "the drill passed for Kong {version}: an empty node ran configuration {} after {} ms, {seen}",
                restored.snapshot.config_hash,
                restored.running_in.as_millis()
            );
        }
    }
}

// On a thread and a runtime of its own: loading a large configuration keeps a processor busy for seconds, and what the
// private relay logs would be taken for what a live one says. Nothing comes of it after `stop`; then all that it has started
// is gone.
async fn apart(drill: Drill, versions: Vec<KongVersion>, stop: CancellationToken) -> anyhow::Result<Option<Drilled>> {
    let (sender, receiver) = oneshot::channel();
    let play = move || {
        let _silent = set_default(NoSubscriber::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return drop(sender.send(Err(error.into()))),
        };

        let drilled = runtime.block_on(async {
            tokio::select! {
                drilled = drill.run(&versions) => Some(drilled),
                () = stop.cancelled() => None,
            }
        });
        runtime.shutdown_background();
        let _ = sender.send(Ok(drilled));
    };

    std::thread::Builder::new().name("drill".to_owned()).spawn(play).context("no thread can be started")?;
    receiver.await.context("it ended without a result")?
}
