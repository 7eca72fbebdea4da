//! AWS credentials, by the form that the settings have chosen.

mod container;
mod instance;
mod keys;
mod web_identity;

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AwsCredential, AwsCredentialProvider};
use object_store::{ClientOptions, CredentialProvider};
use serde::Deserialize;

use self::container::Container;
use self::instance::Instance;
use self::keys::Keys;
use self::web_identity::WebIdentity;
use super::endpoint::{Endpoint, Reach, from_now_to};
use super::refreshed::{Fetched, Refreshed};
use super::{CredentialError, Expiring};
use crate::access::{AwsCredentials, profiles_are_not_read};
use crate::cloud::Issuer;
use crate::wire::Wire;

/// What signs requests, and for how long it can.
#[derive(Clone, Debug)]
pub(crate) struct Signing {
    /// Gives them.
    pub(crate) provider: AwsCredentialProvider,
    /// Knows.
    pub(crate) expiring: Arc<dyn Expiring>,
}

impl Signing {
    fn by<T: Expiring + CredentialProvider<Credential = AwsCredential>>(provider: T) -> Self {
        let provider = Arc::new(provider);
        Self { provider: provider.clone(), expiring: provider }
    }
}

/// The credentials that the settings name. Nothing is fetched yet.
pub(crate) fn credentials(
    settings: &AwsCredentials,
    options: &ClientOptions,
    wire: &Wire,
) -> object_store::Result<Signing> {
    Ok(match settings.clone() {
        AwsCredentials::Keys { id, secret, session_token, expires } => {
            Signing::by(Keys { id, secret, session_token, expires })
        }
        AwsCredentials::WebIdentity { token, role_arn, session_name, sts } => {
            let endpoint = Endpoint::new(Issuer::WebIdentity, sts.as_str(), Reach::Network, options, wire)?;
            Signing::by(Refreshed::new(WebIdentity { endpoint, sts, token, role_arn, session_name }))
        }
        AwsCredentials::Container { url, authorization } => {
            let endpoint = Endpoint::new(Issuer::ContainerCredentials, url.as_str(), Reach::Machine, options, wire)?;
            Signing::by(Refreshed::new(Container { endpoint, url, authorization }))
        }
        AwsCredentials::Instance { endpoint: url, unread } => {
            let endpoint = Endpoint::new(Issuer::InstanceMetadata, url.as_str(), Reach::Machine, options, wire)?;
            Signing::by(Refreshed::new(Instance::new(endpoint, url.as_str(), &profiles_are_not_read(&unread))))
        }
    })
}

/// What containers and instances answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Temporary {
    access_key_id: String,
    secret_access_key: String,
    #[serde(alias = "SessionToken")]
    token: String,
    expiration: String,
}

impl Temporary {
    fn fetched(self) -> Result<Fetched<AwsCredential>, CredentialError> {
        let Self { access_key_id: key_id, secret_access_key: secret_key, token, expiration } = self;
        let lives = until(&expiration)?;
        Ok(Fetched { credential: AwsCredential { key_id, secret_key, token: Some(token) }, lives })
    }
}

fn until(expiration: &str) -> Result<Duration, CredentialError> {
    let moment = humantime::parse_rfc3339_weak(expiration.trim());
    let wrong =
        |_| CredentialError::Unavailable(format!("credentials came with an end that is no time: {expiration:?}"));
    moment.map(from_now_to).map_err(wrong)
}
