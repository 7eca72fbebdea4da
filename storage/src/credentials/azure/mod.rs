//! Azure credentials, by the form that the settings have chosen.

mod account;
mod application;
mod managed;

use std::sync::Arc;
use std::time::Duration;

use object_store::ClientOptions;
use object_store::azure::{AzureCredential, AzureCredentialProvider};
use serde::{Deserialize, Deserializer};

use self::account::{AccountKey, SharedAccessSignature};
use self::application::{Application, Proof};
use self::managed::Managed;
use super::CredentialError;
use super::endpoint::{Endpoint, Reach};
use super::refreshed::{Fetched, Refreshed};
use crate::access::{AzureCredentials, ManagedIdentity};
use crate::cloud::Issuer;
use crate::wire::Wire;

/// The credentials that the settings name. Nothing is fetched yet.
pub(crate) fn credentials(
    settings: &AzureCredentials,
    options: &ClientOptions,
    wire: &Wire,
) -> object_store::Result<AzureCredentialProvider> {
    let application = |tenant: crate::access::Tenant, proof| -> object_store::Result<AzureCredentialProvider> {
        let endpoint = Endpoint::new(Issuer::EntraId, tenant.token_url.as_str(), Reach::Network, options, wire)?;
        Ok(Arc::new(Refreshed::new(Application { endpoint, tenant, proof })))
    };

    Ok(match settings.clone() {
        AzureCredentials::AccountKey(key) => Arc::new(AccountKey(key)),
        AzureCredentials::SharedAccessSignature(signature) => Arc::new(SharedAccessSignature(signature)),
        AzureCredentials::ClientSecret { tenant, secret } => application(tenant, Proof::Secret(secret))?,
        AzureCredentials::WorkloadIdentity { tenant, token } => application(tenant, Proof::Assertion(token))?,
        AzureCredentials::Managed { identity, client_id } => {
            let (ManagedIdentity::Machine { url } | ManagedIdentity::App { url, .. }) = &identity;
            let endpoint = Endpoint::new(Issuer::ManagedIdentity, url.as_str(), Reach::Machine, options, wire)?;
            Arc::new(Refreshed::new(Managed::new(endpoint, identity, client_id)))
        }
    })
}

/// What token endpoints answer. Some write numbers as texts, and some give the end as a moment instead.
#[derive(Deserialize)]
struct Token {
    access_token: String,
    #[serde(default, deserialize_with = "number_or_text")]
    expires_in: Option<u64>,
    #[serde(default, deserialize_with = "number_or_text")]
    expires_on: Option<u64>,
}

impl Token {
    fn fetched(self) -> Result<Fetched<AzureCredential>, CredentialError> {
        let lives = match (self.expires_in, self.expires_on) {
            (Some(seconds), _) => Duration::from_secs(seconds),
            (None, Some(moment)) => {
                super::endpoint::from_now_to(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(moment))
            }
            (None, None) => return Err(CredentialError::Unavailable("an access token came without an end".to_owned())),
        };
        // It becomes a header.
        if self.access_token.is_empty() || !self.access_token.bytes().all(|b| (b'!'..=b'~').contains(&b)) {
            return Err(CredentialError::Unavailable("an access token came that is none".to_owned()));
        }
        Ok(Fetched { credential: AzureCredential::BearerToken(self.access_token), lives })
    }
}

fn number_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(u64),
        Text(String),
    }
    Ok(match Option::<Written>::deserialize(deserializer)? {
        Some(Written::Number(number)) => Some(number),
        Some(Written::Text(text)) => text.trim().parse().ok(),
        None => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_may_be_a_number_or_a_text_a_duration_or_a_moment() {
        for (json, expected) in [
            (r#"{"access_token":"t","expires_in":3599}"#, 3599),
            (r#"{"access_token":"t","expires_in":"3599","expires_on":"1"}"#, 3599),
            (r#"{"access_token":"t","expires_on":"1"}"#, 0),
        ] {
            let fetched = serde_json::from_str::<Token>(json).unwrap().fetched().unwrap();
            assert_eq!(fetched.lives.as_secs(), expected, "{json}");
        }
        assert!(serde_json::from_str::<Token>(r#"{"access_token":"t"}"#).unwrap().fetched().is_err());
    }
}
