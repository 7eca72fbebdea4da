//! Bits in the order in which deflate has them (RFC 1951 section 3.1.1): a byte's lowest is its first. What they mean is
//! not known here.

use std::ops::Range;

/// Appends these bits, the first of them as the lowest of a byte; what is left of the last byte is zero.
pub(super) fn append(bytes: &[u8], bits: Range<usize>, to: &mut Vec<u8>) {
    let (shift, end) = (bits.start % 8, to.len() + bits.len().div_ceil(8));
    let mut rest = &bytes[bits.start / 8..bits.end.div_ceil(8)];

    if shift == 0 {
        to.extend_from_slice(rest);
    } else {
        while let Some(nine) = rest.first_chunk::<9>() {
            let [a, b, c, d, e, f, g, h, next] = *nine;
            let word = u64::from_le_bytes([a, b, c, d, e, f, g, h]) >> shift | u64::from(next) << (64 - shift);
            to.extend_from_slice(&word.to_le_bytes());
            rest = &rest[8..];
        }
        for (at, byte) in rest.iter().enumerate() {
            let next = rest.get(at + 1).copied().unwrap_or_default();
            to.push(byte >> shift | next << (8 - shift));
        }
    }
    to.truncate(end);
    clear_after(to, bits.len() % 8);
}

/// Leaves these many bits; what is left of the last byte is zero.
pub(super) fn truncate(bytes: &mut Vec<u8>, bits: usize) {
    bytes.truncate(bits.div_ceil(8));
    clear_after(bytes, bits % 8);
}

/// Clears what is above the lowest `used` bits of the last byte; all are used if that is 0.
fn clear_after(bytes: &mut [u8], used: usize) {
    if let (Some(last), 1..) = (bytes.last_mut(), used) {
        *last &= (1 << used) - 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bit(bytes: &[u8], at: usize) -> u8 {
        bytes[at / 8] >> (at % 8) & 1
    }

    proptest! {
        #[test]
        fn bits_are_moved_as_they_are(bytes in prop::collection::vec(any::<u8>(), 1..100), from: u16, to: u16) {
            let (from, to) = (usize::from(from) % (8 * bytes.len()), usize::from(to) % (8 * bytes.len() + 1));
            let bits = from.min(to)..from.max(to);
            let mut moved = vec![0xff];
            append(&bytes, bits.clone(), &mut moved);
            prop_assert_eq!(moved.len(), 1 + bits.len().div_ceil(8));
            for at in 0..8 * (moved.len() - 1) {
                let expected = if at < bits.len() { bit(&bytes, bits.start + at) } else { 0 };
                prop_assert_eq!(bit(&moved[1..], at), expected);
            }
        }

        #[test]
        fn what_is_cut_off_is_zero(bytes in prop::collection::vec(any::<u8>(), 1..20), at: u16) {
            let bits = usize::from(at) % (8 * bytes.len() + 1);
            let (mut cut, mut copied) = (bytes.clone(), Vec::new());
            truncate(&mut cut, bits);
            append(&bytes, 0..bits, &mut copied);
            prop_assert_eq!(cut, copied);
        }
    }
}
