//! What Kong takes for a host name or an address (source: `kong/tools/utils.lua`, Apache-2.0, and what was recorded).

/// What a text is to Kong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) kind: AddressKind,
    pub(super) has_port: bool,
}

/// A kind of address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AddressKind {
    Ipv4,
    Ipv6,
    Name,
}

/// Why it is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoAddress {
    /// Neither a name nor an address.
    Invalid,
    /// Its port is beyond 65535.
    Port,
}

/// Reads a host with or without a port.
pub(super) fn parse(text: &str) -> Result<Address, NoAddress> {
    if text.matches(':').count() > 1 {
        return ipv6(text);
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b':') {
        return ipv4(text);
    }
    name(text)
}

fn ipv4(text: &str) -> Result<Address, NoAddress> {
    let (host, port) = split_port(text);
    let octets: Vec<&str> = host.split('.').collect();
    let is_octet = |octet: &&str| (1..=3).contains(&octet.len()) && octet.parse::<u8>().is_ok();
    if octets.len() != 4 || !octets.iter().all(is_octet) || host.contains(':') {
        return Err(NoAddress::Invalid);
    }
    with_port(AddressKind::Ipv4, port)
}

/// With its port only in brackets, and there also in Kong's looser form: what isn't certainly wrong is taken.
fn ipv6(text: &str) -> Result<Address, NoAddress> {
    let (host, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or(NoAddress::Invalid)?)),
        None => (text, None),
    };
    if !host.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.') {
        return Err(NoAddress::Invalid);
    }
    with_port(AddressKind::Ipv6, port)
}

fn name(text: &str) -> Result<Address, NoAddress> {
    let (host, port) = split_port(text);
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if host.is_empty() || !host.bytes().all(is_letter) {
        return Err(NoAddress::Invalid);
    }
    let labels: Vec<&str> = host.split('.').collect();
    let is_wrong = |(at, label): (usize, &&str)| label.ends_with('-') || label.is_empty() && at + 1 != labels.len();
    if labels.iter().enumerate().any(is_wrong) {
        return Err(NoAddress::Invalid);
    }
    with_port(AddressKind::Name, port)
}

fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => (host, Some(port)),
        _ => (text, None),
    }
}

fn with_port(kind: AddressKind, port: Option<&str>) -> Result<Address, NoAddress> {
    match port.map(str::parse::<u16>) {
        Some(Err(_)) => Err(NoAddress::Port),
        port => Ok(Address { kind, has_port: port.is_some() }),
    }
}

/// Whether a text is certainly no address and no range of addresses.
pub(super) fn is_no_range(text: &str) -> bool {
    let (host, bits) = text.split_once('/').map_or((text, None), |(host, bits)| (host, Some(bits)));
    let most = if host.contains(':') { 128 } else { 32 };
    let is_in_range = bits.is_none_or(|bits| bits.parse::<u8>().is_ok_and(|bits| bits <= most));
    let is_address = match parse(host) {
        Ok(address) => address.kind != AddressKind::Name && !address.has_port,
        Err(_) => false,
    };
    !(is_address && is_in_range)
}

#[cfg(test)]
mod tests {
    use super::AddressKind::{Ipv4, Ipv6, Name};
    use super::*;

    #[test]
    fn hosts_are_told_apart_as_kong_tells_them() {
        let found = |kind, has_port| Ok(Address { kind, has_port });
        for (text, expected) in [
            ("example.com", found(Name, false)),
            ("example.com.", found(Name, false)),
            ("a_b", found(Name, false)),
            ("1e3", found(Name, false)),
            ("example.com:80", found(Name, true)),
            ("10.0.0.1", found(Ipv4, false)),
            ("10.0.0.1:80", found(Ipv4, true)),
            ("::1", found(Ipv6, false)),
            ("[::1]:80", found(Ipv6, true)),
            ("999.1.1.1:80", Err(NoAddress::Invalid)),
            ("http://a", Err(NoAddress::Invalid)),
            ("a b", Err(NoAddress::Invalid)),
            ("~/a(", Err(NoAddress::Invalid)),
            ("ä", Err(NoAddress::Invalid)),
            (".example.com", Err(NoAddress::Invalid)),
            ("a-.b", Err(NoAddress::Invalid)),
            ("", Err(NoAddress::Invalid)),
            ("example.com:70000", Err(NoAddress::Port)),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn ranges_are_addresses_with_or_without_bits() {
        for text in ["10.0.0.1", "10.0.0.0/8", "::1", "fe80::/10", "0.0.0.0/0"] {
            assert!(!is_no_range(text), "{text}");
        }
        for text in ["get", "10.0.0.0/33", "999.1.1.1", "10.0.0.1:80", "", "/a", "*"] {
            assert!(is_no_range(text), "{text}");
        }
    }
}
