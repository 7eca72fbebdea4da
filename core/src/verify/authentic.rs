//! From a document that anybody may have written to a manifest that may be acted on: its writer is proven as the keys
//! demand it, and it lies where it belongs. Only this module makes an [`Authentic`].

use std::ops::Deref;

use super::{Policy, Rejected};
use crate::keys::{Demand, KeyName, Keyring};
use crate::manifest::{AUTHENTICATION, Document, Manifest, Proof, SIGNATURE, State};
use crate::object_key::{HIGHEST_SEQUENCE, ObjectKeys, SnapshotId};

/// A manifest whose writer the policy accepts, at the path where it belongs. Nothing is known of its payload yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentic {
    manifest: Manifest,
    writer: Writer,
}

/// Who is proven to have written a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Writer {
    /// Somebody who can write to the store: no keys are set, so nothing was checked.
    Anybody,
    /// Who holds this signing key.
    Signer(KeyName),
    /// Who holds this encryption key.
    KeyHolder(KeyName),
}

/// At which path of a version a manifest lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// That of the newest: any of the version's snapshots may be it.
    Newest,
    /// That of this snapshot, which was published.
    Snapshot(SnapshotId),
    /// That of this snapshot, which was held.
    Held(SnapshotId),
}

impl Authentic {
    /// Who is proven to have written it.
    pub fn writer(&self) -> &Writer {
        &self.writer
    }
}

impl Deref for Authentic {
    type Target = Manifest;

    fn deref(&self) -> &Manifest {
        &self.manifest
    }
}

/// Accepts a document as the manifest at this place of the policy's version. Who wrote it is proven before anything else
/// of it is believed.
///
/// # Errors
/// Each reason is a [`Rejected`] of its own.
pub fn authenticate(document: &Document, place: Place, policy: &Policy) -> Result<Authentic, Rejected> {
    let writer = writer(document, &policy.keys)?;
    let manifest = document.claims()?;
    if manifest.kong_version != policy.version {
        return Err(Rejected::WrongVersion { expected: policy.version, actual: manifest.kong_version });
    }
    let actual = manifest.id();

    match place {
        Place::Snapshot(expected) | Place::Held(expected) if expected != actual => {
            return Err(Rejected::WrongSnapshot { expected, actual });
        }
        // Under a published one's name, a held one would reach a node.
        Place::Newest | Place::Snapshot(_) if manifest.state == State::Held => return Err(Rejected::Held(actual)),
        Place::Held(_) if manifest.state != State::Held => return Err(Rejected::NotHeld(actual)),
        Place::Newest | Place::Snapshot(_) | Place::Held(_) => {}
    }

    // A sum with a number from the store must never overflow.
    if actual.sequence > HIGHEST_SEQUENCE {
        return Err(Rejected::WrongSequence(actual.sequence));
    }
    let expected = ObjectKeys::new(policy.version).snapshot(actual);
    if manifest.snapshot.key != expected {
        return Err(Rejected::WrongPayloadKey { expected, actual: manifest.snapshot.key });
    }
    Ok(Authentic { manifest, writer })
}

fn writer(document: &Document, keys: &Keyring) -> Result<Writer, Rejected> {
    match keys.demand() {
        Demand::Nothing => Ok(Writer::Anybody),
        Demand::Signature => signer(document, keys).map(Writer::Signer),
        Demand::Authentication => key_holder(document, keys).map(Writer::KeyHolder),
    }
}

fn signer(document: &Document, keys: &Keyring) -> Result<KeyName, Rejected> {
    let (text, trusted) = (document.proven_text(), keys.trusted_names());
    let proofs = proofs_of_kind(document, SIGNATURE);
    let known = || proofs.iter().filter_map(|proof| Some((proof, keys.trusted(&proof.key)?)));
    match (known().find(|(proof, key)| proof.is_signature(key, &text)), known().next()) {
        (Some((proof, _)), _) => Ok(proof.key.clone()),
        (None, Some((proof, _))) => Err(Rejected::BadSignature { key: proof.key.clone() }),
        (None, None) if proofs.is_empty() => Err(Rejected::Unsigned { trusted }),
        (None, None) => Err(Rejected::UnknownSigner { claimed: names(&proofs), trusted }),
    }
}

fn key_holder(document: &Document, keys: &Keyring) -> Result<KeyName, Rejected> {
    let (text, names_known) = (document.proven_text(), keys.encryption_names());
    let proofs = proofs_of_kind(document, AUTHENTICATION);
    let known = || proofs.iter().filter_map(|proof| Some((proof, keys.encryption(&proof.key)?)));
    match (known().find(|(proof, key)| proof.is_authentication(key, &text)), known().next()) {
        (Some((proof, _)), _) => Ok(proof.key.clone()),
        (None, Some((proof, _))) => Err(Rejected::BadAuthentication { key: proof.key.clone() }),
        (None, None) if proofs.is_empty() => Err(Rejected::Unauthenticated { known: names_known }),
        (None, None) => Err(Rejected::UnknownAuthentication { claimed: names(&proofs), known: names_known }),
    }
}

fn proofs_of_kind<'a>(document: &'a Document, algorithm: &str) -> Vec<&'a Proof> {
    document.proofs().iter().filter(|proof| proof.algorithm == algorithm).collect()
}

fn names(proofs: &[&Proof]) -> Vec<KeyName> {
    proofs.iter().map(|proof| proof.key.clone()).collect()
}
