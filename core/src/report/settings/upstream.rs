//! Where a call goes: an address, or in Envoy the name of a cluster. Not here: the calls.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::report::NamedHost;

/// Where a call goes. Kong wants `IP:port`, and a host name there ends in "resolver failure" (KONG.md section 4,
/// point 2); Envoy wants the name of a cluster (point 11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    text: String,
    is_cluster: bool,
}

impl Upstream {
    const LONGEST_CLUSTER: usize = 255;

    /// An address with a port, or the name of a cluster. A name with a port is neither: no gateway could call it.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return (address.port() != 0).then(|| Self { text: address.to_string(), is_cluster: false });
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'|');
        let is_cluster = (1..=Self::LONGEST_CLUSTER).contains(&text.len())
            && text.bytes().all(allowed)
            && text.bytes().any(|byte| byte.is_ascii_alphabetic())
            && text.parse::<IpAddr>().is_err();
        is_cluster.then(|| Self { text: text.to_owned(), is_cluster })
    }

    /// The address or name as Proxy-Wasm's dispatch wants it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether this host can call it: Envoy calls clusters, Kong addresses.
    pub(super) fn suits(&self, host: Option<NamedHost>) -> bool {
        self.is_cluster == (host == Some(NamedHost::Envoy))
    }

    /// Whether it is the name of a cluster of Envoy's.
    pub fn is_cluster(&self) -> bool {
        self.is_cluster
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_a_port_and_a_cluster_can_be_called() {
        for (text, is_cluster) in [
            ("127.0.0.1:8100", false),
            ("[::1]:8115", false),
            ("lifeboat", true),
            ("outbound|8115||lifeboat.default.svc.cluster.local", true),
        ] {
            let upstream = Upstream::parse(text).unwrap();
            assert_eq!((upstream.as_str(), upstream.is_cluster()), (text, is_cluster));
        }
    }

    #[test]
    fn what_no_gateway_could_call_is_refused() {
        let long = "x".repeat(256);
        for text in
            ["localhost:8100", "127.0.0.1", "::1", "127.0.0.1:0", ":8100", "http://1.2.3.4:1", "", "8100", "a b", &long]
        {
            assert_eq!(Upstream::parse(text), None, "{text}");
        }
    }
}
