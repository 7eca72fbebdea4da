//! Access tokens for a key: a service account's, which signs for itself, or a user's.
//! <https://developers.google.com/identity/protocols/oauth2/service-account#httprest>

use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use http::header::CONTENT_TYPE;
use object_store::ClientOptions;
use object_store::client::HttpRequestBody;
use object_store::gcp::GcpCredential;
use serde_json::json;

use super::Token;
use crate::access::{GoogleKey, Secret, ServiceAccount};
use crate::cloud::Issuer;
use crate::credentials::CredentialError;
use crate::credentials::endpoint::{Endpoint, Question, Reach, urlencoded};
use crate::credentials::refreshed::{Fetch, Fetched};
use crate::wire::Wire;

/// A key's text, read again for each token, since its file may have been replaced, and with it the endpoint.
pub(super) struct Key {
    pub(super) key: Secret,
    pub(super) options: ClientOptions,
    pub(super) wire: Wire,
}

/// To read and write objects, and nothing else of Google's. IAM decides what the account may do.
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_write";
/// The longest lifetime that Google allows.
const ASSERTION_LIVES: u64 = 3600;
const CURE_ACCOUNT: &str = "is the service account's key still listed, and is this host's clock right";
const CURE_USER: &str = "log in again with gcloud auth application-default login";

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.key)
    }
}

#[async_trait]
impl Fetch for Key {
    type Credential = GcpCredential;

    async fn fetch(&self) -> Result<Fetched<GcpCredential>, CredentialError> {
        let wrong = |error: &dyn fmt::Display| CredentialError::Unavailable(format!("the Google key: {error}"));
        let text = self.key.reveal().map_err(|error| wrong(&error))?;
        let key = GoogleKey::parse(&text).map_err(|error| wrong(&error))?;
        let (url, form, secrets, cure) = match &key {
            GoogleKey::ServiceAccount(account) => {
                let assertion = assertion(account, SystemTime::now()).map_err(|error| wrong(&error))?;
                let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
                let form = vec![("grant_type", grant.to_owned()), ("assertion", assertion.clone())];
                (account.token_uri.clone(), form, vec![assertion], CURE_ACCOUNT)
            }
            GoogleKey::User { client_id, client_secret, refresh_token, token_uri } => {
                let form = vec![
                    ("grant_type", "refresh_token".to_owned()),
                    ("client_id", client_id.clone()),
                    ("client_secret", client_secret.0.clone()),
                    ("refresh_token", refresh_token.0.clone()),
                ];
                let secrets = vec![client_secret.0.clone(), refresh_token.0.clone()];
                (token_uri.to_string(), form, secrets, CURE_USER)
            }
        };
        let endpoint = Endpoint::new(Issuer::GoogleToken, &url, Reach::Network, &self.options, &self.wire);
        let request = Request::post(&url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(HttpRequestBody::from(urlencoded(&form)))
            .map_err(|error| wrong(&error))?;
        let endpoint = endpoint.map_err(|error| wrong(&error))?;

        endpoint.ask_json::<Token>(Question { request, secrets }, cure).await?.fetched()
    }
}

/// A JWT (RFC 7523) by which the account asks for a token for itself.
fn assertion(account: &ServiceAccount, now: SystemTime) -> Result<String, rustls::Error> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let header = match &account.key_id {
        Some(key_id) => json!({ "alg": "RS256", "typ": "JWT", "kid": key_id }),
        None => json!({ "alg": "RS256", "typ": "JWT" }),
    };
    let claims = json!({
        "iss": account.client_email,
        "scope": SCOPE,
        "aud": account.token_uri,
        "iat": now,
        "exp": now + ASSERTION_LIVES,
    });
    let encoded = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let signature = account.sign(message.as_bytes())?;

    Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
    use serde_json::Value;

    use super::*;

    // Address, times and encoded header are those of the page above, "Forming the JWT header" and "claim set".
    #[test]
    fn an_assertion_is_as_google_publishes_it() {
        let email = "761326798069-r5mljlln1rd4lrbhg75efgigp36m78j5@developer.gserviceaccount.com";
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap().serialize_pem();
        let json = json!({ "client_email": email, "private_key": key }).to_string();
        let GoogleKey::ServiceAccount(account) = GoogleKey::parse(&json).unwrap() else { panic!() };
        let assertion = assertion(&account, SystemTime::UNIX_EPOCH + Duration::from_secs(1_328_550_785)).unwrap();
        let parts: Vec<&str> = assertion.split('.').collect();
        assert_eq!(parts[0], "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9");
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
        let published = json!({
            "iss": email,
            "scope": SCOPE,
            "aud": "https://oauth2.googleapis.com/token",
            "exp": 1_328_554_385,
            "iat": 1_328_550_785,
        });
        assert_eq!(claims, published);
    }
}
