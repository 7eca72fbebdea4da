//! Bytes as a source of choices.

/// Bytes, from which choices are drawn until there are none left: then all of them are zero.
pub(crate) struct Choices<'a>(pub(crate) &'a [u8]);

impl<'a> Choices<'a> {
    pub(crate) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    pub(crate) fn number(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    /// A number below `limit`, which fits two bytes.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (usize::from(self.byte()) << 8 | usize::from(self.byte())) % limit.max(1)
    }

    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()) * usize::from(self.byte() % 8 + 1);
        let (bytes, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// `genuine` with up to `most` changes, each of them somewhere: a byte replaced, some left out, some put in, some there
    /// twice. Without bytes left it stays as it is.
    pub(crate) fn changed(&mut self, genuine: &[u8], most: usize) -> Vec<u8> {
        let mut changed = genuine.to_vec();
        for _ in 0..most {
            if self.0.is_empty() {
                break;
            }
            let at = self.below(changed.len() + 1);
            let end = changed.len().min(at + 1 + usize::from(self.byte() % 32));
            match self.byte() % 5 {
                0 => drop(changed.drain(at..end)),
                1 => drop(changed.splice(at..end, self.bytes().iter().copied())),
                2 => drop(changed.splice(at..at, self.bytes().iter().copied())),
                3 => drop(changed.splice(at..at, changed[at..end].to_vec())),
                _ if at < changed.len() => changed[at] = self.byte(),
                _ => changed.push(self.byte()),
            }
        }
        changed
    }
}
