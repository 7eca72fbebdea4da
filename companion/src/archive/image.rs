//! The image of a node's cache that lies with a snapshot: kept once a node beside the exporter runs what is published,
//! sealed like the payload, and named in the manifest. How an image is taken and put into a node is `node_cache`'s.

use lifeboat_core::digest::Sha256Digest;
use lifeboat_core::manifest::{CacheImage, Manifest, StoredObject};
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_core::seal::{Binding, Content, seal};
use lifeboat_core::verify::{Authentic, Rejected, VerifiedImage, verify_image};
use lifeboat_node_cache::Image;
use lifeboat_runtime::background::computed;
use lifeboat_runtime::rng;
use lifeboat_storage::{StorageError, Write};

use super::{Archive, ArchiveReader, Published};

impl ArchiveReader {
    /// The image that lies with a snapshot, verified; none if none was taken.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] when it is gone, [`StorageError::Unusable`] when it isn't the one that the manifest
    /// names, [`StorageError::Misconfigured`] when it is larger than `LIFEBOAT_MAX_CONFIG` allows.
    pub async fn cache_image(&self, manifest: &Authentic) -> Result<Option<VerifiedImage>, StorageError> {
        let Some(image) = manifest.cache_image.clone() else { return Ok(None) };
        self.check_image_size(image.object.bytes)?;
        let policy = self.policy(manifest.kong_version);
        // Fetched under the key that this image must have, because a manifest could name any object.
        let key = ObjectKeys::new(manifest.kong_version).cache_image(manifest.id());
        let (bytes, _) = self.storage.read(&key, image.object.bytes).await?;
        let manifest = manifest.clone();
        let verified = computed(move || verify_image(&manifest, &image, bytes, &policy)).await;
        verified.map(Some).map_err(|rejected: Rejected| self.unusable_object(format!("{key}: {rejected}")))
    }

    // The whole image is held in memory. It is smaller than the JSON of its configuration, so the same limit applies.
    fn check_image_size(&self, bytes: u64) -> Result<(), StorageError> {
        let limit = self.max_config as u64;
        if bytes <= limit {
            return Ok(());
        }
        let reason = format!("the image of the node's cache has {bytes} bytes, and LIFEBOAT_MAX_CONFIG allows {limit}");
        Err(self.misconfigured(reason))
    }
}

impl Archive {
    /// Keeps an image of a node that runs what is `published`, and publishes the same manifest with it.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] when another manifest was published meanwhile. Then no manifest names the image.
    pub async fn attach_image(&self, published: Published, image: Image) -> Result<Published, StorageError> {
        let Published { manifest, tag, .. } = published;
        let policy = self.policy(manifest.kong_version);
        if manifest.snapshot.sealed.is_some() && policy.keys.sealing().is_none() {
            return Err(self.misconfigured(
                "what is published there is sealed, and the image of the node's cache would be plain: set \
                 LIFEBOAT_ENCRYPTION_KEYS"
                    .to_owned(),
            ));
        }
        self.check_image_size(image.gzip().len() as u64)?;

        let key = ObjectKeys::new(manifest.kong_version).cache_image(manifest.id());
        let (bytes, described) = computed({
            let (key, keys, manifest) = (key.clone(), policy.keys.clone(), manifest.clone());
            move || {
                let expands_to = image.expands_to();
                let binding = Binding::with(&manifest, Content::CacheImage { expands_to });
                let (bytes, sealed) = match keys.sealing() {
                    None => (image.into_gzip(), None),
                    Some(encryption) => {
                        let (bytes, how) = seal(image.into_gzip(), encryption, rng::nonce(), &binding);
                        (bytes, Some(how))
                    }
                };
                let (sha256, length) = (Sha256Digest::of(&bytes), bytes.len() as u64);
                let object = StoredObject { key, sha256, bytes: length, sealed };
                (bytes, CacheImage { object, expands_to })
            }
        })
        .await;

        match self.storage.write(&key, bytes.clone(), Write::Create).await {
            // A crash has left an image that no manifest names. It is replaced, because two images of one configuration
            // differ.
            Err(StorageError::Conflict { .. }) => self.storage.write(&key, bytes.clone(), Write::Replace).await?,
            written => written?,
        };
        self.storage.read_back(&key, &bytes).await?;

        let with_image = Manifest { cache_image: Some(described), ..(*manifest).clone() };
        self.write_newest(with_image, Write::Update(tag), &policy).await
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use lifeboat_core::keys::{EncryptionKey, Keyring};

    use super::super::tests::{CHANGED, FIRST, in_memory, publish, recorded_image, version};
    use super::*;
    use crate::settings::KeySource;

    // An image of what CHANGED is.
    async fn with_image(archive: &Archive) -> Published {
        let published = publish(archive, CHANGED).await;
        archive.attach_image(published, recorded_image()).await.unwrap()
    }

    #[tokio::test]
    async fn an_image_is_found_again_and_the_snapshot_stays_what_it_was() {
        let archive = in_memory();
        let before = publish(&archive, CHANGED).await.manifest;
        let published = archive.published(version()).await.unwrap().unwrap();
        let after = archive.attach_image(published, recorded_image()).await.unwrap().manifest;
        assert_eq!((after.sequence, &after.snapshot, &after.times), (before.sequence, &before.snapshot, &before.times));
        let newest = archive.published(version()).await.unwrap().unwrap();
        let image = archive.cache_image(&newest.manifest).await.unwrap().unwrap();
        assert_eq!(image.gzip(), recorded_image().gzip());
        assert!(archive.restore(version()).await.unwrap().skipped.is_empty());
    }

    #[tokio::test]
    async fn what_a_crash_left_under_the_images_name_is_replaced() {
        let archive = in_memory();
        let published = publish(&archive, CHANGED).await;
        let key = ObjectKeys::new(version()).cache_image(published.manifest.id());
        archive.storage.write(&key, Bytes::from_static(b"half of another"), Write::Create).await.unwrap();
        let published = archive.attach_image(published, recorded_image()).await.unwrap();
        assert!(archive.cache_image(&published.manifest).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn an_image_of_what_is_no_longer_published_is_named_by_nothing() {
        let archive = in_memory();
        let stale = publish(&archive, CHANGED).await;
        publish(&archive, FIRST).await;
        let late = archive.attach_image(stale, recorded_image()).await;
        assert!(matches!(late, Err(StorageError::Conflict { .. })), "{late:?}");
        let newest = archive.published(version()).await.unwrap().unwrap();
        assert_eq!(newest.manifest.cache_image, None);
        assert!(archive.cache_image(&newest.manifest).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_changed_or_missing_image_is_refused_with_its_key() {
        let archive = in_memory();
        let published = with_image(&archive).await;
        let key = ObjectKeys::new(version()).cache_image(published.manifest.id());
        archive.storage.write(&key, Bytes::from_static(b"something else"), Write::Replace).await.unwrap();
        let error = archive.cache_image(&published.manifest).await.unwrap_err().to_string();
        assert!(error.contains(&key) && error.contains("incomplete"), "{error}");
        archive.storage.delete(&key).await.unwrap();
        let missing = archive.cache_image(&published.manifest).await;
        assert!(matches!(missing, Err(StorageError::NotFound { .. })), "{missing:?}");
    }

    #[tokio::test]
    async fn what_is_sealed_gets_no_plain_image() {
        let key = EncryptionKey::from_secret("prod".parse().unwrap(), [1; 32]);
        let keys = KeySource::fixed(Keyring::new(vec![key], None, Vec::new()).unwrap());
        let sealed = in_memory().with_keys(keys);
        let published = publish(&sealed, CHANGED).await;
        let plain = sealed.clone().with_keys(KeySource::default());
        let error = plain.attach_image(published, recorded_image()).await.unwrap_err().to_string();
        assert!(error.contains("LIFEBOAT_ENCRYPTION_KEYS"), "{error}");
        let published = with_image(&sealed).await;
        assert!(published.manifest.cache_image.as_ref().unwrap().object.sealed.is_some());
        assert_eq!(sealed.cache_image(&published.manifest).await.unwrap().unwrap().gzip(), recorded_image().gzip());
    }

    #[tokio::test]
    async fn an_image_larger_than_a_configuration_may_be_is_neither_kept_nor_fetched() {
        let archive = Archive::over(in_memory().storage.clone(), 100);
        let published = publish(&archive, CHANGED).await;
        let error = archive.attach_image(published, recorded_image()).await.unwrap_err().to_string();
        assert!(error.contains("LIFEBOAT_MAX_CONFIG allows 100"), "{error}");
    }
}
