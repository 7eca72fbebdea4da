//! `lifeboat export`: one configuration, kept once.

use std::sync::Arc;

use anyhow::anyhow;
use lifeboat_core::object_key::ObjectKeys;

use super::{Failure, Output, stdout};
use crate::archive::Archive;
use crate::clock::Clock;
use crate::keep::inquiry::{self, Answer};
use crate::keep::{BackupNode, Exported, Exporter};
use crate::settings::{ExportSettings, Source};

/// Connects to the control plane as a backup node, keeps the configuration that it sends, and ends.
pub async fn export(source: &Source, output: Output, clock: Clock) -> Result<(), Failure> {
    let ExportSettings { store, cluster, keep } = ExportSettings::read(source)?;
    let archive = Archive::open(&store).map_err(anyhow::Error::from)?;
    let node = BackupNode::new(keep.version);
    let mut exporter = Exporter::new(archive.clone(), &node, keep.rules(), clock);
    let answer = inquiry::ask(Arc::new(cluster), keep, node, store.max_config, clock).await;
    let received = match answer.map_err(anyhow::Error::from)? {
        Answer::Sent(received) => received,
        Answer::Silent(why) | Answer::Refused(why) | Answer::Unreachable(why) | Answer::Unusable(why) => {
            return Err(anyhow!("nothing was exported: {why}").into());
        }
    };
    let exported = exporter.export(&received).await.map_err(anyhow::Error::from)?;
    print(&archive, &exported, output)?;
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
