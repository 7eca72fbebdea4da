//! The forward proxy on the way to the control plane: Kong's `cluster_use_proxy` and `proxy_server`.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use reqwest::Url;

use super::{Address, Reader};

/// Kong's default, whatever the scheme (Kong 3.9.1, `kong/clustering/utils.lua`).
const DEFAULT_PORT: u16 = 443;
const VALID: &str = "valid: http://proxy.example.com:3128, http://user:password@proxy.example.com:3128";

/// A proxy that is asked by HTTP CONNECT.
#[derive(Clone)]
pub struct Proxy {
    /// Where it is.
    pub address: Address,
    /// What `Proxy-Authorization` says, if it wants that.
    pub authorization: Option<HeaderValue>,
}

impl Proxy {
    /// The proxy, if one is to be used. The outer option: whether that could be read.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Option<Self>> {
        if !reader.switch("KONG_CLUSTER_USE_PROXY") {
            return Some(None);
        }
        let before = reader.problems().list().len();
        let Some(value) = reader.secret("KONG_PROXY_SERVER") else {
            if reader.problems().list().len() == before {
                reader.wrong(format!("KONG_PROXY_SERVER is not set, but KONG_CLUSTER_USE_PROXY is on ({VALID})"));
            }
            return None;
        };
        match Self::from_url(&value) {
            Ok(proxy) => Some(Some(proxy)),
            Err(why) => {
                reader.wrong(format!("KONG_PROXY_SERVER: {why} ({VALID})"));
                None
            }
        }
    }

    // No message repeats the URL: there may be a password in it.
    fn from_url(text: &str) -> Result<Self, &'static str> {
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

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;

    fn read(server: Option<&str>) -> Result<Option<Proxy>, String> {
        let server = server.map(|server| ("KONG_PROXY_SERVER".to_owned(), server.to_owned()));
        let on = ("KONG_CLUSTER_USE_PROXY".to_owned(), "on".to_owned());
        let source = Source::from_environment([on].into_iter().chain(server));
        let mut reader = Reader::new(&source);
        Proxy::read(&mut reader).ok_or_else(|| reader.into_problems().to_string())
    }

    #[test]
    fn a_proxy_is_read_from_its_url() {
        for (url, address) in [
            ("http://proxy.example.com:3128", "proxy.example.com:3128"),
            ("http://proxy.example.com", "proxy.example.com:443"),
            ("http://proxy.example.com:80/", "proxy.example.com:80"),
            ("http://[::1]:3128", "[::1]:3128"),
        ] {
            let proxy = read(Some(url)).unwrap().unwrap();
            assert_eq!((proxy.address.to_string().as_str(), proxy.authorization), (address, None));
        }
    }

    #[test]
    fn credentials_are_decoded_and_never_printed() {
        let proxy = read(Some("http://kong:s%40cret:wonderful@proxy.example.com:3128")).unwrap().unwrap();
        let expected = format!("Basic {}", STANDARD.encode("kong:s@cret:wonderful"));
        assert_eq!(proxy.authorization.as_ref().unwrap(), expected.as_str());
        assert_eq!(format!("{proxy:?}"), "Proxy(proxy.example.com:3128, ..)");
        assert!(!format!("{:?}", proxy.authorization).contains("Basic"));
    }

    #[test]
    fn what_is_wrong_is_said_with_a_valid_one_and_without_the_password() {
        assert!(read(None).unwrap_err().contains("KONG_PROXY_SERVER is not set"));
        for url in ["https://u:wonderful@proxy:1", "wonderful", "ftp://u:wonderful@proxy"] {
            let problem = read(Some(url)).unwrap_err();
            assert!(problem.contains("KONG_PROXY_SERVER") && problem.contains("valid: http://"), "{problem}");
            assert!(!problem.contains("wonderful"), "{problem}");
        }
    }
}
