//! What certainly is no certificate and no key: what OpenSSL can't read at all. What one says is not read here.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const DECODER: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Whether a text holds no certificate.
pub(super) fn is_no_certificate(text: &str) -> bool {
    let der = blocks(text).find(|(label, _)| label.ends_with("CERTIFICATE"));
    der.is_none_or(|(_, body)| decode(body).is_none_or(|der| !is_sequence(&der)))
}

/// Whether a text holds no private key.
pub(super) fn is_no_private_key(text: &str) -> bool {
    let der = blocks(text).find(|(label, _)| label.ends_with("PRIVATE KEY"));
    der.is_none_or(|(_, body)| {
        // One that is encrypted has headers before its body, and Kong has no password for it; that is not judged here.
        !body.contains(':') && decode(body).is_none_or(|der| !is_sequence(&der))
    })
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
    fn what_openssl_can_not_read_at_all_is_no_key() {
        assert!(is_no_private_key("y") && is_no_private_key(EMPTY));
        for label in ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"] {
            assert!(!is_no_private_key(&EMPTY.replace("CERTIFICATE", label)), "{label}");
        }
        let encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nxx\n-----END RSA PRIVATE KEY-----";
        assert!(!is_no_private_key(encrypted));
    }
}
