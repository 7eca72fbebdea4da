//! `lifeboat run`: what the settings say, until a signal that ends it. SIGHUP has the settings read again.

use lifeboat_runtime::clock::Clock;
use tracing::info;

use super::Failure;
use super::stopped::{Hangup, Stop};
use crate::companion::Companion;
use crate::logging::Log;
use crate::reload::Reloader;
use crate::settings::{LiveRules, RunSettings, Source};

/// Runs until SIGTERM or SIGINT; what is waiting to be written then is written first, unless a signal comes again.
pub async fn run(source: &Source, log: &Log, clock: Clock) -> Result<(), Failure> {
    // First: a signal that comes while it starts is not to end it either.
    let (mut stop, mut hangup) = (Stop::listen()?, Hangup::listen()?);
    let settings = RunSettings::read(source)?;
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
