//! From bytes in a store to a control plane's schemas. They refuse what a person writes and reach no node.

use bytes::Bytes;

use super::{Authentic, Policy, Rejected};
use crate::digest::Sha256Digest;
use crate::kong::inflate::inflate;
use crate::manifest::StoredSchemas;
use crate::object_key::ObjectKeys;
use crate::schema::SCHEMAS_LIMIT;
use crate::seal::Binding;

/// Checks the schemas that a manifest names against it, and opens them as [`verify`](super::verify) does a payload. Gives
/// their JSON.
pub fn verify_schemas(
    manifest: &Authentic,
    schemas: &StoredSchemas,
    bytes: Bytes,
    policy: &Policy,
) -> Result<Vec<u8>, Rejected> {
    let expected = ObjectKeys::new(policy.version).schemas(schemas.object.sha256);
    if schemas.object.key != expected {
        return Err(Rejected::WrongPayloadKey { expected, actual: schemas.object.key.clone() });
    }
    let gzip = policy.opened(&schemas.object, bytes, &Binding::of_schemas(manifest.kong_version, schemas.json))?;
    let json = inflate(&gzip, SCHEMAS_LIMIT);
    let json = json.map_err(|_| Rejected::NotTheConfiguration("its gzip data can't be expanded".to_owned()))?;
    let (expected, actual) = (schemas.json.sha256, Sha256Digest::of(&json));
    if actual != expected {
        return Err(Rejected::DigestMismatch { expected, actual });
    }
    Ok(json)
}
