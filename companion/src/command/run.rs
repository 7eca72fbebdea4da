//! `lifeboat run`: what the settings say, until a signal.

use tracing::info;

use super::Failure;
use super::stopped::Stop;
use crate::clock::Clock;
use crate::companion::Companion;
use crate::settings::{RunSettings, Source};

/// Runs until SIGTERM or SIGINT; what is waiting to be written then is written first.
pub async fn run(source: &Source, clock: Clock) -> Result<(), Failure> {
    let settings = RunSettings::read(source)?;
    let mut stop = Stop::listen()?;
    let mut companion = Companion::start(settings, clock).await?;
    let stopped = tokio::select! {
        () = stop.told() => true,
        () = companion.failed() => false,
    };
    info!("stopping");
    companion.stop().await;
    if stopped { Ok(()) } else { Err(anyhow::anyhow!("a part of lifeboat has ended unexpectedly").into()) }
}
