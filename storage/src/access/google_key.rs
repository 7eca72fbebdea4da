//! What stands in the JSON of a Google key: a service account's, or a user's that `gcloud` has made. Nothing is fetched
//! here.

use std::fmt;
use std::sync::Arc;

use reqwest::Url;
use rustls::SignatureScheme;
use rustls::sign::{Signer, SigningKey};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;

use super::{Hidden, is_endpoint};

/// A Google key.
#[derive(Debug)]
pub enum GoogleKey {
    /// Of a service account.
    ServiceAccount(ServiceAccount),
    /// Of a user: what `gcloud auth application-default login` writes.
    User {
        /// The client for which the user has logged in.
        client_id: String,
        /// The client's secret, which is none for a program that everybody can download.
        client_secret: Hidden,
        /// What the user has allowed.
        refresh_token: Hidden,
        /// Where tokens are made from it.
        token_uri: Url,
    },
}

/// A service account's key.
pub struct ServiceAccount {
    /// The account's address.
    pub client_email: String,
    /// Which of its keys this is.
    pub key_id: Option<String>,
    /// Where tokens are made from it, literally as the key says: the token's audience.
    pub token_uri: String,
    signer: Box<dyn Signer>,
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client_email, key_id, token_uri, .. } = self;
        write!(f, "ServiceAccount({client_email}, {key_id:?}, {token_uri}, ..)")
    }
}

/// What is wrong with a key. Never repeats a part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadGoogleKey {
    /// No JSON.
    #[error("it is not JSON (line {line}, column {column})")]
    NotJson {
        /// Where reading ended.
        line: usize,
        /// Likewise.
        column: usize,
    },
    /// A kind of key that can't be used.
    #[error(
        "keys of type {0:?} can't be used: give a service account's key, or run where the metadata server gives the \
         credentials (workload identity of GKE) and unset this"
    )]
    Type(String),
    /// A part is missing.
    #[error("{0:?} is missing in it")]
    Missing(&'static str),
    /// The private key is none.
    #[error("its \"private_key\" is not an RSA key in PEM: was it cut off, or are its line ends written twice?")]
    PrivateKey,
    /// `token_uri`.
    #[error("its \"token_uri\" is not a URL of http or https")]
    TokenUri,
}

#[derive(Deserialize)]
struct Written {
    #[serde(rename = "type")]
    kind: Option<String>,
    client_email: Option<String>,
    private_key: Option<String>,
    private_key_id: Option<String>,
    token_uri: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    refresh_token: Option<String>,
}

/// <https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests>
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

impl GoogleKey {
    /// Reads a key's JSON.
    ///
    /// # Errors
    /// When it is damaged, or of a kind that can't be used.
    pub fn parse(json: &str) -> Result<Self, BadGoogleKey> {
        let written: Written = serde_json::from_str(json)
            .map_err(|error| BadGoogleKey::NotJson { line: error.line(), column: error.column() })?;
        // Old keys of service accounts have no type.
        match written.kind.as_deref() {
            None | Some("service_account") => service_account(written).map(Self::ServiceAccount),
            Some("authorized_user") => user(written),
            Some(other) => Err(BadGoogleKey::Type(other.chars().take(40).collect())),
        }
    }
}

impl ServiceAccount {
    /// Signs with RS256: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 section 3.3).
    ///
    /// # Errors
    /// When the key can't sign.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        self.signer.sign(message)
    }
}

fn service_account(written: Written) -> Result<ServiceAccount, BadGoogleKey> {
    let client_email = written.client_email.ok_or(BadGoogleKey::Missing("client_email"))?;
    let private_key = written.private_key.ok_or(BadGoogleKey::Missing("private_key"))?;
    let token_uri = written.token_uri.unwrap_or_else(|| TOKEN_URI.to_owned());
    token_url(&token_uri)?;
    let key = PrivateKeyDer::from_pem_slice(private_key.as_bytes()).map_err(|_| BadGoogleKey::PrivateKey)?;
    let key: Arc<dyn SigningKey> =
        rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).map_err(|_| BadGoogleKey::PrivateKey)?;
    let signer = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).ok_or(BadGoogleKey::PrivateKey)?;
    Ok(ServiceAccount { client_email, key_id: written.private_key_id, token_uri, signer })
}

fn user(written: Written) -> Result<GoogleKey, BadGoogleKey> {
    let token_uri = token_url(written.token_uri.as_deref().unwrap_or(TOKEN_URI))?;
    Ok(GoogleKey::User {
        client_id: written.client_id.ok_or(BadGoogleKey::Missing("client_id"))?,
        client_secret: Hidden(written.client_secret.ok_or(BadGoogleKey::Missing("client_secret"))?),
        refresh_token: Hidden(written.refresh_token.ok_or(BadGoogleKey::Missing("refresh_token"))?),
        token_uri,
    })
}

fn token_url(text: &str) -> Result<Url, BadGoogleKey> {
    text.parse().ok().filter(is_endpoint).ok_or(BadGoogleKey::TokenUri)
}
