//! `lifeboat export`: one configuration, kept once.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_core::session::headless::Notice;
use tokio::time::timeout;

use super::{Failure, Output, stdout};
use crate::archive::{Archive, Received};
use crate::clock::Clock;
use crate::keep::{BackupNode, Exported, Exporter, Headless, News};
use crate::settings::{ExportSettings, Source};

/// What the connection and a large message may take on top of the control plane's own time.
const ALLOWANCE: Duration = Duration::from_secs(60);

/// Connects to the control plane as a backup node, keeps the configuration that it sends, and ends.
pub async fn export(source: &Source, output: Output, clock: Clock) -> Result<(), Failure> {
    let ExportSettings { store, cluster, keep } = ExportSettings::read(source)?;
    let archive = Archive::open(&store).map_err(anyhow::Error::from)?;
    let node = BackupNode::new(keep.version);
    let mut exporter = Exporter::new(archive.clone(), &node, keep.export_delay, clock);
    let limit = keep.config_timeout + ALLOWANCE;
    let headless =
        Headless::new(Arc::new(cluster), keep, node, store.max_config, clock).map_err(anyhow::Error::from)?;
    let received = timeout(limit, receive(headless)).await;
    let received =
        received.map_err(|_| anyhow!("the control plane sent no configuration within {} s", limit.as_secs()))??;
    let exported = exporter.export(&received).await.map_err(anyhow::Error::from)?;
    print(&archive, &exported, output)?;
    Ok(())
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

fn print(archive: &Archive, exported: &Exported, output: Output) -> anyhow::Result<()> {
    let manifest = exported.manifest();
    let key = ObjectKeys::new(manifest.kong_version).config_json();
    match output {
        Output::Json => stdout::line(&serde_json::to_string_pretty(manifest)?)?,
        Output::Table => stdout::line(&format!(
            "{} configuration {} of Kong {} as snapshot {} in {}: {} services, {} routes, {} bytes of JSON ({key})",
            if exported.is_new() { "kept" } else { "already kept:" },
            manifest.config_hash,
            manifest.kong_version,
            manifest.sequence,
            archive.place(),
            manifest.counts.get("services"),
            manifest.counts.get("routes"),
            manifest.config.bytes,
        ))?,
    }
    Ok(())
}
