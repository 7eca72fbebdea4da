//! A secret of the settings as something that can be shown to a server.

use super::CredentialError;
use crate::access::Secret;

/// A setting's secret as something that can be sent.
pub(super) fn shown(name: &str, secret: &Secret) -> Result<String, CredentialError> {
    let value = secret.reveal().map_err(|error| CredentialError::Unavailable(format!("{name}_FILE: {error}")))?;
    if !value.is_empty() && value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Ok(value);
    }
    // While a file is being written it may be empty for a moment.
    Err(CredentialError::Unavailable(format!("{name} is empty or has characters that no credential has")))
}
