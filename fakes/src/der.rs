//! As much of DER (X.690) as a version 1 certificate is made of. Writing only; the product reads certificates with
//! x509-cert.

use std::time::SystemTime;

/// The universal tags that are used, X.680 section 8.6.
#[derive(Clone, Copy)]
pub(super) enum Tag {
    Integer = 0x02,
    BitString = 0x03,
    ObjectIdentifier = 0x06,
    Utf8String = 0x0c,
    UtcTime = 0x17,
    GeneralizedTime = 0x18,
    Sequence = 0x30,
    Set = 0x31,
    /// `uniformResourceIdentifier` of a GeneralName, RFC 5280 section 4.2.1.6.
    UniformResourceIdentifier = 0x86,
}

/// One value: tag, length, content.
pub(super) fn value(tag: Tag, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag as u8];
    match content.len() {
        length @ 0..0x80 => bytes.push(length as u8),
        length => {
            let digits: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            bytes.push(0x80 | digits.len() as u8);
            bytes.extend(digits);
        }
    }
    bytes.extend_from_slice(content);
    bytes
}

/// A sequence of values that are encoded already.
pub(super) fn sequence(items: &[Vec<u8>]) -> Vec<u8> {
    value(Tag::Sequence, &items.concat())
}

/// A bit string without unused bits.
pub(super) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    value(Tag::BitString, &[&[0], bytes].concat())
}

/// A distinguished name of one attribute.
pub(super) fn name(attribute: &[u8], text: &str) -> Vec<u8> {
    let pair = sequence(&[value(Tag::ObjectIdentifier, attribute), value(Tag::Utf8String, text.as_bytes())]);
    sequence(&[value(Tag::Set, &pair)])
}

/// A time in whole seconds: `UTCTime` until 2049, `GeneralizedTime` from 2050 (RFC 5280 section 4.1.2.5).
pub(super) fn time(at: SystemTime) -> Vec<u8> {
    let text = humantime::format_rfc3339_seconds(at).to_string();
    let (year, rest) = text.split_once('-').expect("RFC 3339 begins with a year");
    let digits: String = rest.chars().filter(char::is_ascii_digit).collect();
    match &year[..2] {
        century @ ("19" | "20") if century == "19" || &year[2..] < "50" => {
            value(Tag::UtcTime, format!("{}{digits}Z", &year[2..]).as_bytes())
        }
        _ => value(Tag::GeneralizedTime, format!("{year}{digits}Z").as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn lengths_have_the_form_that_x690_gives_them() {
        assert_eq!(value(Tag::Integer, &[1]), [2, 1, 1]);
        assert_eq!(value(Tag::Sequence, &[0; 127])[..2], [0x30, 127]);
        assert_eq!(value(Tag::Sequence, &[0; 200])[..3], [0x30, 0x81, 200]);
        assert_eq!(value(Tag::Sequence, &[0; 300])[..4], [0x30, 0x82, 1, 44]);
    }

    #[test]
    fn from_2050_a_year_has_four_digits() {
        let at = |seconds| time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0)[2..], *b"700101000000Z");
        assert_eq!(at(2_524_607_999)[2..], *b"491231235959Z");
        assert_eq!(at(2_524_608_000)[2..], *b"20500101000000Z");
    }
}
