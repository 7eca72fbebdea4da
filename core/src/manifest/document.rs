//! A manifest as it lies in a store: JSON that anybody may have written. It becomes a manifest that is acted on only by
//! `verify::authenticate`.

use serde_json::{Map, Value};

use super::proof::{Proof, proven_text};
use super::{FORMAT, Manifest, Unreadable};

const PROOFS: &str = "proofs";
/// Checking a signature takes a tenth of a millisecond; an exporter gives one or two.
const MOST_PROOFS: usize = 16;

/// A document that says that it is a manifest, and the proofs that it carries. Of members with the same name the last
/// one counts, for the proofs and for what it means.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    members: Map<String, Value>,
    proofs: Vec<Proof>,
}

impl Document {
    /// Reads a document of whatever format.
    ///
    /// # Errors
    /// [`Unreadable::Malformed`] or [`Unreadable::TooManyProofs`].
    pub fn decode(json: &[u8]) -> Result<Self, Unreadable> {
        let mut members: Map<String, Value> = serde_json::from_slice(json).map_err(Unreadable::Malformed)?;
        let proofs = match members.remove(PROOFS) {
            None => Vec::new(),
            Some(proofs) => serde_json::from_value(proofs).map_err(Unreadable::Malformed)?,
        };
        if proofs.len() > MOST_PROOFS {
            return Err(Unreadable::TooManyProofs(proofs.len()));
        }
        Ok(Self { members, proofs })
    }

    /// The document that a manifest is written as, without its proofs.
    pub(super) fn of(manifest: &Manifest) -> Self {
        let Ok(Value::Object(mut members)) = serde_json::to_value(manifest) else {
            unreachable!("a manifest always has a JSON form, which is an object")
        };
        members.remove(PROOFS);
        Self { members, proofs: Vec::new() }
    }

    /// The proofs that it carries, right or wrong.
    pub fn proofs(&self) -> &[Proof] {
        &self.proofs
    }

    /// What the proofs must be about.
    pub fn proven_text(&self) -> Vec<u8> {
        proven_text(&self.members)
    }

    /// What it says, whoever wrote it.
    ///
    /// # Errors
    /// When this version can't read it.
    pub fn claims(&self) -> Result<Manifest, Unreadable> {
        match self.members.get("format").and_then(Value::as_u64) {
            Some(format) if format == u64::from(FORMAT) => {}
            Some(other) => return Err(Unreadable::UnknownFormat(other)),
            None => return Err(Unreadable::NoFormat),
        }
        let manifest = serde_json::from_value(Value::Object(self.members.clone()));
        Ok(Manifest { proofs: self.proofs.clone(), ..manifest.map_err(Unreadable::Malformed)? })
    }
}
