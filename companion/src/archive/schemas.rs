//! A control plane's own schemas, stored once beside the snapshots that were published while it had them. What a person
//! writes in an outage is checked against them. No publication waits for them, or fails without them.

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use lifeboat_core::digest::Sha256Digest;
use lifeboat_core::keys::Keyring;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::{Manifest, PlainObject, StoredObject, StoredSchemas};
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_core::schema::SchemaSet;
use lifeboat_core::seal::{Binding, seal};
use lifeboat_core::verify::{Authentic, verify_schemas};
use lifeboat_runtime::background::computed;
use lifeboat_runtime::rng;
use lifeboat_storage::{StorageError, Write};

use super::snapshot::plain_object;
use super::{Archive, ArchiveReader, CurrentManifest, Published};

/// The most that is fetched. Compressed schemas are smaller.
const FETCH_LIMIT: u64 = lifeboat_core::schema::SCHEMAS_LIMIT as u64;

impl ArchiveReader {
    /// The schemas that a manifest names; none if it names none, or if they are gone.
    ///
    /// # Errors
    /// [`StorageError::Unusable`] when they aren't those that the manifest names.
    pub async fn schemas(&self, manifest: &Authentic) -> Result<Option<SchemaSet>, StorageError> {
        let Some(schemas) = manifest.schemas.clone() else { return Ok(None) };
        let policy = self.policy(manifest.kong_version);
        // Fetched under the key that these schemas must have, because a manifest could name any object.
        let key = ObjectKeys::new(manifest.kong_version).schemas(schemas.object.sha256);
        let limit = schemas.object.bytes.min(FETCH_LIMIT);
        let Some((bytes, _)) = self.storage.read_optional(&key, limit).await? else { return Ok(None) };
        let manifest = manifest.clone();
        let read = computed(move || {
            let json = verify_schemas(&manifest, &schemas, bytes, &policy).map_err(|rejected| rejected.to_string())?;
            SchemaSet::from_json(&json).map_err(|error| error.to_string())
        });
        read.await.map(Some).map_err(|reason| self.unusable_object(format!("{key}: {reason}")))
    }

    /// The schemas that the published manifest of a version names: those of the control plane of that version's nodes.
    ///
    /// # Errors
    /// As [`schemas`](Self::schemas), and those of the store.
    pub async fn published_schemas(&self, version: KongVersion) -> Result<Option<SchemaSet>, StorageError> {
        match self.published(version).await? {
            Some(published) => self.schemas(&published.manifest).await,
            None => Ok(None),
        }
    }
}

impl Archive {
    /// Keeps a control plane's schemas, and publishes the same manifest with their name, digest and size in it.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] when another manifest was published meanwhile. Then no manifest names them.
    pub async fn attach_schemas(&self, published: Published, json: Vec<u8>) -> Result<Published, StorageError> {
        let Published { manifest, tag, .. } = published;
        let policy = self.policy(manifest.kong_version);
        let (version, keys) = (manifest.kong_version, policy.keys.clone());
        let (bytes, described) = computed(move || packed(&json, version, &keys)).await;

        let key = described.object.key.clone();
        match self.storage.write(&key, bytes.clone(), Write::Create).await {
            // A conflict means that they are there already: their name is made from their bytes.
            Ok(_) | Err(StorageError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
        match self.storage.read_back(&key, &bytes).await {
            Err(StorageError::ReadBackDiffers { .. }) => {
                self.storage.write(&key, bytes.clone(), Write::Replace).await?;
                self.storage.read_back(&key, &bytes).await?;
            }
            read_back => read_back?,
        }

        let with_schemas = Manifest { schemas: Some(described), ..(*manifest).clone() };
        self.write_newest(with_schemas, Write::Update(tag), &policy).await
    }

    /// What the next manifest says about schemas: the same, as long as they are sealed in the same way as everything
    /// else.
    pub(super) fn schemas_of(over: &CurrentManifest, keys: &Keyring) -> Option<StoredSchemas> {
        let schemas = over.manifest()?.schemas.clone()?;
        let sealed_with = schemas.object.sealed.as_ref().map(|seal| &seal.key);
        let sealing = keys.sealing().map(lifeboat_core::keys::Key::name);
        (sealed_with == sealing).then_some(schemas)
    }
}

/// The stored form of schemas, and what a manifest says about it.
fn packed(json: &[u8], version: KongVersion, keys: &Keyring) -> (Bytes, StoredSchemas) {
    let described = plain_object(json);
    let gzip = compressed(json);
    let (bytes, sealed) = match keys.sealing() {
        None => (gzip, None),
        Some(key) => {
            let (bytes, how) = seal(gzip, key, rng::nonce(), &Binding::of_schemas(version, described));
            (bytes, Some(how))
        }
    };
    let sha256 = Sha256Digest::of(&bytes);
    let key = ObjectKeys::new(version).schemas(sha256);
    let object = StoredObject { key, sha256, bytes: bytes.len() as u64, sealed };
    (bytes, StoredSchemas { object, json: PlainObject { ..described } })
}

fn compressed(json: &[u8]) -> Bytes {
    use std::io::Write as _;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(json).and_then(|()| encoder.finish());
    written.expect("a vector takes what is written").into()
}

#[cfg(test)]
mod tests {
    use lifeboat_core::keys::{EncryptionKey, Keyring};
    use lifeboat_core::schema::SchemaSource;

    use super::super::tests::{CHANGED, FIRST, in_memory, publish, version};
    use super::*;
    use crate::settings::KeySource;

    const SCHEMAS: &[u8] = br#"{"entities":{"things":{"fields":[]}},"plugins":{"mine":{"fields":[]}}}"#;

    async fn with_schemas(archive: &Archive) -> Published {
        let published = publish(archive, FIRST).await;
        archive.attach_schemas(published, SCHEMAS.to_vec()).await.unwrap()
    }

    fn sealing() -> KeySource {
        let key = EncryptionKey::from_secret("prod".parse().unwrap(), [1; 32]);
        KeySource::fixed(Keyring::new(vec![key], None, Vec::new()).unwrap())
    }

    #[tokio::test]
    async fn schemas_are_found_again_and_later_snapshots_name_them_too() {
        for archive in [in_memory(), in_memory().with_keys(sealing())] {
            let first = with_schemas(&archive).await;
            let later = publish(&archive, CHANGED).await;
            assert_eq!(later.manifest.schemas, first.manifest.schemas);
            let found = archive.published_schemas(version()).await.unwrap().unwrap();
            assert!(found.has_plugin("mine") && found.has_entity("things"));
            assert_eq!(found.source(), SchemaSource::ControlPlane);
            assert_eq!(archive.restore(version()).await.unwrap().skipped.len(), 0);
        }
    }

    #[tokio::test]
    async fn the_same_schemas_lie_there_once() {
        let archive = in_memory();
        let first = with_schemas(&archive).await;
        let again = archive.attach_schemas(first.clone(), SCHEMAS.to_vec()).await.unwrap();
        assert_eq!(first.manifest.schemas, again.manifest.schemas);
    }

    #[tokio::test]
    async fn schemas_that_are_gone_are_none_and_damaged_ones_are_refused() {
        let archive = in_memory();
        let published = with_schemas(&archive).await;
        let key = published.manifest.schemas.as_ref().unwrap().object.key.clone();
        archive.storage.write(&key, Bytes::from_static(b"something else"), Write::Replace).await.unwrap();
        let error = archive.schemas(&published.manifest).await.unwrap_err().to_string();
        assert!(error.contains(&key), "{error}");
        archive.storage.delete(&key).await.unwrap();
        assert!(archive.schemas(&published.manifest).await.unwrap().is_none());
        assert!(archive.restore(version()).await.unwrap().skipped.is_empty());
    }

    #[tokio::test]
    async fn plain_schemas_are_not_named_once_snapshots_are_sealed() {
        let plain = in_memory();
        with_schemas(&plain).await;
        let sealed = plain.with_keys(sealing());
        let published = publish(&sealed, CHANGED).await;
        assert_eq!(published.manifest.schemas, None);
        let published = sealed.attach_schemas(published, SCHEMAS.to_vec()).await.unwrap();
        assert!(published.manifest.schemas.as_ref().unwrap().object.sealed.is_some());
        assert!(sealed.schemas(&published.manifest).await.unwrap().is_some());
    }
}
