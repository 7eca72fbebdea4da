//! Credentials for a store, as the clouds hand them out, each fetched again before it expires. The settings decide
//! which form is used. They are not left to the store's library, because that reads the process's environment, lacks
//! some forms, has no time-outs of its own, and gives up a credential that is still valid when its renewal fails.

pub(super) mod aws;
pub(super) mod azure;
mod endpoint;
pub(super) mod google;
mod refreshed;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::access::Secret;

/// How long credentials can be used. A link stops working when the credentials that signed it do, whatever the link
/// says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// Until somebody takes them back.
    Endless,
    /// They are temporary, and this is what is left of them.
    Left(Duration),
    /// They are temporary, and nothing tells their end.
    Unknown,
}

/// Knows for how long the credentials can be used that it gave last.
pub(super) trait Expiring: fmt::Debug + Send + Sync + 'static {
    /// For how long.
    fn lifetime(&self) -> Lifetime;
}

/// Why there are no credentials. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CredentialError {
    /// The issuer refuses: it does not accept what it is shown.
    #[error("{0}")]
    Refused(String),
    /// There is no issuer, or something is set up wrongly.
    #[error("{0}")]
    Misconfigured(String),
    /// They can't be had now; trying again may help.
    #[error("{0}")]
    Unavailable(String),
}

impl CredentialError {
    /// The one that made a store's request fail, if one did.
    pub(super) fn behind(error: &object_store::Error) -> Option<&Self> {
        let mut next: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            next = error.source();
        }
        None
    }
}

impl From<CredentialError> for object_store::Error {
    fn from(error: CredentialError) -> Self {
        Self::Generic { store: "credentials", source: Box::new(error) }
    }
}

/// A setting's secret as something that can be sent.
pub(super) fn shown(name: &str, secret: &Secret) -> Result<String, CredentialError> {
    let value = secret.reveal().map_err(|error| CredentialError::Unavailable(format!("{name}_FILE: {error}")))?;
    if !value.is_empty() && value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Ok(value);
    }
    // While a file is being written it may be empty for a moment.
    Err(CredentialError::Unavailable(format!("{name} is empty or has characters that no credential has")))
}
