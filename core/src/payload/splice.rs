//! A payload made of a message's own deflate blocks: what a control plane has compressed isn't compressed again. Which
//! part of the message the configuration is, and what its blocks are, is found out elsewhere.
//!
//! Deflate refers backwards at most 32 KiB (RFC 1951 section 2), so a block that begins later than that in the
//! configuration needs nothing that stands before it, and the same bits produce the same text in a payload. What is
//! before the first such block and after the last whole one is compressed anew.

use std::ops::Range;

use zlib_rs::{Inflate, InflateFlush, Status};

use super::{END, HEADER, Payload, deflate_blocks};
use crate::seal::TAG_BYTES;

/// How far deflate refers backwards, in bytes.
const WINDOW: usize = 32 * 1024;
/// How much text tells a place at which blocks are read correctly from the seven beside it.
const PROOF: usize = 4 * 1024;
/// What is compared at once.
const CHUNK: usize = 128 * 1024;

/// A place in gzip between two deflate blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Boundary {
    /// How many bytes a decompressor has read here. Of the last one up to seven bits belong to the next block.
    pub(crate) read: usize,
    /// How many bytes of text stand before it.
    pub(crate) text: usize,
}

/// The part `place` of `text` as a payload, made of the blocks of `gzip`, which is `text` compressed. It has been
/// decompressed and compared. `None` where the blocks don't lend themselves to that.
pub(crate) fn splice(gzip: &[u8], text: &[u8], place: Range<usize>, boundaries: &[Boundary]) -> Option<Payload> {
    let usable = |boundary: &&Boundary| {
        boundary.text >= place.start + WINDOW && boundary.text <= place.end && boundary.text + PROOF <= text.len()
    };
    let first = boundaries.iter().find(usable)?;
    let last = boundaries.iter().rfind(usable)?;
    let bits = first_bit(gzip, text, *first)?..first_bit(gzip, text, *last)?;
    if bits.is_empty() {
        return None;
    }
    let mut spliced = Vec::with_capacity(gzip.len() + CHUNK);
    spliced.extend_from_slice(HEADER);
    deflate_blocks(&text[place.start..first.text], &mut spliced);
    put_bits(gzip, bits, &mut spliced);
    deflate_blocks(&text[last.text..place.end], &mut spliced);
    spliced.extend_from_slice(&END[4..]);
    let json = &text[place];
    spliced.extend_from_slice(&zlib_rs::crc32::crc32(0, json).to_le_bytes());
    spliced.extend_from_slice(&(json.len() as u32).to_le_bytes());
    spliced.shrink_to(spliced.len() + TAG_BYTES);
    expands_to(&spliced, json).then(|| Payload(spliced.into()))
}

/// Where in `gzip` the block after a boundary begins, in bits. The decompressor doesn't say how many bits of the last
/// byte it has left over: there are eight possibilities, and from one of them the same text comes.
fn first_bit(gzip: &[u8], text: &[u8], boundary: Boundary) -> Option<usize> {
    let before = &text[boundary.text.saturating_sub(WINDOW)..boundary.text];
    let after = text.get(boundary.text..boundary.text + PROOF)?;
    let begins_at = |bit: &usize| {
        // The most that so much text can take, with its codes.
        let end = (bit + 8 * (2 * PROOF + 1024)).min(8 * gzip.len());
        let mut bytes = Vec::new();
        shift_bits(gzip, *bit..end, &mut bytes);
        let mut inflate = Inflate::new(false, 15);
        let mut produced = vec![0; PROOF];
        inflate.set_dictionary(before).is_ok()
            && inflate.decompress(&bytes, &mut produced, InflateFlush::NoFlush).is_ok()
            && produced == after
    };
    (0..8).map_while(|left| (8 * boundary.read).checked_sub(left)).find(begins_at)
}

/// Appends blocks, and an empty stored one after which a byte begins, as a sync flush does.
fn put_bits(gzip: &[u8], bits: Range<usize>, spliced: &mut Vec<u8>) {
    let used = bits.len() % 8;
    shift_bits(gzip, bits, spliced);
    // Three bits of its header, all zero, and zeros up to the next byte. What a byte has no room for begins another.
    if used == 0 || used > 5 {
        spliced.push(0);
    }
    spliced.extend_from_slice(&END[..4]);
}

/// Appends these bits, the first of them as the lowest of a byte; what is left of the last byte is zero.
fn shift_bits(bytes: &[u8], bits: Range<usize>, shifted: &mut Vec<u8>) {
    let (shift, count) = (bits.start % 8, bits.len().div_ceil(8));
    let end = shifted.len() + count;
    let mut rest = &bytes[bits.start / 8..bits.end.div_ceil(8)];
    if shift == 0 {
        shifted.extend_from_slice(rest);
    } else {
        while let Some(word) = rest.first_chunk::<9>() {
            let (low, high) = (u64::from_le_bytes(*word.first_chunk().expect("9 is more than 8")), word[8]);
            shifted.extend_from_slice(&(low >> shift | u64::from(high) << (64 - shift)).to_le_bytes());
            rest = &rest[8..];
        }
        for (at, byte) in rest.iter().enumerate() {
            let next = rest.get(at + 1).copied().unwrap_or_default();
            shifted.push(byte >> shift | next << (8 - shift));
        }
    }
    shifted.truncate(end);
    if let (Some(last), used @ 1..) = (shifted.last_mut(), bits.len() % 8) {
        *last &= (1 << used) - 1;
    }
}

/// Whether gzip of one member is exactly this text, checksum and all.
fn expands_to(gzip: &[u8], text: &[u8]) -> bool {
    let (mut inflate, mut rest) = (Inflate::new(true, 31), text);
    let mut chunk = vec![0; CHUNK];
    loop {
        let (read, written) = (inflate.total_in() as usize, inflate.total_out());
        let status = inflate.decompress(&gzip[read..], &mut chunk, InflateFlush::NoFlush);
        let Some(after) = rest.strip_prefix(&chunk[..(inflate.total_out() - written) as usize]) else { return false };
        rest = after;
        match status {
            Ok(Status::StreamEnd) => return rest.is_empty() && inflate.total_in() as usize == gzip.len(),
            Ok(_) if inflate.total_in() as usize > read || inflate.total_out() > written => {}
            Ok(_) | Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compress, Compression, FlushCompress};
    use proptest::prelude::*;

    use super::*;

    /// All boundaries of gzip, as the reader of messages finds them.
    fn boundaries(gzip: &[u8], text: &[u8]) -> Vec<Boundary> {
        let mut inflate = Inflate::new(true, 31);
        let mut out = vec![0; text.len() + 1];
        let mut found = Vec::new();
        loop {
            let (read, written) = (inflate.total_in() as usize, inflate.total_out() as usize);
            let status = inflate.decompress(&gzip[read..], &mut out[written..], InflateFlush::Block).unwrap();
            if status == Status::StreamEnd {
                assert_eq!(&out[..text.len()], text);
                return found;
            }
            found.push(Boundary { read: inflate.total_in() as usize, text: inflate.total_out() as usize });
        }
    }

    fn gzip(text: &[u8], level: u32, flush_every: usize) -> Vec<u8> {
        let mut compress = Compress::new_gzip(Compression::new(level), 15);
        let mut gzip = Vec::with_capacity(text.len() + text.len() / flush_every * 16 + 1024);
        for piece in text.chunks(flush_every) {
            compress.compress_vec(piece, &mut gzip, FlushCompress::Sync).unwrap();
        }
        compress.compress_vec(b"", &mut gzip, FlushCompress::Finish).unwrap();
        gzip
    }

    /// Text that compresses as configurations do.
    fn text(length: usize, seed: u64) -> Vec<u8> {
        let mut state = seed;
        let mut text = String::new();
        while text.len() < length {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text += &format!("{{\"id\":\"{state:016x}\",\"protocols\":[\"http\",\"https\"],\"enabled\":true}},");
        }
        text.into_bytes()
    }

    fn spliced(gzip: &[u8], text: &[u8], place: Range<usize>) -> Option<Payload> {
        splice(gzip, text, place, &boundaries(gzip, text))
    }

    #[test]
    fn most_of_a_message_is_taken_over_as_it_is() {
        let text = text(1_000_000, 1);
        for level in [3, 6, 9] {
            let gzip = gzip(&text, level, usize::MAX);
            let found = boundaries(&gzip, &text);
            let place = 100..text.len() - 50;
            let payload = splice(&gzip, &text, place.clone(), &found).unwrap();
            assert_eq!(payload.blocks().length as usize, place.len());
            assert!(expands_to(payload.bytes(), &text[place]), "level {level}");
            // The same bits are in it, at another place.
            let (first, last) = (found[found.len() / 2], found[found.len() / 2 + 1]);
            let bits = first_bit(&gzip, &text, first).unwrap()..first_bit(&gzip, &text, last).unwrap();
            let is_there = (0..8).any(|shift| {
                let mut middle = Vec::new();
                shift_bits(&gzip, bits.start + shift..bits.end, &mut middle);
                middle.pop();
                memchr::memmem::find(payload.bytes(), &middle).is_some()
            });
            assert!(is_there, "level {level}");
        }
    }

    #[test]
    fn what_is_not_the_text_is_noticed() {
        let text = text(500_000, 2);
        let gzip = gzip(&text, 6, usize::MAX);
        assert!(expands_to(&gzip, &text));
        assert!(!expands_to(&gzip, &text[1..]) && !expands_to(&gzip, &text[..text.len() - 1]));
        assert!(!expands_to(&gzip[..gzip.len() - 1], &text) && !expands_to(&[&gzip[..], b"x"].concat(), &text));
        for at in (20..gzip.len()).step_by(997) {
            let mut changed = gzip.clone();
            changed[at] ^= 4;
            assert!(!expands_to(&changed, &text), "byte {at}");
        }
        // The text of another message: its blocks produce something else.
        let other = self::text(500_000, 3);
        assert_eq!(splice(&gzip, &other, 10..other.len() - 10, &boundaries(&gzip, &text)), None);
    }

    #[test]
    fn what_has_no_block_to_take_over_is_left_to_the_compressor() {
        let short = text(20_000, 4);
        assert_eq!(spliced(&gzip(&short, 6, usize::MAX), &short, 5..short.len()), None);
        // One block alone, as zlib-rs makes at level 1: there is no boundary inside.
        let long = text(1_000_000, 5);
        assert_eq!(spliced(&gzip(&long, 1, usize::MAX), &long, 5..long.len()), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_payload_is_exactly_the_part_of_the_text(
            length in 50_000_usize..400_000,
            seed: u64,
            level in 0_u32..10,
            flush_every in prop_oneof![Just(usize::MAX), 1_000_usize..200_000],
            begin in 0_usize..5000,
            end in 0_usize..5000,
        ) {
            let text = text(length, seed);
            let gzip = gzip(&text, level, flush_every);
            let place = begin..text.len() - end;
            if let Some(payload) = spliced(&gzip, &text, place.clone()) {
                prop_assert!(expands_to(payload.bytes(), &text[place]));
                prop_assert_eq!(Payload::from_gzip(payload.bytes().clone()), Some(payload));
            }
        }

        #[test]
        fn bits_are_moved_as_they_are(bytes in prop::collection::vec(any::<u8>(), 1..100), from: u16, to: u16) {
            let bit = |bytes: &[u8], at: usize| bytes[at / 8] >> (at % 8) & 1;
            let (from, to) = (usize::from(from) % (8 * bytes.len()), usize::from(to) % (8 * bytes.len() + 1));
            let bits = from.min(to)..from.max(to);
            let mut moved = vec![0xff];
            shift_bits(&bytes, bits.clone(), &mut moved);
            prop_assert_eq!(moved.len(), 1 + bits.len().div_ceil(8));
            for at in 0..8 * (moved.len() - 1) {
                let expected = if at < bits.len() { bit(&bytes, bits.start + at) } else { 0 };
                prop_assert_eq!(bit(&moved[1..], at), expected);
            }
        }
    }
}
