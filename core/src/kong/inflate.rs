//! Gzip to bytes, within a bound. What the bytes mean is in `reconfigure.rs`.

use zlib_rs::{Inflate, InflateFlush, Status};

use crate::payload::splice::Boundary;

/// The first two bytes of every gzip file (RFC 1952 section 2.3.1).
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Deflate can't expand anything more than this (<https://zlib.net/zlib_tech.html>, "Maximum Compression Factor").
const MAX_EXPANSION: usize = 1032;

/// How much is decompressed at once: what fits into a processor's second cache.
const CHUNK: usize = 256 * 1024;

/// So many blocks are noted at most. Compressors write one for some ten or hundred kilobytes of text.
const MAX_BOUNDARIES: usize = 1 << 16;

/// Why gzip could not be decompressed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum InflateError {
    NotGzip,
    Truncated,
    WrongChecksum,
    Damaged,
    TooLarge,
    Trailing,
}

/// What was compressed.
#[derive(Debug)]
pub(crate) struct Inflated {
    pub(crate) text: Vec<u8>,
    /// Places between its deflate blocks, in order; none where there are more than are worth noting.
    pub(crate) boundaries: Vec<Boundary>,
}

/// Decompresses one gzip member of at most `limit` bytes.
///
/// The buffer gets the size that the data say they have, so that it needn't grow, but never one that they can't have.
pub(crate) fn inflate(gzip: &[u8], limit: usize) -> Result<Inflated, InflateError> {
    if !gzip.starts_with(&MAGIC) {
        return Err(InflateError::NotGzip);
    }
    let mut stream = Stream { inner: Inflate::new(true, 31), gzip, flush: InflateFlush::Block, boundaries: Vec::new() };
    let mut text = Vec::with_capacity(size_hint(gzip, limit));
    let mut filled = 0;
    loop {
        if filled == text.capacity() {
            // Full, and most likely complete: the trailer that says so is still to be read.
            let mut next = [0];
            match stream.read(&mut next)? {
                0 => break,
                _ if filled == limit => return Err(InflateError::TooLarge),
                _ => text.reserve_exact(filled.max(CHUNK).min(limit - filled)),
            }
            text.push(next[0]);
            filled += 1;
            continue;
        }
        if filled == text.len() {
            text.resize(filled + CHUNK.min(text.capacity() - filled), 0);
        }
        match stream.read(&mut text[filled..])? {
            0 => break,
            written => filled += written,
        }
    }
    if !stream.rest().is_empty() {
        return Err(InflateError::Trailing);
    }
    text.truncate(filled);
    text.shrink_to_fit();
    Ok(Inflated { text, boundaries: stream.boundaries })
}

struct Stream<'a> {
    inner: Inflate,
    gzip: &'a [u8],
    /// Whether it stops between blocks.
    flush: InflateFlush,
    boundaries: Vec<Boundary>,
}

impl<'a> Stream<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.gzip[self.inner.total_in() as usize..]
    }

    /// Fills as much of `out`, which isn't empty, as the next step gives; 0 is the proper end of the data.
    fn read(&mut self, out: &mut [u8]) -> Result<usize, InflateError> {
        // What ended the last block may have been read with it already: a step that reads and writes nothing isn't yet
        // the end of the data, but two are.
        let mut was_idle = false;
        loop {
            let (read, written) = (self.inner.total_in(), self.inner.total_out());
            let status = self.inner.decompress(self.rest(), out, self.flush);
            let read = self.inner.total_in() - read;
            let written = (self.inner.total_out() - written) as usize;
            if status == Ok(Status::Ok) && written < out.len() && !self.rest().is_empty() {
                self.note_boundary();
            }
            match status {
                Ok(_) if written > 0 => return Ok(written),
                Ok(Status::StreamEnd) => return Ok(0),
                Ok(_) if read == 0 && std::mem::replace(&mut was_idle, true) => return Err(InflateError::Truncated),
                Ok(_) => was_idle = read == 0,
                Err(_) => {
                    // zlib's words for the two fields of the trailer: CRC-32 and length.
                    let trailer = ["incorrect data check", "incorrect length check"];
                    let about_trailer = |message: &str| trailer.iter().any(|known| message.starts_with(known));
                    return Err(match self.inner.error_message() {
                        Some(message) if about_trailer(message) => InflateError::WrongChecksum,
                        _ => InflateError::Damaged,
                    });
                }
            }
        }
    }

    /// It has stopped although there was room and there are data: between two blocks.
    fn note_boundary(&mut self) {
        if self.boundaries.len() == MAX_BOUNDARIES {
            self.boundaries = Vec::new();
            self.flush = InflateFlush::NoFlush;
        }
        if self.flush == InflateFlush::Block {
            let (read, text) = (self.inner.total_in() as usize, self.inner.total_out() as usize);
            self.boundaries.push(Boundary { read, text });
        }
    }
}

/// The size that the gzip trailer claims, if it is possible and allowed.
fn size_hint(gzip: &[u8], limit: usize) -> usize {
    let claimed = gzip.last_chunk::<4>().map_or(0, |size| u32::from_le_bytes(*size) as usize);
    claimed.min(gzip.len().saturating_mul(MAX_EXPANSION)).min(limit)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compress, Compression, FlushCompress};
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn noise(length: usize) -> Vec<u8> {
        (0..length as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
    }

    #[test]
    fn what_was_compressed_is_restored_in_a_buffer_of_its_size() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK / 2] {
            for bytes in [vec![b'x'; length], noise(length)] {
                let restored = inflate(&gzip(&bytes), usize::MAX).unwrap().text;
                assert_eq!(restored.capacity(), length);
                assert_eq!(restored, bytes);
            }
        }
    }

    #[test]
    fn the_limit_is_exact() {
        for bytes in [vec![0; 3 * CHUNK], noise(3 * CHUNK), vec![7]] {
            let compressed = gzip(&bytes);
            assert_eq!(inflate(&compressed, bytes.len()).unwrap().text, bytes);
            assert_eq!(inflate(&compressed, bytes.len() - 1).unwrap_err(), InflateError::TooLarge);
            assert_eq!(inflate(&compressed, 0).unwrap_err(), InflateError::TooLarge);
        }
    }

    #[test]
    fn a_size_that_cannot_be_is_not_reserved() {
        let mut forged = gzip(&[0; 100]);
        let end = forged.len();
        forged[end - 4..].fill(0xff);
        assert_eq!(size_hint(&forged, usize::MAX), end * MAX_EXPANSION);
        assert_eq!(size_hint(&forged, 1000), 1000);
        assert_eq!(size_hint(&[], 1000), 0);
    }

    #[test]
    fn a_wrong_trailer_is_a_wrong_checksum() {
        let bytes = noise(3 * CHUNK);
        for place in 1..=8 {
            for wrong in [0, 0xff] {
                let mut forged = gzip(&bytes);
                let at = forged.len() - place;
                if forged[at] != wrong {
                    forged[at] = wrong;
                    assert_eq!(inflate(&forged, usize::MAX).unwrap_err(), InflateError::WrongChecksum);
                }
            }
        }
    }

    #[test]
    fn no_beginning_passes_for_the_whole_and_nothing_may_follow_it() {
        let whole = gzip(&noise(1000));
        for length in 0..2 {
            assert_eq!(inflate(&whole[..length], usize::MAX).unwrap_err(), InflateError::NotGzip);
        }
        for length in 2..whole.len() {
            assert_eq!(inflate(&whole[..length], usize::MAX).unwrap_err(), InflateError::Truncated);
        }
        assert_eq!(inflate(&[&whole[..], &whole].concat(), usize::MAX).unwrap_err(), InflateError::Trailing);
    }

    #[test]
    fn damaged_data_are_told_from_truncated_ones() {
        let mut damaged = gzip(&noise(1000));
        damaged[10..40].fill(0xff);
        assert_eq!(inflate(&damaged, usize::MAX).unwrap_err(), InflateError::Damaged);
    }

    #[test]
    fn blocks_are_noted_where_they_end() {
        // A full flush ends a block at a byte, and nothing after it refers to what is before it.
        let mut whole = Compress::new_gzip(Compression::new(6), 15);
        let mut compressed = Vec::with_capacity(1 << 20);
        let (mut ends, mut text) = (Vec::new(), Vec::new());
        for length in [100, 70_000, 5, 300_000] {
            text.extend(noise(length));
            whole.compress_vec(&text[text.len() - length..], &mut compressed, FlushCompress::Full).unwrap();
            ends.push(Boundary { read: compressed.len(), text: text.len() });
        }
        whole.compress_vec(b"", &mut compressed, FlushCompress::Finish).unwrap();
        let inflated = inflate(&compressed, usize::MAX).unwrap();
        assert_eq!(inflated.text, text);
        for end in ends {
            assert!(inflated.boundaries.contains(&end), "{end:?} is not in {:?}", inflated.boundaries);
        }
        assert!(inflated.boundaries.is_sorted_by_key(|boundary| (boundary.read, boundary.text)));
    }

    #[test]
    fn a_text_in_a_million_blocks_is_read_without_noting_them() {
        // Empty blocks of fixed codes: ten bits each (RFC 1951 section 3.2.6), four of them in five bytes.
        let mut blocks = Vec::from(*b"\x1f\x8b\x08\0\0\0\0\0\0\xff");
        for _ in 0..250_000 {
            blocks.extend([0x02, 0x08, 0x20, 0x80, 0x00]);
        }
        blocks.extend([0x03, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let inflated = inflate(&blocks, usize::MAX).unwrap();
        assert!(inflated.text.is_empty() && inflated.boundaries.is_empty());
    }
}
