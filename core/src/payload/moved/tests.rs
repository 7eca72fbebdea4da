//! Payloads made of blocks that a control plane has compressed, against those that are compressed anew.

use std::io::Read;

use flate2::read::GzDecoder;
use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;

use super::*;

/// Compressed by zlib-rs, with a flush after each so many bytes.
fn gzip(text: &[u8], level: u32, flush_every: usize) -> Vec<u8> {
    let mut compress = Compress::new_gzip(Compression::new(level), 15);
    let mut gzip = Vec::with_capacity(text.len() + text.len() / flush_every * 16 + 1024);
    let last = text.len().saturating_sub(1) / flush_every;
    for (number, piece) in text.chunks(flush_every).enumerate() {
        let flush = if number == last { FlushCompress::Finish } else { FlushCompress::Sync };
        compress.compress_vec(piece, &mut gzip, flush).unwrap();
    }
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

fn gunzip(gzip: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    GzDecoder::new(gzip).read_to_end(&mut text).unwrap();
    text
}

fn payload(gzip: &[u8], text: &[u8], place: Range<usize>) -> Option<Payload> {
    let (inflated, moved) = Moved::inflate(gzip, usize::MAX)?;
    assert!(inflated == text, "it was not decompressed to what was compressed");
    moved.payload(text, place)
}

#[test]
fn most_of_a_message_is_taken_over_as_it_is() {
    let text = text(1_000_000, 1);
    for level in [2, 4, 6, 9] {
        let gzip = gzip(&text, level, usize::MAX);
        let place = 100..text.len() - 50;
        let payload = payload(&gzip, &text, place.clone()).unwrap();
        assert_eq!(gunzip(payload.bytes()), &text[place], "level {level}");
        assert_eq!(Payload::from_gzip(payload.bytes().clone()), Some(payload.clone()));
        // The same bits are in it, at another place.
        let middle = |shift: usize| {
            let mut middle = Vec::new();
            bits::append(&gzip, 4 * gzip.len() + shift..5 * gzip.len(), &mut middle);
            middle.pop();
            middle
        };
        let is_there = (0..8).any(|shift| memchr::memmem::find(payload.bytes(), &middle(shift)).is_some());
        assert!(is_there, "level {level}");
    }
}

#[test]
fn what_has_no_block_to_take_over_is_left_to_the_compressor() {
    let short = text(20_000, 4);
    assert!(payload(&gzip(&short, 6, usize::MAX), &short, 5..short.len()).is_none());
    // One block alone, as zlib-rs makes at level 1: there is no boundary inside.
    let long = text(1_000_000, 5);
    assert!(payload(&gzip(&long, 1, usize::MAX), &long, 5..long.len()).is_none());
    // A configuration that begins late, and one that ends early.
    let usual = gzip(&long, 6, usize::MAX);
    assert!(payload(&usual, &long, 0..long.len()).is_some());
    assert!(payload(&usual, &long, 600_000..long.len()).is_none());
    assert!(payload(&usual, &long, 0..100_000).is_none());
}

#[test]
fn a_changed_or_missing_byte_is_never_read_as_something_else() {
    let text = text(400_000, 2);
    let gzip = gzip(&text, 6, usize::MAX);
    for at in (0..gzip.len()).step_by(61).chain(gzip.len() - 20..gzip.len()) {
        let mut changed = gzip.clone();
        changed[at] ^= 1 << (at % 8);
        // Gzip's header, which says when and where it was made, has no checksum.
        assert!(Moved::inflate(&changed, usize::MAX).is_none() || (4..10).contains(&at), "byte {at}");
        assert!(Moved::inflate(&gzip[..at], usize::MAX).is_none(), "{at} bytes");
    }
    assert!(Moved::inflate(&[&gzip[..], &gzip].concat(), usize::MAX).is_none());
    assert!(Moved::inflate(&gzip, text.len()).is_some());
    assert!(Moved::inflate(&gzip, text.len() - 1).is_none());
}

#[test]
fn what_is_put_around_the_blocks_is_not_taken_on_trust() {
    let text = text(400_000, 3);
    let gzip = gzip(&text, 6, usize::MAX);
    let spoiled = |spoil: &dyn Fn(&mut Moved)| {
        let (_, mut moved) = Moved::inflate(&gzip, usize::MAX).unwrap();
        spoil(&mut moved);
        moved.payload(&text, 10..text.len() - 10)
    };
    assert!(spoiled(&|_| {}).is_some());
    assert!(spoiled(&|moved| moved.boundaries.iter_mut().for_each(|boundary| boundary.text -= 1)).is_none());
    assert!(spoiled(&|moved| moved.boundaries.iter_mut().for_each(|boundary| boundary.read -= 1)).is_none());
    assert!(!produces(&[3, 0], b"", b"x") && !produces(&[3, 0, 0], b"", b"") && produces(&[3, 0], b"", b""));
}

#[test]
fn a_text_in_a_million_blocks_is_not_gone_through() {
    // Empty blocks of fixed codes: ten bits each (RFC 1951 section 3.2.6), four of them in five bytes.
    let mut blocks = [0x02, 0x08, 0x20, 0x80, 0x00].repeat(250_000);
    blocks.extend([3, 0]);
    assert!(inflate_rest(&blocks, &mut vec![0; LEAD + 1], LEAD).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_payload_is_exactly_the_part_of_the_text(
        length in 200_000_usize..600_000,
        seed: u64,
        level in 0_u32..10,
        flush_every in prop_oneof![Just(usize::MAX), 1_000_usize..200_000],
        begin in 0_usize..5000,
        end in 0_usize..5000,
    ) {
        let text = text(length, seed);
        let gzip = gzip(&text, level, flush_every);
        let place = begin..text.len() - end;
        if let Some(payload) = payload(&gzip, &text, place.clone()) {
            prop_assert!(gunzip(payload.bytes()) == text[place]);
            prop_assert_eq!(Payload::from_gzip(payload.bytes().clone()), Some(payload));
        }
    }
}
