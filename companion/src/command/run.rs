//! `lifeboat run`: what the settings say, until a signal.

use lifeboat_runtime::clock::Clock;
use tracing::info;

use super::Failure;
use super::stopped::{Hangup, Stop};
use crate::companion::Companion;
use crate::settings::{RunSettings, Source};

/// Runs until SIGTERM or SIGINT; what is waiting to be written then is written first, unless a signal comes again.
pub async fn run(source: &Source, clock: Clock) -> Result<(), Failure> {
    // First: a signal that comes while it starts is not to end it either.
    let (mut stop, mut hangup) = (Stop::listen()?, Hangup::listen()?);
    let settings = RunSettings::read(source)?;
    let mut companion = Companion::start(settings, clock).await?;
    let stopped = loop {
        tokio::select! {
            () = stop.told() => break true,
            () = companion.failed() => break false,
            () = hangup.came() => info!(
                "SIGHUP changes nothing: files of certificates and keys are read again by themselves, and settings at the \
                 next start"
            ),
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
