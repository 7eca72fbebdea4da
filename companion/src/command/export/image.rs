//! An image of the cache of the node beside us, kept with what was exported just now.

use lifeboat_node_cache::{CacheId, Image, NodePrefix, Patience};
use lifeboat_runtime::background::computed;

use crate::export::{Exported, Exporter};

/// Keeps an image with what was exported, if the node on `prefix` runs it now.
pub(super) async fn keep(exporter: &mut Exporter, exported: &mut Exported, prefix: NodePrefix) -> anyhow::Result<()> {
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
