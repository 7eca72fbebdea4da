//! `lifeboat export --from cp`: the configuration that a control plane sends to a backup node.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use lifeboat_core::session::headless::Notice;
use tokio::time::timeout;

use super::super::{Failure, Output};
use super::keep;
use crate::archive::{Archive, Received};
use crate::clock::Clock;
use crate::keep::{BackupNode, Headless, News};
use crate::settings::{ExportSettings, Source};

/// What the connection and a large message may take on top of the control plane's own time.
const ALLOWANCE: Duration = Duration::from_secs(60);

/// Connects to the control plane as a backup node, keeps the configuration that it sends, and ends.
pub(super) async fn export(source: &Source, output: Output, clock: Clock) -> Result<(), Failure> {
    let ExportSettings { store, cluster, keep: settings } = ExportSettings::read(source)?;
    let archive = Archive::open(&store).map_err(anyhow::Error::from)?;
    let node = BackupNode::new(settings.version);
    let limit = settings.config_timeout + ALLOWANCE;
    let headless = Headless::new(Arc::new(cluster), settings, node.clone(), store.max_config, clock)
        .map_err(anyhow::Error::from)?;
    let received = timeout(limit, receive(headless)).await;
    let received =
        received.map_err(|_| anyhow!("the control plane sent no configuration within {} s", limit.as_secs()))??;
    keep(&archive, &node, &received, output, clock).await
}

async fn receive(headless: Headless) -> anyhow::Result<Received> {
    let (newest, mut news) = (headless.newest(), headless.news());
    let session = tokio::spawn(headless.run());
    let received = loop {
        tokio::select! {
            biased;
            received = newest.next() => break Ok(received),
            changed = news.changed() => {
                changed?;
                // Any other news means that nothing will come at this attempt, and there is no other.
                match &*news.borrow_and_update() {
                    None | Some(News { notice: Notice::Connected, .. }) => {}
                    Some(News { why, .. }) => break Err(anyhow!("nothing was exported: {why}")),
                }
            }
        }
    };
    session.abort();
    received
}
