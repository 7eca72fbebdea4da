//! Google credentials, by the form that the settings have chosen: access tokens, which live for an hour.

mod key;
mod metadata;

use std::sync::Arc;
use std::time::Duration;

use object_store::ClientOptions;
use object_store::gcp::{GcpCredential, GcpCredentialProvider};
use serde::Deserialize;

use self::key::Key;
use self::metadata::Metadata;
use super::CredentialError;
use super::endpoint::{Endpoint, Reach};
use super::refreshed::{Fetched, Refreshed};
use crate::access::Secret;
use crate::cloud::Issuer;
use crate::wire::Wire;

/// Tokens made from a key. Nothing is fetched yet.
pub(crate) fn of_key(
    key: &Secret,
    options: &ClientOptions,
    wire: &Wire,
) -> object_store::Result<GcpCredentialProvider> {
    let key = Key { key: key.clone(), options: options.clone(), wire: wire.clone() };
    Ok(Arc::new(Refreshed::new(key)))
}

/// Tokens from the metadata server. Nothing is fetched yet.
pub(crate) fn of_metadata(
    host: &str,
    options: &ClientOptions,
    wire: &Wire,
) -> object_store::Result<GcpCredentialProvider> {
    let url = format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/token");
    let endpoint = Endpoint::new(Issuer::GoogleMetadata, &url, Reach::Machine, options, wire)?;
    Ok(Arc::new(Refreshed::new(Metadata::new(endpoint, url))))
}

/// <https://developers.google.com/identity/protocols/oauth2/service-account#httprest>, "Handling the response"
#[derive(Deserialize)]
struct Token {
    access_token: String,
    expires_in: u64,
}

impl Token {
    fn fetched(self) -> Result<Fetched<GcpCredential>, CredentialError> {
        // It becomes a header.
        if self.access_token.is_empty() || !self.access_token.bytes().all(|b| (b'!'..=b'~').contains(&b)) {
            return Err(CredentialError::Unavailable("an access token came that is none".to_owned()));
        }
        let lives = Duration::from_secs(self.expires_in);
        Ok(Fetched { credential: GcpCredential { bearer: self.access_token }, lives })
    }
}
