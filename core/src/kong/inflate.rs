//! Gzip to bytes, within a bound. What the bytes mean is in `reconfigure.rs`.

use flate2::{Decompress, FlushDecompress, Status};

/// The first two bytes of every gzip file (RFC 1952 section 2.3.1).
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Deflate can't expand anything more than this (<https://zlib.net/zlib_tech.html>, "Maximum Compression Factor").
const MAX_EXPANSION: usize = 1032;

/// How much is decompressed at once: what fits into a processor's second cache.
const CHUNK: usize = 256 * 1024;

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

/// Decompresses one gzip member of at most `limit` bytes.
///
/// The buffer gets the size that the data say they have, so that it needn't grow, but never one that they can't have.
pub(crate) fn inflate(gzip: &[u8], limit: usize) -> Result<Vec<u8>, InflateError> {
    let mut stream = Stream::of(gzip)?;
    let mut out = Vec::with_capacity(size_hint(gzip, limit));

    loop {
        let filled = out.len();
        if filled == out.capacity() {
            // Full, and most likely complete: the trailer that says so is still to be read.
            let mut next = [0];
            match stream.read(&mut next)? {
                0 => break,
                _ if filled == limit => return Err(InflateError::TooLarge),
                _ => out.reserve_exact(filled.max(CHUNK).min(limit - filled)),
            }
            out.push(next[0]);
            continue;
        }
        out.resize(filled + CHUNK.min(out.capacity() - filled), 0);
        let read = stream.read(&mut out[filled..])?;
        out.truncate(filled + read);
        if read == 0 {
            break;
        }
    }

    if !stream.rest.is_empty() {
        return Err(InflateError::Trailing);
    }
    out.shrink_to_fit();
    Ok(out)
}

/// A gzip member that is decompressed piece by piece.
pub(super) struct Stream<'a> {
    inner: Decompress,
    rest: &'a [u8],
}

impl<'a> Stream<'a> {
    /// From its beginning.
    pub(super) fn of(gzip: &'a [u8]) -> Result<Self, InflateError> {
        if !gzip.starts_with(&MAGIC) {
            return Err(InflateError::NotGzip);
        }
        Ok(Self { inner: Decompress::new_gzip(15), rest: gzip })
    }

    /// Fills as much of `out`, which isn't empty, as the next step gives; 0 is the proper end of the data.
    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<usize, InflateError> {
        loop {
            let (read, written) = (self.inner.total_in(), self.inner.total_out());
            let status = self.inner.decompress(self.rest, out, FlushDecompress::None);
            let read = (self.inner.total_in() - read) as usize;
            let written = (self.inner.total_out() - written) as usize;

            self.rest = &self.rest[read..];
            match status {
                Ok(_) if written > 0 => return Ok(written),
                Ok(Status::StreamEnd) => return Ok(0),
                Ok(_) if read > 0 => {}
                Ok(_) => return Err(InflateError::Truncated),
                Err(error) => {
                    // zlib's words for the two fields of the trailer: CRC-32 and length.
                    let trailer = ["incorrect data check", "incorrect length check"];
                    let about_trailer = |message: &str| trailer.iter().any(|known| message.starts_with(known));
                    return Err(match error.message() {
                        Some(message) if about_trailer(message) => InflateError::WrongChecksum,
                        _ => InflateError::Damaged,
                    });
                }
            }
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

    use flate2::Compression;
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
                let restored = inflate(&gzip(&bytes), usize::MAX).unwrap();
                assert_eq!(restored.capacity(), length);
                assert_eq!(restored, bytes);
            }
        }
    }

    #[test]
    fn the_limit_is_exact() {
        for bytes in [vec![0; 3 * CHUNK], noise(3 * CHUNK), vec![7]] {
            let compressed = gzip(&bytes);
            assert_eq!(inflate(&compressed, bytes.len()).unwrap(), bytes);
            assert_eq!(inflate(&compressed, bytes.len() - 1), Err(InflateError::TooLarge));
            assert_eq!(inflate(&compressed, 0), Err(InflateError::TooLarge));
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
                    assert_eq!(inflate(&forged, usize::MAX), Err(InflateError::WrongChecksum));
                }
            }
        }
    }

    #[test]
    fn no_beginning_passes_for_the_whole_and_nothing_may_follow_it() {
        let whole = gzip(&noise(1000));
        for length in 0..2 {
            assert_eq!(inflate(&whole[..length], usize::MAX), Err(InflateError::NotGzip));
        }
        for length in 2..whole.len() {
            assert_eq!(inflate(&whole[..length], usize::MAX), Err(InflateError::Truncated));
        }
        assert_eq!(inflate(&[&whole[..], &whole].concat(), usize::MAX), Err(InflateError::Trailing));
    }

    #[test]
    fn damaged_data_are_told_from_truncated_ones() {
        let mut damaged = gzip(&noise(1000));
        damaged[10..40].fill(0xff);
        assert_eq!(inflate(&damaged, usize::MAX), Err(InflateError::Damaged));
    }
}
