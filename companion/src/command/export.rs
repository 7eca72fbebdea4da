//! `lifeboat export`: one configuration, kept once.

use std::sync::Arc;

use anyhow::anyhow;
use lifeboat_core::object_key::ObjectKeys;
use tracing::warn;

use super::{Failure, Output, stdout};
use crate::archive::Archive;
use crate::background::computed;
use crate::clock::Clock;
use crate::keep::inquiry::{self, Answer};
use crate::keep::{BackupNode, Exported, Exporter};
use crate::node_cache::{CacheId, Image, NodePrefix, Patience};
use crate::settings::{ExportSettings, Source};

/// Connects to the control plane as a backup node, keeps the configuration that it sends, and ends.
pub async fn export(source: &Source, output: Output, clock: Clock) -> Result<(), Failure> {
    let ExportSettings { store, cluster, keep } = ExportSettings::read(source)?;
    let archive = Archive::open(&store).map_err(anyhow::Error::from)?;
    let node = BackupNode::new(keep.version);
    let mut exporter = Exporter::new(archive.clone(), &node, keep.export_delay, clock);
    let beside = keep.beside.clone();
    let answer = inquiry::ask(Arc::new(cluster), keep, node, store.max_config, clock).await;
    let received = match answer.map_err(anyhow::Error::from)? {
        Answer::Sent(received) => received,
        Answer::Silent(why) | Answer::Refused(why) | Answer::Unreachable(why) | Answer::Unusable(why) => {
            return Err(anyhow!("nothing was exported: {why}").into());
        }
    };
    let mut exported = exporter.export(&received).await.map_err(anyhow::Error::from)?;
    if let Some(prefix) = beside
        && let Err(error) = with_image(&mut exporter, &mut exported, prefix).await
    {
        warn!("the snapshot is kept without an image of the node's cache: {error:#}");
    }
    print(&archive, &exported, output)?;
    Ok(())
}

/// Keeps an image with what was exported, if the node on `prefix` runs it now.
async fn with_image(exporter: &mut Exporter, exported: &mut Exported, prefix: NodePrefix) -> anyhow::Result<()> {
    let manifest = exported.manifest_mut();
    if manifest.cache_image.is_some() {
        return Ok(());
    }
    let (id, version) = (manifest.id(), manifest.kong_version);
    let wanted = CacheId { version, config_hash: id.config_hash };
    let image = computed(move || Image::take(&prefix, &wanted, &std::env::temp_dir(), Patience::default())).await?;
    if let Some(named) = exporter.keep_image(id, image).await? {
        *manifest = named;
    }
    Ok(())
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
