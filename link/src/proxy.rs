//! A forward proxy on the way to the control plane: Kong's `cluster_use_proxy` and `proxy_server`.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use reqwest::Url;

use crate::Address;

/// Kong's default, whatever the scheme (Kong 3.9.1, `kong/clustering/utils.lua`).
const DEFAULT_PORT: u16 = 443;

/// A proxy that is asked by HTTP CONNECT.
#[derive(Clone)]
pub struct Proxy {
    /// Where it is.
    pub address: Address,
    /// What `Proxy-Authorization` says, if it wants that.
    pub authorization: Option<HeaderValue>,
}

impl Proxy {
    /// The proxy that a URL names.
    ///
    /// # Errors
    /// What is wrong with the URL. It is not repeated, since there may be a password in it.
    pub fn from_url(text: &str) -> Result<Self, &'static str> {
        let url = text.parse::<Url>().map_err(|_| "it is not a URL")?;
        match url.scheme() {
            "http" => {}
            "https" => {
                return Err("lifeboat speaks plain HTTP with a proxy, which sees only TLS in it: name its HTTP port");
            }
            _ => return Err("it must be a URL of http"),
        }
        let host = url.host_str().ok_or("it names no host")?.trim_matches(['[', ']']).to_owned();
        // The library leaves out a port that is the scheme's own.
        let says_80 = text.trim_end_matches('/').ends_with(":80");
        let port = url.port().unwrap_or(if says_80 { 80 } else { DEFAULT_PORT });
        Ok(Self { address: Address { host, port }, authorization: authorization(&url)? })
    }
}

// RFC 7617. Kong, too, sends none unless there are both.
fn authorization(url: &Url) -> Result<Option<HeaderValue>, &'static str> {
    let Some(password) = url.password().filter(|_| !url.username().is_empty()) else { return Ok(None) };
    let decoded = |part: &str| percent_decode_str(part).collect::<Vec<u8>>();
    let pair = [decoded(url.username()), decoded(password)].join(&b':');
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))
        .map_err(|_| "its user or password can't be sent")?;
    value.set_sensitive(true);
    Ok(Some(value))
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credentials = if self.authorization.is_some() { ", .." } else { "" };
        write!(f, "Proxy({}{credentials})", self.address)
    }
}
