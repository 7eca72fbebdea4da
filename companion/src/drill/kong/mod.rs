//! The real data plane of a drill: found, started on a prefix and on ports of its own, waited for, stopped.

mod environment;
mod error_log;
mod found;
mod scratch;
mod status;

use std::time::Duration;

use lifeboat_core::kong::version::KongVersion;
use lifeboat_runtime::clock::Clock;
use tokio::time::timeout;

use self::environment::environment;
use self::found::Found;
use self::scratch::Scratch;
use super::outcome::{DrillFailure, KongPart, KongRun, Rehearsed, Step};
use super::private_relay::PrivateRelay;
use crate::archive::Stores;
use crate::settings::{DrillSettings, KongProgram, KongSettings};

/// Kong loads 50,000 services in 12 s (KONG.md section 1).
const READY_LIMIT: Duration = Duration::from_secs(120);

/// Whether there is a program that says that it is Kong, where one is named.
pub(super) async fn check(settings: &KongSettings) -> Result<(), DrillFailure> {
    found::find(settings).await.map(|_| ())
}

/// Lets a Kong of this version come to run what the node in this process has run, if there is one.
pub(super) async fn run(
    settings: &DrillSettings,
    sources: &Stores,
    version: KongVersion,
    restored: &Rehearsed,
    clock: Clock,
) -> KongPart {
    let found = match found::find(&settings.kong).await {
        Ok(Some(found)) => found,
        Ok(None) => return KongPart::Absent,
        Err(failure) => return KongPart::Failed(failure),
    };

    if found.version != version {
        let program = found.program.display();
        let (is, wanted) =
            (found.version, format!("{program} is Kong {}: it was not started for {version}", found.version));
        return match settings.kong.program {
            KongProgram::At(_) => {
                let cure = format!("drill with --kong-version {is}, or give the path of a Kong {version}");
                KongPart::Failed(DrillFailure::new(Step::Kong, wanted, cure))
            }
            KongProgram::OnPath | KongProgram::Nowhere => KongPart::Skipped(wanted),
        };
    }

    match restore(settings, sources, &found, restored, clock).await {
        Ok(ran) => KongPart::Ran(ran),
        Err(failure) => KongPart::Failed(failure),
    }
}

async fn restore(
    settings: &DrillSettings,
    sources: &Stores,
    found: &Found,
    restored: &Rehearsed,
    clock: Clock,
) -> Result<KongRun, DrillFailure> {
    let relay = PrivateRelay::start(settings, sources.clone(), clock).await?;
    let begun = clock.now();
    let mut scratch = Scratch::new(&found.program).map_err(|error| DrillFailure::no_scratch(&error))?;

    let environment = environment(settings, &scratch, relay.address())?;
    let failed = match scratch.start(&environment).await {
        Ok(()) => {
            let started_in = clock.now() - begun;
            let ready = status::ready(&scratch, restored.snapshot.config_hash);
            match timeout(READY_LIMIT, ready).await {
                Ok(Err(gone)) => gone,
                Ok(Ok(())) => {
                    let ready_in = clock.now() - begun;
                    scratch.stop(&environment).await;
                    let (program, version) = (found.program.clone(), found.version);
                    return Ok(KongRun { program, version, started_in, ready_in });
                }
                Err(_) => {
                    let why = status::why_not(scratch.status_address(), restored.snapshot.config_hash).await;
                    relay.trouble().map_or_else(|| why.clone(), |trouble| format!("{why} ({trouble})"))
                }
            }
        }
        Err(why) => why,
    };

    let log = error_log::last_lines(&scratch, settings, sources, restored.snapshot.of, clock).await;
    scratch.stop(&environment).await;
    Err(DrillFailure::new(
        Step::Kong,
        format!("{failed}{log}"),
        "new data planes would fail likewise: look for the plugin, the licence or the setting that its log names; \
         lifeboat drill --no-kong leaves it out",
    ))
}
