//! Who hands out Google's access tokens: the token endpoint and the metadata server.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use rcgen::{KeyPair, PKCS_RSA_SHA256, PublicKeyData, RsaKeySize};
use serde_json::{Value, json};

use super::http::{HttpServer, form, header, json as answer_json, path, plain};
use super::jwt::verify_rs256;

/// The tokens that were handed out and not taken back.
#[derive(Clone, Default)]
pub struct Tokens(Arc<Mutex<Handed>>);

#[derive(Default)]
struct Handed {
    good: BTreeSet<String>,
    all: Vec<String>,
}

impl Tokens {
    /// Hands out a new one.
    pub fn hand_out(&self) -> String {
        let mut handed = self.0.lock().expect("nothing panics while it is locked");
        let token = format!("ya29.wonderful-token-{}-{}", handed.all.len(), uuid::Uuid::new_v4().simple());
        handed.good.insert(token.clone());
        handed.all.push(token.clone());
        token
    }

    /// Whether a store lets in who shows this one.
    pub fn allow(&self, token: &str) -> bool {
        self.0.lock().expect("nothing panics while it is locked").good.contains(token)
    }

    /// Every token that was ever handed out.
    pub fn all(&self) -> Vec<String> {
        self.0.lock().expect("nothing panics while it is locked").all.clone()
    }

    /// Takes back the oldest one that is still good.
    pub fn take_back_the_oldest(&self) {
        let mut handed = self.0.lock().expect("nothing panics while it is locked");
        let oldest = handed.all.iter().find(|token| handed.good.contains(*token)).cloned();
        handed.good.remove(&oldest.expect("one was handed out"));
    }
}

/// A service account with a key of its own.
pub struct Account {
    /// Its address.
    pub email: &'static str,
    key: KeyPair,
}

impl Account {
    /// A new key.
    ///
    /// # Panics
    /// When none can be made.
    pub fn new() -> Self {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("aws-lc makes RSA keys");
        Self { email: "lifeboat@kong-backups.iam.gserviceaccount.com", key }
    }

    /// The key as Google gives it to download, for tokens made at `token_uri`.
    pub fn json(&self, token_uri: &str) -> String {
        json!({
            "type": "service_account",
            "project_id": "kong-backups",
            "private_key_id": "f2e5a1",
            "private_key": self.key.serialize_pem(),
            "client_email": self.email,
            "client_id": "103456789012345678901",
            "token_uri": token_uri,
        })
        .to_string()
    }

    /// The lines of the private key, none of which may get anywhere.
    pub fn secrets(&self) -> Vec<String> {
        self.key.serialize_pem().lines().filter(|line| !line.starts_with("-----")).map(str::to_owned).collect()
    }
}

impl Default for Account {
    fn default() -> Self {
        Self::new()
    }
}

/// A user's key, as `gcloud auth application-default login` writes it, for the endpoint at `token_uri`.
pub fn user_json(refresh_token: &str, token_uri: &str) -> String {
    json!({
        "type": "authorized_user",
        "client_id": "764086051850.apps.googleusercontent.com",
        "client_secret": "d-wonderful-client-secret",
        "refresh_token": refresh_token,
        "token_uri": token_uri,
    })
    .to_string()
}

/// How long its tokens live, in seconds.
pub const TOKEN_LIVES: u64 = 1000;
/// The refresh token that the token endpoint knows.
pub const REFRESH_TOKEN: &str = "1//wonderful-refresh-token";

/// Starts the token endpoint: <https://developers.google.com/identity/protocols/oauth2/service-account#httprest> for the
/// account, <https://developers.google.com/identity/protocols/oauth2/native-app#offline> for the user. Tokens are made
/// at `<origin>/token`.
pub async fn token_endpoint(account: &Account, tokens: Tokens) -> HttpServer {
    let (email, public_key) = (account.email, account.key.der_bytes().to_vec());
    HttpServer::start(move |request| {
        let Some(form) = form(request).filter(|_| path(request) == "/token") else {
            return refused(StatusCode::BAD_REQUEST, "invalid_request", "It must be a form.");
        };
        let of = |name: &str| form.get(name).map_or("", String::as_str);
        let audience = format!("http://{}/token", header(request, "host"));
        let checked = match of("grant_type") {
            "urn:ietf:params:oauth:grant-type:jwt-bearer" => {
                check_assertion(of("assertion"), &public_key, email, &audience)
            }
            "refresh_token" if of("refresh_token") == REFRESH_TOKEN && of("client_secret").contains("wonderful") => {
                Ok(())
            }
            "refresh_token" => Err("Token has been expired or revoked."),
            _ => return refused(StatusCode::BAD_REQUEST, "unsupported_grant_type", "Invalid grant_type."),
        };
        match checked {
            Ok(()) => handed_out(&tokens),
            Err(reason) => refused(StatusCode::BAD_REQUEST, "invalid_grant", reason),
        }
    })
    .await
}

fn check_assertion(token: &str, public_key: &[u8], email: &str, audience: &str) -> Result<(), &'static str> {
    let verified = verify_rs256(token, public_key).map_err(|_| "Invalid JWT Signature.")?;
    let (header, claims) = (&verified.header, &verified.claims);
    if header["typ"] != "JWT" || header["kid"] != "f2e5a1" {
        return Err("Invalid JWT: Header.");
    }
    if claims["iss"] != *email {
        return Err("Invalid grant: account not found");
    }
    if claims["aud"] != *audience {
        return Err("Invalid JWT: Failed audience check.");
    }
    let scopes =
        ["https://www.googleapis.com/auth/devstorage.read_write", "https://www.googleapis.com/auth/cloud-platform"];
    if !claims["scope"].as_str().is_some_and(|scope| scopes.contains(&scope)) {
        return Err("Invalid OAuth scope or ID token audience provided.");
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970").as_secs();
    let time = |name: &str| claims[name].as_u64().unwrap_or(0);
    let (issued, expires) = (time("iat"), time("exp"));
    let is_short_lived = issued.abs_diff(now) < 300 && expires > now && expires <= issued + 3600;
    if is_short_lived { Ok(()) } else { Err("Invalid JWT: Token must be a short-lived token (60 minutes).") }
}

/// Starts a metadata server: <https://cloud.google.com/compute/docs/metadata/querying-metadata>.
pub async fn metadata_server(tokens: Tokens) -> HttpServer {
    HttpServer::start(move |request: &Request<Bytes>| {
        let mut response = if header(request, "metadata-flavor") != "Google" {
            plain(StatusCode::FORBIDDEN, "Missing Metadata-Flavor:Google header.")
        } else if path(request) == "/computeMetadata/v1/instance/service-accounts/default/token" {
            handed_out(&tokens)
        } else {
            plain(StatusCode::NOT_FOUND, "")
        };
        response.headers_mut().insert("metadata-flavor", http::HeaderValue::from_static("Google"));
        response
    })
    .await
}

fn handed_out(tokens: &Tokens) -> Response<Bytes> {
    let token = tokens.hand_out();
    answer_json(StatusCode::OK, &json!({ "access_token": token, "expires_in": TOKEN_LIVES, "token_type": "Bearer" }))
}

fn refused(status: StatusCode, error: &str, description: &str) -> Response<Bytes> {
    let body: Value = json!({ "error": error, "error_description": description });
    answer_json(status, &body)
}
