//! The raw Snappy format, as far as a message must be put together from pieces: a length, then elements. Elements refer
//! backwards only within 64 KiB of input that were compressed together, so pieces can be joined.

use bytes::{BufMut, Bytes, BytesMut};
use snap::raw::{Decoder, Encoder, decompress_len};

/// How much is compressed at a time. A multiple of the 64 KiB that Snappy looks back.
const AT_ONCE: usize = 1 << 20;

/// Compressed elements without the length that stands before them, and the length of what they produce.
#[derive(Clone)]
pub(crate) struct Elements {
    pub(crate) bytes: Bytes,
    pub(crate) length: u64,
}

/// Compresses what is written to it, piece by piece.
pub(crate) struct Compressor {
    encoder: Encoder,
    waiting: Vec<u8>,
    compressed: Vec<u8>,
    length: u64,
}

impl Compressor {
    pub(crate) fn new() -> Self {
        Self { encoder: Encoder::new(), waiting: Vec::new(), compressed: Vec::new(), length: 0 }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= AT_ONCE {
            self.compress();
        }
    }

    pub(crate) fn finish(mut self) -> Elements {
        self.compress();
        self.compressed.shrink_to_fit();
        Elements { bytes: self.compressed.into(), length: self.length }
    }

    fn compress(&mut self) {
        let block = self.encoder.compress_vec(&self.waiting).expect("a piece is shorter than 4 GiB");
        let mut elements = &block[..];
        take_length(&mut elements);
        self.compressed.extend_from_slice(elements);
        self.length += self.waiting.len() as u64;
        self.waiting.clear();
    }
}

/// A whole block.
pub(crate) fn compress(content: &[u8]) -> Vec<u8> {
    Encoder::new().compress_vec(content).expect("what is compressed is shorter than 4 GiB")
}

/// What a block produces; none if it is no block, or would produce more than `limit` bytes.
pub(crate) fn decompress(block: &[u8], limit: usize) -> Option<Vec<u8>> {
    let length = decompress_len(block).ok()?;
    if length > limit {
        return None;
    }
    Decoder::new().decompress_vec(block).ok()
}

/// Puts the length that stands before a block's elements.
pub(crate) fn put_length(block: &mut BytesMut, mut length: u64) {
    while length >= 0x80 {
        block.put_u8(length as u8 | 0x80);
        length >>= 7;
    }
    block.put_u8(length as u8);
}

/// Puts an element that is `content` as it is, of at most 256 bytes.
pub(crate) fn put_literal(block: &mut BytesMut, content: &[u8]) {
    let last = u8::try_from(content.len() - 1).expect("an envelope has less than 256 bytes");
    if last < 60 {
        block.put_u8(last << 2);
    } else {
        block.put_slice(&[0xf0, last]);
    }
    block.put_slice(content);
}

fn take_length(block: &mut &[u8]) {
    let digits = block.iter().position(|byte| byte & 0x80 == 0).map_or(block.len(), |last| last + 1);
    *block = &block[digits..];
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn pieces_that_were_compressed_one_by_one_are_one_block(
            pieces in prop::collection::vec((any::<u8>(), 0_usize..800_000), 0..6),
            head in prop::collection::vec(any::<u8>(), 1..256),
        ) {
            let pieces: Vec<Vec<u8>> = pieces
                .iter()
                .map(|(seed, length)| (0..*length).map(|at| (at / 100 * usize::from(*seed)) as u8).collect())
                .collect();
            let mut compressor = Compressor::new();
            pieces.iter().for_each(|piece| compressor.write(piece));
            let Elements { bytes, length } = compressor.finish();

            let mut block = BytesMut::new();
            put_length(&mut block, length + head.len() as u64);
            put_literal(&mut block, &head);
            block.put_slice(&bytes);
            prop_assert_eq!(decompress(&block, 8 << 20), Some([head, pieces.concat()].concat()));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(content) = decompress(&bytes, 1000) {
                prop_assert!(content.len() <= 1000);
            }
        }
    }

    #[test]
    fn a_block_that_would_become_too_long_is_not_decompressed() {
        let block = compress(&[0; 1001]);
        assert_eq!(decompress(&block, 1000), None);
        assert_eq!(decompress(&block, 1001).map(|content| content.len()), Some(1001));
    }
}
