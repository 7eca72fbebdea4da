//! The HTTP client for Kong's Admin APIs, a control plane's and a node's, and what their refusals mean to whoever set it up.
//! What is asked for is in `admin` and `config_source`.

use std::error::Error;
use std::io;

use reqwest::header::{HeaderValue, LOCATION};
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, Response, StatusCode, Url, redirect};
use rustls::{AlertDescription, CertificateError, Error as TlsError};
use serde_json::Value;

use crate::settings::AdminAccess;

/// <https://developer.konghq.com/how-to/enable-rbac-with-admin-api>
const TOKEN_HEADER: &str = "kong-admin-token";
/// How much of what a server says is repeated, in characters.
const LONGEST: usize = 200;
/// As many as the client follows without a policy of its own.
const REDIRECTS: usize = 10;

/// Asks an Admin API.
#[derive(Clone, Debug)]
pub(crate) struct AdminClient {
    client: Client,
    access: AdminAccess,
}

impl AdminClient {
    /// A client with the limits of `builder`.
    ///
    /// # Errors
    /// TLS can't be set up.
    pub(crate) fn new(access: &AdminAccess, builder: ClientBuilder) -> reqwest::Result<Self> {
        let mut builder = builder.tls_certs_merge(access.authorities.clone());
        if let Some(identity) = access.identity.clone() {
            builder = builder.identity(identity);
        }
        if access.token.is_some() {
            builder = builder.redirect(redirect::Policy::custom(stay_at_one_origin));
        }
        Ok(Self { client: builder.build()?, access: access.clone() })
    }

    /// A request with the token, which is read again where it stands in a file.
    ///
    /// # Errors
    /// The token can't be read or sent; the reason says which setting it is.
    pub(crate) fn request(&self, method: Method, url: Url) -> Result<RequestBuilder, String> {
        let request = self.client.request(method, url);
        let Some(token) = &self.access.token else { return Ok(request) };
        let token = token.reveal().map_err(|error| format!("LIFEBOAT_ADMIN_TOKEN: {error}"))?;
        let header = HeaderValue::from_str(&token);
        let mut header = header.map_err(|_| "LIFEBOAT_ADMIN_TOKEN has characters that no header has".to_owned())?;
        header.set_sensitive(true);
        Ok(request.header(TOKEN_HEADER, header))
    }

    /// What an answer that is no success means for the settings, with what the server says; `body` is its beginning.
    pub(crate) fn refusal(&self, status: StatusCode, location: Option<&str>, body: &[u8]) -> String {
        let said = said(body);
        let cure = match (status, &self.access.token) {
            (StatusCode::UNAUTHORIZED, None) => ": it wants a token: set LIFEBOAT_ADMIN_TOKEN",
            (StatusCode::UNAUTHORIZED, Some(_)) => ": it does not accept LIFEBOAT_ADMIN_TOKEN",
            (StatusCode::FORBIDDEN, None) => ": if it wants a token, set LIFEBOAT_ADMIN_TOKEN",
            (StatusCode::FORBIDDEN, Some(_)) => ": the roles of LIFEBOAT_ADMIN_TOKEN's user don't allow that",
            (status, _) if status.is_redirection() => {
                let location: String = location.unwrap_or("elsewhere").chars().take(LONGEST).collect();
                return format!(
                    "answers {status}: it sends us to {location}, where LIFEBOAT_ADMIN_TOKEN is not shown: use that URL, if \
                     it is right"
                );
            }
            // nginx's words, for the two ways in which a certificate is missing.
            (StatusCode::BAD_REQUEST, _) if contains(body, "SSL certificate") && self.access.identity.is_none() => {
                ": it wants a certificate: set LIFEBOAT_ADMIN_CERT and LIFEBOAT_ADMIN_CERT_KEY"
            }
            (StatusCode::BAD_REQUEST, _) if contains(body, "SSL certificate") => {
                ": it does not accept LIFEBOAT_ADMIN_CERT"
            }
            _ => "",
        };
        format!("answers {status} ({}){cure}", said.as_deref().unwrap_or("no reason"))
    }

    /// What a failure of TLS means for the settings; nothing if it is no such failure, or has another cause.
    pub(crate) fn cure(&self, error: &reqwest::Error) -> &'static str {
        let has_certificate = self.access.identity.is_some();
        match tls_error(error) {
            Some(TlsError::InvalidCertificate(CertificateError::UnknownIssuer)) => {
                ": set LIFEBOAT_ADMIN_CA to the authority of its certificate"
            }
            Some(TlsError::AlertReceived(AlertDescription::CertificateRequired)) => {
                ": it wants a certificate: set LIFEBOAT_ADMIN_CERT and LIFEBOAT_ADMIN_CERT_KEY"
            }
            Some(TlsError::AlertReceived(
                AlertDescription::UnknownCA | AlertDescription::BadCertificate | AlertDescription::CertificateUnknown,
            )) if has_certificate => ": it does not accept LIFEBOAT_ADMIN_CERT",
            _ => "",
        }
    }
}

/// Where an answer sends us to.
pub(crate) fn location(response: &Response) -> Option<String> {
    Some(response.headers().get(LOCATION)?.to_str().ok()?.to_owned())
}

/// What the body of an answer says to people: its `message`, which is all that Kong's errors have in common.
pub(crate) fn said(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let message = body["message"].as_str()?;
    Some(message.chars().filter(|character| !character.is_control()).take(LONGEST).collect())
}

fn contains(body: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(body).contains(text)
}

// The token is a header that the client would take along to wherever it is sent.
fn stay_at_one_origin(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let is_same = attempt.previous().last().is_some_and(|before| before.origin() == attempt.url().origin());
    match attempt.previous().len() {
        REDIRECTS.. => attempt.error("too many redirects"),
        _ if is_same => attempt.follow(),
        _ => attempt.stop(),
    }
}

fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TlsError> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let below = error.downcast_ref::<io::Error>().and_then(below);
        if let Some(tls) = error.downcast_ref::<TlsError>().or(below) {
            return Some(tls);
        }
        cause = error.source();
    }
    None
}

// An IO error hides what it was made of from its chain of sources, and may be made of another.
fn below(error: &io::Error) -> Option<&TlsError> {
    let mut inner = error.get_ref()?;
    while let Some(io) = inner.downcast_ref::<io::Error>() {
        inner = io.get_ref()?;
    }
    inner.downcast_ref()
}

#[cfg(test)]
mod tests {
    use lifeboat_storage::access::Secret;

    use super::*;

    fn client(token: Option<&str>) -> AdminClient {
        let access =
            AdminAccess { token: token.map(|token| Secret::Value(token.to_owned())), ..AdminAccess::default() };
        AdminClient::new(&access, Client::builder()).unwrap()
    }

    #[test]
    fn each_refusal_names_the_setting_that_it_is_about() {
        let (without, with) = (client(None), client(Some("wonderful")));
        let kongs = br#"{"message":"Invalid credentials. Token or User credentials required"}"#;
        let nginxs = b"<html><body><center>No required SSL certificate was sent</center></body></html>";
        for (client, status, body, said) in [
            (&without, 401, &kongs[..], "(Invalid credentials. Token or User credentials required): it wants a token"),
            (&with, 401, kongs, "it does not accept LIFEBOAT_ADMIN_TOKEN"),
            (&without, 403, b"", "answers 403 Forbidden (no reason): if it wants a token"),
            (&with, 403, b"", "don't allow that"),
            (&without, 400, nginxs, "set LIFEBOAT_ADMIN_CERT and LIFEBOAT_ADMIN_CERT_KEY"),
        ] {
            let told = client.refusal(StatusCode::from_u16(status).unwrap(), None, body);
            assert!(told.contains(said), "{said:?} is missing in {told:?}");
        }
        let plain = without.refusal(StatusCode::NOT_FOUND, None, br#"{"message":"Not found"}"#);
        assert_eq!(plain, "answers 404 Not Found (Not found)");
        let away = with.refusal(StatusCode::FOUND, Some("https://evil.example.com/"), b"");
        assert!(away.contains("https://evil.example.com/") && away.contains("is not shown"), "{away}");
    }

    #[test]
    fn a_token_is_read_for_each_request_and_does_not_print() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let access = AdminAccess { token: Some(Secret::File(file.path().into())), ..AdminAccess::default() };
        let client = AdminClient::new(&access, Client::builder()).unwrap();
        for token in ["first", "second"] {
            std::fs::write(file.path(), format!("{token}\n")).unwrap();
            let request = client.request(Method::GET, "http://127.0.0.1:8001/".parse().unwrap()).unwrap();
            let request = request.build().unwrap();
            assert_eq!(request.headers()["Kong-Admin-Token"], token);
            assert!(!format!("{request:?}").contains(token), "{request:?}");
        }
    }
}
