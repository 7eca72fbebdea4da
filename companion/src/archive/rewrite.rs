//! Rewriting: the published manifest changes what it says about its snapshot, and still names the same one.

use lifeboat_core::export::publisher::{LastSeen, Rewrite};
use lifeboat_core::manifest::{Manifest, SourceKind, Times};
use lifeboat_core::time::WallTime;
use lifeboat_storage::{StorageError, Write};

use super::{Archive, Author, Published};

impl Archive {
    /// Writes the published manifest again. It replaces exactly the one that the caller has read.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] when another manifest was written meanwhile: look again.
    pub async fn rewrite(
        &self,
        author: &Author,
        published: &Published,
        rewrite: &Rewrite,
        now: WallTime,
    ) -> Result<Published, StorageError> {
        let policy = self.policy(author.version);
        let mut manifest: Manifest = (*published.manifest).clone();
        if manifest.epoch != rewrite.epoch {
            manifest.exporter = author.exporter.clone();
        }
        (manifest.epoch, manifest.state, manifest.pin) = (rewrite.epoch, rewrite.state, rewrite.pin);
        if rewrite.last_seen == LastSeen::Now {
            manifest.times = Times { last_seen: now, ..manifest.times };
            // Even if an operator's file was the source, the control plane has the same configuration now.
            manifest.source = manifest.source.filter(|source| source.from != SourceKind::File);
        }

        self.write_newest(manifest, Write::Update(published.tag.clone()), &policy).await
    }
}
