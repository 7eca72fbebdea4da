//! From bytes in a store to an image of a node's cache that a node may be given. Only this module makes a
//! [`VerifiedImage`]; that it holds what it should is seen when it is put in place.

use bytes::Bytes;

use super::{Authentic, Policy, Rejected};
use crate::digest::ConfigHash;
use crate::manifest::CacheImage;
use crate::object_key::ObjectKeys;
use crate::seal::{Binding, Content};
use crate::sensitive::Sensitive;

/// An image of a node's cache, as its exporter took it.
#[derive(Clone, Debug)]
pub struct VerifiedImage {
    gzip: Sensitive<Bytes>,
    expands_to: u64,
    config_hash: ConfigHash,
}

/// Checks the image that a manifest names against it, and opens it as [`verify`](super::verify) does a payload.
pub fn verify_image(
    manifest: &Authentic,
    image: &CacheImage,
    bytes: Bytes,
    policy: &Policy,
) -> Result<VerifiedImage, Rejected> {
    let expected = ObjectKeys::new(policy.version).cache_image(manifest.id());
    if image.object.key != expected {
        return Err(Rejected::WrongPayloadKey { expected, actual: image.object.key.clone() });
    }
    let expands_to = image.expands_to;
    let binding = Binding::with(manifest, Content::CacheImage { expands_to });
    let gzip = policy.opened(&image.object, bytes, &binding)?.into();
    Ok(VerifiedImage { gzip, expands_to, config_hash: manifest.config_hash })
}

impl VerifiedImage {
    /// The image: gzip of a `data.mdb`.
    pub fn gzip(&self) -> &Bytes {
        &self.gzip
    }

    /// The size of that `data.mdb` in bytes, as its exporter says.
    pub fn expands_to(&self) -> u64 {
        self.expands_to
    }

    /// Kong's name for the configuration that it is to hold.
    pub fn config_hash(&self) -> ConfigHash {
        self.config_hash
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::digest::Sha256Digest;
    use crate::keys::{EncryptionKey, Keyring};
    use crate::kong::version::KongVersion;
    use crate::manifest::{Document, Manifest, Nonce, StoredObject};
    use crate::seal::seal;
    use crate::verify::{Place, authenticate};

    const GOLDEN: &[u8] = include_bytes!("../../../tests/data/manifest-format-1.json");
    const GZIP: &[u8] = b"gzip of a data.mdb";

    fn policy(keys: Keyring) -> Policy {
        Policy { version: KongVersion::new(3, 9, 1), max_config: 1 << 20, keys: Arc::new(keys) }
    }

    fn authentic(policy: &Policy) -> Authentic {
        let manifest = Manifest::decode(GOLDEN).unwrap().proven_with(&policy.keys);
        authenticate(&Document::decode(&manifest.encode()).unwrap(), Place::Newest, policy).unwrap()
    }

    fn described(manifest: &Authentic, bytes: &[u8]) -> CacheImage {
        let key = ObjectKeys::new(manifest.kong_version).cache_image(manifest.id());
        let (sha256, bytes) = (Sha256Digest::of(bytes), bytes.len() as u64);
        CacheImage { object: StoredObject { key, sha256, bytes, sealed: None }, expands_to: 4096 }
    }

    fn refused(result: Result<VerifiedImage, Rejected>, message: &str) {
        let rejected = result.unwrap_err().to_string();
        assert!(rejected.contains(message), "{rejected}");
    }

    #[test]
    fn an_image_that_the_manifest_describes_is_taken_and_does_not_print() {
        let policy = policy(Keyring::default());
        let manifest = authentic(&policy);
        let image = described(&manifest, GZIP);
        let verified = verify_image(&manifest, &image, Bytes::from_static(GZIP), &policy).unwrap();
        assert_eq!((&verified.gzip()[..], verified.expands_to()), (GZIP, 4096));
        assert_eq!(verified.config_hash(), manifest.config_hash);
        assert!(!format!("{verified:?}").contains("gzip of"));
    }

    #[test]
    fn another_image_is_refused() {
        let policy = policy(Keyring::default());
        let manifest = authentic(&policy);
        let image = described(&manifest, GZIP);
        refused(verify_image(&manifest, &image, Bytes::from_static(&GZIP[1..]), &policy), "incomplete");
        refused(verify_image(&manifest, &image, Bytes::from_static(b"GZIP of a data.mdb"), &policy), "SHA-256");
        let mut elsewhere = image.clone();
        elsewhere.object.key = "3.9.1/config.json".to_owned();
        refused(
            verify_image(&manifest, &elsewhere, Bytes::from_static(GZIP), &policy),
            "its own is 3.9.1/lifeboat/cache/",
        );
    }

    #[test]
    fn a_sealed_image_opens_as_this_one_only() {
        let key = EncryptionKey::from_secret("prod".parse().unwrap(), [1; 32]);
        let policy = policy(Keyring::new(vec![key], None, Vec::new()).unwrap());
        let mut manifest = Manifest::decode(GOLDEN).unwrap();
        let content = Content::CacheImage { expands_to: 4096 };
        let key = policy.keys.sealing().unwrap();
        let (sealed, how) = seal(GZIP.into(), key, Nonce::from_random([2; 12]), &Binding::with(&manifest, content));
        manifest = manifest.proven_with(&policy.keys);
        let manifest = authenticate(&Document::decode(&manifest.encode()).unwrap(), Place::Newest, &policy).unwrap();
        let mut image = described(&manifest, &sealed);
        image.object.sealed = Some(how);
        assert_eq!(verify_image(&manifest, &image, sealed.clone(), &policy).unwrap().gzip(), GZIP);
        image.expands_to = 8192;
        refused(verify_image(&manifest, &image, sealed, &policy), "does not open");
        let plain = described(&manifest, GZIP);
        refused(verify_image(&manifest, &plain, Bytes::from_static(GZIP), &policy), "not sealed");
    }
}
