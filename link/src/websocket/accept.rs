//! The server's half of the opening handshake: what of a request's head decides whether it becomes a link.

use http::{HeaderMap, Method, header};
use tungstenite::handshake::derive_accept_key;

use super::connect::RELAY_HEADER;

/// How many relays a link may pass through before the one that is asked.
pub const MOST_RELAYS: usize = 8;

/// What `Sec-WebSocket-Accept` has to say to a request that opens a WebSocket; none to any other (RFC 6455 section 4.2.1).
pub fn accept_key(method: &Method, headers: &HeaderMap) -> Option<String> {
    let has = |name, wanted: &str| {
        let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|token| token.trim().eq_ignore_ascii_case(wanted))
    };
    let valid = method == Method::GET
        && has(header::CONNECTION, "upgrade")
        && has(header::UPGRADE, "websocket")
        && has(header::SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| valid)?;
    Some(derive_accept_key(key.as_bytes()))
}

/// Whether a link has passed through this relay before, or through more relays than anybody would put in a row.
pub fn is_loop(relay: &str, headers: &HeaderMap) -> bool {
    let via = headers.get_all(RELAY_HEADER).into_iter().filter_map(|via| via.to_str().ok());
    let mut relays = via.flat_map(|via| via.split(',')).enumerate();
    relays.any(|(count, other)| other.trim() == relay || count >= MOST_RELAYS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_has_passed_through_this_relay_is_a_loop() {
        let headers = |via: &str| HeaderMap::from_iter([(RELAY_HEADER.parse().unwrap(), via.parse().unwrap())]);
        assert!(!is_loop("c", &HeaderMap::new()));
        assert!(!is_loop("c", &headers("a,b")));
        assert!(is_loop("c", &headers("a, c,b")));
        assert!(is_loop("x", &headers("a,b,c,d,e,f,g,h,i")));
    }

    #[test]
    fn only_a_websocket_handshake_is_accepted() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        // The key and the answer are RFC 6455's own example (section 1.3).
        let accept = accept_key(&Method::GET, &headers);
        assert_eq!(accept.as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(accept_key(&Method::POST, &headers), None);
        headers.remove("sec-websocket-version");
        assert_eq!(accept_key(&Method::GET, &headers), None);
    }
}
