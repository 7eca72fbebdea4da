//! A snapshot's payload: gzip of the configuration's JSON, laid out so that a message for a node can be made around it
//! without compressing anything again (see [`crate::kong::message`]). Any gunzip reads it.
//!
//! The layout: a header with the comment `lifeboat 1`, deflate blocks that end on a byte boundary (a sync flush), one
//! empty final block, the usual trailer. What lies between header and final block can be moved into another gzip stream
//! as it is, because deflate refers backwards only into what the same blocks have produced (RFC 1951 section 2).

mod bits;
pub(crate) mod moved;

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use crate::sensitive::Sensitive;

/// How much longer sealing makes a payload; room for it is left.
pub const TAG_BYTES: usize = 16;

// RFC 1952: magic, deflate, FCOMMENT, no time, no extra flags, unknown system, the comment.
const HEADER: &[u8] = b"\x1f\x8b\x08\x10\0\0\0\0\0\xfflifeboat 1\0";
/// What a sync flush ends with (an empty stored block's lengths), then the empty final block of fixed codes.
const END: &[u8] = b"\0\0\xff\xff\x03\0";
const TRAILER: usize = 8;

/// Gzip of a configuration's JSON in the layout above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload(Sensitive<Bytes>);

/// The deflate blocks of a [`Payload`] and what they produce.
#[derive(Clone)]
pub struct Blocks {
    /// Deflate blocks that begin and end on a byte boundary, none of them final.
    pub deflate: Bytes,
    /// CRC-32 of what they produce.
    pub crc: u32,
    /// How many bytes they produce, modulo 2^32 (RFC 1952 ISIZE).
    pub length: u32,
}

impl Payload {
    /// Compresses a configuration's JSON.
    pub fn compress(json: &[u8]) -> Self {
        let mut gzip = Vec::with_capacity(json.len() / 6 + 1024);
        gzip.extend_from_slice(HEADER);
        deflate_blocks(json, &mut gzip);
        gzip.extend_from_slice(&END[4..]);
        let mut crc = Crc::new();
        crc.update(json);
        gzip.extend_from_slice(&crc.sum().to_le_bytes());
        gzip.extend_from_slice(&(json.len() as u32).to_le_bytes());
        // Room for what sealing adds, so that it stays one copy.
        gzip.shrink_to(gzip.len() + TAG_BYTES);
        Self(Bytes::from(gzip).into())
    }

    /// The payload's bytes, as they are stored where they aren't sealed.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The payload's bytes, for callers that don't send them to a node.
    pub fn into_bytes(self) -> Bytes {
        self.0.into_inner()
    }

    /// These bytes as a payload of this layout; `None` if another program compressed them.
    pub fn from_gzip(bytes: Bytes) -> Option<Self> {
        let inside = bytes.len().checked_sub(TRAILER)?;
        (bytes.starts_with(HEADER) && bytes[..inside].ends_with(END)).then_some(Self(bytes.into()))
    }

    /// The blocks inside.
    pub fn blocks(&self) -> Blocks {
        let (blocks_end, trailer) = (self.0.len() - TRAILER - 2, &self.0[self.0.len() - TRAILER..]);
        let word = |at: usize| u32::from_le_bytes([trailer[at], trailer[at + 1], trailer[at + 2], trailer[at + 3]]);
        Blocks { deflate: self.0.slice(HEADER.len()..blocks_end), crc: word(0), length: word(4) }
    }
}

fn deflate_blocks(json: &[u8], gzip: &mut Vec<u8>) {
    let mut deflate = Compress::new(Compression::new(6), false);
    loop {
        let read = deflate.total_in() as usize;
        let flush = FlushCompress::Sync;
        gzip.reserve(64 * 1024);
        let status = deflate.compress_vec(&json[read..], gzip, flush).expect("deflating from memory cannot fail");
        let all_read = deflate.total_in() as usize == json.len();
        // Room left over means that nothing is left to write: the flush is complete.
        if all_read && (gzip.len() < gzip.capacity() || status == Status::BufError) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use proptest::prelude::*;

    use super::*;

    fn gunzip(bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
        plain
    }

    /// From what compresses to nothing to what doesn't compress at all. Drawing each byte by itself would take a hundred
    /// times as long.
    fn bytes(seed: u64, length: usize, random_bits: u32) -> Vec<u8> {
        let mask = ((1_u32 << random_bits) - 1) as u8;
        let steps = std::iter::successors(Some(seed), |last| {
            Some(last.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1))
        });
        steps.take(length).map(|step| (step >> 33) as u8 & mask).collect()
    }

    proptest! {
        #[test]
        fn any_gunzip_reads_a_payload(seed: u64, length in 0..300_000_usize, random_bits in 0..=8_u32) {
            let json = bytes(seed, length, random_bits);
            let payload = Payload::compress(&json);
            prop_assert_eq!(&gunzip(payload.bytes()), &json);
            let read = Payload::from_gzip(payload.bytes().clone()).unwrap();
            prop_assert_eq!(read.blocks().length as usize, json.len());
        }
    }

    #[test]
    fn a_gzip_of_another_program_is_not_taken_for_a_payload() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
        std::io::Write::write_all(&mut encoder, b"{}").unwrap();
        assert_eq!(Payload::from_gzip(encoder.finish().unwrap().into()), None);
        assert_eq!(Payload::from_gzip(Bytes::new()), None);
    }

    #[test]
    fn a_payload_does_not_print_what_it_carries() {
        assert!(format!("{:?}", Payload::compress(b"a private key")).starts_with("Payload("));
    }
}
