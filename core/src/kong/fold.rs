//! The running MD5 of one section of a configuration, with Kong's peculiarity: a text that has grown past a million
//! bytes is replaced by its own digest.

use md5::{Digest, Md5};

/// Beyond this many bytes Kong folds (`kong/clustering/config_helper.lua` at tag 3.9.1).
const LIMIT: usize = 1_000_000;

/// How many bytes are collected before they are hashed: few enough to stay in the processor's first cache, enough
/// that hashing isn't called for every name.
const PENDING: usize = 8 * 1024;

/// A text that is hashed while it is written.
pub(super) struct Fold {
    md5: Md5,
    hashed: usize,
    pending: Vec<u8>,
}

impl Fold {
    pub(super) fn new() -> Self {
        Self { md5: Md5::new(), hashed: 0, pending: Vec::with_capacity(PENDING) }
    }

    /// To be called before each value is written, also before those inside of other values.
    #[inline(always)]
    pub(super) fn enter(&mut self) {
        if self.hashed + self.pending.len() > LIMIT {
            let digest = std::mem::replace(self, Self::new()).finish();
            self.put(&digest);
        }
    }

    #[inline(always)]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        if bytes.len() > PENDING - self.pending.len() {
            self.flush();
            if bytes.len() > PENDING {
                self.md5.update(bytes);
                self.hashed += bytes.len();
                return;
            }
        }
        self.pending.extend_from_slice(bytes);
    }

    /// The digest of everything since the beginning.
    pub(super) fn finish(mut self) -> [u8; 16] {
        self.flush();
        self.md5.finalize().into()
    }

    fn flush(&mut self) {
        self.md5.update(&self.pending);
        self.hashed += self.pending.len();
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn md5(bytes: &[u8]) -> [u8; 16] {
        Md5::digest(bytes).into()
    }

    #[test]
    fn pieces_of_any_size_hash_as_one_text() {
        let mut fold = Fold::new();
        let mut text = Vec::new();
        for length in [0, 1, 8191, 1, 8192, 8193, 100_000, 5] {
            let piece = vec![length as u8; length];
            fold.enter();
            fold.put(&piece);
            text.extend(piece);
        }
        assert_eq!(fold.finish(), md5(&text));
    }

    #[test]
    fn a_text_beyond_a_million_bytes_is_folded_when_the_next_value_begins() {
        for (length, folds) in [(999_999, false), (1_000_000, false), (1_000_001, true), (3_000_000, true)] {
            let text = vec![b'x'; length];
            let mut fold = Fold::new();
            fold.put(&text);
            fold.enter();
            fold.put(b"y");
            let begin = if folds { md5(&text).to_vec() } else { text };
            assert_eq!(fold.finish(), md5(&[&begin[..], b"y"].concat()), "{length}");
        }
    }
}
