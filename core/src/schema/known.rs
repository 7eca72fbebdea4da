//! What Kong checks by code, so that its schemas don't show it: host names, names, tags, certificates. Known from what a
//! real Kong said to configurations (`tests/data/kong-3.9.1/acceptance.jsonl.gz`, `files.jsonl`) and from the Apache-2.0
//! sources of its released versions (`kong/db/schema/typedefs.lua`). Only what is certain is refused.

use super::address::{self, AddressKind, NoAddress};
use super::language::{Field, Record, Rule, Type};
use super::{SchemaSet, perl_regex};
use crate::certificate;

/// A check of Kong's that its schema doesn't show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// A host or an address without a port.
    Host,
    /// A host that a route answers to: with a wildcard, with a port.
    RouteHost,
    /// Where an upstream's target is.
    Target,
    /// An upstream's name, which a service's host may be.
    UpstreamName,
    /// A server name in a TLS handshake.
    ServerName,
    /// What an entity is called.
    Name,
    Tag,
    /// A route's path from 3.0 on, where `~` begins a regular expression.
    RoutePath,
    /// A path of RFC 3986.
    Path,
    Certificate,
    /// One that Kong refuses once it has expired, and with it all of a configuration.
    CaCertificate,
    PrivateKey,
    HeaderName,
    /// An address or a range of addresses.
    AddressRange,
    /// An address with a scheme and a host.
    Url,
    /// What a browser's origin must be: `*` or a regular expression.
    ConfigSource,
    /// A program, which Kong compiles.
    Code,
}

/// Says where Kong checks what its schemas don't show.
pub(super) fn add(set: &mut SchemaSet) {
    for (kind, record) in &mut set.entities {
        for (name, field) in &mut record.fields {
            match (kind.as_str(), name.as_str()) {
                ("services", "host") => mark(field, Known::Host),
                ("upstreams", "name") => mark(field, Known::UpstreamName),
                ("upstreams", "hash_on_header" | "hash_fallback_header") => mark(field, Known::HeaderName),
                ("targets", "target") => mark(field, Known::Target),
                ("snis", "name") => mark(field, Known::ServerName),
                ("services" | "routes", "name") => mark(field, Known::Name),
                ("routes", "hosts") => mark_elements(field, Known::RouteHost),
                ("routes", "paths") if has_regex_prefix(field) => mark_elements(field, Known::RoutePath),
                ("routes", "snis") => mark_elements(field, Known::ServerName),
                ("routes", "sources" | "destinations") => mark_ranges(field),
                ("certificates", "cert" | "cert_alt") => mark(field, Known::Certificate),
                ("ca_certificates", "cert") => mark(field, Known::CaCertificate),
                ("certificates", "key" | "key_alt") => mark(field, Known::PrivateKey),
                _ => {}
            }
        }
    }

    for (plugin, record) in &mut set.plugins {
        let Some(Field { of_type: Type::Record(config), .. }) = record.fields.get_mut("config") else { continue };
        for (name, field) in &mut config.fields {
            match (plugin.as_str(), name.as_str()) {
                ("pre-function" | "post-function", _) => mark_elements(field, Known::Code),
                ("ip-restriction", "allow" | "deny") => mark_elements(field, Known::AddressRange),
                ("cors", "origins") => mark_elements(field, Known::ConfigSource),
                ("http-log", "http_endpoint") => mark(field, Known::Url),
                ("key-auth", "key_names") => mark_elements(field, Known::HeaderName),
                (_, "custom_fields_by_lua") => mark_values(field, Known::Code),
                _ => {}
            }
        }
    }

    let records = set.entities.values_mut().chain(set.plugins.values_mut());
    records.for_each(mark_everywhere);
}

/// What looks the same in all entities and plugins.
fn mark_everywhere(record: &mut Record) {
    for (name, field) in &mut record.fields {
        if is_path(field) {
            mark(field, Known::Path);
        }
        match (name.as_str(), &mut field.of_type) {
            ("tags", Type::Set(elements)) => mark(elements, Known::Tag),
            (_, Type::Record(inner)) => mark_everywhere(inner),
            _ => {}
        }
    }
}

/// What Kong calls a path is the only thing that begins with a slash and has no two in a row.
fn is_path(field: &Field) -> bool {
    let begins = |rule: &Rule| matches!(rule, Rule::StartsWith(begin) if begin == "/");
    let is_whole = |rule: &Rule| matches!(rule, Rule::MatchesNone(_));
    field.rules.iter().any(begins) && field.rules.iter().any(is_whole)
}

fn has_regex_prefix(paths: &Field) -> bool {
    let Type::Array(elements) = &paths.of_type else { return false };
    elements
        .rules
        .iter()
        .any(|rule| matches!(rule, Rule::MatchesAny(patterns, _) if patterns.iter().any(|one| one.source() == "^~/")))
}

fn mark(field: &mut Field, known: Known) {
    if matches!(field.of_type, Type::Text) {
        field.known = Some(known);
    }
}

fn mark_elements(field: &mut Field, known: Known) {
    if let Type::Array(elements) | Type::Set(elements) = &mut field.of_type {
        mark(elements, known);
    }
}

fn mark_values(field: &mut Field, known: Known) {
    if let Type::Map { values, .. } = &mut field.of_type {
        mark(values, known);
    }
}

fn mark_ranges(field: &mut Field) {
    if let Type::Array(elements) | Type::Set(elements) = &mut field.of_type
        && let Type::Record(record) = &mut elements.of_type
        && let Some(ip) = record.fields.get_mut("ip")
    {
        mark(ip, Known::AddressRange);
    }
}

impl Known {
    /// Why Kong refuses a text, in its words.
    pub(super) fn mistake(self, text: &str) -> Option<String> {
        match self {
            Self::Host => match address::parse(text) {
                Err(NoAddress::Invalid) => Some(format!("invalid value: {text}")),
                Err(NoAddress::Port) => Some("must not have a port".to_owned()),
                Ok(address) => address.has_port.then(|| "must not have a port".to_owned()),
            },
            Self::RouteHost => {
                let host = text.replace('*', "wildcard");
                (address::parse(&host) == Err(NoAddress::Invalid)).then(|| format!("invalid value: {text}"))
            }
            Self::Target => address::parse(text)
                .is_err()
                .then(|| format!("Invalid target ('{text}'); not a valid hostname or ip address")),
            Self::UpstreamName => match address::parse(text) {
                Err(_) => Some(format!("Invalid name ('{text}'); must be a valid hostname")),
                Ok(address) if address.kind != AddressKind::Name => {
                    Some(format!("Invalid name ('{text}'); no ip addresses allowed"))
                }
                Ok(address) => address.has_port.then(|| format!("Invalid name ('{text}'); no port allowed")),
            },
            Self::ServerName => {
                let name = text.replace('*', "wildcard");
                (address::parse(&name) == Err(NoAddress::Invalid)).then(|| format!("invalid value: {text}"))
            }
            Self::Name => {
                let is_allowed = |byte: u8| !byte.is_ascii() || byte.is_ascii_alphanumeric() || b".-_~".contains(&byte);
                (!text.bytes().all(is_allowed)).then(|| {
                    format!(
                        "invalid value '{text}': the only accepted ascii characters are alphanumerics or ., -, _, and ~"
                    )
                })
            }
            Self::Tag => {
                let is_allowed = |byte: u8| !matches!(byte, b',' | b'/' | 0..=0x1f | 0x7f);
                (!text.bytes().all(is_allowed)).then(|| {
                    format!(
                        "invalid tag '{text}': expected printable ascii (except `,` and `/`) or valid utf-8 sequences"
                    )
                })
            }
            Self::RoutePath => {
                let regex = text.strip_prefix('~')?;
                perl_regex::mistake(regex).map(|reason| format!("invalid regex: '{regex}' (PCRE: {reason})"))
            }
            Self::Path => path_mistake(text),
            Self::Certificate | Self::CaCertificate => {
                certificate::is_no_certificate(text).then(|| "invalid certificate".to_owned())
            }
            Self::PrivateKey => certificate::is_no_private_key(text).then(|| "invalid key".to_owned()),
            Self::HeaderName => {
                let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
                (!text.bytes().all(is_allowed))
                    .then(|| format!("bad header name '{text}', allowed characters are A-Z, a-z, 0-9, '_', and '-'"))
            }
            Self::AddressRange => address::is_no_range(text).then(|| format!("invalid ip or cidr range: '{text}'")),
            Self::Url => url_mistake(text),
            Self::ConfigSource if text == "*" => None,
            Self::ConfigSource => {
                perl_regex::mistake(text).map(|reason| format!("'{text}' is not a valid regex (PCRE: {reason})"))
            }
            Self::Code => None,
        }
    }
}

fn path_mistake(path: &str) -> Option<String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_~/%!$&'()*+,;=@:".contains(&byte);
    if !path.bytes().all(is_allowed) {
        return Some(format!("invalid path: '{path}' (characters outside of the reserved list of RFC 3986 found)"));
    }
    let is_encoded = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    let wrong = path.split('%').skip(1).find(|rest| !is_encoded(rest))?;
    Some(format!("invalid url-encoded value: '%{}'", wrong.chars().take(2).collect::<String>()))
}

fn url_mistake(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once(':').map_or(("", url), |(scheme, rest)| (scheme, rest));
    let has_host = rest.strip_prefix("//").is_some_and(|host| !host.is_empty() && !host.starts_with(['/', '?', '#']));
    match (has_host, scheme) {
        (false, _) => Some("missing host in url".to_owned()),
        (true, "") => Some("missing scheme in url".to_owned()),
        _ => None,
    }
}
