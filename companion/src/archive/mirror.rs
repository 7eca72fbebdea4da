//! Copies what is published in this store to another one: the same objects in the same order, which are payload,
//! manifest, the manifest's copy in the history, and `config.json`. Only the first store has an election and gives
//! numbers. What was published while the other store was away is missing in its history.

use bytes::Bytes;
use lifeboat_core::digest::Sha256Digest;
use lifeboat_core::manifest::StoredObject;
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_core::verify::verify;
use lifeboat_runtime::background::computed;
use lifeboat_storage::{StorageError, Write};
use tracing::debug;

use super::{Archive, CurrentManifest, Depth, Published};

/// What another store has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mirrored {
    /// It had what is published already.
    Already,
    /// It has it now.
    Now,
    /// Something with a higher (epoch, sequence), which is left as it is: importing would take that one.
    Newer {
        /// The leadership that has published it.
        epoch: u64,
        /// Its number.
        sequence: u64,
    },
}

impl Published {
    /// Whether both are the same, byte for byte.
    pub fn is_same_document(&self, other: &Self) -> bool {
        self.document == other.document
    }
}

impl Archive {
    /// Copies what is published here to `other`. If the payload is there already, only its size is checked.
    ///
    /// # Errors
    /// Of either store. [`StorageError::Conflict`] when somebody else writes there: look again.
    /// [`StorageError::Misconfigured`] when what is published here is damaged, or what lies there can't be used.
    pub async fn mirror(&self, published: &Published, other: &Archive) -> Result<Mirrored, StorageError> {
        self.mirror_closely(published, other, Depth::Size).await
    }

    /// The same, but `depth` says how closely a payload that is there already is checked.
    ///
    /// # Errors
    /// As [`mirror`](Self::mirror).
    pub async fn mirror_closely(
        &self,
        published: &Published,
        other: &Archive,
        depth: Depth,
    ) -> Result<Mirrored, StorageError> {
        let version = published.manifest.kong_version;
        let over = other.current_manifest(version).await?;
        // If the snapshot is there already, only its manifest has changed: when it was last seen, or that it is pinned.
        let mut is_there = over.manifest().is_some_and(|there| there.snapshot == published.manifest.snapshot);
        if let CurrentManifest::Published(there) = &over {
            is_there = is_there && other.has_payload(there, depth).await?;
            if is_there && there.is_same_document(published) {
                // A crash may have come before the copy's other objects were written.
                other.complete(there).await?;
                other.settle_config_json(there, None).await?;
                return Ok(Mirrored::Already);
            }

            let rank = |published: &Published| (published.manifest.epoch, published.manifest.sequence);
            if rank(there) > rank(published) {
                let (epoch, sequence) = rank(there);
                return Ok(Mirrored::Newer { epoch, sequence });
            }
        }

        let policy = other.policy(version);
        other.refuse_to_lay_open(&over, &policy)?;

        let (manifest, there) = (&published.manifest, over.manifest());
        let copied = if is_there {
            None
        } else {
            let place = other.config_json_place(version).await?;
            Some((place, self.copy(&manifest.snapshot, other).await?))
        };

        if let Some(image) = &manifest.cache_image
            && there.and_then(|there| there.cache_image.as_ref()) != Some(image)
        {
            self.copy(&image.object, other).await?;
        }

        if let Some(schemas) = &manifest.schemas
            && there.and_then(|there| there.schemas.as_ref()) != Some(schemas)
        {
            // Without schemas, what a person writes is checked less. That is no reason to withhold a snapshot.
            match self.copy(&schemas.object, other).await {
                Err(error) => debug!("{} gets no schemas: {error}", other.place()),
                Ok(_) => debug!("{} has the control plane's schemas too", other.place()),
            }
        }

        let key = ObjectKeys::new(version).manifest();
        let tag = other.storage.write(&key, published.document.clone(), over.replaced()).await?;
        let there = Published { tag, config_json: None, payload: None, ..published.clone() };
        other.complete(&there).await?;

        if let Some((place, payload)) = copied.filter(|_| policy.keys.sealing().is_none()) {
            let manifest = published.manifest.clone();
            let json = computed(move || verify(manifest, payload, &policy).and_then(|verified| verified.config_json()));
            let json = json.await.map_err(|rejected| self.misconfigured(rejected.to_string()))?;
            other.write_config_json(version, json.into(), place).await?;
        }

        Ok(Mirrored::Now)
    }

    // One that is there already is compared, not written.
    async fn copy(&self, object: &StoredObject, other: &Archive) -> Result<Bytes, StorageError> {
        let StoredObject { key, bytes, sha256, .. } = object;
        let (content, _) = self.storage.read(key, *bytes).await?;
        if Sha256Digest::of(&content) != *sha256 {
            return Err(self.misconfigured(format!("{key} is damaged, and is not kept in {} either", other.place())));
        }
        match other.storage.write(key, content.clone(), Write::Create).await {
            // Something else lies there, which this manifest does not name.
            Err(StorageError::Conflict { .. }) => {
                other.storage.write(key, content.clone(), Write::Replace).await?;
            }
            written => drop(written?),
        }
        other.storage.read_back(key, &content).await?;
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_core::export::publisher::{LastSeen, Rewrite};
    use lifeboat_core::manifest::State;

    use super::super::Pick;
    use super::super::tests::{CHANGED, FIRST, author, in_memory, now, publish, received, version};
    use super::*;

    async fn hash(archive: &Archive) -> lifeboat_core::digest::ConfigHash {
        archive.restore(version()).await.unwrap().verified.config_hash()
    }

    #[tokio::test]
    async fn another_store_gets_the_very_same_objects_and_is_caught_up_whatever_it_missed() {
        let (first, other) = (in_memory(), in_memory());
        let old = publish(&first, FIRST).await;
        assert_eq!(first.mirror(&old, &other).await.unwrap(), Mirrored::Now);
        assert_eq!(first.mirror(&old, &other).await.unwrap(), Mirrored::Already);
        publish(&first, CHANGED).await;
        publish(&first, FIRST).await;
        let newest = publish(&first, CHANGED).await;
        assert_eq!(first.mirror(&newest, &other).await.unwrap(), Mirrored::Now);
        let keys = ObjectKeys::new(version());
        let id = newest.manifest.id();
        for key in [keys.manifest(), keys.config_json(), keys.snapshot(id), keys.snapshot_manifest(id)] {
            let (here, there) = (first.storage.read(&key, 1 << 20).await, other.storage.read(&key, 1 << 20).await);
            assert_eq!(here.unwrap().0, there.unwrap().0, "{key}");
        }
        assert_eq!(hash(&other).await, newest.manifest.config_hash);
        let sequences: Vec<u64> = other.past(version()).await.unwrap().iter().map(|past| past.id.sequence).collect();
        assert_eq!(sequences, [1, 4]);
        other.pick(version(), Pick::Sequence(1)).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_said_anew_of_a_snapshot_is_said_there_too() {
        let (first, other) = (in_memory(), in_memory());
        let published = publish(&first, FIRST).await;
        first.mirror(&published, &other).await.unwrap();
        let rewrite = Rewrite { epoch: 2, state: State::Confirmed, pin: None, last_seen: LastSeen::Now };
        let rewritten = first.rewrite(&author(), &published, &rewrite, now()).await.unwrap();
        assert_eq!(first.mirror(&rewritten, &other).await.unwrap(), Mirrored::Now);
        assert_eq!(other.published(version()).await.unwrap().unwrap().manifest, rewritten.manifest);
        // Who led before and doesn't know it yet changes nothing there.
        assert_eq!(first.mirror(&published, &other).await.unwrap(), Mirrored::Newer { epoch: 2, sequence: 1 });
    }

    #[tokio::test]
    async fn what_a_crash_has_left_out_there_is_made_good() {
        let (first, other) = (in_memory(), in_memory());
        let published = publish(&first, FIRST).await;
        first.mirror(&published, &other).await.unwrap();
        let keys = ObjectKeys::new(version());
        other.storage.delete(&keys.config_json()).await.unwrap();
        other.storage.delete(&keys.snapshot_manifest(published.manifest.id())).await.unwrap();
        assert_eq!(first.mirror(&published, &other).await.unwrap(), Mirrored::Already);
        let (json, _) = other.storage.read(&keys.config_json(), 1 << 20).await.unwrap();
        assert_eq!(json, *received(FIRST).configuration.json());
        assert_eq!(other.snapshots(version()).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_payload_that_another_store_has_lost_is_copied_again() {
        let (first, other) = (in_memory(), in_memory());
        let published = publish(&first, FIRST).await;
        first.mirror(&published, &other).await.unwrap();
        assert!(other.has_published(&published, Depth::Bytes).await.unwrap());
        let key = &published.manifest.snapshot.key;
        other.storage.delete(key).await.unwrap();
        assert!(!other.has_published(&published, Depth::Size).await.unwrap());
        assert_eq!(first.mirror(&published, &other).await.unwrap(), Mirrored::Now);
        assert_eq!(hash(&other).await, published.manifest.config_hash);
        // Of the same size, it takes a closer look.
        let altered = vec![b'x'; published.manifest.snapshot.bytes as usize];
        other.storage.write(key, altered.into(), Write::Replace).await.unwrap();
        assert!(other.has_published(&published, Depth::Size).await.unwrap());
        assert!(!other.has_published(&published, Depth::Bytes).await.unwrap());
        assert_eq!(first.mirror_closely(&published, &other, Depth::Bytes).await.unwrap(), Mirrored::Now);
        assert!(other.has_published(&published, Depth::Bytes).await.unwrap());
    }

    #[tokio::test]
    async fn what_is_damaged_here_is_not_spread_and_what_lies_in_the_way_there_is_replaced() {
        let (first, other) = (in_memory(), in_memory());
        let published = publish(&first, FIRST).await;
        let key = &published.manifest.snapshot.key;
        other.storage.write(key, Bytes::from_static(b"left by somebody"), Write::Create).await.unwrap();
        first.mirror(&published, &other).await.unwrap();
        assert_eq!(hash(&other).await, published.manifest.config_hash);

        let published = publish(&first, CHANGED).await;
        first
            .storage
            .write(&published.manifest.snapshot.key, Bytes::from_static(b"half"), Write::Replace)
            .await
            .unwrap();
        let error = first.mirror(&published, &other).await.unwrap_err().to_string();
        assert!(error.contains("is damaged"), "{error}");
        assert_eq!(other.published(version()).await.unwrap().unwrap().manifest.sequence, 1);
    }
}
