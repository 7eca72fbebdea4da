//! Sizes and durations as somebody types them, in settings and in arguments: with a unit, or as a bare number of bytes or
//! seconds.

use std::time::Duration;

use lifeboat_core::room;

/// Units of sizes besides Kong's and nginx's own `k`, `m` and `g`, which are powers of 1024, too.
const UNITS: [(&str, u64); 7] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("b", 1),
];

/// A size in bytes: `16777216`, `16m`, `16MiB`, `16 MB`.
pub(crate) fn size(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    if let Some(size) = room::size(&text) {
        return Some(size);
    }
    let (number, factor) =
        UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?.trim_end(), factor)))?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse::<u64>().ok().filter(|number| is_number && *number > 0)?.checked_mul(*factor)
}

/// A duration: `90`, which counts seconds, `90s`, `1m 30s`.
///
/// # Errors
/// When it is none, with what is wrong.
pub(crate) fn duration(text: &str) -> Result<Duration, humantime::DurationError> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(seconds) if is_number => Ok(Duration::from_secs(seconds)),
        _ => humantime::parse_duration(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_or_counts_bytes() {
        for (text, bytes) in [
            ("4096", 4096),
            ("16m", 16 << 20),
            ("16M", 16 << 20),
            ("2g", 2 << 30),
            (" 64MiB ", 64 << 20),
            ("64 KiB", 64 << 10),
            ("1GiB", 1 << 30),
            ("16MB", 16_000_000),
            ("512b", 512),
        ] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for wrong in ["", "MiB", "0", "0MiB", "-1MiB", "+1MiB", "1.5GiB", "12TiB", "99999999999999999999GiB", "é"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_duration_has_a_unit_or_counts_seconds() {
        for (text, expected) in [("90", 90), ("0", 0), ("90s", 90), ("1m 30s", 90), ("2h", 7_200), ("1d", 86_400)] {
            assert_eq!(duration(text).unwrap(), Duration::from_secs(expected), "{text}");
        }
        assert_eq!(duration("500ms").unwrap(), Duration::from_millis(500));
        for wrong in ["", "soon", "-1", "+1", "1 fortnight"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
