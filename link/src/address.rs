//! A host and a port.

use std::fmt;
use std::str::FromStr;

/// Where to connect to: `host:port`, with brackets around an IPv6 address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// A text that is no such thing.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not host:port (valid: cp.example.com:8005, 10.0.0.7:8005, [::1]:8005)")]
pub struct InvalidAddress(String);

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = || InvalidAddress(text.chars().take(200).collect());
        let (host, port) = text.trim().rsplit_once(':').ok_or_else(invalid)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(invalid)?;
        let valid = match bare {
            Some(inside) => inside.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && !host.contains([':', '/', '@', ' ', '[', ']']),
        };
        valid.then(|| Self { host: bare.unwrap_or(host).to_owned(), port }).ok_or_else(invalid)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_it_was_read() {
        for text in ["cp.example.com:8005", "10.0.0.7:8005", "[::1]:8005"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_not_an_address_is_refused_with_examples() {
        for wrong in ["", "cp", "cp:", ":8005", "cp:0", "cp:99999", "https://cp:8005", "::1:8005", "[cp]:8005", "a b:1"]
        {
            assert!(wrong.parse::<Address>().unwrap_err().to_string().contains("valid: cp.example.com"), "{wrong}");
        }
    }
}
