//! `lifeboat run`: what the settings say, until a signal that ends it. SIGHUP has the settings read again.

use lifeboat_runtime::clock::Clock;
use tracing::info;

use super::Failure;
use super::stopped::{Hangup, Stop};
use crate::companion::Companion;
use crate::logging::Log;
use crate::reload::Reloader;
use crate::settings::{LiveRules, RunSettings, Source, VersionMatch};
use crate::version;

/// Runs until SIGTERM or SIGINT; what is waiting to be written then is written first, unless a signal comes again.
pub async fn run(source: &Source, log: &Log, clock: Clock) -> Result<(), Failure> {
    // First: a signal that comes while it starts is not to end it either.
    let (mut stop, mut hangup) = (Stop::listen()?, Hangup::listen()?);
    let settings = RunSettings::read(source)?;
    info!("{}", introduction(&settings));
    let mut companion = Companion::start(settings, clock).await?;
    let mut reloader = Reloader::new(source, log, |source| Ok(LiveRules::of(&RunSettings::read(source)?)));
    let stopped = loop {
        tokio::select! {
            () = stop.told() => break true,
            () = companion.failed() => break false,
            () = hangup.came() => companion.settings_were_read_again(reloader.reload().await),
        }
    };

    info!("stopping");
    let unwritten = stop.unless_told_again(companion.stop()).await?;
    if !stopped {
        return Err(anyhow::anyhow!("a part of lifeboat has ended unexpectedly").into());
    }
    match unwritten {
        Some(unwritten) => Err(anyhow::Error::from(unwritten).into()),
        None => Ok(()),
    }
}

// Which lifeboat this is, and what it does for which nodes.
fn introduction(settings: &RunSettings) -> String {
    let versions: Vec<String> = settings.keep.iter().map(|keep| keep.version.to_string()).collect();
    let exports = (!versions.is_empty()).then(|| format!("exports configurations of Kong {}", versions.join(", ")));
    let relays = settings.relay.is_some().then(|| match settings.store.restore.version {
        VersionMatch::Exact => "relays nodes of each version of Kong that has a backup".to_owned(),
        VersionMatch::Minor => "relays nodes of each minor version of Kong that has a backup".to_owned(),
    });
    let drills = settings.drill.as_ref().map(|drill| format!("rehearses an outage every {} s", drill.every.as_secs()));
    let roles: Vec<String> = [exports, relays, drills].into_iter().flatten().collect();
    format!("lifeboat {} {}", version::described(), roles.join(", "))
}
