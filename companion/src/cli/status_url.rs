//! Where a running lifeboat is asked, as somebody types it.

use std::str::FromStr;

use reqwest::Url;

/// The port of `LIFEBOAT_HTTP_LISTEN`'s default.
const PORT: u16 = 8115;

/// Where a lifeboat serves its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusUrl {
    /// As it was typed, without the scheme.
    pub name: String,
    /// Host and port, as in a URL.
    pub authority: String,
    /// The path of the status.
    pub path: String,
}

/// A text that names no such place.
#[derive(Debug, thiserror::Error)]
#[error("{0} (valid: http://10.0.3.7:8115, 10.0.3.7:8115, edge-7)")]
pub struct InvalidStatusUrl(&'static str);

impl FromStr for StatusUrl {
    type Err = InvalidStatusUrl;

    fn from_str(text: &str) -> Result<Self, InvalidStatusUrl> {
        let typed = text.trim();
        let whole = if typed.contains("://") { typed.to_owned() } else { format!("http://{typed}") };
        let url: Url = whole.parse().map_err(|_| InvalidStatusUrl("it is no URL"))?;
        match url.scheme() {
            "http" => {}
            "https" => return Err(InvalidStatusUrl("lifeboat serves its status in plain HTTP")),
            _ => return Err(InvalidStatusUrl("it must be a URL of http")),
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            return Err(InvalidStatusUrl("a status needs neither a password nor a query"));
        }

        let host = url.host_str().ok_or(InvalidStatusUrl("it names no host"))?;
        // A URL's own default would be 80, which can still be typed.
        let says_80 = typed.ends_with(":80") || typed.contains(":80/");
        let port = url.port().unwrap_or(if says_80 { 80 } else { PORT });
        let path = url.path().trim_end_matches('/').trim_end_matches("/status");
        let name = typed.strip_prefix("http://").unwrap_or(typed).trim_end_matches('/').trim_end_matches("/status");
        Ok(Self { name: name.to_owned(), authority: format!("{host}:{port}"), path: format!("{path}/status") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_url_a_host_with_a_port_or_a_host() {
        for (typed, name, authority, path) in [
            ("http://10.0.3.7:8115", "10.0.3.7:8115", "10.0.3.7:8115", "/status"),
            ("http://10.0.3.7:9000/status", "10.0.3.7:9000", "10.0.3.7:9000", "/status"),
            ("edge-7", "edge-7", "edge-7:8115", "/status"),
            ("edge-7:80", "edge-7:80", "edge-7:80", "/status"),
            ("[::1]:8115/", "[::1]:8115", "[::1]:8115", "/status"),
            ("http://proxy:8080/lifeboat/1", "proxy:8080/lifeboat/1", "proxy:8080", "/lifeboat/1/status"),
        ] {
            let expected = StatusUrl { name: name.into(), authority: authority.into(), path: path.into() };
            assert_eq!(typed.parse::<StatusUrl>().unwrap(), expected);
        }
    }

    #[test]
    fn what_is_no_such_place_is_refused_with_one_that_is() {
        for typed in ["https://edge-7:8115", "ftp://edge-7", "http://user:secret@edge-7", "http://", "a b"] {
            let refused = typed.parse::<StatusUrl>().unwrap_err().to_string();
            assert!(refused.contains("valid: http://10.0.3.7:8115"), "{typed}: {refused}");
        }
    }
}
