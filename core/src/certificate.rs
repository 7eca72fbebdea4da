//! Certificates and keys as text: what OpenSSL certainly can't read at all, and until when a certificate is valid. Nothing
//! is trusted or verified here.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::time::WallTime;

const DECODER: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Whether a text holds no certificate.
pub(crate) fn is_no_certificate(text: &str) -> bool {
    let der = blocks(text).find(|(label, _)| label.ends_with("CERTIFICATE"));
    der.is_none_or(|(_, body)| decode(body).is_none_or(|der| !is_sequence(&der)))
}

/// Whether a text holds no private key.
pub(crate) fn is_no_private_key(text: &str) -> bool {
    let der = blocks(text).find(|(label, _)| label.ends_with("PRIVATE KEY"));
    der.is_none_or(|(_, body)| {
        // One that is encrypted has headers before its body, and Kong has no password for it; that is not judged here.
        !body.contains(':') && decode(body).is_none_or(|der| !is_sequence(&der))
    })
}

/// Until when the first certificate in a text is valid; nothing where that can't be read.
pub fn valid_until(text: &str) -> Option<WallTime> {
    let (_, body) = blocks(text).find(|(label, _)| label.ends_with("CERTIFICATE"))?;
    let certificate = decode(body)?;
    let (certificate, _) = element(&certificate, SEQUENCE)?;
    let (to_be_signed, _) = element(certificate, SEQUENCE)?;
    // RFC 5280 section 4.1: version (absent in version 1), serial number, algorithm, issuer, validity.
    let rest = element(to_be_signed, VERSION).map_or(to_be_signed, |(_, rest)| rest);
    let (_, rest) = element(rest, INTEGER)?;
    let (_, rest) = element(rest, SEQUENCE)?;
    let (_, rest) = element(rest, SEQUENCE)?;
    let (validity, _) = element(rest, SEQUENCE)?;
    let (_, rest) = element(validity, UTC_TIME).or_else(|| element(validity, GENERALIZED_TIME))?;
    let (time, _) = element(rest, UTC_TIME).or_else(|| element(rest, GENERALIZED_TIME))?;
    seconds(std::str::from_utf8(time).ok()?)
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// The content of an element of DER with this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    if *first != tag {
        return None;
    }
    let (length, rest) = match rest {
        [short @ 0..=0x7f, rest @ ..] => (usize::from(*short), rest),
        [0x81, a, rest @ ..] => (usize::from(*a), rest),
        [0x82, a, b, rest @ ..] => (usize::from(u16::from_be_bytes([*a, *b])), rest),
        [0x83, a, b, c, rest @ ..] => (u32::from_be_bytes([0, *a, *b, *c]) as usize, rest),
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// A time of RFC 5280 section 4.1.2.5, which is always in UTC and to the second.
fn seconds(time: &str) -> Option<WallTime> {
    let digits = time.strip_suffix('Z')?;
    let (century, digits) = match digits.len() {
        12 if digits < "50" => ("20", digits),
        12 => ("19", digits),
        14 => ("", digits),
        _ => return None,
    };
    let digits = format!("{century}{digits}");
    let part = |from: usize, to: usize| digits.get(from..to);
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 10)?,
        part(10, 12)?,
        part(12, 14)?
    );

    // What lies before 1970 is as long over as anything.
    let time = humantime::parse_rfc3339(&text).unwrap_or(SystemTime::UNIX_EPOCH + Duration::from_secs(1));
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| WallTime::from_system(time))
}

/// Labels and bodies of the blocks.
fn blocks(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split("-----BEGIN ").skip(1).filter_map(|block| {
        let (label, rest) = block.split_once("-----")?;
        let (body, _) = rest.split_once("-----END ")?;
        Some((label, body))
    })
}

fn decode(body: &str) -> Option<Vec<u8>> {
    let body: String = body.split_ascii_whitespace().collect();
    DECODER.decode(body).ok()
}

/// Whether it begins as DER does, and is as long as it says (X.690 section 8.1).
fn is_sequence(der: &[u8]) -> bool {
    let length = match der {
        [0x30, short @ 0..=0x7f, ..] => 2 + usize::from(*short),
        [0x30, 0x81, a, ..] => 3 + usize::from(*a),
        [0x30, 0x82, a, b, ..] => 4 + usize::from(u16::from_be_bytes([*a, *b])),
        // Longer than anything that Kong holds, or not DER but BER: not judged.
        [0x30, 0x80 | 0x83.., ..] => return true,
        _ => return false,
    };
    length <= der.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";

    #[test]
    fn what_openssl_can_not_read_at_all_is_no_certificate() {
        for text in [
            "",
            "get",
            "-----BEGIN CERTIFICATE-----",
            "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----",
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
            "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----",
        ] {
            assert!(is_no_certificate(text), "{text}");
        }
        for text in [EMPTY, &format!("a comment\n{EMPTY}{EMPTY}"), &EMPTY.replace('\n', "\r\n")] {
            assert!(!is_no_certificate(text), "{text}");
        }
    }

    #[test]
    fn a_certificate_says_until_when_it_is_valid() {
        // By `openssl x509 -enddate`: one of version 3, and one of version 1.
        let shared = include_str!("../../tests/data/kong-3.9.1/cluster.crt");
        assert_eq!(valid_until(shared).unwrap().to_string(), "2029-11-19T09:31:18.000Z");
        assert_eq!(valid_until(EMPTY), None);
        assert_eq!(valid_until("x"), None);
    }

    #[test]
    fn times_are_read_as_rfc_5280_writes_them() {
        let read = |time: &str| seconds(time).map(|time| time.to_string());
        assert_eq!(read("261129202624Z").as_deref(), Some("2026-11-29T20:26:24.000Z"));
        assert_eq!(read("20500101000000Z").as_deref(), Some("2050-01-01T00:00:00.000Z"));
        assert_eq!(read("991231235959Z").as_deref(), Some("1999-12-31T23:59:59.000Z"));
        for wrong in ["", "Z", "261129202624", "2611292026Z", "é61129202624Z"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_openssl_can_not_read_at_all_is_no_key() {
        assert!(is_no_private_key("y") && is_no_private_key(EMPTY));
        for label in ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"] {
            assert!(!is_no_private_key(&EMPTY.replace("CERTIFICATE", label)), "{label}");
        }
        let encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nxx\n-----END RSA PRIVATE KEY-----";
        assert!(!is_no_private_key(encrypted));
    }
}
