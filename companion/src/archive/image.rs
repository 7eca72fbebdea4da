//! The image of a node's cache that lies with a snapshot: kept once a node beside the exporter runs what is published,
//! sealed like the payload, and named in the manifest. How an image is taken and put into a node is `node_cache`'s.

use bytes::Bytes;
use lifeboat_core::digest::Sha256Digest;
use lifeboat_core::manifest::{CacheImage, StoredObject};
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_core::seal::{Binding, Content, Nonce, seal};
use lifeboat_core::verify::{Authentic, Place, Rejected, VerifiedImage, verify_image};

use super::{Archive, Published};
use crate::background::computed;
use crate::node_cache::Image;
use crate::storage::{StorageError, Write};

impl Archive {
    /// Keeps an image of a node that runs what is `published`, and publishes the same manifest with it.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] when another manifest was published meanwhile. Then no manifest names the image.
    pub async fn attach_image(&self, published: Published, image: Image) -> Result<Published, StorageError> {
        let Published { manifest, tag } = published;
        let policy = self.policy(manifest.kong_version);
        if manifest.snapshot.sealed.is_some() && policy.keys.sealing().is_none() {
            return Err(self.unusable(
                "what is published there is sealed, and the image of the node's cache would be plain: set \
                 LIFEBOAT_ENCRYPTION_KEYS"
                    .to_owned(),
            ));
        }
        self.check_image_size(image.gzip().len() as u64)?;
        let keys = ObjectKeys::new(manifest.kong_version);
        let key = keys.cache_image(manifest.id());
        let (bytes, described) = computed({
            let (key, keys, manifest) = (key.clone(), policy.keys.clone(), manifest.clone());
            move || {
                let expands_to = image.expands_to();
                let binding = Binding::with(&manifest, Content::CacheImage { expands_to });
                let (bytes, sealed) = match keys.sealing() {
                    None => (image.into_gzip(), None),
                    Some(encryption) => {
                        let nonce = Nonce::from_random(rand::random());
                        let (bytes, how) = seal(image.into_gzip(), encryption, nonce, &binding);
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
            // Left by a crash before a manifest named it: images of the same configuration differ.
            Err(StorageError::Conflict { .. }) => self.storage.write(&key, bytes.clone(), Write::Replace).await?,
            written => written?,
        };
        self.storage.read_back(&key, &bytes).await?;
        let mut with_image = (*manifest).clone();
        with_image.cache_image = Some(described);
        let with_image = with_image.proven_with(&policy.keys);
        let encoded = Bytes::from(with_image.encode());
        let manifest = self.accepted(&encoded, Place::Newest, &policy)?;
        let tag = self.storage.write(&keys.manifest(), encoded, Write::Update(tag)).await?;
        Ok(Published { manifest, tag })
    }

    /// The image that lies with a snapshot, verified; none if none was taken.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] when it is gone, [`StorageError::Misconfigured`] when it isn't the one that the manifest
    /// names.
    pub async fn cache_image(&self, manifest: &Authentic) -> Result<Option<VerifiedImage>, StorageError> {
        let Some(image) = manifest.cache_image.clone() else { return Ok(None) };
        self.check_image_size(image.object.bytes)?;
        let policy = self.policy(manifest.kong_version);
        // What the manifest names is compared before it is fetched: it could name any object.
        let key = ObjectKeys::new(manifest.kong_version).cache_image(manifest.id());
        let (bytes, _) = self.storage.read(&key, image.object.bytes).await?;
        let manifest = manifest.clone();
        let verified = computed(move || verify_image(&manifest, &image, bytes, &policy)).await;
        verified.map(Some).map_err(|rejected: Rejected| self.unusable(format!("{key}: {rejected}")))
    }

    // An image is smaller than the JSON of its configuration. It is held in memory.
    fn check_image_size(&self, bytes: u64) -> Result<(), StorageError> {
        let limit = self.max_config as u64;
        if bytes <= limit {
            return Ok(());
        }
        let reason = format!("the image of the node's cache has {bytes} bytes, and LIFEBOAT_MAX_CONFIG allows {limit}");
        Err(self.unusable(reason))
    }
}
